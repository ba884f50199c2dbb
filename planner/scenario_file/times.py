"""Service times and cold starts of a scenario file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.scenario_file import schema
from planner.scenario_file.problems import Problems
from planner.service import Deterministic, Distribution, Empirical, Exponential, FromTrace, Gamma, Lognormal
from planner.traces.playing import Trace
from planner.traces.trace_file import read_column
from planner.units import LONGEST_S


def distribution(key: str, form: Any, problems: Problems, folder: Path) -> Distribution | None:
    """The distribution at a top-level key; None where its form or its file is bad."""
    if problems.is_bad(key):
        return None
    try:
        return _made(key, form, problems, folder)
    except InputError as error:
        problems.about((key,), str(error))
        return None


def _made(key: str, form: Any, problems: Problems, folder: Path) -> Distribution | None:
    mean_s: float = getattr(form, "mean", 0.0)  # a plain value by now
    match form:
        case float():
            return Deterministic(form)
        case schema.DeterministicTime():
            return Deterministic(mean_s)
        case schema.ExponentialTime():
            return Exponential(mean_s)
        case schema.LognormalTime():
            return Lognormal(mean_s, form.cv)
        case schema.GammaTime():
            return Gamma(mean_s, form.cv)
        case _:
            return _empirical(key, form, problems, folder)


def _empirical(key: str, form: schema.EmpiricalTime, problems: Problems, folder: Path) -> Empirical | None:
    if (form.values is None) == (form.file is None):
        problems.about((key,), "empirical needs either values or file")
        return None
    if form.values is not None:
        if form.column is not None:
            problems.add((key, "column"), "only used with file")
        return Empirical(np.array(form.values))
    try:
        return Empirical(read_column(folder / str(form.file), form.column))
    except InputError as error:
        problems.of_file((key, "file"), error)
        return None


def is_from_trace(form: Any) -> bool:
    return form == "trace" or isinstance(form, schema.TokensTime)


def from_trace(form: Any, trace: Trace, problems: Problems) -> FromTrace | None:
    """Each request's service time, from its own column or from its tokens."""
    if form == "trace":
        measured = _column(trace, "service_time_s", problems)
        times_s = None if measured is None else _filled(measured, trace.source, problems)
        return None if times_s is None else FromTrace(times_s, "trace")
    context = _column(trace, "context_tokens", problems)
    generated = _column(trace, "generated_tokens", problems)
    if context is None or generated is None:
        return None
    model = form.tokens
    with np.errstate(over="ignore"):
        times_s = model.base + model.per_context * context + model.per_generated * generated
    if times_s.max() > LONGEST_S:
        problems.about(("service_time",), f"gives a request {times_s.max():g} s, must be at most {LONGEST_S:g} s")
        return None
    return FromTrace(times_s, "tokens")


def _filled(measured_s: FloatArray, source: str, problems: Problems) -> FloatArray | None:
    """Service times in order of arrival; a request that states none has that of the last one before it that does.

    Such requests were rejected, or never reached a server. None where they are the most.
    """
    stated = np.flatnonzero(~np.isnan(measured_s))
    if len(stated) == len(measured_s):
        return measured_s
    if len(stated) < len(measured_s) / 2:
        said = f"only {len(stated):,} of the {len(measured_s):,} requests played from {source} state one"
        problems.about(("service_time",), f"{said}; give a distribution")
        return None
    before = np.searchsorted(stated, np.arange(len(measured_s)), side="right") - 1
    return np.asarray(measured_s[stated[np.maximum(before, 0)]])


def _column(trace: Trace, name: str, problems: Problems) -> Any:
    column = getattr(trace, name)
    if column is None:
        problems.add(("service_time",), f"needs the column {name}, which {trace.source} does not have")
    return column
