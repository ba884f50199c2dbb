"""How late one worker sends, beside how late a bare timer loop wakes, and the rate at which a run becomes invalid."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadtest.selftest.children import timer_lateness_s
from loadtest.selftest.measure import (
    Lateness,
    Measurement,
    lateness,
    measure,
    poisson_offsets_ns,
    poisson_scenario,
    replay_against_stub,
)
from planner.model import FloatArray
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.table import print_table

if TYPE_CHECKING:
    from loadtest.replay.progress import Progress

MOST_P50_MS = {200: 0.5, 500: 0.5, 1000: 1.0, 2000: None}
"""Requests per second -> the goal for the median send error."""
MOST_TIMES_THE_TIMER = 3
NOTHING_SKIPPED_RPS = 2000
UPWARD_RPS = (3000, 4000, 6000, 8000, 12000)


@dataclass(frozen=True)
class Round:
    """One rate in one round. `beside`: the same timer loop while another replay of that rate was running."""

    alone: Measurement
    beside: Lateness


def section(rounds: int, quick: bool, folder: Path, goals: Goals) -> None:
    seconds = 2.0 if quick else 8.0
    found: dict[int, list[Round]] = {rate: [] for rate in MOST_P50_MS}
    for number in range(rounds):
        for rate, measured in found.items():
            measured.append(one_round(rate, seconds, seed=1000 * number + rate, folder=folder))
    print("### Send error: one worker, Poisson arrivals, answers after 50 ms\n")
    print_table(
        (
            "requests per second",
            "send error p50 / p99, ms",
            "at the server p50 / p99, ms",
            "bare timer p50 / p99, ms",
            "p99: send error / timer",
            "timer beside a replay p99, ms",
            "skipped",
            "core of the worker",
        ),
        [cells(rate, measured) for rate, measured in found.items()],
    )
    for rate, measured in found.items():
        judge(rate, measured, goals)
    collapse(2.0 if quick else 5.0, folder, goals)


def one_round(rate: int, seconds: float, *, seed: int, folder: Path) -> Round:
    alone = measure(rate, seconds=seconds, timer_seconds=seconds, processes=1, seed=seed, folder=folder)
    return Round(alone, lateness(timer_beside(rate, seconds, seed, folder)))


def timer_beside(rate: int, seconds: float, seed: int, folder: Path) -> FloatArray:
    """The lateness of the timer loop while a replay of that rate is running."""
    offsets_ns = poisson_offsets_ns(rate, 0.8 * seconds, seed)
    with ThreadPoolExecutor(1) as pool:
        timers: list[Future[FloatArray]] = []

        def on_progress(progress: Progress) -> None:
            if progress.elapsed_s >= 0 and not timers:
                timers.append(pool.submit(timer_lateness_s, folder, offsets_ns))

        replay_against_stub(poisson_scenario(folder, rate, seconds, seed=seed + 1), folder, on_progress=on_progress)
        return timers[0].result()


def judge(rate: int, measured: Sequence[Round], goals: Goals) -> None:
    title = f"{rate:,} per second"
    bound_ms = MOST_P50_MS[rate]
    if bound_ms is not None:
        goals.at_most(f"{title}: send error p50, ms", ms(one.alone.send_error.p50_s for one in measured), bound_ms)
    to_timer = median(ratio(one.alone.send_error, one.alone.timer) for one in measured)
    goals.at_most(f"{title}: p99 of the send error / of the bare timer", to_timer, MOST_TIMES_THE_TIMER)
    to_beside = median(ratio(one.alone.send_error, one.beside) for one in measured)
    goals.note(f"{title}: p99 of the send error / of the timer beside a replay", to_beside)
    if rate == NOTHING_SKIPPED_RPS:
        unsent = max(one.alone.planned - one.alone.sent for one in measured)
        goals.at_most(f"{title}: planned and not sent, in the worst round", unsent, 0)


def cells(rate: int, measured: Sequence[Round]) -> tuple[str, ...]:
    alone = [one.alone for one in measured]
    return (
        f"{rate:,}",
        both([one.send_error for one in alone]),
        both([one.arrival_error for one in alone]),
        both([one.timer for one in alone]),
        f"{median(ratio(one.send_error, one.timer) for one in alone):.2f}",
        f"{ms(one.beside.p99_s for one in measured):.2f}",
        str(sum(one.skipped for one in alone)),
        f"{median(one.worker_cores for one in alone):.2f}",
    )


def collapse(seconds: float, folder: Path, goals: Goals) -> None:
    """Up the rates until a run is invalid, and one rate further: neither may end as a pass."""
    print("### The rate at which a run becomes invalid: one worker\n")
    found: list[Measurement] = []
    for rate in UPWARD_RPS:
        found.append(measure(rate, seconds=seconds, timer_seconds=1.0, processes=1, seed=rate, folder=folder))
        if sum(not one.valid for one in found) == 2:
            break
    print_table(
        (
            "requests per second",
            "send error p50 / p99, ms",
            "sent of planned",
            "more than 50 ms late",
            "cores of worker and stub",
            "run",
            "exit code",
        ),
        [
            (
                f"{one.rate_rps:,.0f}",
                both([one.send_error]),
                f"{one.achieved_fraction or 0:.1%}",
                f"{one.late_fraction or 0:.1%}",
                f"{median([one.worker_cores]):.2f} / {median([one.stub_cores]):.2f}",
                "valid" if one.valid else "invalid",
                str(one.exit_code),
            )
            for one in found
        ],
    )
    invalid = [one for one in found if not one.valid]
    if invalid:
        goals.note("collapse: thousand requests per second at which a run is invalid", invalid[0].rate_rps / 1e3)
    goals.at_least("rates tried that are beyond the collapse", len(invalid), 1)
    goals.at_most("of those, runs that did not end with exit code 3", sum(one.exit_code != 3 for one in invalid), 0)


def ratio(ours: Lateness, timer: Lateness) -> float:
    return known(ours.p99_s) / known(timer.p99_s)


def both(found: Sequence[Lateness]) -> str:
    return f"{ms(one.p50_s for one in found):.2f} / {ms(one.p99_s for one in found):.2f}"


def ms(seconds: Iterable[float | None]) -> float:
    """The median in milliseconds."""
    return 1e3 * median(seconds)


def median(values: Iterable[float | None]) -> float:
    return statistics.median(known(value) for value in values)


def known(value: float | None) -> float:
    """A number that a run of some seconds always has."""
    assert value is not None
    return value
