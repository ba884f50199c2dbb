"""What a replay looks like while it runs, computed from the worker's records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from loadtest.replay.segment import RECORD, Kind, Records, SegmentReader
from loadtest.runfolder import RunFolder
from loadtest.schedule import Schedule
from planner.model import ENDED, FloatArray, Outcome


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A moment of a replay. elapsed_s is negative before the start; None where there is nothing to say yet."""

    elapsed_s: float
    duration_s: float
    planned: int
    sent: int
    resolved: int
    fraction_503: float | None
    fraction_failed: float | None
    latency_p99_s: float | None
    send_error_p99_s: float | None
    ready_replicas: int | None


class Tracker:
    """Follows the segments of a run folder as they grow."""

    def __init__(self, folder: RunFolder, schedule: Schedule) -> None:
        self._folder = folder
        self._readers: dict[Path, SegmentReader] = {}
        self._schedule = schedule
        self._sent = 0
        self._resolved = 0
        self._503s = 0
        self._failed = 0
        self._latency = _Spread()
        self._send_error = _Spread()

    @property
    def everything_resolved(self) -> bool:
        return self._resolved == len(self._schedule)

    def update(self, elapsed_s: float, ready_replicas: int | None) -> Progress:
        records = self._read_new()
        records = records[records["attempt"] == 0]
        sent = records[records["kind"] == Kind.SENT]
        resolved = records[records["kind"] == Kind.RESOLVED]
        resolved = resolved[np.isin(resolved["outcome"], ENDED)]
        ok = resolved[resolved["outcome"] == Outcome.OK]
        self._sent += len(sent)
        self._resolved += len(resolved)
        self._503s += int(np.sum(resolved["outcome"] == Outcome.STATUS_503))
        self._failed += len(resolved) - len(ok)
        self._latency.add((ok["finish_ns"] - ok["sent_ns"]) / 1e9)
        self._send_error.add((sent["sent_ns"] - self._schedule.offset_ns[sent["index"]]) / 1e9)
        return Progress(
            elapsed_s=elapsed_s,
            duration_s=self._schedule.duration_s,
            planned=len(self._schedule),
            sent=self._sent,
            resolved=self._resolved,
            fraction_503=self._503s / self._resolved if self._resolved else None,
            fraction_failed=self._failed / self._resolved if self._resolved else None,
            latency_p99_s=self._latency.quantile(0.99),
            send_error_p99_s=self._send_error.quantile(0.99),
            ready_replicas=ready_replicas,
        )

    def _read_new(self) -> Records:
        for path in self._folder.segments():
            if path not in self._readers:
                self._readers[path] = SegmentReader(path, self._schedule.sha256)
        return np.concatenate([np.empty(0, RECORD), *(reader.read_new() for reader in self._readers.values())])


class _Spread:
    """Counts of times in logarithmic bins 1 % wide, so that a long run's progress costs no more than a short one's."""

    SHORTEST_S = 1e-6
    BINS = 2400  # to over six hours

    def __init__(self) -> None:
        self._counts = np.zeros(self.BINS, dtype=np.int64)

    def add(self, times_s: FloatArray) -> None:
        bins = np.log(np.maximum(times_s, self.SHORTEST_S) / self.SHORTEST_S) / np.log(1.01)
        self._counts += np.bincount(np.minimum(bins, self.BINS - 1).astype(np.int64), minlength=self.BINS)

    def quantile(self, q: float) -> float | None:
        """To within 1 %; None of nothing."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        place = int(np.searchsorted(np.cumsum(self._counts), q * total))
        return float(self.SHORTEST_S * 1.01 ** (place + 0.5))
