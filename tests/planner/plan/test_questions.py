"""The questions that a plan answers about one deployment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Recorded, Renewal
from planner.errors import InputError
from planner.measures import Counts, difference, measure
from planner.model import Autoscaler, Deployment, Slo
from planner.plan.questions import answer_questions, highest, published_rule, scaled_spike, scaled_traffic
from planner.plan.questions.bench import MOST_REQUESTS, Bench
from planner.plan.questions.loss import without_one
from planner.plan.questions.scaled import base_rps
from planner.queueing import WaitLimitQueue
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.scaling import scaled_trace
from planner.service import Deterministic, Exponential, Lognormal
from planner.sim.engine import ReplicateResult, simulate_replicate
from planner.sim.replications import SERIAL, Serial

FIXED_4 = Deployment(autoscaler=Autoscaler.FIXED, min_replicas=4, max_replicas=4, scoring_timeout_s=300.0)

SCENARIO = Scenario(
    name="questions",
    shows="",
    duration_s=660.0,
    warm_up_s=60.0,
    arrivals=Renewal(RateProfile.constant(2.0, 660.0)),
    service_time=Exponential(1.0),
    deployment=FIXED_4,
    cold_start=Deterministic(5.0),
    slo=Slo(max_fraction_503=0.1),
    seed=7,
)

SCALING = Deployment(min_replicas=4, max_replicas=6, target_utilization_percent=80)

STEP = RateProfile(np.array([0.0, 300.0, 360.0, 660.0]), np.array([1.0, 6.0, 1.0]), np.array([1.0, 6.0, 1.0]))


def _with(scenario: Scenario = SCENARIO, **changes: Any) -> Scenario:
    return dataclasses.replace(scenario, **changes)


def _constant(rps: float) -> Renewal:
    return Renewal(RateProfile.constant(rps, SCENARIO.duration_s))


def _answers(scenario: Scenario, replications: int = 20, **more: Any) -> dict[str, Any]:
    answers = answer_questions(
        scenario, scenario.deployment, SERIAL, replications=replications, scale=scaled_trace, **more
    )
    json.dumps(answers, allow_nan=False)
    return answers


def _runs(scenario: Scenario, replications: int, first: int = 0) -> list[ReplicateResult]:
    return [simulate_replicate(scenario, r, bin_s=scenario.duration_s) for r in range(first, first + replications)]


def _arrivals(scenario: Scenario, replicate: int = 0) -> np.ndarray[Any, Any]:
    return np.concatenate([np.empty(0), *scenario.arrivals.blocks(scenario.seed, replicate)])


# How much burst fits


def test_the_highest_rate_is_that_of_the_exact_formula() -> None:
    """The SLO's error at the last factors is 1 % of it, which is below half a percent of the factor."""
    answer = _answers(SCENARIO, replications=100)["highest_rate"]
    exact = _exact_factor(4, 2.0, 0.1)
    assert answer["survives"]["factor"] / 1.01 < exact < answer["fails"]["factor"] * 1.01
    assert 1 < answer["fails"]["factor"] / answer["survives"]["factor"] <= 1.02
    assert answer["survives"]["peak_rps"] == pytest.approx(2 * answer["survives"]["factor"])
    assert answer["survives"]["kept"]
    assert not answer["fails"]["kept"]
    assert answer["reason"] is None


def _exact_factor(slots: int, rate_rps: float, fraction: float) -> float:
    low, high = 1e-3, 1e3
    while high / low > 1 + 1e-9:
        middle = (low * high) ** 0.5
        if WaitLimitQueue(slots, rate_rps * middle, 1.0, 0.5).fraction_503 > fraction:
            high = middle
        else:
            low = middle
    return low


