"""Runs replications with a progress bar and a stop watch: what the model layers may not know of."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.cli.counterfactuals import INTERRUPTIONS, counterfactuals
from planner.cli.output import console
from planner.cli.progress import progress
from planner.documents import measures_document, provenance, scenario_document, verdict_document
from planner.errors import StoppedByLimit, WorkersLostError
from planner.executors import executor_for
from planner.measures import Counts, measure
from planner.model import Estimate, VerdictWord
from planner.percent import percent
from planner.precision import default_most, is_precise, looks, relative_half_width
from planner.sameness import sameness
from planner.scenario import Scenario
from planner.scenario_file.what_if import WhatIf
from planner.sim.compiled import is_cached
from planner.sim.engine import ReplicateResult, compile_kernel
from planner.sim.replications import DEFAULT_REPLICATIONS, Executor, replicate
from planner.slo import judge


def prepare_simulator() -> None:
    """Compile the simulator, once per installed version, and say so: it is not part of any measured time."""
    if not is_cached():
        console.print("Compiling the simulator, once for this installed version (about 15 seconds) …")
    _compile()


def _compile() -> None:
    """compile_kernel(), ended by Ctrl-C wherever it falls: one in a callback of LLVM is dropped, or breaks numba."""
    dropped: list[object] = []
    before = sys.unraisablehook

    def note(unraisable: sys.UnraisableHookArgs) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            dropped.append(unraisable.exc_type)
        else:
            before(unraisable)

    sys.unraisablehook = note
    try:
        compile_kernel()
    except Exception:
        if not dropped:
            raise
    finally:
        sys.unraisablehook = before
    if dropped:
        raise KeyboardInterrupt


def simulate(
    scenario: Scenario,
    replications: int | None = None,
    *,
    precision: float | None = None,
    assumptions: bool = False,
    what_ifs: Sequence[WhatIf] = (),
    scheduler: str | None = None,
    cores: int | None = None,
) -> dict[str, Any]:
    """The document of `surgeproof simulate`. Ctrl-C or the loss of all workers ends it early with what is done.

    With a precision replications are added until it is reached, `replications` (or a default) at most.
    """
    with executor_for(scheduler, cores) as executor:
        prepare_simulator()
        run = _simulated(scenario, replications, precision, executor)
        counts, ended_by = Counts.of(run.results), run.ended_by
        measures = measure(scenario, run.results)
        beside: dict[str, Any] = {}
        if ended_by is None:
            beside, ended_by = counterfactuals(
                scenario,
                counts,
                executor,
                replications=(replications or DEFAULT_REPLICATIONS) if counts.exact else len(counts),
                assumptions=assumptions,
                what_ifs=what_ifs,
            )
    return {
        "command": "simulate",
        "scenario": scenario_document(scenario),
        **measures_document(measures),
        "same_in_every_run": sameness(scenario) if counts.exact else None,
        **({} if precision is None else {"precision": _precision_document(run, precision, counts, replications)}),
        **beside,
        "slo": verdict_document(None if scenario.slo is None else judge(scenario.slo, measures)),
        "engine_seconds": run.engine_seconds,
        "requests_per_second": measures.requests / run.engine_seconds,
        "interrupted": ended_by is not None,
        "workers_lost": str(ended_by) if isinstance(ended_by, WorkersLostError) else None,
        "warnings": list(scenario.warnings),
        "provenance": provenance(scenario.seed),
    }


def exit_code(document: dict[str, Any]) -> int:
    """0: the SLO is kept or there is none, 1: broken, 3: undecided, 4: the user's limit, 130: interrupted."""
    if document["workers_lost"]:
        return WorkersLostError.exit_code
    if document["interrupted"]:
        return 130
    if document.get("precision", {}).get("stopped_by") == "replications":
        return StoppedByLimit.exit_code
    return 0 if document["slo"] is None else VerdictWord(document["slo"]["verdict"]).exit_code


@dataclass(frozen=True, kw_only=True)
class _Run:
    results: list[ReplicateResult]
    engine_seconds: float
    ended_by: BaseException | None


def _simulated(scenario: Scenario, replications: int | None, precision: float | None, executor: Executor) -> _Run:
    """All replications, or with a precision those that it needs; when interrupted those that are done."""
    label = f"simulating {scenario.name}"
    results: list[ReplicateResult] = []
    ended_by: BaseException | None = None

    def is_enough() -> bool:
        if precision is None:
            return False
        estimate = Counts.of(results).fraction_503
        advance(f"{label}, {_so_far(estimate)}, wanted ±{percent(precision)}", steps=0)
        return is_precise(estimate, precision)

    total = None if precision is not None else replications or DEFAULT_REPLICATIONS
    ends = looks(replications or default_most(scenario.arrivals.expected_count)) if total is None else iter([total])
    started = time.perf_counter()
    with progress(label, total) as advance:
        try:
            for result in _staged(scenario, ends, executor, is_enough):
                results.append(_without_bins(result))
                advance()
        except INTERRUPTIONS as interruption:
            if len(results) < 2:
                raise
            ended_by = interruption
    return _Run(results=results, engine_seconds=time.perf_counter() - started, ended_by=ended_by)


def _staged(
    scenario: Scenario, ends: Iterator[int], executor: Executor, is_enough: Callable[[], bool]
) -> Iterator[ReplicateResult]:
    """Replicates 0, 1, 2, … up to one of the ends at which there are enough, or the last end."""
    done = 0
    for end in ends:
        yield from replicate(scenario, end - done, executor, first=done)
        done = end
        if is_enough():
            return


def _without_bins(result: ReplicateResult) -> ReplicateResult:
    """Counts over time, which no estimate needs, would take megabytes for each run of a day."""
    counts, times = np.empty(0, dtype=np.int64), np.empty(0)
    return dataclasses.replace(result, bin_requests=counts, bin_503=counts, bin_ready=times, bin_desired=times)


def _so_far(estimate: Estimate) -> str:
    half_width = relative_half_width(estimate)
    return "too few 503s yet" if half_width is None else f"±{percent(half_width)}"


def _precision_document(run: _Run, target: float, counts: Counts, replications: int | None) -> dict[str, Any]:
    half_width = relative_half_width(counts.fraction_503)
    if half_width is not None and half_width <= target:
        stopped_by = "precision"
    elif run.ended_by is not None:
        stopped_by = "interrupt"
    else:
        stopped_by = "default_limit" if replications is None else "replications"
    return {"target": target, "half_width": half_width, "stopped_by": stopped_by}
