"""Verdicts on runs whose truth is known, because the "endpoint" was a simulation with settings of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.cli.validate_view import show
from loadtest.runfolder import RunFolder
from loadtest.schedule import build_schedule
from loadtest.validate.comparison import ERROR_RATE, compare
from loadtest.validate.observed import mean_in_bins, observe
from loadtest.validate.prediction import FEWEST_REPLICATES, predict, simulated
from loadtest.validate.verdict import Validation, kept, validate
from planner.errors import InputError
from planner.executors import executor_for
from planner.model import Api, Outcome, ReplicaLog, Slo, Verdict, VerdictWord
from planner.records import write_replicas, write_requests
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.service import Deterministic, Scaled
from planner.workload import arrival_times
from tests.loadtest.simulated_run import write_run


@pytest.fixture(scope="module")
def quickstart() -> Scenario:
    return load("quickstart")


def judged(folder_path: Path, scenario: Scenario, *, by: Scenario | None = None, **world: Any) -> Validation:
    folder = write_run(folder_path / "run", scenario, **world)
    return validate(folder, by or scenario, scenario, alternative_replicates=200)


def with_deployment(scenario: Scenario, **settings: Any) -> Scenario:
    return replace(scenario, deployment=replace(scenario.deployment, **settings))


def test_a_run_of_the_same_model_passes(tmp_path: Path, quickstart: Scenario) -> None:
    validation = judged(tmp_path, quickstart)
    document = validation.document
    assert (document["verdict"], validation.exit_code) == ("pass", 0)
    predicted = document["predicted"]["fraction_503"]
    assert predicted["prediction_low"] <= document["observed"]["fraction_503"] <= predicted["prediction_high"]
    assert predicted["low"] <= predicted["value"] <= predicted["high"]
    assert predicted["replications"] == 999
    assert document["observed"]["fraction_503"] > 0.05
    assert document["books"]["balanced"]
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize(
    ("setting", "change"),
    [
        ("autoscale_target_utilization", {"target_utilization_percent": 90}),
        ("autoscale_target_utilization", {"target_utilization_percent": 50}),
        ("autoscale_min_replicas", {"min_replicas": 1}),
        ("cold_start", {"factor": 1.5}),
        ("cold_start", {"factor": 0.5}),
    ],
)
def test_one_changed_setting_does_not_pass(
    tmp_path: Path, quickstart: Scenario, setting: str, change: dict[str, Any]
) -> None:
    if setting == "cold_start":
        wrong = replace(quickstart, cold_start=Scaled(quickstart.cold_start, change["factor"]))
    else:
        wrong = with_deployment(quickstart, **change)
    validation = judged(tmp_path, quickstart, by=wrong)
    assert (validation.document["verdict"], validation.exit_code) == ("fail", 1)
    assert not validation.document["cannot_tell_apart"]


def test_another_service_time_is_put_on_trial_against_the_measured_ones(tmp_path: Path, quickstart: Scenario) -> None:
    validation = judged(
        tmp_path, quickstart, by=replace(quickstart, service_time=Scaled(quickstart.service_time, 1.25))
    )  # type: ignore[arg-type]
    assert validation.document["verdict"] == "fail"
    by_name = {s["name"]: s for s in validation.document["statistics"]}
    assert not by_name["mean_service_time_s"]["inside"]
    assert by_name["mean_service_time_s"]["value"] == pytest.approx(0.284, abs=0.01)


def test_a_failure_names_what_would_explain_it(tmp_path: Path, quickstart: Scenario) -> None:
    world = replace(quickstart, cold_start=Scaled(quickstart.cold_start, 1.5))
    document = judged(tmp_path, quickstart, world=world).document
    assert document["verdict"] == "fail"
    assert "cold_start" in [change["setting"] for change in document["explanations"]]
    assert "cold_start" in " ".join(document["reasons"])


def test_it_is_named_as_the_scenario_names_it(
    tmp_path: Path, quickstart: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = with_deployment(quickstart, named=Api.V2)
    document = judged(tmp_path, scenario, world=with_deployment(quickstart, target_utilization_percent=90)).document
    assert "autoscale_target_utilization" in [change["setting"] for change in document["explanations"]]
    show(document)
    said = capsys.readouterr().out
    assert said.count("target_utilization_percentage 90 %") == 2  # in the reasons and in the list
    assert "autoscale_" not in said


@pytest.mark.parametrize("offset_s", [-0.1, -0.5])
def test_ticks_that_the_endpoint_does_not_show_are_no_error_of_the_model(
    tmp_path: Path, quickstart: Scenario, offset_s: float
) -> None:
    document = judged(tmp_path, quickstart, tick_offset_s=offset_s).document
    assert document["verdict"] == "pass", document["reasons"]


def test_what_happens_in_the_warm_up_is_not_judged(tmp_path: Path, quickstart: Scenario) -> None:
    scenario = replace(quickstart, warm_up_s=40.0)
    folder = write_run(tmp_path / "run", scenario)
    log = folder.read_replicas()
    assert log is not None
    write_replicas(folder.replicas, replace(log, ready=np.where(log.time_s < 30, log.ready + 2, log.ready)))
    by_name = {
        s["name"]: s for s in validate(folder, scenario, scenario, alternative_replicates=2).document["statistics"]
    }
    assert by_name["mean_distance_of_ready_replicas"]["inside"]


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("summary.json", b"{}", "books.planned is missing"),
        ("requests.parquet", b"PAR1", "not a readable Parquet file"),
        ("validation", None, ""),
    ],
)
def test_a_broken_run_folder_is_bad_input(
    tmp_path: Path, quickstart: Scenario, part: str, content: bytes | None, message: str
) -> None:
    folder = write_run(tmp_path / "run", quickstart)
    if content is None:  # a log of another run, shorter than the schedule
        log = folder.read_requests()
        write_requests(folder.requests, type(log)(**{name: column[:100] for name, column in vars(log).items()}))
        message = "100 rows, the schedule has"
    else:
        (folder.path / part).write_bytes(content)
    with pytest.raises(InputError, match=message):
        validate(folder, quickstart, quickstart)


def test_a_generator_that_lagged_is_invalid_even_where_the_503s_agree(tmp_path: Path, quickstart: Scenario) -> None:
    validation = judged(tmp_path, quickstart, late_s=0.08)
    assert (validation.document["verdict"], validation.exit_code) == ("invalid", 3)
    assert "late" in " ".join(validation.document["reasons"])
    assert validation.document["predicted"]["fraction_503"] is None


def test_a_run_against_a_lab_that_was_still_large_is_invalid(tmp_path: Path, quickstart: Scenario) -> None:
    folder = write_run(tmp_path / "run", quickstart)
    summary = folder.read_summary()
    folder.write_summary(summary | {"replicas": {"observed": True, "at_start": {"ready": 9}}})
    document = validate(folder, quickstart, quickstart).document
    assert document["verdict"] == "invalid"
    assert "9 replicas were ready" in document["reasons"][0]


def test_a_run_that_was_stopped_is_invalid(tmp_path: Path, quickstart: Scenario) -> None:
    folder = write_run(tmp_path / "run", quickstart)
    summary = folder.read_summary()
    folder.write_summary(summary | {"ended": "max_requests", "message": "Stopped by --max-requests."})
    validation = validate(folder, quickstart, quickstart)
    assert validation.document["verdict"] == "invalid"
    assert "max_requests" in validation.document["reasons"][0]


def test_a_run_whose_answers_the_model_does_not_know_is_invalid(tmp_path: Path, quickstart: Scenario) -> None:
    folder = write_run(tmp_path / "run", quickstart)
    summary = folder.read_summary()
    observed = summary["observed"] | {"problems": ["238 of 258 requests ended in another way"]}
    folder.write_summary(summary | {"observed": observed})
    document = validate(folder, quickstart, quickstart).document
    assert (document["verdict"], document["reasons"]) == ("invalid", observed["problems"])


@pytest.mark.parametrize(("late_start_s", "verdict"), [(0.002, "pass"), (0.5, "fail")])
def test_where_nothing_is_random_a_run_may_still_be_off_by_what_cannot_be_measured(
    tmp_path: Path, quickstart: Scenario, late_start_s: float, verdict: str
) -> None:
    """Constant times: all replicates agree to the last digit, and a replica that is 2 ms late is no contradiction."""
    constant = replace(quickstart, service_time=Deterministic(0.28), cold_start=Deterministic(6.0))
    world = replace(constant, cold_start=Deterministic(6.0 + late_start_s))
    document = judged(tmp_path, constant, world=world).document
    assert document["verdict"] == verdict, document["reasons"]


def test_a_verdict_that_cannot_be_written_is_still_given(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.validation.mkdir()
    verdict = Verdict(word=VerdictWord.FAIL, reasons=("too many 503s",))
    validation = kept(Validation(verdict=verdict, document={"verdict": "fail"}), folder)
    assert (validation.exit_code, validation.document["verdict"]) == (1, "fail")
    assert "validation.json: the verdict cannot be kept there (Is a directory)" in validation.document["warnings"][0]


def test_agreement_on_nothing_is_undecided(tmp_path: Path, quickstart: Scenario) -> None:
    idle = with_deployment(quickstart, min_replicas=10, max_replicas=10, max_request_wait_s=30.0)
    validation = judged(tmp_path, idle)
    assert (validation.document["verdict"], validation.exit_code) == ("undecided", 3)
    assert "Neither the run nor any of 999 simulated runs saw a 503" in validation.document["reasons"][0]


def test_an_interval_that_reaches_zero_and_is_wide_is_undecided(tmp_path: Path, quickstart: Scenario) -> None:
    rare = with_deployment(quickstart, min_replicas=6, max_request_wait_s=1.0)
    document = judged(tmp_path, rare).document
    predicted = document["predicted"]["fraction_503"]
    assert predicted["prediction_low"] == 0 < predicted["value"]
    assert document["verdict"] == "undecided"


def test_mean_in_bins_holds_the_last_value() -> None:
    log = ReplicaLog(
        time_s=np.array([0.0, 1.5, 2.25]),
        **{name: np.array([2, 4, 3]) for name in ("desired", "ready", "starting", "busy", "queued")},
    )
    np.testing.assert_allclose(mean_in_bins(log, 4, 3.5), [2.0, 3.0, 3.25, 3.0])


@pytest.mark.statistical
def test_a_correct_model_fails_as_seldom_as_promised(tmp_path: Path, quickstart: Scenario) -> None:
    """40 runs of the right model: at an error rate of 1 %, four or more failures have chance 7e-4.

    A validation that failed 18 % of correct runs would be caught with chance 0.95.
    """
    assert ERROR_RATE == 0.01
    failures = 0
    with executor_for(None) as executor:
        for number in range(40):
            folder = write_run(tmp_path / str(number), quickstart, number=number)
            seen = observe(folder, quickstart)
            prediction = predict(quickstart, seen, replicates=FEWEST_REPLICATES, executor=executor)
            failures += not all(statistic.is_inside for statistic in compare(seen, prediction))
    assert failures < 4


# Requests that fail otherwise than by 503


def slow_model(scenario: Scenario, timeout_s: float = 0.5) -> Scenario:
    """A tenth of quickstart's requests, or so, time out."""
    return with_deployment(scenario, scoring_timeout_s=timeout_s)


