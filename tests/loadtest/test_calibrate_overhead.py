"""The overhead from answers alone, in worlds whose overhead is known. Seeds are fixed; error rates are stated."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.calibrate.evidence import gather
from loadtest.calibrate.finding import Finding
from loadtest.calibrate.overhead import FREED, QUIET, router_overhead
from loadtest.calibrate.writing import write_scenario
from loadtest.cli.validate_view import show
from loadtest.runfolder import RunFolder
from loadtest.validate.carried import MARK, OVERHEAD, CalibratedInterval, Carried, carried_by, spread
from loadtest.validate.comparison import compare
from loadtest.validate.observed import Observation, observe
from loadtest.validate.prediction import FEWEST_REPLICATES, predict
from loadtest.validate.slots import SlotGaps, header_step_s, slot_gaps
from loadtest.validate.verdict import validate
from planner.errors import InputError
from planner.executors import executor_for
from planner.model import NO_REPLICA, FloatArray, RequestLog
from planner.records import write_requests
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.sim.engine import simulate_requests
from planner.sim.replications import Executor
from planner.workload import cold_starts
from tests.loadtest.measured_run import measured_run, written

SLOTS = 3
FOREIGN: dict[str, object] = {
    "duration": "30s",
    "traffic.rate": [{"from": "0s", "rps": 3}, {"from": "8s", "rps": 24}],
    "service_time": "120ms",
    "deployment": {"autoscaler": "fixed", "num_replicas": SLOTS, "max_request_wait_time": "200ms"},
}


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return written(tmp_path, "foreign", FOREIGN)


def answers(
    scenario: Scenario,
    seed: int,
    overhead_s: FloatArray | float,
    *,
    read_late_s: float = 0.0005,
    network_s: float = 0.0,
    header_step_s: float = 0.0,
    rates: tuple[float, float] = (3.0, 24.0),
) -> RequestLog:
    """Poisson arrivals at the first rate for 8 s and then the second, as a client sees the answers.

    overhead_s: what holds each slot beside 120 ms of work, drawn from these. read_late_s: mean of what the client reads
    late. network_s: there and back, which holds no slot. header_step_s: the header is rounded to it.
    """
    draw = np.random.default_rng(seed)
    quiet_s = draw.uniform(0, 8, draw.poisson(8 * rates[0]))
    busy_s = draw.uniform(8, 30, draw.poisson(22 * rates[1]))
    sent_s = np.sort(np.concatenate((quiet_s, busy_s)))
    n = len(sent_s)
    work_s = 0.12 + draw.exponential(0.001, n)
    result = simulate_requests(
        scenario,
        [np.minimum(sent_s + network_s / 2, 29.999)],
        iter([work_s + draw.choice(np.atleast_1d(overhead_s), n)]),
        cold_starts(scenario, 0),
        with_log=True,
    )
    assert result.requests is not None
    log = result.requests
    told_s = np.rint(work_s / header_step_s) * header_step_s if header_step_s else work_s
    return dataclasses.replace(
        log,
        sent_s=sent_s,
        start_s=np.full(n, np.nan),
        finish_s=log.finish_s + network_s / 2 + draw.exponential(read_late_s, n),
        service_time_s=np.where(log.outcome == 0, told_s, np.nan),
        replica=np.full(n, NO_REPLICA),
    )


def noisy(mean_s: float) -> FloatArray:
    """Overheads of a busy machine: most are short and some five times as long."""
    return mean_s * (0.5 + np.random.default_rng(1).gamma(0.5, 1.0, 100_000))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("overhead_s", "world", "most_bias_s"),
    [
        (0.0015, {}, 0.0002),
        (noisy(0.003), {}, 0.0003),
        (0.0, {}, 0.0002),
        (0.0015, {"header_step_s": 0.002}, 0.0003),
        (0.0015, {"network_s": 0.02}, 0.0002),
        (0.0015, {"rates": (24.0, 24.0)}, 0.0002),
    ],
    ids=["constant", "noisy", "none", "header of 2 ms", "20 ms of network", "no quiet minute"],
)
def test_bias_and_coverage(
    scenario: Scenario, overhead_s: FloatArray | float, world: dict[str, Any], most_bias_s: float
) -> None:
    """40 runs. 95 % intervals miss eight or more with chance 7e-4; those that miss 30 % of the time, 0.94."""
    true_s = float(np.mean(overhead_s))
    means, misses = [], 0
    for seed in range(40):
        gaps = slot_gaps(answers(scenario, seed, overhead_s, **world))
        assert gaps.told, gaps.why
        low_s, high_s = gaps.interval_s
        misses += not low_s <= true_s <= high_s
        means.append(gaps.mean_s)
    assert abs(np.mean(means) - true_s) <= most_bias_s
    assert misses < 8


TRUE_MEAN_S = 0.004
"""Of the overhead that `write_run` draws: 1 ms + gamma(2, 1.5 ms)."""


LOOPBACK, ELSEWHERE = "http://127.0.0.1:5001/score", "https://e.net/score"


def foreign_run(path: Path, scenario: Scenario, *, url: str = LOOPBACK, seed: int = 1) -> RunFolder:
    """A run against an endpoint that only answers: no dispatch times, no replicas."""
    folder = measured_run(path, scenario, scenario, number=seed, seed=seed, sees_inside=False)
    folder.replicas.unlink()
    folder.write_summary(folder.read_summary() | {"url": url})
    return folder


def without_header(folder: RunFolder) -> RunFolder:
    """As if the endpoint did not say how long the work took."""
    log = folder.read_requests()
    write_requests(folder.requests, dataclasses.replace(log, service_time_s=np.full(len(log), np.nan)))
    return folder


def finding_of(folder: RunFolder) -> Finding:
    return router_overhead(gather(folder)).findings[0]


def between(finding: Finding, value: float) -> bool:
    assert isinstance(finding.low, float)
    assert isinstance(finding.high, float)
    return finding.low <= value <= finding.high


def test_answers_that_waited_tell_what_holds_a_slot(tmp_path: Path, scenario: Scenario) -> None:
    finding = finding_of(foreign_run(tmp_path / "run", scenario))
    assert (finding.identified, finding.changed, finding.measured_from) == (True, True, FREED)
    assert finding.after == pytest.approx(TRUE_MEAN_S, abs=0.0006)
    assert between(finding, TRUE_MEAN_S)
    assert "the client's network cancels out" in finding.why


@pytest.mark.parametrize(("url", "low_is_zero"), [(LOOPBACK, False), (ELSEWHERE, True)])
def test_a_quiet_run_tells_a_bound_that_includes_the_network(tmp_path: Path, url: str, low_is_zero: bool) -> None:
    quiet = written(tmp_path, "quiet", FOREIGN | {"traffic.rate": [{"from": "0s", "rps": 3}]})
    finding = finding_of(foreign_run(tmp_path / "run", quiet, url=url))
    assert (finding.identified, finding.measured_from) == (True, QUIET)
    assert (finding.low == 0.0) is low_is_zero
    assert finding.changed is not low_is_zero, "0 s is not refuted where the network may be all of it"
    assert between(finding, 0.0035)  # the median
    assert "network" in finding.why
    assert "Busy answers do not tell it: " in finding.why


def test_without_the_header_nothing_is_told(tmp_path: Path, scenario: Scenario) -> None:
    finding = finding_of(without_header(foreign_run(tmp_path / "run", scenario)))
    assert (finding.identified, finding.changed, finding.low) == (False, False, None)
    assert "0 answers neither queued nor waited" in finding.why
    assert "0 of 0 answers that had waited for more than 40 ms" in finding.why


def test_answers_too_dense_to_tell_apart_are_not_matched(scenario: Scenario) -> None:
    """Other answers come every 0.1 ms: which of them freed a slot is anyone's guess."""
    log = answers(scenario, 1, 0.0015)
    more = np.sort(np.random.default_rng(0).uniform(0, 30, 300_000))
    crowd = {name: np.concatenate((column, np.full(len(more), column[0]))) for name, column in vars(log).items()}
    crowd["finish_s"] = np.concatenate((log.finish_s, more))
    crowd["sent_s"] = np.concatenate((log.sent_s, more - 0.1215))
    crowd["service_time_s"] = np.concatenate((log.service_time_s, np.full(len(more), 0.12)))
    crowd["outcome"] = np.concatenate((log.outcome, np.zeros(len(more), dtype=np.int64)))
    order = np.argsort(crowd["sent_s"], kind="stable")
    crowd = {name: column[order] for name, column in crowd.items()} | {"scheduled_s": crowd["sent_s"][order]}
    gaps: SlotGaps = slot_gaps(RequestLog(**crowd))
    assert not gaps.told
    assert gaps.waited > 100
    assert "show which answer freed their slot" in gaps.why


