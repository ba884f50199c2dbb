"""Latencies per second, outcome and status as HDR histograms: a standard interval log, and a small table for JSON.

The log (`latencies.hlog`) is in the format of HdrHistogram's log processors, V2 compressed, in microseconds with three
significant digits. One line per second of the schedule and tag; a tag is outcome/status/latency, as in
`ok/200/from_send`, and every request that was sent and has an end is in two lines, one for each latency.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hdrh.codec import HdrCookieException, HdrLengthException
from hdrh.histogram import HdrHistogram

from loadtest.replay.books import label
from loadtest.replay.merge import Observed
from planner.errors import InputError
from planner.model import FloatArray, IntArray, Outcome
from planner.writing import write_whole

SIGNIFICANT_DIGITS = 3
HIGHEST_US = 3_600_000_000
"""An hour; the histograms of a run with a longer latency reach as far as it."""

FROM_SEND, FROM_SCHEDULE = "from_send", "from_schedule"

_LEGEND = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
_LINE = re.compile(r"Tag=([^,\s]+),(\d+\.?\d*),(\d+\.?\d*),(\d+\.?\d*),([A-Za-z0-9+/=]+)")
_UNREADABLE = (ValueError, binascii.Error, zlib.error, HdrCookieException, HdrLengthException, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Merged histograms: microseconds (the middles of the buckets, ascending) and how many each holds."""

    value_us: FloatArray
    count: IntArray

    @property
    def n(self) -> int:
        return int(self.count.sum())

    def quantile(self, q: float) -> float | None:
        """Seconds; the smallest value that at least q n do not exceed, to within 0.1 %. None where n = 0."""
        if not self.n:
            return None
        at = np.searchsorted(np.cumsum(self.count), max(q * self.n, 1))
        return float(self.value_us[min(int(at), len(self.value_us) - 1)]) / 1e6


def write_latencies(path: Path, run: Observed, started_at: datetime | None) -> None:
    """Write the interval log of a run, whole or not at all. started_at: time 0 of the run, None if unknown."""
    lines = [*_head(started_at), *_interval_lines(run)]
    write_whole(path, ("\n".join(lines) + "\n").encode("ascii"))


def _head(started_at: datetime | None) -> list[str]:
    start_s = 0.0 if started_at is None else started_at.timestamp()
    stamp = "unknown" if started_at is None else started_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return [
        "#[Histogram log format version 1.3]",
        "#[surgeproof: microseconds; Interval_Max in milliseconds; a line holds the requests planned in its second]",
        f"#[StartTime: {start_s:.3f} (seconds since epoch), {stamp}]",
        f"#[BaseTime: {start_s:.3f} (seconds since epoch)]",
        _LEGEND,
    ]


def _interval_lines(run: Observed) -> Iterator[str]:
    """In order of time, as the format demands. Counted by numpy, since a run has many more requests than buckets."""
    second, tag, value_us, names = _samples(run)
    if not len(value_us):
        return
    histogram = HdrHistogram(1, max(HIGHEST_US, int(value_us.max())), SIGNIFICANT_DIGITS)
    counts = np.ctypeslib.as_array(histogram.counts)
    width = histogram.counts_len
    keys, amount = np.unique((second * len(names) + tag) * width + _bucket(histogram, value_us), return_counts=True)
    line, bucket = keys // width, keys % width
    starts = np.flatnonzero(np.diff(line, prepend=-1))
    for first, end in zip(starts.tolist(), [*starts[1:].tolist(), len(keys)], strict=True):
        filled, n = bucket[first:end], amount[first:end]
        counts[filled] = n
        histogram.set_internal_tacking_values(int(filled[0]), int(filled[-1]), int(n.sum()))
        text = histogram.encode().decode("ascii")
        counts[filled] = 0
        at_s, which = divmod(int(line[first]), len(names))
        largest_ms = histogram.get_max_value() / 1e3
        yield f"Tag={names[which]},{at_s:.3f},1.000,{largest_ms:.3f},{text}"


