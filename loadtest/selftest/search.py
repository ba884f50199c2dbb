"""Goes up the rates until a replay is invalid, closes in on where that begins, and says which rate can be trusted."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.replay.statistics import MAX_LATE_FRACTION, MAX_SEND_ERROR_P99_S
from loadtest.runfolder import provenance
from loadtest.scratch import scratch_folder
from loadtest.selftest.measure import CONFIDENCE, Measurement, measure
from loadtest.selftest.options import SelftestOptions
from planner.errors import InputError
from planner.percent import percent

EXIT_DONE, EXIT_NO_VERDICT, EXIT_INTERRUPTED = 0, 3, 130

TIMER_PART = 0.25
"""The timer loop runs for this part of the seconds of a replay."""
TRUSTED_P99_S = MAX_SEND_ERROR_P99_S / 2
TRUSTED_LATE_FRACTION = MAX_LATE_FRACTION / 2
TRUSTED_CORES = 0.8
"""A burst of a fifth above its mean rate would take the rest of the core."""

BISECTIONS = 2
CLOSE_ENOUGH = 1.15
"""Between the last valid and the first invalid rate nothing more is tried when their ratio is below."""
BISECT_WITHIN_S = 85.0
"""No further rate is tried when it would end after this."""
SEED = 20261122

CRITERIA = (
    "trusted: here and at every lower rate the run is valid, every request was sent, "
    f"p99 of the send error is at most {TRUSTED_P99_S * 1e3:g} ms and at most {percent(TRUSTED_LATE_FRACTION)} "
    f"are late (half of what a valid run may have), and the worker took at most {TRUSTED_CORES:.0%} of a core"
)


@dataclass(frozen=True, kw_only=True)
class SelftestResult:
    document: dict[str, Any]
    exit_code: int


MeasureOne = Callable[[float], Measurement]


def run_selftest(
    options: SelftestOptions, *, say: Callable[[str], None] = lambda _: None, measure_one: MeasureOne | None = None
) -> SelftestResult:
    """Measure rate by rate. Ctrl-C ends it early with what was measured until then (exit code 130)."""
    if sys.platform != "linux":
        raise InputError(f"surgeproof selftest measures with epoll, timerfd and /proc of Linux; this is {sys.platform}")
    started_s = time.monotonic()
    rows: list[Measurement] = []
    interrupted = False
    with scratch_folder() as folder:
        try:
            climb(options.rates_rps, measure_one or _measured_in(folder, options), rows, say, started_s)
        except KeyboardInterrupt:
            interrupted = True
    document = describe(options, rows, interrupted=interrupted, seconds=time.monotonic() - started_s)
    if interrupted:
        return SelftestResult(document=document, exit_code=EXIT_INTERRUPTED)
    return SelftestResult(document=document, exit_code=EXIT_DONE if any(row.valid for row in rows) else EXIT_NO_VERDICT)


def _measured_in(folder: Path, options: SelftestOptions) -> MeasureOne:
    seeds = iter(range(SEED, SEED + 10_000, 2))

    def measured(rate_rps: float) -> Measurement:
        return measure(
            rate_rps,
            seconds=options.seconds,
            timer_seconds=max(1.0, TIMER_PART * options.seconds),
            processes=options.processes,
            seed=next(seeds),
            folder=folder,
        )

    return measured


def climb(
    rates_rps: Sequence[float],
    measure_one: MeasureOne,
    rows: list[Measurement],
    say: Callable[[str], None],
    started_s: float,
) -> None:
    """Append a row a measurement: up to the first rate that is invalid twice, then between it and the one before."""

    def is_valid(rate_rps: float, why: str) -> bool:
        say(f"{rate_rps:g} requests per second{why}")
        row = measure_one(rate_rps)
        if row.exit_code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        rows.append(row)
        return row.valid

    def collapses(rate_rps: float) -> bool:
        return not is_valid(rate_rps, "") and not is_valid(rate_rps, ", again: it was invalid")

    valid_rps = 0.0
    for rate_rps in rates_rps:
        if collapses(rate_rps):
            break
        valid_rps = rate_rps
    else:
        return
    for _ in range(BISECTIONS if valid_rps else 0):
        each_s = (time.monotonic() - started_s) / len(rows)
        if rate_rps / valid_rps < CLOSE_ENOUGH or time.monotonic() + each_s > started_s + BISECT_WITHIN_S:
            return
        middle_rps = _two_digits((rate_rps * valid_rps) ** 0.5)
        if is_valid(middle_rps, ", between the last valid and the first invalid"):
            valid_rps = middle_rps
        else:
            rate_rps = middle_rps


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def doubts(row: Measurement) -> list[str]:
    """Why a rate is not to be trusted; nothing where it is."""
    if not row.valid:
        return row.problems
    found = []
    if row.sent < row.planned:
        found.append(f"{row.planned - row.sent} of {row.planned} requests were not sent")
    p99_s, late = row.send_error.p99_s, row.late_fraction
    if p99_s is not None and p99_s > TRUSTED_P99_S:
        found.append(f"p99 of the send error {p99_s * 1e3:.0f} ms, above {TRUSTED_P99_S * 1e3:g} ms")
    if late is not None and late > TRUSTED_LATE_FRACTION:
        found.append(f"{percent(late)} late, above {percent(TRUSTED_LATE_FRACTION)}")
    if row.worker_cores is not None and row.worker_cores > TRUSTED_CORES:
        found.append(f"the worker took {row.worker_cores:.0%} of a core, above {TRUSTED_CORES:.0%}")
    return found


def trusted_rps(rows: Sequence[Measurement]) -> float | None:
    """The highest rate below which no measured rate is in doubt; a rate measured twice is judged by the second."""
    latest = {row.rate_rps: row for row in rows}
    trusted = None
    for rate_rps in sorted(latest):
        if doubts(latest[rate_rps]):
            break
        trusted = rate_rps
    return trusted


def collapse_rps(rows: Sequence[Measurement]) -> float | None:
    """The lowest rate whose last replay is invalid."""
    latest = {row.rate_rps: row for row in rows}
    return min((rate_rps for rate_rps, row in latest.items() if not row.valid), default=None)


def describe(
    options: SelftestOptions, rows: Sequence[Measurement], *, interrupted: bool, seconds: float
) -> dict[str, Any]:
    trusted, collapse = trusted_rps(rows), collapse_rps(rows)
    return {
        "command": "selftest",
        "processes": options.processes,
        "rows": [asdict(row) | {"trusted": not doubts(row), "doubts": doubts(row)} for row in rows],
        "trusted_rps": trusted,
        "trusted_rps_per_process": None if trusted is None else trusted / options.processes,
        "collapse_rps": collapse,
        "criteria": CRITERIA,
        "interval_confidence": CONFIDENCE,
        "timer": _timer(rows),
        "machine": _machine(),
        "interrupted": interrupted,
        "seconds": seconds,
        "provenance": provenance(SEED),
    }


def _timer(rows: Sequence[Measurement]) -> dict[str, Any] | None:
    """The bare timer loop over all rates: the median of its quantiles."""
    if not rows:
        return None
    return {
        "method": "clock_nanosleep",
        "wakeups": sum(row.timer.count for row in rows),
        "p50_s": float(np.median([row.timer.p50_s for row in rows])),
        "p99_s": float(np.median([row.timer.p99_s for row in rows])),
    }


def _machine() -> dict[str, Any]:
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "load_average_1min": os.getloadavg()[0],
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
    }