@settings(max_examples=8)
@given(st.integers(1, 6), st.floats(2.0, 8.0), st.floats(0.02, 0.3))
def test_a_bracket_has_its_survivor_below_its_failure(replicas: int, rps: float, fraction: float) -> None:
    deployment = dataclasses.replace(FIXED_4, min_replicas=replicas, max_replicas=replicas)
    scenario = _with(
        duration_s=120.0, warm_up_s=0.0, arrivals=Renewal(RateProfile.constant(rps, 120.0)),
        deployment=deployment, slo=Slo(max_fraction_503=fraction),
    )  # fmt: skip
    answer = _answers(scenario, replications=5)["highest_rate"]
    survives, fails = answer["survives"], answer["fails"]
    assert survives["factor"] < fails["factor"] <= 1.02 * survives["factor"]
    assert survives["fraction_503"]["value"] <= fails["fraction_503"]["value"]


def test_a_factor_that_nothing_can_be_told_of_leaves_the_bracket_wide() -> None:
    """Traffic of which nothing arrives in the time that counts ends the bisection, and not the plan."""
    bench = Bench(executor=SERIAL, replications=20)

    def scaled(factor: float) -> Scenario:
        return _with(arrivals=_constant(1e-9 if 1.2 < factor < 1.9 else 4.0 * factor))

    own = bench.judged(_with(arrivals=_constant(2.0)), 20, "own")
    found = highest._bracket(own, highest.Scaling(what="the traffic", scaled=scaled, limit=8.0), SCENARIO, bench)
    assert found.survives is not None
    assert found.fails is not None
    assert (found.survives.factor, found.fails.factor) == (1.0, 2.0)
    assert highest._caveat(found, SCENARIO) == (
        "Between the two nothing could be told: 1.41 times the traffic gives no request arrives in the time that "
        "counts: there is nothing to estimate."
    )


def test_settings_that_fail_already_survive_a_factor_below_one() -> None:
    answer = _answers(_with(arrivals=_constant(8.0)))["highest_rate"]
    assert answer["survives"]["factor"] < answer["fails"]["factor"] < 1
    assert "at the scenario's own traffic already" in answer["sentence"]


def test_service_without_duration_never_fails() -> None:
    """1,320 requests: 1,000 times as many are within what is simulated."""
    answer = _answers(_with(service_time=Deterministic(0.0)), replications=2)["highest_rate"]
    assert answer["fails"] is None
    assert answer["survives"]["factor"] == 1000
    assert answer["sentence"].startswith("Nothing fails up to 1000 times the traffic (2000 requests per second")


def test_a_latency_below_the_service_time_fails_at_every_rate() -> None:
    slo = Slo(max_fraction_503=0.1, p99_latency_s=0.2)
    answer = _answers(_with(arrivals=_constant(20.0), slo=slo), replications=2)["highest_rate"]
    assert answer["survives"] is None
    assert answer["reason"] == answer["sentence"]
    assert "p99 latency" in answer["reason"]


def test_more_than_bounded_work_is_not_tried() -> None:
    profile = RateProfile.constant(2000.0, 660.0)  # 1.32 million requests
    scenario = _with(arrivals=Renewal(profile), service_time=Deterministic(0.0))
    answer = _answers(scenario, replications=2)["highest_rate"]
    assert answer["survives"]["factor"] == 4
    assert answer["fails"] is None


def test_the_sentence_names_the_part_that_is_broken() -> None:
    """The mean is far below its bound; single runs are not."""
    slo = Slo(max_fraction_503=0.1, min_fraction_of_runs=0.95)
    answer = _answers(_with(duration_s=90.0, slo=slo, arrivals=Renewal(RateProfile.constant(2.0, 90.0))), 60)
    highest = answer["highest_rate"]
    assert "no longer: share of runs that keep it" in highest["sentence"]
    assert highest["fails"]["fraction_503"]["value"] < 0.1


def test_the_spike_alone_is_scaled() -> None:
    answer = _answers(_with(arrivals=Renewal(STEP), slo=Slo(max_fraction_503=0.2)))["highest_spike"]
    factor = answer["survives"]["factor"]
    assert answer["base_rps"] == 1
    assert answer["survives"]["peak_rps"] == pytest.approx(1 + 5 * factor)
    assert factor < answer["fails"]["factor"] <= 1.02 * factor