@pytest.mark.parametrize(
    ("times_s", "step_s"),
    [
        ([0.1201234, 0.118, 0.119], 0.0),
        ([0.12, 0.118, 0.119], 0.001),
        ([0.12, 0.118, 0.124], 0.002),
        ([0.12, 0.12, 0.12], 0.001),
        ([], 0.0),
    ],
)
def test_the_step_of_a_header(times_s: list[float], step_s: float) -> None:
    assert header_step_s(np.array(times_s)) == step_s


def test_the_file_carries_the_intervals_and_validate_says_them(
    tmp_path: Path, scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run that is judged has no header, so that it does not tell the overhead itself."""
    evidence = gather(foreign_run(tmp_path / "run", scenario))
    part, out = router_overhead(evidence), tmp_path / "calibrated.yaml"
    write_scenario(evidence, [part], part.apply(evidence.scenario), out)
    interval = carried_by(load(out)).of(OVERHEAD)
    assert interval is not None
    assert interval.value == part.findings[0].after
    assert (interval.low, interval.high) == (part.findings[0].low, part.findings[0].high)
    other = without_header(foreign_run(tmp_path / "other", scenario, seed=3))
    document = validate(other, load(out), scenario, replicates=600, alternative_replicates=2).document
    entry = next(u for u in document["uncertain"] if u["setting"] == OVERHEAD)
    assert (entry["low"], entry["high"], entry["widens"]) == (interval.low, interval.high, True)
    assert "As it was calibrated" in entry["why"]
    exact, carried = document["predicted"]["fraction_503_if_exact"], document["predicted"]["fraction_503"]
    assert carried["prediction_low"] <= exact["prediction_low"]
    assert carried["prediction_high"] >= exact["prediction_high"]
    show(document)
    said = " ".join(capsys.readouterr().out.split())
    assert f"{OVERHEAD} {1e3 * interval.value:.3g} ms, 95 % interval {1e3 * interval.low:.3g} to" in said
    assert "With these exact, the prediction interval of the 503s would be" in said


def test_a_value_set_by_hand_counts_as_exact_and_that_is_said(tmp_path: Path, scenario: Scenario) -> None:
    evidence = gather(foreign_run(tmp_path / "run", scenario))
    part, out = router_overhead(evidence), tmp_path / "calibrated.yaml"
    write_scenario(evidence, [part], part.apply(evidence.scenario), out)
    changed = load(out, {OVERHEAD: "40ms"})
    carried = carried_by(changed)
    assert carried.of(OVERHEAD) is None
    assert [interval.setting for interval in carried.by_hand] == [OVERHEAD]
    assert MARK in changed.text


@pytest.mark.parametrize("damage", ['{"setting"', '{"setting": "x", "value": 1, "low": 0, "high": 2}', '"low": 9'])
def test_a_damaged_interval_is_refused(tmp_path: Path, scenario: Scenario, damage: str) -> None:
    path = tmp_path / "damaged.yaml"
    path.write_text(f"{MARK}{damage}\n{scenario.text}", encoding="utf-8")
    with pytest.raises(InputError, match=r"damaged\.yaml: the line .* is damaged: calibrate again"):
        carried_by(load(path))


def test_draws_have_the_interval_that_they_come_from() -> None:
    """5 % of 20,000 draws lie outside, half on either side; three standard errors are 0.3 %."""
    carried = Carried(intervals=(CalibratedInterval(setting=OVERHEAD, value=0.003, low=0.002, high=0.006),))
    drawn = np.array([carried.drawn(7, k).overhead_s for k in range(20_000)])
    assert np.mean(drawn < 0.002) == pytest.approx(0.025, abs=0.0034)
    assert np.mean(drawn > 0.006) == pytest.approx(0.025, abs=0.0034)
    assert spread(0.001, 0.0, 0.002, -9.0) == 0.0


@pytest.mark.long
@pytest.mark.statistical
def test_a_true_model_fails_as_seldom_as_promised_and_a_wrong_one_does_not_pass(
    tmp_path: Path, scenario: Scenario
) -> None:
    """20 runs, an overhead of 0 s in the scenario and 4 ms in the world, not calibrated: at an error rate of 1 %, three
    or more failures have chance 1e-3. Wrong: one replica more, twice the wait."""
    more = dataclasses.replace(scenario.deployment, min_replicas=SLOTS + 1, max_replicas=SLOTS + 1)
    longer = dataclasses.replace(scenario.deployment, max_request_wait_s=0.4)
    wrong = [dataclasses.replace(scenario, deployment=deployment) for deployment in (more, longer)]
    failed, passed = 0, 0
    with executor_for(None) as executor:
        for seed in range(20):
            folder = foreign_run(tmp_path / str(seed), scenario, seed=seed)
            seen = observe(folder, load(str(folder.scenario)))
            failed += not agrees(scenario, seen, executor)
            passed += sum(agrees(world, seen, executor) for world in wrong)
    assert failed < 3
    assert passed == 0


def agrees(scenario: Scenario, seen: Observation, executor: Executor) -> bool:
    prediction = predict(scenario, seen, replicates=FEWEST_REPLICATES, executor=executor)
    return all(statistic.is_inside for statistic in compare(seen, prediction))
