"""What a replay looks like while it runs, computed from the worker's records."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from loadtest.replay.segment import Kind, SegmentReader
from loadtest.replay.statistics import quantile
from loadtest.schedule import Schedule
from planner.model import FloatArray, Outcome


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A moment of a replay. elapsed_s is negative before the start; None where there is nothing to say yet."""

    elapsed_s: float
    duration_s: float
    planned: int
    sent: int
    resolved: int
    fraction_503: float | None
    latency_p99_s: float | None
    send_error_p99_s: float | None
    ready_replicas: int | None


class Tracker:
    """Follows a segment as it grows."""

    def __init__(self, reader: SegmentReader, schedule: Schedule) -> None:
        self._reader = reader
        self._schedule = schedule
        self._sent = 0
        self._resolved = 0
        self._503s = 0
        self._latencies_s: list[FloatArray] = []
        self._errors_s: list[FloatArray] = []

    def update(self, start_monotonic_s: float, ready_replicas: int | None) -> Progress:
        records = self._reader.read_new()
        sent = records[records["kind"] == Kind.SENT]
        resolved = records[records["kind"] == Kind.RESOLVED]
        resolved = resolved[resolved["outcome"] < Outcome.IN_FLIGHT_AT_STOP]
        ok = resolved[resolved["outcome"] == Outcome.OK]
        self._sent += len(sent)
        self._resolved += len(resolved)
        self._503s += int(np.sum(resolved["outcome"] == Outcome.STATUS_503))
        self._latencies_s.append((ok["finish_ns"] - ok["sent_ns"]) / 1e9)
        self._errors_s.append((sent["sent_ns"] - self._schedule.offset_ns[sent["index"]]) / 1e9)
        return Progress(
            elapsed_s=time.monotonic() - start_monotonic_s,
            duration_s=self._schedule.duration_s,
            planned=len(self._schedule),
            sent=self._sent,
            resolved=self._resolved,
            fraction_503=self._503s / self._resolved if self._resolved else None,
            latency_p99_s=quantile(np.concatenate(self._latencies_s), 0.99),
            send_error_p99_s=quantile(np.concatenate(self._errors_s), 0.99),
            ready_replicas=ready_replicas,
        )