@pytest.mark.parametrize(
    ("arrivals", "reason"),
    [
        (_constant(2.0), "There is no spike: never more than 2 requests per second."),
        (Recorded(np.arange(1200) / 2.0), "A recorded trace has no rate"),
        (MarkovModulatedPoisson(np.array([2.0, 2.0]), np.array([0.1, 0.1]), 660.0), "There is no spike"),
    ],
)
def test_without_a_spike_the_reason_is_said(arrivals: ArrivalProcess, reason: str) -> None:
    def keep(scenario: Scenario, factor: float) -> Scenario:
        raise InputError("not scaled here")

    scenario = _with(arrivals=arrivals)
    answers = answer_questions(scenario, FIXED_4, SERIAL, replications=4, scale=keep)
    spike = answers["highest_spike"]
    assert spike["survives"] is spike["fails"] is None
    assert spike["reason"].startswith(reason)
    assert spike["sentence"] == spike["reason"]


def test_traffic_that_cannot_be_scaled_further_ends_the_search() -> None:
    def at_most_twice(scenario: Scenario, factor: float) -> Scenario:
        if factor > 2:
            raise InputError("rate_scale = 4, must be at most 2")
        return scenario

    scenario = _with(arrivals=Recorded(np.arange(1300) / 2.0), slo=Slo(max_fraction_503=0.5))
    answer = answer_questions(scenario, FIXED_4, SERIAL, replications=4, scale=at_most_twice)["highest_rate"]
    assert answer["survives"]["factor"] == 2
    assert answer["fails"] is None
    assert answer["sentence"].endswith("No further: rate_scale = 4, must be at most 2.")


def test_an_estimate_that_decides_is_said_to() -> None:
    answer = _answers(SCENARIO)["highest_rate"]
    undecided = [end for end in (answer["survives"], answer["fails"]) if end["decided_by"] == "estimate"]
    assert undecided
    assert "the estimate decides" in answer["caveat"]
    assert "autoscaler" not in answer["caveat"]
    assert "autoscaler" in _answers(_with(deployment=SCALING))["highest_rate"]["caveat"]


# Traffic at another scale


def _processes() -> list[ArrivalProcess]:
    ramps = RateProfile(np.array([0.0, 100.0, 400.0, 660.0]), np.array([0.0, 9.0, 1.0]), np.array([9.0, 1.0, 1.0]))
    return [
        _constant(2.0),
        Renewal(STEP, 3.0),
        Renewal(ramps, 0.0),
        MarkovModulatedPoisson(np.array([1.0, 5.0, 2.0]), np.array([0.05, 0.1, 0.02]), 660.0),
    ]


@pytest.mark.parametrize("arrivals", _processes())
def test_scaling_by_one_changes_no_arrival(arrivals: ArrivalProcess) -> None:
    scenario = _with(arrivals=arrivals)
    for same in (scaled_traffic(scenario, 1.0, scaled_trace), scaled_spike(scenario, 1.0)):
        np.testing.assert_array_equal(_arrivals(same), _arrivals(scenario))


@given(st.sampled_from(range(4)), st.floats(0.01, 50.0))
def test_expected_requests_follow_the_factor(which: int, factor: float) -> None:
    scenario = _with(arrivals=_processes()[which])
    requests = scenario.arrivals.expected_count
    assert scaled_traffic(scenario, factor, scaled_trace).arrivals.expected_count == pytest.approx(factor * requests)
    base = scaled_spike(scenario, 0.0).arrivals.expected_count
    expected = base + factor * (requests - base)
    assert scaled_spike(scenario, factor).arrivals.expected_count == pytest.approx(expected)


