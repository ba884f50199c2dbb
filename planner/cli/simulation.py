"""Runs replications with a progress bar and a stop watch: what the model layers may not know of."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from planner.arrivals import Recorded
from planner.cli.output import console
from planner.documents import estimate_document, measures_document, provenance, scenario_document, verdict_document
from planner.measures import measure
from planner.model import VerdictWord
from planner.scenario import Scenario
from planner.sim.compiled import is_cached
from planner.sim.engine import ReplicateResult, compile_kernel
from planner.sim.replications import DEFAULT_REPLICATIONS, replicate
from planner.slo import judge


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr that appears only on a terminal; yields what to call when one piece is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda: bar.advance(task)


def prepare_simulator() -> None:
    """Compile the simulator, once per installed version, and say so: it is not part of any measured time."""
    if not is_cached():
        console.print("Compiling the simulator, once for this installed version (about half a minute) …")
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


def simulate(scenario: Scenario, replications: int | None = None) -> dict[str, Any]:
    """The document of `surgeproof simulate`. Ctrl-C ends it early with the replications that are done."""
    prepare_simulator()
    results, engine_seconds, interrupted = _timed(scenario, replications or DEFAULT_REPLICATIONS)
    measures = measure(scenario, results)
    return {
        "command": "simulate",
        "scenario": scenario_document(scenario),
        **measures_document(measures),
        **({} if interrupted else _other_reading_of_stamps(scenario, len(results))),
        "slo": verdict_document(None if scenario.slo is None else judge(scenario.slo, measures)),
        "engine_seconds": engine_seconds,
        "requests_per_second": measures.requests / engine_seconds,
        "interrupted": interrupted,
        "warnings": list(scenario.warnings),
        "provenance": provenance(scenario.seed),
    }


def exit_code(document: dict[str, Any]) -> int:
    """0: the SLO is kept or there is none, 1: broken, 3: undecided, 130: interrupted."""
    if document["interrupted"]:
        return 130
    return 0 if document["slo"] is None else VerdictWord(document["slo"]["verdict"]).exit_code


def _other_reading_of_stamps(scenario: Scenario, replications: int) -> dict[str, Any]:
    """A trace with stamps of whole seconds leaves open where in its second a request came: the other extreme's 503s."""
    arrivals = scenario.arrivals
    if not isinstance(arrivals, Recorded) or arrivals.start_of_second_s is None:
        return {}
    at_start = Recorded(arrivals.start_of_second_s, arrivals.source)
    results = list(replicate(dataclasses.replace(scenario, arrivals=at_start), replications, cores()))
    return {"fraction_503_stamps_at_start_of_second": estimate_document(measure(scenario, results).fraction_503)}


def _timed(scenario: Scenario, count: int) -> tuple[list[ReplicateResult], float, bool]:
    results: list[ReplicateResult] = []
    started = time.perf_counter()
    interrupted = False
    with progress(f"simulating {scenario.name}", count) as advance:
        try:
            for result in replicate(scenario, count, cores()):
                results.append(result)
                advance()
        except KeyboardInterrupt:
            if len(results) < 2:
                raise
            interrupted = True
    return results, time.perf_counter() - started, interrupted
