"""Reading a file of recorded traffic into the trace that is played."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from planner.clock import Clock
from planner.errors import InputError
from planner.model import FloatArray
from planner.reading import ending, reading
from planner.traces.choosing import Wanted, choose
from planner.traces.columns import seconds_taken
from planner.traces.formats import BY_NAME, TABLES, recognise
from planner.traces.formats.format import Format, ReadOptions, sample_of
from planner.traces.playing import Trace
from planner.traces.rate_trace import RateTrace, rate_trace
from planner.traces.records import Counts, Rates, Recorded, Requests, Skipped, Stamps
from planner.traces.tables.names import shown
from planner.traces.tables.opening import table_of
from planner.traces.tables.time_forms import DateOrder
from planner.traces.unknown import LOG_ENDINGS, refuse_unknown

_BY_HEADER = ("counts", "rates", "csv")
"""Names of the formats that read any table by its header."""


def read_recorded(
    path: Path, *, form: str | None = None, bin_s: float | None = None, dates: DateOrder | None = None
) -> Recorded:
    """What a file holds. form: the name of its format, where the content does not show it."""
    if form in _BY_HEADER:
        _refuse_other_table(path, form)
    known = BY_NAME[form] if form is not None else recognise(path) or _by_ending(path)
    held = known.read(path, ReadOptions(bin_s=bin_s, dates=dates))
    _refuse_other_content(path, form, held)
    if bin_s is not None and isinstance(held, Requests):
        raise InputError(f"{path}: `bin` is the width of counts, and this file holds single requests")
    return held


def read_trace(
    path: Path,
    *,
    form: str | None = None,
    bin_s: float | None = None,
    dates: DateOrder | None = None,
    wanted: Wanted | None = None,
    stamps: Stamps | None = None,
) -> Trace | RateTrace:
    """A trace file, sorted by time, its first request (or bin, or step of a rate) at 0.

    form: the name of its format, where the content does not show it. bin_s: of counts, where the stamps do not show it.
    dates: the order of day and month, where no row shows it. wanted: which requests. stamps: what they name, where the
    format does not tell or the user knows better.
    """
    held = read_recorded(path, form=form, bin_s=bin_s, dates=dates)
    trace: Trace | RateTrace
    if isinstance(held, Requests):
        chosen, notes = choose(str(path), held, wanted or Wanted())
        trace = _of_requests(chosen, stamps or held.stamps, notes)
    elif isinstance(held, Counts):
        _refuse_for_bins(path, wanted, stamps, "counts", "bin")
        trace = _of_counts(held)
    else:
        assert isinstance(held, Rates)
        _refuse_for_bins(path, wanted, stamps, "rates over time", "step")
        trace = rate_trace(held)
    with reading(path, str(path)), path.open("rb") as file:
        return replace(trace, source=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def _by_ending(path: Path) -> Format:
    """What messages hold a file against that no format recognises."""
    refuse_unknown(path, sample_of(path))
    return BY_NAME["common_log" if ending(path) in LOG_ENDINGS else "csv"]


def _refuse_other_table(path: Path, form: str | None) -> None:
    """A table of a tool has columns that look like counts or stamps of requests and are not."""
    found = recognise(path)
    if found in TABLES and found.name not in _BY_HEADER and form != found.name:
        raise InputError(f"{path}: is {found.title}, and `format` says {form}: leave it out, or say {found.name}")


def _refuse_other_content(path: Path, form: str | None, held: Recorded) -> None:
    """What `format` says of a table's rows must be what they are. Whole requests per minute are rates and counts."""
    if form == "counts" and not isinstance(held, Counts):
        word = "rates over time" if isinstance(held, Rates) else "single requests"
        raise InputError(f"{path}: holds {word}, and `format` says counts: leave it out")
    if form == "rates" and not isinstance(held, Rates) and recognise(path) is not BY_NAME["rates"]:
        word = "counts per bin" if isinstance(held, Counts) else "single requests"
        raise InputError(f"{path}: holds {word}, and `format` says rates: leave it out")


def _refuse_for_bins(path: Path, wanted: Wanted | None, stamps: Stamps | None, held: str, row: str) -> None:
    """What describes single requests means nothing for a file of counts or rates."""
    if wanted is not None and wanted != Wanted():
        raise InputError(f"{path}: holds {held}, so `path`, `method` and `status` can choose none of its requests")
    if stamps is Stamps.END:
        raise InputError(f"{path}: holds {held}, whose stamps are the start of their {row} (`stamps: start`)")


def _of_requests(requests: Requests, stamps: Stamps | None, notes: tuple[str, ...]) -> Trace:
    lead_s = None if stamps is Stamps.START or requests.duration_s is None else np.nan_to_num(requests.duration_s)
    came_s = requests.stamp_s if lead_s is None else requests.stamp_s - lead_s
    first_s = float(came_s.min())
    is_cut = requests.resolution_s > 0
    if is_cut and lead_s is not None:  # the stamps have to stay on whole seconds
        first_s = math.floor(first_s / requests.resolution_s) * requests.resolution_s
    # Timestamps are exact to 100 ns; what lies below is the rounding of a float.
    times_s = came_s - first_s if requests.utc_offset_s is None else np.round(came_s - first_s, 7)
    return Trace(
        times_s=times_s,
        lead_s=lead_s,
        service_time_s=requests.duration_s if requests.service_time_s is None else requests.service_time_s,
        context_tokens=requests.context_tokens,
        generated_tokens=requests.generated_tokens,
        payload=requests.payload,
        has_cut_stamps=is_cut,
        bin_s=requests.resolution_s if is_cut else 1.0,
        clock=None if requests.utc_offset_s is None else Clock(first_s, requests.utc_offset_s),
        has_late_stamps=stamps is not Stamps.START and lead_s is None,
        service_time_of=requests.service_time_of,
        notes=(*_about_lines(requests.skipped), *notes, *requests.notes, *_about_durations(requests, lead_s)),
    ).rows(np.argsort(times_s, kind="stable"))


def _about_lines(skipped: Skipped | None) -> tuple[str, ...]:
    if skipped is None:
        return ()
    many = f"{skipped.lines:,} of {skipped.of_lines:,} lines hold no request and are left out"
    return (f"{many}, the first is line {skipped.first_line} ({skipped.first_text})",)


def _about_durations(requests: Requests, lead_s: FloatArray | None) -> tuple[str, ...]:
    if lead_s is None or requests.duration_s is None:
        return ()
    silent = int(np.isnan(requests.duration_s).sum())
    only = f"; without a duration are {silent:,} of {len(requests):,}, played at their stamps" if silent else ""
    how = f"the stamps name the end of a request, each is played at its stamp less its duration{only}"
    return (f"{how} (`stamps: start` if they name its start)",)


def _of_counts(counts: Counts) -> Trace:
    return Trace(
        times_s=counts.start_s,
        counts=counts.requests,
        has_cut_stamps=True,
        bin_s=counts.bin_s,
        is_derived=counts.is_derived,
        clock=None if counts.utc_offset_s is None else Clock(counts.first_s, counts.utc_offset_s),
        notes=counts.notes,
    )


def read_column(path: Path, name: str | None = None) -> FloatArray:
    """One column of times in seconds, in file order: the named one, or the only one the file has."""
    table = table_of(path)
    if name is None and len(table.header) != 1:
        raise InputError(f"{path}: say which `column` to read: {shown(table.header)}")
    chosen = name or table.header[0]
    if chosen not in table.header:
        raise InputError(f"{path}: column {chosen} is missing (the header has {shown(table.header)})")
    return table.read([chosen]).numbers(chosen, seconds_taken)