@pytest.mark.parametrize(
    ("edges", "left", "right", "median"),
    [
        ([0, 10], [4], [4], 4),
        ([0, 5, 10], [1, 3], [1, 3], 1),  # half of the time each: the lower
        ([0, 4, 10], [1, 3], [1, 3], 3),
        ([0, 10], [0], [10], 5),
        ([0, 8, 10], [0, 20], [8, 20], 5),  # the fifth of ten seconds of a ramp of 1 per second
        ([0, 2, 10], [20, 8], [20, 0], 5),
    ],
)
def test_the_base_rate_is_the_median_over_time(edges: Any, left: Any, right: Any, median: float) -> None:
    profile = RateProfile(np.array(edges), np.array(left), np.array(right))
    assert base_rps(_with(duration_s=10.0, warm_up_s=0.0, arrivals=Renewal(profile))) == pytest.approx(median)


def test_a_ramp_is_cut_where_it_crosses_the_base_rate() -> None:
    profile = RateProfile(np.array([0.0, 10.0]), np.array([0.0]), np.array([10.0]))
    made = scaled_spike(_with(duration_s=10.0, warm_up_s=0.0, arrivals=Renewal(profile)), 3.0).arrivals
    assert isinstance(made, Renewal)
    np.testing.assert_allclose(made.profile.rate(np.array([0.0, 2.5, 5.0, 7.5])), [0.0, 2.5, 5.0, 12.5])


TRACE = """\
schema_version: 1
duration: 60s
traffic: {arrivals: {trace: {file: trace.csv, rate_scale: RATE}}}
service_time: trace
deployment: {autoscaler: fixed, num_replicas: 3}
slo: {max_503: 5%}
seed: 3
"""


@pytest.fixture
def trace(tmp_path: Path) -> Callable[[float], Scenario]:
    def made(rate_scale: float = 1.0) -> Scenario:
        rows = [f"{0.25 * i},{0.1 + 0.001 * i:.3f}" for i in range(240)]
        (tmp_path / "trace.csv").write_text("\n".join(["time_s,service_time_s", *rows]))
        path = tmp_path / "scenario.yaml"
        path.write_text(TRACE.replace("RATE", str(rate_scale)))
        return load(path)

    return made


def test_a_trace_is_scaled_from_its_file(trace: Callable[[float], Scenario]) -> None:
    own = trace(1.0)
    times = set(_arrivals(own))
    np.testing.assert_array_equal(_arrivals(scaled_trace(own, 1.0)), _arrivals(own))
    less, least = (set(_arrivals(scaled_trace(own, factor))) for factor in (0.5, 0.25))
    assert least < less < times
    more = scaled_trace(own, 2.0)
    assert times < set(_arrivals(more))
    assert len(_arrivals(more)) == 480 == len(more.service_time.times_s)  # type: ignore[union-attr]
    assert more.duration_s == own.duration_s == 60
    twice = trace(0.5)
    np.testing.assert_array_equal(_arrivals(scaled_trace(twice, 2.0)), _arrivals(own))
    changed = dataclasses.replace(own, deployment=SCALING, slo=Slo(max_fraction_503=0.5))
    assert scaled_trace(changed, 2.0).deployment == SCALING
    assert scaled_trace(changed, 2.0).slo == changed.slo
    with pytest.raises(InputError, match="rate_scale = 2000"):
        scaled_trace(own, 2000.0)


def test_the_highest_rate_of_a_trace(trace: Callable[[float], Scenario]) -> None:
    answer = _answers(trace(1.0), replications=2)["highest_rate"]
    assert 1 < answer["survives"]["factor"] < answer["fails"]["factor"] <= 1.02 * answer["survives"]["factor"]


# Remedies


