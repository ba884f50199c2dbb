"""The bursty Azure trace: requests per second at the server beside the plan's, ours and a LoadTestShape replay's."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np

from loadtest.selftest.measure import replay_against_stub
from planner.model import FloatArray, IntArray
from planner.scenario_file import load
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.replay.peers import arrivals_of_locust
from tests.benchmarks.table import print_table

SCENARIO = "azure-llm-code"
RATE_SCALE = 5
"""So that there are some thousand requests."""
SHIFTS_S = np.arange(-2.0, 3.01, 0.1)
"""Locust does not say when its run began; it is given the beginning that suits it best."""
EXPECTED_LATENESS_S = 5.0


def section(rounds: int, quick: bool, folder: Path, goals: Goals) -> None:
    overrides: dict[str, object] = {"traffic.arrivals.trace.rate_scale": RATE_SCALE}
    scenario = load(SCENARIO, overrides | ({"duration": "10s"} if quick else {}))
    ours: list[float] = []
    theirs: list[float] = []
    planned: IntArray = np.zeros(0, dtype=np.int64)
    sent: list[tuple[int, int]] = []
    for _ in range(rounds):
        run = replay_against_stub(scenario, folder)
        planned = per_second(run.result.requests.scheduled_s, int(np.ceil(scenario.duration_s)))
        arrived_s = run.arrivals[:, 0] / 1e9 - run.start_s
        shape_s = shape_arrivals_s(planned, folder)
        ours.append(weighted_error(arrived_s, planned))
        theirs.append(min(weighted_error(shape_s + shift_s, planned) for shift_s in SHIFTS_S))
        sent.append((len(arrived_s), len(shape_s)))
    print(f"### The Azure trace of `{SCENARIO}`, {RATE_SCALE} times its rate, {scenario.duration_s:g} s\n")
    print(f"{planned.sum():,} requests, {planned.min()} to {planned.max()} in a second.", end=" ")
    print("Error: sum of |arrived - planned| over the seconds / planned.\n")
    names = ("surgeproof", "Locust, LoadTestShape, constant_throughput(1)")
    print_table(
        ("generator", "requests at the server", "error per second"),
        [
            (name, f"{statistics.median(counts):,.0f}", f"{statistics.median(errors):.2%}")
            for name, counts, errors in zip(names, zip(*sent, strict=True), (ours, theirs), strict=True)
        ],
    )
    goals.at_most("Azure trace: error of the requests per second, %", 100 * statistics.median(ours), 1)
    goals.note("Azure trace: the same of a LoadTestShape replay, %", 100 * statistics.median(theirs))


def shape_arrivals_s(planned: IntArray, folder: Path) -> FloatArray:
    path = folder / "counts.json"
    path.write_text(json.dumps(planned.tolist()))
    return arrivals_of_locust(
        "locust_shape.py",
        seconds=len(planned) + EXPECTED_LATENESS_S,
        folder=folder,
        environment={"BENCHMARK_COUNTS": str(path)},
    )


def weighted_error(arrived_s: FloatArray, planned: IntArray) -> float:
    """Sum of |arrived - planned| over all seconds, those before and after the plan included, over the planned."""
    inside = (arrived_s >= 0) & (arrived_s < len(planned))
    arrived = per_second(arrived_s[inside], len(planned))
    return float((np.abs(arrived - planned).sum() + np.sum(~inside)) / planned.sum())


def per_second(times_s: FloatArray, seconds: int) -> IntArray:
    return np.bincount(np.minimum(times_s.astype(np.int64), seconds - 1), minlength=seconds)
