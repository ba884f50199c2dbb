"""The single measurements of a calibration, on logs made by hand and on draws whose law is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.calibrate import cold_start, overhead, pod, policy, service_time
from loadtest.calibrate.cold_start import launches
from loadtest.calibrate.evidence import CLOCK, POLICY, gather
from loadtest.calibrate.families import choose
from loadtest.calibrate.finding import Finding, Part
from loadtest.calibrate.grids import AXES, Axis
from loadtest.calibrate.policy import Jury
from loadtest.validate.carried import SERVICE_TIME, CalibratedInterval, Carried
from loadtest.validate.pods import overheads, pods
from loadtest.validate.resampling import mean_and_cv, median
from planner.executors import executor_for
from planner.model import NO_CAUSE, Deployment, Outcome, ReplicaLog, RequestLog
from planner.scenario_file import load
from planner.service import Deterministic, Empirical, Exponential, Gamma, Lognormal
from planner.sim.replications import SERIAL
from tests.loadtest.measured_run import MEDIAN_OVERHEAD_S, measured_run, written

SLOW = {"distribution": "lognormal", "mean": "364ms", "cv": 0.5}
COLD = {"distribution": "lognormal", "mean": "9s", "cv": 0.15}


def by_setting(*parts: Part) -> dict[str, Finding]:
    return {finding.setting: finding for part in parts for finding in part.findings}


def replica_log(*rows: tuple[float, int, int]) -> ReplicaLog:
    """Rows of time, ready, starting."""
    time_s, ready, starting = zip(*rows, strict=True)
    others = np.zeros(len(rows), dtype=np.int64)
    return ReplicaLog(
        time_s=np.array(time_s),
        ready=np.array(ready),
        starting=np.array(starting),
        desired=others,
        busy=others,
        queued=others,
    )


def request_log(rows: list[tuple[float, float, float, int, Outcome]]) -> RequestLog:
    """Rows of dispatch, answer, time in the worker, replica, outcome."""
    start_s, finish_s, service_s, replica, outcome = (np.array(column) for column in zip(*rows, strict=True))
    return RequestLog(
        scheduled_s=start_s,
        sent_s=start_s,
        start_s=start_s,
        finish_s=finish_s,
        service_time_s=service_s,
        outcome=outcome.astype(np.int64),
        replica=replica.astype(np.int64),
        cause=np.full(len(rows), NO_CAUSE, dtype=np.int64),
    )


def test_launches_that_do_not_overlap_are_paired_exactly() -> None:
    found = launches(replica_log((0, 2, 0), (5, 2, 2), (9, 3, 1), (11, 4, 0), (20, 4, 1), (27, 5, 0)))
    assert found.times_s.tolist() == [4, 6, 7]
    assert (found.overlapped, found.under_way, found.cancelled) == (False, 0, 0)


def test_first_created_is_first_ready_and_the_latest_is_given_up() -> None:
    log = replica_log((0, 1, 0), (2, 1, 1), (3, 1, 3), (6, 2, 2), (7, 2, 1), (9, 3, 0), (12, 3, 1))
    found = launches(log)
    assert found.times_s.tolist() == [4, 6]
    assert (found.overlapped, found.under_way, found.cancelled) == (True, 1, 1)


def test_a_replica_that_was_starting_before_the_log_has_no_known_time() -> None:
    found = launches(replica_log((0, 1, 1), (4, 2, 0), (5, 2, 1), (11, 3, 0)))
    assert found.times_s.tolist() == [6]


def test_a_ready_replica_that_goes_is_no_launch() -> None:
    found = launches(replica_log((0, 3, 0), (4, 2, 0), (5, 2, 1), (6, 1, 1), (9, 2, 0)))
    assert found.times_s.tolist() == [4]


def launched(*cold_starts_s: float | None, live: bool = True) -> list[dict[str, Any]]:
    return [{"cold_start_s": value, "live": live, "restarts": 0} for value in cold_starts_s]


def test_launches_of_pods_become_an_empirical_cold_start() -> None:
    part = cold_start._of_pods(Lognormal(3.0, 0.2), launched(8.0, 9.5, 9.0, 8.5, None) + launched(1.0, live=False))
    mean, _ = part.findings
    assert (mean.after, mean.n, mean.measured_from) == (8.75, 4, cold_start.SOURCE_LIVE)
    assert "1 were not ready at the end" in mean.why
    assert part.overrides == {"cold_start": {"distribution": "empirical", "values": ["8s", "8.5s", "9s", "9.5s"]}}
    made = part.apply(load("quickstart")).cold_start
    assert isinstance(made, Empirical)
    assert made.values_s.tolist() == [8.0, 8.5, 9.0, 9.5]


def test_too_few_launches_seen_live_are_joined_by_those_with_stamps_and_too_few_in_all_say_so() -> None:
    before = Lognormal(3.0, 0.2)
    stamped = cold_start._of_pods(before, launched(9.0) + launched(8.0, 10.0, live=False))
    assert {finding.measured_from for finding in stamped.findings} == {cold_start.SOURCE_STAMPS}
    few = cold_start._of_pods(before, launched(9.0, 8.0))
    assert (few.changes, few.findings[0].after) == (False, 3.0)
    assert "2 launches became ready, an interval needs 3." in few.findings[0].why


def test_a_cold_start_that_pods_do_not_contradict_is_kept() -> None:
    part = cold_start._of_pods(Lognormal(9.0, 0.2), launched(8.0, 9.5, 9.0, 10.5))
    assert not part.changes


def test_what_a_request_met_in_its_pod() -> None:
    """Three requests in replica 0, one in replica 1: with one worker the third waits for both before it."""
    ok = Outcome.OK
    log = request_log([(0.0, 1.0, 1.0, 0, ok), (0.1, 1.5, 0.5, 0, ok), (0.2, 1.1, 0.9, 1, ok), (0.3, 1.8, 0.3, 0, ok)])
    found = pods(log, 3)
    order = np.argsort(found.in_pod_s)
    assert found.others.tolist() == [0, 1, 2, 0]
    np.testing.assert_allclose(found.free_s[2], [1.2, 0.7, 0.0])
    np.testing.assert_allclose(found.in_pod_s[order], [0.0, 0.0, 0.9, 1.2], atol=1e-12)
    np.testing.assert_allclose(overheads(log, 3), [0.0, 0.0], atol=1e-12)
    assert len(overheads(log, 1)) == 4


def test_who_came_while_a_504_may_still_have_been_at_work_is_left_out() -> None:
    ok, timeout = Outcome.OK, Outcome.STATUS_504
    rows = [(0.0, 0.4, 0.4, 0, ok), (1.0, 2.0, np.nan, 0, timeout), (2.3, 2.6, 0.3, 0, ok), (2.5, 2.9, 0.4, 0, ok)]
    found = pods(request_log(rows), 2)
    assert found.others.tolist() == [0, 1]
    np.testing.assert_allclose(found.in_pod_s, [0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("drawn", "family"),
    [
        (Lognormal(0.3, 0.6), "lognormal"),
        (Gamma(0.3, 0.6), "gamma"),
        (Exponential(0.3), "exponential"),
        (Deterministic(0.3), "deterministic"),
        (Empirical(np.array([0.05, 0.06, 0.6, 0.7])), "empirical"),
    ],
)
def test_the_family_of_draws_is_found(drawn: Lognormal, family: str) -> None:
    values = drawn.draw(np.random.default_rng(3), 1500)
    assert choose(values, abs(drawn.cv - 1) < 0.05, Deterministic(1.0))[0].family == family


def test_the_family_of_the_scenario_stays_where_it_is_not_rejected() -> None:
    """40 times do not tell a gamma from a lognormal."""
    values = Gamma(0.3, 0.4).draw(np.random.default_rng(1), 40)
    assert choose(values, False, Lognormal(0.3, 0.4))[0].family == "lognormal"
    assert choose(values, False, Gamma(0.3, 0.4))[0].family == "gamma"


def test_slow_spells_make_the_interval_wider() -> None:
    generator = np.random.default_rng(5)
    values = generator.exponential(0.1, 1000) * np.repeat(generator.uniform(0.2, 1.8, 50), 20)
    spells, shuffled = mean_and_cv(values)[0], mean_and_cv(generator.permutation(values))[0]
    assert spells.high - spells.low > 1.3 * (shuffled.high - shuffled.low)


@pytest.mark.filterwarnings("error")
def test_times_of_0_have_a_mean_and_a_cv_of_0() -> None:
    """A header in whole milliseconds says 0 of a fast worker."""
    assert [vars(interval) for interval in mean_and_cv(np.zeros(40))] == [{"value": 0.0, "low": 0.0, "high": 0.0}] * 2
    one = np.zeros(40)
    one[3] = 0.001
    mean, cv = mean_and_cv(one)
    assert (mean.low, mean.value) == (0.0, 0.001 / 40)
    assert cv.low <= cv.value <= cv.high < np.inf


def test_a_calibrated_time_of_0_is_drawn_as_0() -> None:
    zero = CalibratedInterval(setting=SERVICE_TIME, value=0.0, low=0.0, high=0.0)
    assert Carried(intervals=(zero,)).drawn(1, 2).service_factor == 1.0


def test_constant_cold_starts_with_the_jitter_of_timers_are_constant() -> None:
    """Their CV is below the smallest that a scenario file may name."""
    ended_s = (20.001, 20.002, 20.003, 20.004)
    rows = [(0.0, 1, 0)]
    for i, took_s in enumerate(ended_s):
        rows += [(30.0 * i + 1, 1 + i, 1), (30.0 * i + 1 + took_s, 2 + i, 0)]
    found = launches(replica_log(*rows))
    part = cold_start._of_launches(Exponential(40.0), found)
    assert part.overrides["cold_start"] == {"distribution": "deterministic", "mean": "20.0025s"}
    assert by_setting(part)["cold_start.cv"].after == 0.0


def test_cold_starts_of_0_are_constant() -> None:
    part = cold_start._of_pods(Lognormal(20.0, 0.3), launched(0.0, 0.0, 0.0, live=False))
    assert [finding.after for finding in part.findings] == [0.0, 0.0]


def test_a_median_is_not_moved_by_a_few_late_timers() -> None:
    values = np.full(200, 0.004)
    values[:10] = 0.3
    assert (median(values).value, median(values).low, median(values).high) == (0.004, 0.004, 0.004)


def test_answers_that_were_cut_off_bound_the_mean_and_are_not_used(tmp_path: Path) -> None:
    changes: dict[str, object] = {"deployment.request_timeout_ms": 600}
    assumed = written(tmp_path, "assumed", changes)
    truth = written(tmp_path, "truth", changes | {"service_time": SLOW})
    part = service_time.measure(gather(measured_run(tmp_path / "run", assumed, truth)), "values.csv")
    assert not part.changes
    assert not any(finding.identified for finding in part.findings)
    assert "so the mean is at least 0.3" in part.warnings[0]


def test_the_times_of_tokens_are_scaled_and_those_of_a_trace_are_kept(tmp_path: Path) -> None:
    azure = load("azure-llm-code")
    longer = {"tokens": {"base": "75ms", "per_context": "50us", "per_generated": "5ms"}}
    truth = load("azure-llm-code", {"service_time": longer})
    part = service_time.measure(gather(measured_run(tmp_path / "run", azure, truth)), "values.csv")
    factor = by_setting(part)["service_time.factor"]
    assert factor.low is not None
    assert (factor.identified, factor.changed) == (True, True)
    assert factor.after == pytest.approx(1.25)
    assert part.overrides["service_time"] == longer_as_written(1.25)
    unchanged = service_time.measure(gather(measured_run(tmp_path / "same", azure, azure)), "values.csv")
    assert not unchanged.changes


def longer_as_written(factor: float) -> dict[str, dict[str, str]]:
    def text(seconds: float) -> str:
        return f"{seconds * factor:.9f}".rstrip("0") + "s"

    return {"tokens": {"base": text(0.06), "per_context": text(0.00004), "per_generated": text(0.004)}}


def test_what_an_unfit_run_is_unfit_for(tmp_path: Path) -> None:
    quickstart = written(tmp_path, "q", {})
    folder = measured_run(tmp_path / "run", quickstart, quickstart)
    summary = folder.read_summary()
    late = summary["generator"] | {"problems": ["9 of 10 requests left late."]}
    folder.write_summary(summary | {"generator": late})
    evidence = gather(folder)
    assert {CLOCK, POLICY} == evidence.unfit.keys()
    found = by_setting(service_time.measure(evidence, "v.csv"), overhead.router_overhead(evidence))
    assert found["service_time.mean"].identified
    assert not found["deployment.router_overhead"].identified
    assert "left late" in found["deployment.router_overhead"].why
    folder.write_summary(summary | {"ended": "interrupted", "message": "Ctrl-C"})
    assert {POLICY} == gather(folder).unfit.keys()


@pytest.mark.parametrize("sees_inside", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_number_of_workers_is_found(tmp_path: Path, workers: int, sees_inside: bool) -> None:
    rate = [{"from": "0s", "rps": 3}, {"from": "6s", "rps": 13 * workers}]
    shared: dict[str, object] = {
        "deployment.max_concurrent_requests_per_instance": 4,
        "deployment.max_instances": 5,
        "traffic.rate": rate,
    }
    assumed = written(tmp_path, "assumed", shared | {"deployment.worker_count": 4})
    truth = written(tmp_path, "truth", shared | {"deployment.worker_count": workers})
    evidence = gather(measured_run(tmp_path / "run", assumed, truth, sees_inside=sees_inside))
    finding = pod.worker_count(evidence, evidence.scenario, SERIAL).findings[0]
    if workers == 3 and not sees_inside:  # latencies alone do not tell a fourth worker from none
        assert (finding.low, finding.after, finding.high, finding.identified) == (3, 4, None, False)
    else:
        assert (finding.low, finding.after, finding.high, finding.identified) == (workers, workers, workers, True)


def test_where_nobody_waits_in_a_pod_no_number_of_workers_is_told_apart(tmp_path: Path) -> None:
    changes: dict[str, object] = {"deployment.max_concurrent_requests_per_instance": 2, "deployment.worker_count": 2}
    quiet = written(tmp_path, "quiet", changes | {"traffic.rate": [{"from": "0s", "rps": 1}]})
    evidence = gather(measured_run(tmp_path / "run", quiet, quiet))
    part = pod.worker_count(evidence, evidence.scenario, SERIAL)
    assert not part.changes
    assert not part.findings[0].identified


def axis(name: str) -> Axis:
    return next(axis for axis in AXES if axis.name == name)


@pytest.mark.parametrize(
    ("name", "accepted", "tried", "reading"),
    [
        ("target", [70, 75], [60, 69, 70, 75, 76, 80], (True, 70, 75)),
        ("target", [70, 75], [60, 65, 70, 75, 80], (True, 66, 79)),  # between the values tried nobody looked
        ("target", [85, 100], [80, 85, 100], (True, 81, 100)),  # there is no target above 100
        ("max", [10, 12, 20], [8, 9, 10, 12, 20], (False, 10, None)),
        ("max", [10], [8, 9, 10, 11, 20], (True, 10, 10)),
        ("min", [1, 2], [1, 2, 3, 4], (True, 1, 2)),
        ("min", [1, 2, 3, 4], [1, 2, 3, 4], (False, 1, None)),
        ("refresh", [1.0], [0.5, 0.8, 1.0, 1.3], (True, 0.8, 1.3)),
        ("delay", [8.0], [5.0, 8.0, 10.0], (True, 7.0, 8.0)),  # seen in steps of two seconds
        ("api", ["v2"], ["v1", "v2"], (True, "v2", "v2")),
        ("api", ["v1", "v2"], ["v1", "v2"], (False, None, None)),
    ],
)
def test_what_an_accepted_set_says(
    name: str, accepted: list[object], tried: list[object], reading: tuple[object, ...]
) -> None:
    period_s = 2.0 if name == "delay" else 1.0
    *found, why = axis(name).reading(accepted, tried, Deployment(refresh_period_s=period_s))
    assert tuple(found) == reading
    assert why.startswith(f"{len(accepted)} of {len(tried)} values tried are not rejected")


def test_a_maximum_that_another_api_makes_necessary_is_said(tmp_path: Path) -> None:
    """The default is 10 under v1 and 1 under v2: the file needs it, and a plan would take it for the user's limit."""
    path = tmp_path / "own.yaml"
    text = "name: own\nduration: 9s\ntraffic: {arrivals: poisson, rps: 2}\nservice_time: 90ms\ncold_start: 2s\n"
    path.write_text(f"{text}deployment: {{api: v1}}\n")
    (said,) = policy._written_limit(axis("api"), load(str(path)), load(str(path)))
    assert said.startswith("deployment.autoscale_max_replicas: 10 is written although the scenario did not set it")
    path.write_text(f"{text}deployment: {{api: v1, autoscale_max_replicas: 10}}\n")
    assert policy._written_limit(axis("api"), load(str(path)), load(str(path))) == ()


