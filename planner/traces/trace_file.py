"""Reading a file of recorded traffic into the trace that is played."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.clock import Clock
from planner.errors import InputError
from planner.model import FloatArray
from planner.reading import ending, reading
from planner.traces.columns import read_columns, seconds_taken
from planner.traces.formats import BY_NAME, recognise
from planner.traces.formats.format import Format, ReadOptions
from planner.traces.playing import Trace
from planner.traces.records import Counts, Rates, Recorded, Requests

_LOG_ENDINGS = (".log", ".clf", ".txt")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which requests of a file are taken. path: exactly this one, its query left out."""

    path: str | None = None


def read_recorded(path: Path, *, form: str | None = None, bin_s: float | None = None) -> Recorded:
    """What a file holds. form: the name of its format, where the content does not show it."""
    known = BY_NAME[form] if form is not None else recognise(path) or _by_ending(path)
    held = known.read(path, ReadOptions(bin_s=bin_s))
    if bin_s is not None and isinstance(held, Requests):
        raise InputError(f"{path}: `bin` is the width of counts, and this file holds single requests")
    return held


def read_trace(
    path: Path, *, form: str | None = None, bin_s: float | None = None, wanted: Wanted | None = None
) -> Trace:
    """A trace file, sorted by time, its first request (or bin) at 0.

    form: the name of its format, where the content does not show it. bin_s: of counts, where the stamps do not show it.
    """
    held = read_recorded(path, form=form, bin_s=bin_s)
    if isinstance(held, Requests):
        trace = _of_requests(_chosen(path, held, wanted or Wanted()))
    elif isinstance(held, Counts):
        _has_no_path(path, wanted)
        trace = _of_counts(held)
    else:
        assert isinstance(held, Rates)
        raise InputError(f"{path}: holds rates over time, which no trace can play")
    with reading(path, str(path)), path.open("rb") as file:
        return replace(trace, source=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _by_ending(path: Path) -> Format:
    """What messages hold a file against that no format recognises."""
    return BY_NAME["common_log" if ending(path) in _LOG_ENDINGS else "csv"]


def _chosen(path: Path, requests: Requests, wanted: Wanted) -> Requests:
    if wanted.path is None:
        return requests
    if requests.path is None:
        _has_no_path(path, wanted)
    assert requests.path is not None
    names = requests.path.names
    if wanted.path not in names:
        others = ", ".join(_short(name) for name in names[:3])
        raise InputError(f"{path}: no request for the path {wanted.path} in {len(requests)} lines (there are {others})")
    return requests.rows(requests.path.codes == names.index(wanted.path))


def _has_no_path(path: Path, wanted: Wanted | None) -> None:
    if wanted is not None and wanted.path is not None:
        raise InputError(f"{path}: does not say the `path` of its requests, so none can be chosen by it")


def _short(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text[:200])
    return text if len(text) <= 60 else text[:57] + "..."


def _of_requests(requests: Requests) -> Trace:
    first_s = float(requests.stamp_s.min())
    has_clock = requests.utc_offset_s is not None
    # Timestamps are exact to 100 ns; what lies below is the rounding of a float.
    times_s = np.round(requests.stamp_s - first_s, 7) if has_clock else requests.stamp_s - first_s
    is_cut = requests.resolution_s > 0
    return Trace(
        times_s=times_s,
        service_time_s=requests.service_time_s,
        context_tokens=requests.context_tokens,
        generated_tokens=requests.generated_tokens,
        payload=requests.payload,
        has_cut_stamps=is_cut,
        bin_s=requests.resolution_s if is_cut else 1.0,
        clock=None if requests.utc_offset_s is None else Clock(first_s, requests.utc_offset_s),
    ).rows(np.argsort(times_s, kind="stable"))


def _of_counts(counts: Counts) -> Trace:
    return Trace(
        times_s=counts.start_s,
        counts=counts.requests,
        has_cut_stamps=True,
        bin_s=counts.bin_s,
        is_derived=counts.is_derived,
        clock=None if counts.utc_offset_s is None else Clock(counts.first_s, counts.utc_offset_s),
    )


def url_path(value: object) -> str:
    """A path to look for, as a person writes it. Raises ValueError with the bound."""
    if not isinstance(value, str) or not re.fullmatch(r"/[^\s?]*", value):
        raise ValueError("must be a path without a query, for example /score")
    return value


def read_column(path: Path, name: str | None = None) -> FloatArray:
    """One column of times in seconds, in file order: the named one, or the only one the file has."""
    columns = read_columns(path, [(name,)] if name else None)
    if name is None and len(columns.found) != 1:
        raise InputError(f"{path}: say which `column` to read: {', '.join(columns.found)}")
    chosen = name or columns.found[0]
    if chosen not in columns:
        raise InputError(f"{path}: column {chosen} is missing (the header has {', '.join(columns.found)})")
    return columns.floats(chosen, seconds_taken)