def test_remedies_are_direct_simulations_on_the_same_random_numbers() -> None:
    scenario = _with(arrivals=Renewal(STEP), deployment=SCALING)
    answers = _answers(scenario, first=1000)
    own = _runs(scenario, 20, first=1000)
    assert answers["own_traffic"]["fraction_503"]["value"] == measure(scenario, own).fraction_503.value
    moves = {
        "autoscale_target_utilization": (80, 60, {"target_utilization_percent": 60}),
        "autoscale_min_replicas": (4, 5, {"min_replicas": 5}),
        "autoscale_max_replicas": (6, 8, {"max_replicas": 8}),
    }
    assert [remedy["setting"] for remedy in answers["remedies"]] == list(moves)
    for remedy in answers["remedies"]:
        before, after, change = moves[remedy["setting"]]
        changed = _with(scenario, deployment=dataclasses.replace(SCALING, **change))
        runs = _runs(changed, 20, first=1000)
        measures = measure(changed, runs)
        a, b = Counts.of(own), Counts.of(runs)
        assert (remedy["from"], remedy["to"], remedy["also"]) == (before, after, {})
        assert remedy["fraction_503"]["value"] == measures.fraction_503.value
        assert remedy["difference"]["low"] == difference(a.n_503, a.n, b.n_503, b.n).low
        assert remedy["replica_hours"]["value"] == measures.replica_hours.value
        hours = np.array([y.paid_s - x.paid_s for x, y in zip(own, runs, strict=True)]) / 3600
        assert remedy["replica_hours_difference"]["value"] == pytest.approx(hours.mean())
        assert remedy["replica_hours_difference"]["low"] < hours.mean() < remedy["replica_hours_difference"]["high"]
        assert f"from {before}" in remedy["sentence"]


def test_a_higher_minimum_lifts_the_maximum_where_it_must() -> None:
    deployment = dataclasses.replace(SCALING, min_replicas=4, max_replicas=4, target_utilization_percent=10)
    target, least, most = _answers(_with(deployment=deployment), replications=3)["remedies"]
    assert (least["to"], least["also"]) == (5, {"autoscale_max_replicas": 5})
    assert target["to"] is None
    assert target["sentence"] == target["reason"] == "target_utilization_percentage = 10 is as low as it is tried"
    assert most["to"] == 5


@pytest.mark.parametrize(("before", "counts"), [(4, [5]), (9, [10, 12])])
def test_under_fixed_the_remedy_is_more_replicas(before: int, counts: list[int]) -> None:
    deployment = dataclasses.replace(FIXED_4, min_replicas=before, max_replicas=before)
    found = _answers(_with(arrivals=_constant(7.0), deployment=deployment), replications=3)["remedies"]
    assert [(remedy["setting"], remedy["to"]) for remedy in found] == [("num_replicas", count) for count in counts]
    assert all(remedy["difference"]["value"] <= 0 for remedy in found)
    extra_h = [(count - before) * 660 / 3600 for count in counts]
    assert [remedy["replica_hours_difference"]["value"] for remedy in found] == pytest.approx(extra_h)


def test_a_remedy_without_effect_says_so() -> None:
    idle = _with(arrivals=_constant(0.05), deployment=SCALING)
    for remedy in _answers(idle, replications=3)["remedies"]:
        assert "changes the 503s of no run" in remedy["sentence"]


# Losing one replica


def test_losing_one_replica_is_a_simulation_with_one_fewer() -> None:
    answer = _answers(SCENARIO)["lose_one_replica"]
    changed = _with(deployment=dataclasses.replace(FIXED_4, min_replicas=3, max_replicas=3))
    assert answer["fraction_503"]["value"] == measure(changed, _runs(changed, 20)).fraction_503.value
    assert answer["autoscale_min_replicas"] == answer["autoscale_max_replicas"] == answer["initial_replicas"] == 3
    assert answer["kept"] is False
    assert answer["verdict"] == "fail"
    scaling = _answers(_with(deployment=SCALING), replications=3)["lose_one_replica"]
    assert [scaling[name] for name in ("autoscale_min_replicas", "autoscale_max_replicas", "initial_replicas")] == [
        3,
        5,
        3,
    ]


def test_the_only_replica_at_the_start_is_missed_until_another_is_ready() -> None:
    deployment = dataclasses.replace(SCALING, min_replicas=1)
    answer = _answers(_with(warm_up_s=0.0, deployment=deployment), replications=3)["lose_one_replica"]
    assert [answer[name] for name in ("autoscale_min_replicas", "autoscale_max_replicas", "initial_replicas")] == [
        1,
        5,
        0,
    ]
    assert answer["difference"]["value"] > 0