def _samples(run: Observed) -> tuple[IntArray, IntArray, IntArray, list[str]]:
    """Second, tag and microseconds of both latencies of every request that was sent and has an end, and the tags."""
    log = run.log
    ended = np.flatnonzero(np.isfinite(log.sent_s) & np.isfinite(log.finish_s))
    kinds, kind = np.unique(
        np.stack((log.outcome[ended], np.maximum(run.status[ended], 0))), axis=1, return_inverse=True
    )
    second = np.floor(log.scheduled_s[ended]).astype(np.int64)
    values = [log.finish_s[ended] - began[ended] for began in (log.sent_s, log.scheduled_s)]
    value_us = np.rint(np.concatenate(values) * 1e6).astype(np.int64)
    if len(backwards := np.flatnonzero(value_us < 0)):
        request = ended[backwards[0] % len(ended)]
        raise AssertionError(f"request {request} ends at {log.finish_s[request]} s, before it began")
    kind = kind.reshape(-1)
    names = [
        "/".join((label(Outcome(outcome)), *([str(code)] if code else []), which))
        for which in (FROM_SEND, FROM_SCHEDULE)
        for outcome, code in kinds.T.tolist()
    ]
    tag = np.concatenate((kind, kind + kinds.shape[1]))
    return np.concatenate((second, second)), tag, value_us, names


def _bucket(histogram: Any, value_us: IntArray) -> IntArray:
    """The index of each value in the counts of a histogram whose unit is 1: `HdrHistogram.get_counts_array_index`."""
    half_bits = histogram.sub_bucket_half_count_magnitude
    # frexp gives the number of bits exactly: microseconds of any run fit into a float's 53.
    bits = np.frexp(np.maximum(value_us, 1).astype(np.float64))[1].astype(np.int64)
    octave = np.maximum(bits - (half_bits + 1), 0)
    return np.asarray((octave << half_bits) + (value_us >> octave))


def read_latencies(path: Path, *, from_s: float = 0.0, to_s: float = float("inf")) -> dict[str, Latencies]:
    """The merged histograms by tag, of the seconds that start in [from_s, to_s)."""
    merged: dict[str, Any] = {}
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from None
    for number, line in enumerate(lines, 1):
        if not line or line[0] in '#"':
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"{path}: line {number} is no interval of an HDR log")
        if from_s <= float(match[2]) < to_s:
            _add(merged, match[1], match[5], f"{path}: line {number}")
    return {tag: _latencies(histogram) for tag, histogram in sorted(merged.items())}


def _add(merged: dict[str, Any], tag: str, text: str, where: str) -> None:
    try:
        if tag in merged:
            merged[tag].decode_and_add(text)
        else:
            merged[tag] = HdrHistogram.decode(text)
    except _UNREADABLE as error:
        raise InputError(f"{where} holds no readable histogram ({error or type(error).__name__})") from None


def _latencies(histogram: Any) -> Latencies:
    counts = np.ctypeslib.as_array(histogram.counts)
    buckets = np.flatnonzero(counts)
    lowest = np.array([histogram.get_value_from_index(bucket) for bucket in buckets.tolist()])
    highest = np.array([histogram.get_highest_equivalent_value(value) for value in lowest.tolist()])
    return Latencies(value_us=(lowest + highest) / 2, count=counts[buckets].astype(np.int64))


def latency_over_time(run: Observed) -> dict[str, Any]:
    """Exact n, p50 and p99 per second of the schedule, class and latency; null in a second without any.

    A class is an outcome that at least one request has: `{"bin_s", "classes": {"ok": {"n", "from_send": {"p50_s",
    "p99_s"}, "from_schedule": …}}}`, lists with one entry per second.
    """
    log = run.log
    seconds = int(log.scheduled_s[-1]) + 1 if len(log) else 0
    ended = np.isfinite(log.sent_s) & np.isfinite(log.finish_s)
    classes: dict[str, Any] = {}
    for outcome in np.unique(log.outcome[ended]).tolist():
        chosen = ended & (log.outcome == outcome)
        second = log.scheduled_s[chosen].astype(np.int64)
        n = np.bincount(second, minlength=seconds)
        classes[label(Outcome(outcome))] = {
            "n": n.tolist(),
            FROM_SEND: _per_second(second, log.finish_s[chosen] - log.sent_s[chosen], n),
            FROM_SCHEDULE: _per_second(second, log.finish_s[chosen] - log.scheduled_s[chosen], n),
        }
    return {"bin_s": 1.0, "classes": classes}


def _per_second(second: IntArray, latency_s: FloatArray, n: npt.NDArray[np.int64]) -> dict[str, list[float | None]]:
    ordered = latency_s[np.lexsort((latency_s, second))]
    first = np.cumsum(n) - n
    some = n > 0
    table: dict[str, list[float | None]] = {}
    for name, q in (("p50_s", 0.5), ("p99_s", 0.99)):
        column: list[float | None] = [None] * len(n)
        ranks = first[some] + np.maximum(np.ceil(q * n[some]).astype(np.int64), 1) - 1
        for where, value in zip(np.flatnonzero(some).tolist(), ordered[ranks].tolist(), strict=True):
            column[where] = value
        table[name] = column
    return table
