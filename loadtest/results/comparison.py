"""Two runs side by side: what was set, what was observed, and whether the difference is more than chance.

Up to four statistics share the error rate. Two are the differences of the fractions of 503s and, where any run has
some, of 504s. The others are the mean distance of the ready replicas and the difference of the mean service times,
where both runs know them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from loadtest.replay.statistics import quantile
from loadtest.results.chance import (
    REPLICATES,
    Simulated,
    differences,
    interval,
    ready_distances,
    simulate_run,
    with_endpoint_of,
)
from loadtest.results.metrics import LEVELS, Source
from loadtest.results.pair_verdict import Difference, Evidence, conclude
from loadtest.results.run_of_pair import Run, behave_alike, plan_the_same, read_run, settings_that_differ
from loadtest.validate.comparison import (
    ERROR_RATE,
    READY_RESOLUTION_S,
    RESOLUTION_503S,
    SERVICE_TIME_RESOLUTION,
)
from planner.errors import InputError
from planner.model import FloatArray
from planner.sim.engine import BIN_S
from planner.sim.replications import SERIAL, Executor

NO_GENERATOR = "the model has no generator, so it cannot say what chance makes of late sends"
NOT_SIMULATED = "the runs were not simulated, see the reasons"


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Both runs, and the three simulations: each with A's endpoint, and B with its own."""

    a: Run
    b: Run
    alike: bool
    a_as_is: Simulated
    b_with_a: Simulated
    b_as_is: Simulated


