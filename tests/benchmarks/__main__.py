"""Speed of the simulator beside the floor and the programs of others, in one run: `make bench`."""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

import numba
import numpy as np

from planner import __version__
from planner.model import Autoscaler
from planner.scenario import Scenario
from planner.sim.engine import compile_kernel, simulate_requests
from planner.workload import cold_starts, service_times
from tests.benchmarks.cases import Queue, Work, day, engine, floor
from tests.benchmarks.competitors import COMPETITORS, Competitor
from tests.benchmarks.first_use import compile_seconds, quickstart_seconds
from tests.benchmarks.memory import peak_bytes
from tests.benchmarks.rounds import Measured, interleaved
from tests.benchmarks.table import print_comparison, print_table, rate

REQUESTS = 1_000_000
FLOOR = "bare compiled recursion (floor)"
ENGINE = "surgeproof, azureml-fe, min = max = 20"
FIXED = "surgeproof, fixed"
LIMITS_S = {math.inf: "No wait limit", 0.5: "Wait limit 0.5 s", 0.0: "No queue at all (wait limit 0 s)"}
FLOOR_OF_THE_GOAL_RPS = 20e6
"""The goal for the long day, 0.6 s, is for a machine where the floor is this fast."""


class Goals:
    """The lines of the last table."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str, str]] = []

    def at_least(self, what: str, value: float, bound: float) -> None:
        self._add(what, value, f"at least {bound:.3g}", value >= bound)

    def at_most(self, what: str, value: float, bound: float) -> None:
        self._add(what, value, f"at most {bound:.3g}", value <= bound)

    def note(self, what: str, value: float) -> None:
        """A number without a goal."""
        self.rows.append((what, f"{value:.3g}", "", ""))

    def _add(self, what: str, value: float, bound: str, is_kept: bool) -> None:
        self.rows.append((what, f"{value:.3g}", bound, "yes" if is_kept else "**no**"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    compile_kernel()
    floor(Queue(), 10, 0)
    print_machine(rounds)
    goals = Goals()
    comparison(rounds, goals)
    dependence(rounds, goals)
    long_day(min(rounds, 3), goals)
    memory(goals)
    first_use(goals)
    print("### Goals\n")
    print_table(("", "measured", "goal", "kept"), goals.rows)


def print_machine(rounds: int) -> None:
    versions = f"numba {numba.__version__}, numpy {np.__version__}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, surgeproof {__version__}, {versions}.")
    print("CPU time of one thread, draws included;", end=" ")
    print(f"medians of {rounds} interleaved rounds, ratios taken within a round.\n")


def comparison(rounds: int, goals: Goals) -> None:
    """M/M/20, rho 0.9, by every program that can express it."""
    print("### M/M/20, rho 0.9, mean service time 1 s\n")
    obstacles = {competitor: competitor.obstacle() for competitor in COMPETITORS}
    present = [competitor for competitor in COMPETITORS if obstacles[competitor] is None]
    for limit_s, title in LIMITS_S.items():
        queue = Queue(limit_s)
        others = [other for other in present if limit_s in other.limits_s]
        rows = interleaved(comparison_programs(queue, others), rounds)
        print(f"{title}:\n")
        unable = {other.name: other.lacks for other in present if limit_s > 0 and other not in others}
        print_comparison(queue, rows, ENGINE, unable)
        if limit_s > 0:
            compare(title, rows, others, goals)
    for obstacle in filter(None, obstacles.values()):
        print(f"Left out: {obstacle}\n")


def comparison_programs(queue: Queue, others: list[Competitor]) -> dict[str, Callable[[int], Work]]:
    return {
        FLOOR: partial(floor, queue, REQUESTS),
        ENGINE: partial(engine, queue, REQUESTS),
        FIXED: partial(engine, queue, REQUESTS, autoscaler=Autoscaler.FIXED),
        **{other.name: partial(other.run, queue, other.requests) for other in others},
    }


def compare(title: str, rows: dict[str, Measured], others: list[Competitor], goals: Goals) -> None:
    ours = rows[ENGINE]
    documented = ours.times_faster_than(fastest(rows[other.name] for other in others if other.is_documented))
    goals.at_least(f"{title}: engine / fastest other, as documented", documented, 150)
    goals.note(
        f"{title}: engine / fastest other, by hand", ours.times_faster_than(fastest(rows[o.name] for o in others))
    )
    goals.at_most(f"{title}: floor / engine", rows[FLOOR].times_faster_than(ours), 2)


def fastest(candidates: Iterable[Measured]) -> Measured:
    return max(candidates, key=lambda measured: measured.median_rps)


def dependence(rounds: int, goals: Goals) -> None:
    """What the rate depends on."""
    print("### What the rate of the engine depends on (wait limit 0.5 s, mean service time 1 s)\n")
    base = "20 replicas, 18 requests per second"
    wide = "2,000 replicas, the same load per replica"
    programs = {
        FLOOR: partial(floor, Queue(0.5), REQUESTS),
        base: partial(engine, Queue(0.5), REQUESTS),
        "10 replicas, max concurrent 4 over 2 workers": partial(
            engine, Queue(0.5), REQUESTS, replicas=10, max_concurrent=4, workers=2
        ),
        "200 replicas, the same load per replica": partial(engine, Queue(0.5, 200, 180.0), REQUESTS),
        wide: partial(engine, Queue(0.5, 2000, 1800.0), REQUESTS),
        "200 replicas, the same rate": partial(engine, Queue(0.5), REQUESTS, replicas=200),
        "2,000 replicas, the same rate": partial(engine, Queue(0.5), REQUESTS, replicas=2000),
    }
    rows = interleaved(programs, rounds)
    print_table(
        ("case", "thousand requests per second (min to max)", "floor / this", "cost over that of 20 replicas"),
        [
            (name, rate(row), f"{rows[FLOOR].times_faster_than(row):.2f}", f"{rows[base].times_faster_than(row):.2f}")
            for name, row in rows.items()
        ],
    )
    logarithms = math.log(2000) / math.log(20)
    goals.at_most("cost of a request, 2,000 / 20 replicas", rows[base].times_faster_than(rows[wide]), logarithms)


def long_day(rounds: int, goals: Goals) -> None:
    """24 hours at 60 requests per second: the kernel, fed with numbers drawn before, then the draws."""
    by_round: list[tuple[float, float, float]] = []
    for number in range(rounds):
        floor_rps = interleaved({FLOOR: partial(floor, Queue(), REQUESTS)}, 1)[FLOOR].median_rps
        by_round.append((*day_seconds(day(), number), 0.6 * FLOOR_OF_THE_GOAL_RPS / floor_rps))
    draws_s, kernel_s, goal_s = map(statistics.median, zip(*by_round, strict=True))
    print("### 24 hours at 60 requests per second, a tick every second, azureml-fe from 10 to 60 replicas\n")
    print_table(("draws", "kernel", "both"), [(f"{draws_s:.2f} s", f"{kernel_s:.2f} s", f"{draws_s + kernel_s:.2f} s")])
    goals.at_most("24 hours at 60 requests per second, CPU seconds of the kernel", kernel_s, goal_s)


def day_seconds(scenario: Scenario, replicate: int) -> tuple[float, float]:
    """CPU seconds of drawing and of the kernel."""
    started = time.process_time()
    arrivals = list(scenario.arrivals.blocks(scenario.seed, replicate))
    services = service_times(scenario, replicate, sum(map(len, arrivals)))
    drawn = time.process_time()
    blocks = np.array_split(services, len(arrivals))
    simulate_requests(scenario, arrivals, iter(blocks), cold_starts(scenario, replicate))
    return drawn - started, time.process_time() - drawn


def memory(goals: Goals) -> None:
    print("### Peak memory of a process, by requests in one replicate of 24 hours\n")
    small, large = 3_000_000, 30_000_000
    peaks = {requests: peak_bytes(requests) / 1e6 for requests in (small, large)}
    print_table(("requests", "peak memory"), [(f"{n:,}", f"{peak:.0f} MB") for n, peak in peaks.items()])
    goals.at_most("memory of ten times the requests, MB more", peaks[large] - peaks[small], 10)


def first_use(goals: Goals) -> None:
    print("### First use\n")
    compiling_s = compile_seconds()
    quickstart_seconds()
    warm_s = statistics.median(quickstart_seconds() for _ in range(5))
    print_table(
        ("compiling on an empty cache", "`surgeproof simulate quickstart`, compiled before"),
        [(f"{compiling_s:.1f} s", f"{warm_s:.2f} s")],
    )
    goals.at_most("compiling, CPU seconds", compiling_s, 15)
    goals.at_most("warm `surgeproof simulate quickstart`, seconds", warm_s, 2)


if __name__ == "__main__":
    main()
