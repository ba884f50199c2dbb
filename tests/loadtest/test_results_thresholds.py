"""Thresholds: what they accept, what they judge, and the share of runs that the model says would fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loadtest.results.metrics import METRICS, Measured
from loadtest.results.predicted import predict_shares
from loadtest.results.thresholds import (
    PredictedShare,
    exit_code,
    judge,
    parse_threshold,
    sentence,
    thresholds_document,
)
from planner.errors import InputError
from planner.measures import measure
from planner.model import Estimate, Outcome, RequestLog, Slo
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.sim.engine import simulate_replicate
from tests.loadtest.hand_made_run import log_of, observed_run, request_log


@pytest.fixture(scope="module")
def quickstart() -> Scenario:
    return load("quickstart")


@pytest.mark.parametrize(
    ("text", "metric", "operator", "bound"),
    [
        ("fraction_503 > 0.1%", "fraction_503", ">", 0.001),
        ("fraction_503>0.001", "fraction_503", ">", 0.001),
        ("  latency_p99 >= 2s ", "latency_p99", ">=", 2.0),
        ("latency_p99.9 > 1500ms", "latency_p999", ">", 1.5),
        ("latency_from_schedule_max > 1m 2s", "latency_from_schedule_max", ">", 62.0),
        ("achieved_fraction < 99.9%", "achieved_fraction", "<", 0.999),
        ("send_error_p99 > 5ms", "send_error_p99", ">", 0.005),
        ("requests <= 1000", "requests", "<=", 1000),
        ("fraction_503 > 0", "fraction_503", ">", 0.0),
    ],
)
def test_a_threshold_is_read_with_its_units(text: str, metric: str, operator: str, bound: float) -> None:
    threshold = parse_threshold(text)
    assert (threshold.metric.name, threshold.operator) == (metric, operator)
    assert threshold.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be METRIC, one of > >= < <=, VALUE"),
        ("fraction_503", "must be METRIC, one of > >= < <=, VALUE"),
        ("fraction_503 > ", "must be METRIC, one of > >= < <=, VALUE"),
        ("fraction_503 == 1%", "must be METRIC, one of > >= < <=, VALUE"),
        ("fraction_503 > > 1%", "must be METRIC, one of > >= < <=, VALUE"),
        ("fraction503 > 1%", "did you mean fraction_503? There are fraction_503, fraction_504"),
        ("qqq > 1%", "qqq is an unknown metric. There are"),
        ("fraction_503 > 2s", "fraction_503 is a fraction, such as 0.001 or 0.1%; 2s must be a number"),
        ("fraction_503 > 10", "above 1 needs a percent sign; did you mean 10%?"),
        ("fraction_503 > 101%", "must be from 0% to 100%"),
        ("fraction_503 > 1", "never above 100%, so no run could fail; did you mean 1%?"),
        ("achieved_fraction <= 1", "every run would fail; did you mean 1%?"),
        ("latency_p99 > 2", "latency_p99 is a duration, such as 2s or 500ms; 2 needs a unit"),
        ("latency_p99 > 2%", "latency_p99 is a duration, such as 2s or 500ms; 2% must be a duration"),
        ("latency_p99 >= 0s", "every run would fail"),
        ("fraction_503 < 0", "no run could fail"),
        ("latency_p99 > 8d", "must be at most 7d"),
        ("requests < 1.5", "requests is a count, such as 1000; 1.5 must be an integer, at least 0"),
        ("requests < -1", "must be an integer, at least 0"),
        ("fraction_503 > nan", "must be a number"),
        ("fraction_503 > \ud800", "must be a number"),
    ],
)
def test_a_bad_threshold_is_refused_with_the_bound_that_it_breaks(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_threshold(text)
    assert says in str(refused.value)
    assert str(refused.value).startswith("--fail-if ")


def value(name: str, log: RequestLog, scenario: Scenario) -> float | None:
    return Measured.of(log, scenario).value(METRICS[name])


def test_each_metric_is_what_its_definition_says(quickstart: Scenario) -> None:
    outcomes = [Outcome.OK] * 8 + list(Outcome)  # 9 ok, each other outcome once: 24 planned
    log = log_of(*outcomes)
    answered = 9 + 9  # ok, 503, 504, bad, 429, 4xx, 5xx, other, timeout, connection error
    expected = {
        "fraction_503": 1 / answered,
        "fraction_504": 1 / answered,
        "fraction_429": 1 / answered,
        "fraction_bad_response": 1 / answered,
        "fraction_errors": 8 / answered,
        "fraction_failed": 9 / answered,
        "latency_p50": 0.1,
        "latency_max": 0.1,
        "latency_from_schedule_p99": 0.11,
        "requests": answered,
        "achieved_fraction": 20 / 24,
        "late_fraction": 0.0,
        "send_error_p99": 0.01,
    }
    assert {name: value(name, log, quickstart) for name in expected} == pytest.approx(expected)


def test_only_requests_scheduled_between_warm_up_and_end_count(quickstart: Scenario) -> None:
    scenario = replace(quickstart, warm_up_s=2.0, duration_s=5.0)
    log = log_of(Outcome.STATUS_503, Outcome.STATUS_503, Outcome.OK, Outcome.OK, Outcome.STATUS_503, Outcome.STATUS_503)
    assert value("fraction_503", log, scenario) == pytest.approx(1 / 3)
    assert value("requests", log, scenario) == 3


def test_quantiles_are_exact(quickstart: Scenario) -> None:
    """The smallest value that at least q n do not exceed: of 1..1000 ms p999 is 999 ms."""
    n = 1000
    scheduled_s = np.linspace(0, 59, n)
    latency_s = np.random.default_rng(5).permutation(np.arange(1, n + 1)) / 1e3
    log = request_log(scheduled_s, scheduled_s, scheduled_s + latency_s, np.zeros(n, dtype=np.int64))
    for word, expected_s in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)):
        assert value(f"latency_{word}", log, quickstart) == pytest.approx(expected_s, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("fraction_503 > 25%", False),
        ("fraction_503 >= 25%", True),
        ("fraction_503 < 25%", False),
        ("fraction_503 <= 25%", True),
        ("latency_p99 > 99ms", True),
        ("latency_p99 > 101ms", False),
    ],
)
def test_a_threshold_names_the_condition_that_fails(text: str, failed: bool, quickstart: Scenario) -> None:
    log = log_of(Outcome.OK, Outcome.OK, Outcome.OK, Outcome.STATUS_503)
    (judged,) = judge([parse_threshold(text)], observed_run(log), quickstart)
    assert judged.failed is failed
    assert judged.undefined is None
    assert exit_code([judged], 0) == int(failed)


@pytest.mark.parametrize(
    ("text", "outcomes", "why"),
    [
        ("latency_p99 > 2s", [Outcome.STATUS_503], "no request that counts was answered 200"),
        ("fraction_503 > 1%", [Outcome.UNRESOLVED, Outcome.UNACCOUNTED], "no request that counts has an answer"),
        ("late_fraction > 1%", [Outcome.NOT_REACHED], "no request was sent"),
    ],
)
def test_a_threshold_on_nothing_is_no_pass(text: str, outcomes: list[Outcome], why: str, quickstart: Scenario) -> None:
    (judged,) = judge([parse_threshold(text)], observed_run(log_of(*outcomes)), quickstart)
    assert (judged.value, judged.failed, judged.undefined) == (None, None, why)
    assert exit_code([judged], 0) == 3
    assert why in sentence(judged)


def test_the_exit_code_is_that_of_the_run_unless_it_is_valid(quickstart: Scenario) -> None:
    log = log_of(Outcome.STATUS_503)
    texts = ("fraction_503 > 1%", "latency_p99 > 1s", "requests < 1")
    failed, undefined, kept = judge([parse_threshold(t) for t in texts], observed_run(log), quickstart)
    assert [exit_code([failed], so_far) for so_far in (0, 3, 4, 130)] == [1, 3, 4, 130]
    assert exit_code([kept], 0) == 0
    assert exit_code([kept, undefined], 0) == 3
    assert exit_code([kept, undefined, failed], 0) == 1
    assert exit_code([], 0) == 0


def test_predicted_shares_agree_with_the_slo_of_simulate(quickstart: Scenario) -> None:
    """The same replicates, the same count of runs: 1 - fraction_of_runs_within_slo, to the last digit."""
    scenario = replace(quickstart, slo=Slo(max_fraction_503=0.12, min_fraction_of_runs=0.95))
    kept = measure(scenario, [simulate_replicate(scenario, i) for i in range(60)]).fraction_of_runs_within_slo
    assert kept is not None
    (predicted,) = predict_shares(scenario, [parse_threshold("fraction_503 > 12%")], replications=60)
    assert predicted.share is not None
    assert predicted.share.value == pytest.approx(1 - kept.value)
    assert (predicted.share.low, predicted.share.high) == pytest.approx((1 - kept.high, 1 - kept.low))
    assert 0.05 < predicted.share.value < 0.95
    assert predicted.why is None


def test_predicted_shares_of_latencies_and_of_what_the_model_does_not_know(quickstart: Scenario) -> None:
    texts = (
        "latency_p50 > 1ms",
        "late_fraction > 1%",
        "latency_p99 > 1h",
        "fraction_bad_response > 0",
        "latency_from_schedule_p99 > 100ms",
        "fraction_errors > 50%",
        "requests < 5",
    )
    calls: list[int] = []
    thresholds = [parse_threshold(t) for t in texts]
    shares = predict_shares(quickstart, thresholds, on_done=lambda: calls.append(1), replications=20)
    values = [None if s.share is None else s.share.value for s in shares]
    assert values == [1.0, None, 0.0, None, 1.0, 0.0, None]
    assert len(calls) == 20
    assert "no generator" in (shares[1].why or "")
    assert "200, 503 and 504" in (shares[3].why or "")
    assert "no generator" in (shares[4].why or "")
    assert "200, 503 and 504" in (shares[5].why or "")
    assert "part of the plan" in (shares[6].why or "")


def test_a_latency_of_runs_without_any_200_has_no_share(quickstart: Scenario) -> None:
    dead = replace(
        quickstart,
        deployment=replace(quickstart.deployment, min_replicas=1, max_replicas=1, initial_replicas=0),
        cold_start=type(quickstart.cold_start)(1e6, 0.1),  # type: ignore[call-arg]
    )
    (predicted,) = predict_shares(dead, [parse_threshold("latency_p99 > 1s")], replications=5)
    assert predicted == PredictedShare(share=None, why="none of 5 simulated runs had anything to judge")


def test_the_prediction_ends_in_time_with_what_is_done(quickstart: Scenario) -> None:
    (predicted,) = predict_shares(quickstart, [parse_threshold("fraction_503 > 1%")], longest_s=0.0)
    assert predicted.share is not None
    assert predicted.share.replications == 1
    assert (predicted.share.low, predicted.share.high) == pytest.approx((0.025, 1.0))


def test_nothing_is_simulated_where_nothing_can_be_predicted(quickstart: Scenario) -> None:
    calls: list[int] = []
    predict_shares(quickstart, [parse_threshold("requests < 5")], on_done=lambda: calls.append(1))
    assert not calls


def test_the_document_and_the_sentence_say_all_of_it(quickstart: Scenario) -> None:
    share = PredictedShare(share=Estimate(value=0.12, low=0.08, high=0.17, replications=200))
    judged = judge(
        [parse_threshold("fraction_503 > 0.1%")], observed_run(log_of(Outcome.STATUS_503)), quickstart, [share]
    )
    (document,) = thresholds_document(judged)
    assert document["predicted_share_failing"]["value"] == 0.12
    assert (document["metric"], document["operator"], document["bound"]) == ("fraction_503", ">", 0.001)
    assert (document["value"], document["failed"], document["why"]) == (1.0, True, None)
    assert sentence(judged[0]) == (
        "fraction_503 was 100 %, fails if > 0.1 %: failed. 12 % of simulated runs would fail "
        "(95% interval 8 % to 17 %, 200 runs)."
    )