def compare_runs(
    path_a: Path,
    path_b: Path,
    *,
    replicates: int = REPLICATES,
    executor: Executor = SERIAL,
    on_done: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """The document of `surgeproof compare`. InputError for folders that are none, or one and the same."""
    if path_a.resolve() == path_b.resolve():
        raise InputError(f"{path_b}: RUN_A and RUN_B are the same folder")
    a, b = read_run(path_a, "run A"), read_run(path_b, "run B")
    blocked = [*a.not_simulable, *b.not_simulable]
    empty = [run for run in (a, b) if run.seen.requests == 0]
    pair = None if blocked or empty else _simulate(a, b, replicates, executor, on_done)
    evidence = _evidence(a, b, pair)
    verdict, reasons = conclude(evidence, blocked, [run.name for run in empty], [*a.doubts, *b.doubts])
    return {
        "command": "compare",
        "a": a.document(),
        "b": b.document(),
        "same_requests": evidence.same_requests,
        "settings": settings_that_differ(a.scenario, b.scenario),
        "fraction_503": evidence.fraction_503.document() | {"model_holds": evidence.model_holds},
        "fraction_504": evidence.fraction_504.document(),
        "fraction_failed": evidence.fraction_failed.document(),
        "service_time_mean_s": None if evidence.service_time is None else evidence.service_time.document(),
        "ready_replicas": _ready_document(a, b, evidence.ready),
        "latency": _latency_document(a, b, pair, evidence.error_rate),
        "confidence": 1 - evidence.error_rate,
        "replications": None if pair is None else replicates,
        "verdict": verdict,
        "reasons": reasons,
    }


def simulations(path_a: Path, path_b: Path) -> int:
    """How many runs are simulated, for a progress bar."""
    alike = behave_alike(read_run(path_a, "run A").scenario, read_run(path_b, "run B").scenario)
    return REPLICATES * (2 if alike else 3)


def is_comparable(document: dict[str, Any]) -> bool:
    """Whether there was anything to compare: both runs have answers."""
    return document["fraction_503"]["difference"] is not None


def _simulate(a: Run, b: Run, replicates: int, executor: Executor, on_done: Callable[[], object]) -> _Pair:
    def run(scenario: Any, seen: Any) -> Simulated:
        return simulate_run(scenario, seen, replicates=replicates, executor=executor, on_done=on_done)

    alike = behave_alike(a.scenario, b.scenario)
    b_with_a = run(with_endpoint_of(b.scenario, a.scenario), b.seen)
    return _Pair(
        a=a,
        b=b,
        alike=alike,
        a_as_is=run(a.scenario, a.seen),
        b_with_a=b_with_a,
        b_as_is=b_with_a if alike else run(b.scenario, b.seen),
    )


def _evidence(a: Run, b: Run, pair: _Pair | None) -> Evidence:
    has_ready = a.seen.bin_ready is not None and b.seen.bin_ready is not None
    times = [run.seen.service_time_s[np.isfinite(run.seen.service_time_s)] for run in (a, b)]
    has_times = min(len(t) for t in times) > 1
    has_504 = _has_504(a, b, pair)
    rate = ERROR_RATE / (1 + has_504 + has_ready + has_times)
    evidence = Evidence(
        fraction_503=_fraction("fraction_503", a, b, pair, rate),
        fraction_504=_fraction("fraction_504", a, b, pair, rate),
        fraction_failed=_fraction("fraction_failed", a, b, pair, rate),
        has_504=has_504,
        error_rate=rate,
        same_requests=plan_the_same(a.schedule, b.schedule),
    )
    if pair is None:
        return evidence
    return replace(
        evidence,
        alike=pair.alike,
        simulated=len(pair.a_as_is.fraction_503),
        model_holds={"a": _holds(a, pair.a_as_is), "b": _holds(b, pair.b_as_is)},
        ready=_ready(pair, rate) if has_ready else None,
        service_time=_service_time(times[0], times[1], rate) if has_times else None,
    )


def _has_504(a: Run, b: Run, pair: _Pair | None) -> bool:
    """Whether a run, or one simulated for it, saw a 504."""
    simulated = () if pair is None else (pair.a_as_is, pair.b_with_a, pair.b_as_is)
    return any(run.seen.failures.n_504 for run in (a, b)) or any(np.nansum(s.fraction_504) > 0 for s in simulated)


def _fraction(name: str, a: Run, b: Run, pair: _Pair | None, rate: float) -> Difference:
    """The difference of one fraction, by the name that runs and simulations have for it, and where it lies by chance
    and as predicted."""
    of_a, of_b = (getattr(run.seen, name) if run.seen.requests else None for run in (a, b))
    found = Difference(name=name, a=of_a, b=of_b)
    if pair is None:
        return found
    margin = RESOLUTION_503S * (1 / a.seen.requests + 1 / b.seen.requests)
    as_is = getattr(pair.a_as_is, name)
    chance = differences(as_is, getattr(pair.b_with_a, name))
    predicted = differences(as_is, getattr(pair.b_as_is, name))
    return found.within(interval(chance, rate, margin), interval(predicted, rate, margin), float(np.median(predicted)))


def _holds(run: Run, own: Simulated) -> dict[str, Any]:
    """Whether the run lies among the simulated runs of its own scenario, one request more or less."""
    margin = RESOLUTION_503S / run.seen.requests

    def lies(fractions: FloatArray, seen: float) -> bool:
        return bool(np.nanmin(fractions) - margin <= seen <= np.nanmax(fractions) + margin)

    return {
        "low": float(np.nanmin(own.fraction_503)),
        "high": float(np.nanmax(own.fraction_503)),
        "low_504": float(np.nanmin(own.fraction_504)),
        "high_504": float(np.nanmax(own.fraction_504)),
        "holds_503": lies(own.fraction_503, run.seen.fraction_503),
        "holds": lies(own.fraction_503, run.seen.fraction_503) and lies(own.fraction_504, run.seen.fraction_504),
    }


def _common_bins(a: Run, b: Run) -> slice:
    """The seconds that both runs have, after both warm-ups."""
    assert a.seen.bin_ready is not None
    assert b.seen.bin_ready is not None
    end = min(len(a.seen.bin_ready), len(b.seen.bin_ready))
    return slice(min(max(a.seen.first_bin, b.seen.first_bin), end - 1), end)


def _ready(pair: _Pair, rate: float) -> Difference:
    """The mean distance between the ready replicas of both runs over time."""
    bins = _common_bins(pair.a, pair.b)
    assert pair.a.seen.bin_ready is not None
    assert pair.b.seen.bin_ready is not None
    a, b = pair.a.seen.bin_ready[bins], pair.b.seen.bin_ready[bins]
    changes = float(np.abs(np.diff(a)).sum() + np.abs(np.diff(b)).sum())
    margin = READY_RESOLUTION_S * changes / (len(a) * BIN_S)
    distances = ready_distances(pair.a_as_is, pair.b_with_a, bins)
    return Difference(
        name="ready_replicas",
        a=float(a.mean()),
        b=float(b.mean()),
        distance=float(np.abs(a - b).mean()),
        chance=(0.0, float(np.quantile(distances, 1 - rate)) + margin),
    )


def _service_time(a: FloatArray, b: FloatArray, rate: float) -> Difference:
    """The means of the service times that the runs know; the interval is Welch's, by the normal distribution."""
    spread = float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    reach = float(ndtri(1 - rate / 2)) * spread + SERVICE_TIME_RESOLUTION * float(max(a.mean(), b.mean()))
    return Difference(name="service_time_mean_s", a=float(a.mean()), b=float(b.mean()), chance=(-reach, reach))


def _ready_document(a: Run, b: Run, ready: Difference | None) -> dict[str, Any] | None:
    if a.seen.bin_ready is None or b.seen.bin_ready is None:
        return None
    bins = _common_bins(a, b)
    one, other = a.seen.bin_ready[bins], b.seen.bin_ready[bins]
    return {
        "mean_a": float(one.mean()),
        "mean_b": float(other.mean()),
        "largest_difference": float(np.abs(other - one).max()),
        "mean_distance": float(np.abs(other - one).mean()),
        "chance_high": None if ready is None or ready.chance is None else ready.chance[1],
        "over_time": {"bin_s": BIN_S, "a": a.seen.bin_ready.tolist(), "b": b.seen.bin_ready.tolist()},
    }


def _latency_document(a: Run, b: Run, pair: _Pair | None, rate: float) -> dict[str, Any]:
    """Both latencies of the 200 answers; chance is simulated for the one from the send, and of the model's own part."""
    sources = (Source.FROM_SEND, Source.FROM_SCHEDULE)
    document: dict[str, Any] = {}
    for source in sources:
        why = NOT_SIMULATED if pair is None else NO_GENERATOR if source is Source.FROM_SCHEDULE else None
        latencies = [run.measured.latencies(source) for run in (a, b)]
        rows = {}
        for column, (word, level) in enumerate(LEVELS.items()):
            row = Difference(name=word, a=quantile(latencies[0], level), b=quantile(latencies[1], level))
            if pair is not None and why is None:
                drawn = differences(pair.a_as_is.latency_s[:, column], pair.b_with_a.latency_s[:, column])
                row = row.within(interval(drawn, rate))
            rows[word] = row.document(predicted=False)
        document[f"{source}_s"] = rows | {"why_no_chance": why}
    return document