@pytest.mark.parametrize("is_lab", [True, False])
def test_a_right_prediction_of_504s_passes(tmp_path: Path, quickstart: Scenario, is_lab: bool) -> None:
    """Elsewhere than in the lab nobody knows how long those took that timed out: then all times are drawn."""
    scenario = slow_model(quickstart)
    folder = write_run(tmp_path / "run", scenario)
    folder.write_summary(folder.read_summary() | {"endpoint": {"is_lab": is_lab}})
    document = validate(folder, scenario, scenario, alternative_replicates=2).document
    assert document["verdict"] == "pass", document["reasons"]
    by_name = {s["name"]: s for s in document["statistics"]}
    assert len(by_name) == 4
    assert 0 < by_name["fraction_504"]["value"] == document["observed"]["fraction_504"]
    assert ("the others alone are too short" in document["observed"]["service_times"]) is not is_lab
    seen, predicted = document["observed"], document["predicted"]
    assert seen["fraction_failed"] == pytest.approx(seen["fraction_503"] + seen["fraction_504"])
    for name in ("fraction_504", "fraction_failed"):
        assert predicted[name]["prediction_low"] <= seen[name] <= predicted[name]["prediction_high"]
        assert predicted[name]["low"] <= predicted[name]["value"] <= predicted[name]["high"]