def test_where_a_grid_is_looked_at_more_closely() -> None:
    deployment = Deployment(refresh_period_s=2.0)
    assert axis("target").finer([70], [65, 70, 75], deployment) == [66, 67, 68, 69, 71, 72, 73, 74]
    assert axis("delay").finer([10.0], [5.0, 10.0, 15.0], deployment) == [7.0, 9.0, 12.0, 14.0]
    assert axis("refresh").finer([1.0], [1.0, 16.0], deployment) == [2.0, 4.0, 8.0]
    assert axis("api").finer(["v1"], ["v1", "v2"], deployment) == []


@pytest.mark.long
@pytest.mark.statistical
@pytest.mark.parametrize(
    ("change", "changed", "value", "implied"),
    [
        ({"deployment.scale_down_delay": "8s"}, "deployment.scale_down_delay", 8.0, []),
        (
            {"deployment.polling_interval": 3},
            "deployment.autoscale_refresh_seconds",
            3.0,
            ["deployment.scale_down_delay"],
        ),
    ],
)
def test_a_setting_of_the_autoscaler_is_found_from_the_replicas(
    tmp_path: Path, change: dict[str, object], changed: str, value: float, implied: list[str]
) -> None:
    """One run each, with fixed draws; how often the true policy is rejected is measured below."""
    assumed, truth = written(tmp_path, "assumed", {}), written(tmp_path, "truth", change)
    evidence = gather(measured_run(tmp_path / "run", assumed, truth, number=1))
    with executor_for(None) as executor:
        parts = policy.measure(evidence, evidence.scenario, executor, lambda: None)
    found = by_setting(*parts)
    low, high = found[changed].low, found[changed].high
    assert isinstance(low, float)
    assert isinstance(high, float)
    assert low <= value <= high
    assert found[changed].identified
    assert [finding.setting for finding in found.values() if finding.changed and finding.setting != changed] == implied
    assert [path for part in parts for path in part.overrides] == [
        {"deployment.autoscale_refresh_seconds": "deployment.polling_interval"}.get(changed, changed)
    ]