def test_an_initial_count_of_its_own_loses_one_too() -> None:
    for deployment in (
        dataclasses.replace(SCALING, initial_replicas=6),
        dataclasses.replace(FIXED_4, initial_replicas=4),
    ):
        lost = without_one(deployment)
        assert lost.initial_count == deployment.initial_count - 1
        assert lost.max_replicas == deployment.max_replicas - 1


def test_of_one_replica_none_can_be_lost() -> None:
    deployment = dataclasses.replace(FIXED_4, min_replicas=1, max_replicas=1)
    answer = _answers(_with(deployment=deployment), replications=3)["lose_one_replica"]
    assert answer["fraction_503"] is answer["kept"] is None
    assert answer["sentence"] == answer["reason"] == "There is one replica: when it is lost, none is left."


# All of them


def test_without_traffic_there_is_a_reason_and_no_number() -> None:
    answers = _answers(_with(arrivals=_constant(0.0), deployment=SCALING), replications=2)
    assert answers["own_traffic"] is None
    parts = [answers["highest_rate"], answers["highest_spike"], answers["lose_one_replica"], *answers["remedies"]]
    assert {part["reason"] for part in parts} == {answers["highest_rate"]["sentence"]}
    assert "no request arrives" in answers["highest_rate"]["reason"]


