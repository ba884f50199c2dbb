"""Playing a slice of a recorded trace faster, slower, thinned or multiplied. `planner.trace` reads the files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from planner.arrivals import reflected
from planner.clock import Clock
from planner.draws import LARGEST_BLOCK, Stream, block_generator
from planner.errors import InputError
from planner.model import FloatArray, IntArray
from planner.traces.columns import ObjectArray

MOST_REQUESTS = 10_000_000
"""Of a played trace: all of them are held in memory, in several columns."""

JITTER_S = 1.0
"""A copy that `rate_scale` above 1 adds is at most this far from its original."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Requests in order of time. times_s: seconds from the first request, or from the slice's start once played.

    All columns have length n; a column that the file does not have is None. has_cut_stamps: the file's stamps stand for
    a bin of bin_s seconds that starts there (those cut to whole seconds: 1 s); spread: they have been spread inside it.
    lead_s: how long before its stamp each request came, where the stamps name its end; times_s is less it already.
    counts: requests of each row, which then is a bin; is_derived: its width was found in the stamps. clock: what the
    clock showed at 0, if the file has timestamps. sha256: of the file's bytes. has_late_stamps: the stamps name, or may
    name, the end of requests whose duration the file does not say. service_time_of: what its service times were
    read from, where they may hold waiting too. notes: sentences about the file for its user.
    """

    times_s: FloatArray
    lead_s: FloatArray | None = None
    service_time_s: FloatArray | None = None
    context_tokens: FloatArray | None = None
    generated_tokens: FloatArray | None = None
    payload: ObjectArray | None = None
    counts: IntArray | None = None
    source: str = "trace"
    has_cut_stamps: bool = False
    bin_s: float = 1.0
    is_derived: bool = False
    spread: bool = False
    clock: Clock | None = None
    sha256: str = ""
    has_late_stamps: bool = False
    service_time_of: str = ""
    notes: tuple[str, ...] = ()
    low_s: FloatArray | None = None
    high_s: FloatArray | None = None
    """Between which times a spread request may have come; None where no draw has placed it."""
    draw: IntArray | None = None
    shift_s: FloatArray | None = None
    """Where copies were jittered: which draw places each request, that of its original, and the jitter from there."""

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def end_s(self) -> float:
        """The last request, or the end of the last bin."""
        return float(self.times_s[-1]) + (0.0 if self.counts is None else self.bin_s)

    def rows(self, index: Any) -> Trace:
        """The trace of some rows, in the order of `index`."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        taken: dict[str, Any] = {name: None if c is None else c[index] for name, c in columns.items()}
        return replace(self, **taken)


_COLUMNS = (
    *("times_s", "lead_s", "service_time_s", "context_tokens", "generated_tokens", "payload", "counts"),
    *("low_s", "high_s", "draw", "shift_s"),
)


# Playing


class _Purpose(IntEnum):
    """What the trace's draws are for; each has its own blocks of the stream."""

    SPREAD = 0
    THIN = 1
    COPY = 2
    JITTER = 3


def play(
    trace: Trace,
    *,
    from_s: float = 0.0,
    for_s: float | None = None,
    time_scale: float = 1.0,
    rate_scale: float = 1.0,
    seed: int = 0,
    spread: bool = True,
    even: bool = False,
) -> Trace:
    """The slice [from_s, from_s + for_s) of a trace, from its own zero, at another speed and rate.

    Cut stamps are spread inside their bin first, unless `spread` is false: independently and uniformly, or with `even`
    at regular distances. time_scale 0.5 plays twice as fast. rate_scale below 1 keeps each request with that
    probability; above 1 it adds copies of each row, jittered by up to JITTER_S either way but kept inside the slice
    (of counts: spread inside their bin as the others). Every draw belongs to a row of the whole trace, so that another
    slice of the same trace with the same seed agrees where both overlap.
    """
    end_s = math.inf if for_s is None else from_s + for_s
    place, starts_s = None, trace.times_s
    if trace.counts is not None:
        trace, place = _counted(trace, from_s, end_s, rate_scale, seed)
        starts_s = trace.times_s
        rate_scale = 1.0
    elif spread and trace.has_cut_stamps:
        starts_s = _starts_of_bins(trace)
        place = _uniforms(seed, _Purpose.SPREAD, np.arange(len(trace)))
    if spread and place is not None:
        trace = _spread(trace, starts_s, _regular(starts_s) if even else place)
        trace = trace if even else _between(trace, starts_s)
    row = np.arange(len(trace))
    inside = (trace.times_s >= from_s) & (trace.times_s < end_s)
    played, row = trace.rows(inside), row[inside]
    if len(played) * rate_scale > MOST_REQUESTS:
        raise _too_many(len(played) * rate_scale)
    # A product may round up to the slice's end; no request may lie there.
    last_s = math.inf if for_s is None else np.nextafter(for_s * time_scale, 0.0)
    played = replace(
        played,
        times_s=np.minimum((played.times_s - from_s) * time_scale, last_s),
        low_s=None if played.low_s is None else np.maximum((played.low_s - from_s) * time_scale, 0.0),
        high_s=None if played.high_s is None else np.minimum((played.high_s - from_s) * time_scale, last_s),
    )
    if rate_scale != 1:
        played = _scaled(played, row, rate_scale, seed, None if for_s is None else for_s * time_scale)
    return played.rows(np.argsort(played.times_s, kind="stable"))


