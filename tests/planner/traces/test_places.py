"""Requests of which a trace tells only the bin: each replicate places them anew, and keeps what the file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.cli.planning import Wanted, make_plan
from planner.cli.simulation import simulate as simulated
from planner.measures import fraction
from planner.model import FloatArray
from planner.plan.space import Ranges
from planner.sameness import sameness
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.sim.engine import simulate_replicate
from planner.workload import arrival_times, service_times
from tests.reference.simulator import simulate

COUNTS = "timestamp,requests\n2026-11-22T10:00:00Z,60\n2026-11-22T10:01:00Z,61\n2026-11-22T10:02:00Z,66\n"
LOG = "".join(
    f'10.0.0.1 - - [22/Nov/2026:10:00:{second:02d} +0000] "POST /s HTTP/1.1" 200 5 "-" "c" rt={second / 7 + n:.3f}\n'
    for second in range(0, 40, 3)
    for n in range(5)
)


def scenario(folder: Path, trace: str, slice_: str = "", service_time: str = "1.6s", seed: int = 0) -> Scenario:
    name = "t.log" if trace is LOG else "t.csv"
    (folder / name).write_text(trace)
    (folder / "s.yaml").write_text(
        f"name: s\nseed: {seed}\nservice_time: {service_time}\nslo: {{max_503: 8%}}\n"
        f"traffic: {{arrivals: {{trace: {{file: {name}{slice_}}}}}}}\n"
        "deployment: {api: v1, autoscaler: fixed, num_replicas: 3}\n"
    )
    return load(folder / "s.yaml")


def per_bin(times_s: FloatArray, width_s: float) -> list[int]:
    return np.bincount((times_s // width_s).astype(np.int64)).tolist()


def test_each_replicate_keeps_the_number_in_each_bin_and_places_them_anew(tmp_path: Path) -> None:
    of = scenario(tmp_path, COUNTS)
    first, third, again = (arrival_times(of, replicate) for replicate in (0, 3, 3))
    for times_s in (first, third):
        assert per_bin(times_s, 60.0) == [60, 61, 66]
        assert (np.diff(times_s) >= 0).all()
    assert np.intersect1d(first, third).size == 0
    assert third.tolist() == again.tolist()
    assert of.arrivals.is_random


def test_the_service_time_of_a_request_goes_where_the_request_goes(tmp_path: Path) -> None:
    """A line holds a whole second and a duration: in every replicate the request ends inside that second."""
    of = scenario(tmp_path, LOG, service_time="trace")
    seconds = {}
    for replicate in (0, 1, 2):
        times_s = arrival_times(of, replicate)
        taken_s = service_times(of, replicate, len(times_s))
        seconds[replicate] = sorted(zip(taken_s.tolist(), np.floor(times_s + taken_s + 1e-9).tolist(), strict=True))
    assert seconds[0] == seconds[1] == seconds[2]
    assert len({second for _, second in seconds[0]}) > 10
    assert arrival_times(of, 1).tolist() != arrival_times(of, 2).tolist()


def test_what_no_draw_has_placed_is_the_same_in_every_replicate(tmp_path: Path) -> None:
    even = scenario(tmp_path, COUNTS, ", spread: even")
    assert not even.arrivals.is_random
    assert arrival_times(even, 0).tolist() == arrival_times(even, 7).tolist()


@pytest.mark.parametrize(
    ("slice_", "choice"),
    [
        (", spread: even", ""),
        (", spread: even, rate_scale: 2", ""),
        (", spread: even, rate_scale: 0.5", "each kept with probability 0.5 by seed 9"),
    ],
)
def test_exact_numbers_say_what_the_seed_has_chosen(tmp_path: Path, slice_: str, choice: str) -> None:
    of = scenario(tmp_path, COUNTS, slice_, seed=9)
    said = simulated(of, 20, cores=1)
    assert (said["replications"], said["fraction_503"]["exact"]) == (1, True)
    assert said["same_in_every_run"] == sameness(of)
    assert ("exact for this seed's choice of requests" in sameness(of)) == bool(choice)
    assert choice in sameness(of)
    assert any("no interval holds" in warning for warning in of.warnings) == bool(choice)


def test_neither_simulate_nor_plan_calls_drawn_places_exact(tmp_path: Path) -> None:
    of = scenario(tmp_path, COUNTS)
    said = simulated(of, 20, cores=1)
    assert (said["replications"], said["same_in_every_run"]) == (20, None)
    assert "exact" not in said["fraction_503"]
    assert said["fraction_503"]["low"] < said["fraction_503"]["high"]
    planned = make_plan(of, Wanted(ranges=Ranges(max_replicas=(3, 4, 5)), exhaustive_runs=30, cores=1))
    assert planned["same_in_every_run"] is None
    assert all(row["replications"] > 1 and "exact" not in row["fraction_503"] for row in planned["frontier"])
    assert any("anew in each run" in warning for warning in of.warnings)


def test_a_copy_moves_with_its_original_and_keeps_its_jitter(tmp_path: Path) -> None:
    """Service times that are all different tell the pairs apart."""
    rows = "".join(f"{10 * (1 + i // 2)},{1 + i / 100}\n" for i in range(12))
    of = scenario(tmp_path, "time_s,service_time_s\n" + rows, ", rate_scale: 2, from: 5s, for: 70s", "trace", 3)
    jitters = []
    for replicate in (0, 1, 2, 3):
        times_s = arrival_times(of, replicate)
        order = np.lexsort((times_s, service_times(of, replicate, len(times_s))))
        pairs_s = times_s[order].reshape(10, 2)
        assert (np.diff(pairs_s)[:, 0] <= 1.0).all()
        jitters.append(np.diff(pairs_s)[:, 0])
    assert all(np.allclose(jitter, jitters[0], atol=1e-9) for jitter in jitters)
    assert not np.allclose(arrival_times(of, 1), arrival_times(of, 2), atol=0.01)


@pytest.mark.parametrize("slice_", [", from: 30s, for: 90s", ", rate_scale: 2.5", ", time_scale: 0.5, rate_scale: 0.4"])
def test_a_slice_stays_inside_its_duration(tmp_path: Path, slice_: str) -> None:
    of = scenario(tmp_path, COUNTS, slice_)
    for replicate in range(5):
        times_s = arrival_times(of, replicate)
        assert len(times_s) == of.arrivals.fixed_count
        assert times_s[0] >= 0
        assert times_s[-1] < of.duration_s


def test_the_kernel_plays_the_same_placing_as_the_reference(tmp_path: Path) -> None:
    of = scenario(tmp_path, LOG, service_time="trace")
    found = simulate_replicate(of, 3, with_log=True)
    times_s = arrival_times(of, 3)
    taken_s = service_times(of, 3, len(times_s))
    expected = simulate(
        of.deployment,
        arrivals_s=times_s.tolist(),
        service_times_s=taken_s.tolist(),
        cold_starts_s=[],
        duration_s=of.duration_s,
    )
    assert found.requests is not None
    assert found.requests.outcome.tolist() == [int(outcome) for outcome in expected.outcome]
    assert found.requests.finish_s.tolist() == expected.finish_s


@pytest.mark.statistical
def test_the_interval_covers_what_other_seeds_place(tmp_path: Path) -> None:
    """The mean over the first placings of 200 seeds lies in the interval of 100 replicates of one, and the other way:
    two intervals of 95 % of the same mean miss each other in less than 1 % of the seeds; the seeds are fixed."""
    of = scenario(tmp_path, COUNTS)
    replicates = [simulate_replicate(of, number) for number in range(100)]
    seeds = [simulate_replicate(scenario(tmp_path, COUNTS, seed=seed), 0) for seed in range(200)]
    one, other = (
        fraction(np.array([r.n_503 for r in runs], float), np.array([r.n for r in runs], float))
        for runs in (replicates, seeds)
    )
    assert one.low < other.high
    assert other.low < one.high
    assert not replicates[0].repeats