class _Interrupted(Serial):
    """Stops like Ctrl-C after so many runs."""

    def __init__(self, runs: int) -> None:
        self.left = runs

    def in_order(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        for result in super().in_order(function, tasks):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield result


def test_what_is_answered_outlives_an_interruption() -> None:
    answers: dict[str, Any] = {}
    labels: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        answer_questions(
            SCENARIO,
            FIXED_4,
            _Interrupted(8),
            replications=4,
            scale=scaled_trace,
            advance=labels.append,
            answers=answers,
        )
    assert set(answers) == {"deployment", "own_traffic", "remedies"}
    assert labels == ["these settings"] * 4 + ["num_replicas 5"] * 4


def test_fewer_runs_where_a_run_has_many_requests() -> None:
    bench = Bench(executor=SERIAL, replications=100)
    large = _with(arrivals=_constant(MOST_REQUESTS / 50 / 660))
    assert [bench.affordable(scenario, 1) for scenario in (SCENARIO, large)] == [100, 50]
    assert bench.affordable(large, 10) == 20


def test_one_run_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        Bench(executor=SERIAL, replications=1)


# The published rule


def _rule(scenario: Scenario, replications: int = 3, price: float | None = None) -> dict[str, Any]:
    found = published_rule(scenario, SERIAL, replications, price)
    json.dumps(found, allow_nan=False)
    return found


def _needed(rule: dict[str, Any]) -> list[int | None]:
    return [needed["replicas"] for needed in rule["replicas_for"]]


def test_the_documented_example() -> None:
    rule = _rule(_with(arrivals=_constant(20.0), service_time=Exponential(10.0)), price=0.1)
    assert rule["replicas"] == 286
    assert rule["fraction_503_steady_state"] == pytest.approx(2.7e-11, rel=0.02)
    assert _needed(rule) == [213, 229, 240]
    assert {needed["method"] for needed in rule["replicas_for"]} == {"exact: M/M/c+D in steady state"}
    assert rule["fraction_503"]["value"] == 0
    assert rule["fraction_503"]["high"] > 0
    assert rule["replica_hours"]["value"] == pytest.approx(286 * 660 / 3600)
    assert rule["cost_per_hour"] == pytest.approx(28.6)
    assert rule["cost"] == pytest.approx(28.6 * 660 / 3600)
    assert (rule["rate"], rule["at_mean_rate"]) == ("only", None)
    for part in ("20 rps x 10 s / 0.7 / 1", "286 replicas", "2.7e-09 %", "0.1 % needs 229", "0.01 % needs 240"):
        assert part in rule["sentence"]


def test_the_rule_is_exact_where_floats_are_not() -> None:
    """7 x 0.1 / 0.7 is 1.0000000000000002 in floats."""
    rule = _rule(_with(arrivals=_constant(7.0), service_time=Exponential(0.1)))
    assert rule["replicas"] == 1
    assert rule["cost_per_hour"] is None


def test_the_rule_has_its_scenario_of_fixed_replicas() -> None:
    scenario = _with(deployment=SCALING, service_time=Lognormal(1.0, 0.5))
    rule = _rule(scenario, replications=5)
    changed = _with(scenario, deployment=dataclasses.replace(
        SCALING, autoscaler=Autoscaler.FIXED, min_replicas=3, max_replicas=3))  # fmt: skip
    assert rule["replicas"] == 3  # 2 / 0.8
    assert rule["fraction_503"]["value"] == measure(changed, _runs(changed, 5)).fraction_503.value
    assert rule["fraction_503_steady_state"] is None
    assert all(needed["method"].startswith("approximation") for needed in rule["replicas_for"])


def test_the_rule_under_bursts() -> None:
    """Reference values: field table of MMPP(2), rates 10 and 30, switching 0.05, S = 1 s, D = 0.5 s."""
    bursts = MarkovModulatedPoisson(np.array([10.0, 30.0]), np.array([0.05, 0.05]), 660.0)
    rule = _rule(_with(arrivals=bursts))
    mean = rule["at_mean_rate"]
    assert (rule["rate"], rule["target_rps"], rule["replicas"]) == ("busiest", 30.0, 43)
    assert (mean["rate"], mean["target_rps"], mean["replicas"]) == ("mean", 20.0, 29)
    assert mean["fraction_503_steady_state"] == pytest.approx(0.04032223, rel=1e-6)
    assert _needed(rule) == _needed(mean) == [33, 37, 40]
    assert mean["replicas_for"][1]["method"] == "exact: MMPP/M/c+D in steady state"


def test_the_rule_at_the_busiest_and_at_the_mean_rate() -> None:
    rule = _rule(_with(arrivals=Renewal(STEP)))
    assert (rule["target_rps"], rule["replicas"]) == (6.0, 9)
    assert rule["at_mean_rate"]["target_rps"] == pytest.approx(960 / 660)
    assert rule["at_mean_rate"]["replicas"] == 3  # 2.08
    assert rule["fraction_503_steady_state"] is None
    assert "as if the busiest rate lasted for ever" in rule["replicas_for"][0]["method"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arrivals": _constant(0.0)}, "there is no traffic"),
        ({"service_time": Deterministic(0.0)}, "requests take no time"),
        ({"arrivals": _constant(9e6)}, "the offered load is above 200,000 erlangs, which is not supported"),
    ],
)
def test_where_the_rule_gives_nothing_the_reason_is_said(changes: dict[str, Any], reason: str) -> None:
    rule = _rule(_with(**changes), price=0.1)
    assert rule["reason"] == reason
    for name in ("replicas", "fraction_503", "fraction_503_steady_state", "replica_hours", "cost_per_hour", "cost"):
        assert rule[name] is None
    assert [(needed["replicas"], needed["reason"]) for needed in rule["replicas_for"]] == [(None, reason)] * 3
    assert rule["sentence"].endswith(f"gives no number of replicas: {reason}.")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arrivals": Renewal(RateProfile.constant(2.0, 660.0), 3.0)}, "there is no formula for gamma arrivals"),
        ({"deployment": dataclasses.replace(FIXED_4, max_concurrent_requests=2)}, "there is no formula for requests"),
    ],
)
def test_where_theory_has_no_formula_the_rule_is_simulated(changes: dict[str, Any], reason: str) -> None:
    rule = _rule(_with(**changes))
    assert rule["fraction_503"]["value"] > 0
    assert rule["fraction_503_steady_state"] is None
    assert _needed(rule) == [None] * 3
    assert all(needed["reason"].startswith(reason) for needed in rule["replicas_for"])
