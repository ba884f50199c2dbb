"""A server that slows from 50 ms to 2 s for a third of the run: who keeps the rate, and who goes down with it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest.selftest.measure import poisson_scenario, replay_against_stub
from planner.model import FloatArray
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.replay.peers import arrivals_of_locust
from tests.benchmarks.table import print_table

RATE_RPS = 200
USERS = 100
SLOW_S = 2.0
PEERS = {
    "ConstantThroughput": f"Locust, {USERS} users, constant_throughput(2)",
    "Poisson": f"Locust, {USERS} users, poisson(2)",
}
OURS = "surgeproof"


@dataclass(frozen=True)
class Seen:
    """What reached the server in the slow third, of what was planned for it, and the CV of the gaps there."""

    achieved: float
    gap_cv: float
    planned_gap_cv: float


def section(rounds: int, quick: bool, folder: Path, goals: Goals) -> None:
    seconds = 15.0 if quick else 30.0
    found: dict[str, list[Seen]] = {name: [] for name in (OURS, *PEERS.values())}
    for number in range(rounds):
        found[OURS].append(ours(seconds, number, folder))
        for user, name in PEERS.items():
            found[name].append(theirs(user, seconds, folder))
    print(f"### A server that slows from 50 ms to {SLOW_S:g} s for the middle third of {seconds:g} s\n")
    print(
        f"{RATE_RPS} requests per second planned. CV of the gaps: of Poisson arrivals 1; Locust's in its first third.\n"
    )
    print_table(
        ("generator", "achieved in the slow third", "CV of gaps at the server", "CV of gaps planned"),
        [
            (
                name,
                f"{statistics.median(one.achieved for one in seen):.1%}",
                f"{statistics.median(one.gap_cv for one in seen):.2f}",
                f"{statistics.median(one.planned_gap_cv for one in seen):.2f}",
            )
            for name, seen in found.items()
        ],
    )
    judge(found, goals)


def judge(found: dict[str, list[Seen]], goals: Goals) -> None:
    missed = statistics.median(abs(one.achieved - 1) for one in found[OURS])
    goals.at_most("slow third: achieved / planned rate, off by, %", 100 * missed, 1)
    off = statistics.median(abs(one.gap_cv / one.planned_gap_cv - 1) for one in found[OURS])
    goals.at_most(f"{RATE_RPS} per second: CV of the gaps at the server / planned, off by, %", 100 * off, 5)
    closed, poisson = (statistics.median(1 - one.achieved for one in found[name]) for name in PEERS.values())
    goals.at_least("slow third: what constant_throughput loses in the same run, %", 100 * closed, 70)
    goals.note("slow third: what Locust's poisson loses, %", 100 * poisson)


def ours(seconds: float, number: int, folder: Path) -> Seen:
    third_s = seconds / 3
    scenario = poisson_scenario(folder, RATE_RPS, seconds, seed=31 + number)
    run = replay_against_stub(scenario, folder, phases=[[third_s, 2 * third_s, SLOW_S]])
    planned_s, arrived_s = run.result.requests.scheduled_s, np.sort(run.arrivals[:, 0] / 1e9 - run.start_s)
    return Seen(
        achieved=between(arrived_s, third_s, 2 * third_s) / between(planned_s, third_s, 2 * third_s),
        gap_cv=gap_cv(arrived_s),
        planned_gap_cv=gap_cv(planned_s),
    )


def theirs(user: str, seconds: float, folder: Path) -> Seen:
    third_s = seconds / 3
    arrived_s = arrivals_of_locust(
        "locust_users.py",
        user,
        *("-u", str(USERS), "-r", str(USERS), "-t", f"{seconds:g}s"),
        seconds=seconds,
        folder=folder,
        phases=[[third_s, 2 * third_s, SLOW_S]],
    )
    before = arrived_s[(arrived_s > third_s / 3) & (arrived_s < third_s)]
    return Seen(between(arrived_s, third_s, 2 * third_s) / (RATE_RPS * third_s), gap_cv(before), 1.0)


def between(times_s: FloatArray, from_s: float, to_s: float) -> int:
    return int(np.sum((times_s >= from_s) & (times_s < to_s)))


def gap_cv(times_s: FloatArray) -> float:
    gaps_s = np.diff(times_s)
    return float(gaps_s.std() / gaps_s.mean())