@pytest.mark.long
@pytest.mark.statistical
@pytest.mark.parametrize("sees_inside", [True, False])
def test_intervals_hold_the_truth_as_often_as_they_say(tmp_path: Path, sees_inside: bool) -> None:
    """40 runs: 95 % intervals miss eight times or more with chance 7e-4; those that miss 30 % of the time, 0.94."""
    assumed = written(tmp_path, "assumed", {"deployment.router_overhead": "0s"})
    truth = written(tmp_path, "truth", {"service_time": SLOW, "cold_start": COLD})
    true_values = {
        "service_time.mean": 0.364,
        "service_time.cv": 0.5,
        "deployment.router_overhead": MEDIAN_OVERHEAD_S,
        "cold_start.mean": 9.0,
    }
    misses = dict.fromkeys(true_values, 0)
    for number in range(40):
        folder = measured_run(
            tmp_path / str(number), assumed, truth, number=number, seed=number, sees_inside=sees_inside
        )
        evidence = gather(folder)
        found = by_setting(
            service_time.measure(evidence, "v.csv"), overhead.router_overhead(evidence), cold_start.measure(evidence)
        )
        for setting, value in true_values.items():
            low, high = found[setting].low, found[setting].high
            assert isinstance(low, float)
            assert isinstance(high, float)
            misses[setting] += not low <= value <= high
    assert max(misses.values()) < 8, misses


@pytest.mark.long
@pytest.mark.statistical
def test_the_jury_accepts_the_true_policy_as_often_as_it_says(tmp_path: Path) -> None:
    """40 runs at 5 %: eight rejections or more have chance 7e-4. A wrong target is rejected in nearly all of them."""
    truth = written(tmp_path, "truth", {})
    wrong = written(tmp_path, "wrong", {"deployment.target_utilization_percentage": 90})
    rejected, missed = 0, 0
    for number in range(40):
        seen = gather(measured_run(tmp_path / str(number), truth, truth, number=number)).seen
        jury = Jury(seen, SERIAL, lambda: None)
        rejected += not jury.judge(truth).accepted
        missed += jury.judge(wrong).accepted
    assert rejected < 8
    assert missed < 8