def _too_many(requests: float) -> InputError:
    return InputError(f"makes {requests:,.0f} requests, at most {MOST_REQUESTS:,} are supported")


def _counted(trace: Trace, from_s: float, end_s: float, rate_scale: float, seed: int) -> tuple[Trace, FloatArray]:
    """The requests of all bins that a slice touches, at the start of their bin, thinned or multiplied; their places."""
    counts = trace.counts
    assert counts is not None
    bins = np.flatnonzero((trace.times_s + trace.bin_s > from_s) & (trace.times_s < end_s))
    total = int(counts[bins].sum())
    if total * max(rate_scale, 1.0) > MOST_REQUESTS:
        raise _too_many(total * max(rate_scale, 1.0))
    bin_of = np.repeat(bins, counts[bins])
    row = np.repeat((np.cumsum(counts) - counts)[bins], counts[bins])
    row += np.arange(total) - np.repeat(np.cumsum(counts[bins]) - counts[bins], counts[bins])
    index, places = [bin_of], [_uniforms(seed, _Purpose.SPREAD, row)]
    if rate_scale < 1:
        kept = _uniforms(seed, _Purpose.THIN, row) < rate_scale
        index, places = [bin_of[kept]], [places[0][kept]]
    elif rate_scale > 1:
        copies = _copies(row, rate_scale, seed)
        for n in range(int(copies.max(initial=0))):
            index.append(bin_of[copies > n])
            places.append(_uniforms(seed, _Purpose.JITTER + n, row[copies > n]))
    chosen = np.concatenate(index)
    order = np.argsort(chosen, kind="stable")
    return replace(trace.rows(chosen[order]), counts=None), np.concatenate(places)[order]


def _starts_of_bins(trace: Trace) -> FloatArray:
    """Where the bin of each stamp starts; the request itself may have come long before."""
    stamps_s = trace.times_s if trace.lead_s is None else trace.times_s + trace.lead_s
    return np.asarray(np.round(stamps_s / trace.bin_s) * trace.bin_s)


def _spread(trace: Trace, starts_s: FloatArray, place: FloatArray) -> Trace:
    """Each stamp at its place, from 0 to 1, inside its bin, and each request as long before it as it came."""
    next_bin = np.nextafter(starts_s + trace.bin_s, -math.inf)  # a sum may round up to it
    times_s = np.minimum(starts_s + trace.bin_s * place, next_bin)
    return replace(trace, times_s=times_s if trace.lead_s is None else times_s - trace.lead_s, spread=True)


def _between(trace: Trace, starts_s: FloatArray) -> Trace:
    """With the bounds of each request's bin, as long before it as the request came."""
    low_s = starts_s if trace.lead_s is None else starts_s - trace.lead_s
    return replace(trace, low_s=low_s, high_s=low_s + trace.bin_s)


def _regular(starts_s: FloatArray) -> FloatArray:
    """Places at regular distances for the requests of each bin, in their order: (i + 1/2) / n."""
    order = np.argsort(starts_s, kind="stable")
    inorder = starts_s[order]
    first = np.searchsorted(inorder, inorder, side="left")
    n = np.searchsorted(inorder, inorder, side="right") - first
    place = np.empty(len(starts_s))
    place[order] = (np.arange(len(starts_s)) - first + 0.5) / n
    return place


def _scaled(played: Trace, row: IntArray, rate_scale: float, seed: int, length_s: float | None) -> Trace:
    """Thinned or multiplied by rate_scale; `row` says which of the trace's rows each request is."""
    if rate_scale < 1:
        return played.rows(_uniforms(seed, _Purpose.THIN, row) < rate_scale)
    copies = _copies(row, rate_scale, seed)
    if not copies.any():
        return played
    end_s = float(played.times_s[-1]) if length_s is None else length_s
    index, times, shift = [np.arange(len(row))], [played.times_s], [np.zeros(len(row))]
    for n in range(int(copies.max())):
        chosen = np.flatnonzero(copies > n)
        jitter = JITTER_S * (2 * _uniforms(seed, _Purpose.JITTER + n, row[chosen]) - 1)
        index.append(chosen)
        times.append(reflected(played.times_s[chosen] + jitter, end_s))
        shift.append(jitter)
    order = np.concatenate(index)
    scaled = replace(played.rows(order), times_s=np.concatenate(times))
    return scaled if scaled.low_s is None else replace(scaled, draw=order, shift_s=np.concatenate(shift))


def _copies(row: IntArray, rate_scale: float, seed: int) -> IntArray:
    """How many copies each row gets beside itself."""
    whole = math.floor(rate_scale)
    return np.asarray(whole - 1 + (_uniforms(seed, _Purpose.COPY, row) < rate_scale - whole), dtype=np.int64)


def _uniforms(seed: int, purpose: int, row: IntArray) -> FloatArray:
    """A uniform on [0, 1) for each of some rows of the trace: the same one whatever the slice."""
    if len(row) == 0:
        return np.empty(0)
    first, last = int(row.min()) // LARGEST_BLOCK, int(row.max()) // LARGEST_BLOCK
    blocks = [
        block_generator(seed, 0, Stream.TRACE, (purpose << 32) + block).random(LARGEST_BLOCK)
        for block in range(first, last + 1)
    ]
    return np.asarray(np.concatenate(blocks)[row - first * LARGEST_BLOCK])