@pytest.mark.parametrize("timeout_s", [0.35, 60.0])
def test_a_refuted_prediction_of_504s_does_not_pass(tmp_path: Path, quickstart: Scenario, timeout_s: float) -> None:
    document = judged(tmp_path, slow_model(quickstart), by=slow_model(quickstart, timeout_s)).document
    assert document["verdict"] == "fail"
    assert not next(s for s in document["statistics"] if s["name"] == "fraction_504")["inside"]
    assert any(reason.startswith("The fraction of 504s is ") for reason in document["reasons"])


def test_without_any_504_there_are_three_statistics_as_ever(tmp_path: Path, quickstart: Scenario) -> None:
    document = judged(tmp_path, quickstart).document
    assert [s["name"] for s in document["statistics"]] == [
        "fraction_503", "largest_distance_of_cumulative_503s", "mean_distance_of_ready_replicas",
    ]  # fmt: skip
    assert document["observed"]["fraction_504"] == 0.0
    assert document["predicted"]["prediction_confidence"] == pytest.approx(1 - ERROR_RATE / 3)


def test_504s_alone_put_the_model_to_the_test(tmp_path: Path, quickstart: Scenario) -> None:
    idle = slow_model(with_deployment(quickstart, min_replicas=10, max_replicas=10, max_request_wait_s=30.0))
    document = judged(tmp_path, idle).document
    assert (document["verdict"], document["observed"]["answers_503"]) == ("pass", 0), document["reasons"]
    assert document["observed"]["answers_504"] > 0


@pytest.mark.parametrize(("failures", "is_broken"), [(4, True), (1, False)])
def test_failures_that_no_model_knows_break_the_promise_of_a_run(
    tmp_path: Path, quickstart: Scenario, capsys: pytest.CaptureFixture[str], failures: int, is_broken: bool
) -> None:
    """Of some 600 requests 0.4 % of 503s are promised, and as many other failures are borne."""
    n = len(build_schedule(quickstart))
    slo = Slo(max_fraction_503=2.5 / n)
    scenario = replace(quickstart, slo=slo)
    folder = write_run(tmp_path / "run", scenario)
    log = folder.read_requests()
    outcome = log.outcome.copy()
    outcome[np.flatnonzero(outcome == Outcome.OK)[:failures]] = Outcome.OTHER_5XX
    write_requests(folder.requests, replace(log, outcome=outcome))
    document = validate(folder, scenario, scenario, alternative_replicates=2).document
    assert document["verdict"] == "pass"
    assert document["observed"]["failed_in_other_ways"] == failures
    assert document["promise"]["kept_in_this_run"] is False  # by its 503s alone
    assert document["promise"]["broken_by_failures_that_are_not_predicted"] is is_broken
    show(document)
    shown = capsys.readouterr().out
    assert f", {failures} failed in other ways" in shown
    assert ("The SLO is broken in this run, by failures that the simulation does not predict:" in shown) is is_broken


def test_a_run_of_counts_is_predicted_with_the_places_that_were_sent(tmp_path: Path) -> None:
    """Replicates draw other places inside the bins; a run had those of replicate 0, and so has its prediction."""
    (tmp_path / "c.csv").write_text("time_s,requests\n" + "".join(f"{10 * i},{9 + i % 7}\n" for i in range(6)))
    (tmp_path / "s.yaml").write_text(
        "traffic: {arrivals: {trace: {file: c.csv}}}\nservice_time: 1.6s\n"
        "deployment: {autoscaler: fixed, num_replicas: 2}\n"
    )
    scenario = load(tmp_path / "s.yaml")
    planned = build_schedule(scenario).scheduled_s
    assert np.abs(planned - arrival_times(scenario, 0)).max() < 1e-8
    assert np.abs(planned - arrival_times(scenario, 3)).max() > 1.0
    seen = observe(write_run(tmp_path / "run", scenario), scenario)
    log = simulated(scenario, seen, 3, with_log=True)[0].requests
    assert log is not None
    assert np.abs(log.sent_s - planned).max() < 0.1
