"""Merges a schedule and the worker's records into a request log with one row per planned request."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loadtest.replay.segment import UNKNOWN_NS, EndReason, Kind, Records
from loadtest.schedule import Schedule
from planner.model import NO_CAUSE, NO_REPLICA, FloatArray, IntArray, Outcome, RequestLog


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a replay saw: the log, further columns of the same length, and how the worker ended (None: it was killed).

    status: HTTP status, 0 where there was none. flagged: a 503 without the front end's body, or a connection that broke
    on a reused socket before a byte came back. planned_service_time_s: what the request asked for.
    """

    log: RequestLog
    status: IntArray
    flagged: IntArray
    planned_service_time_s: FloatArray
    ended: EndReason | None

    def extra_columns(self) -> dict[str, IntArray | FloatArray]:
        return {
            "status": self.status,
            "flagged": self.flagged.astype(bool),
            "exec_ms": self.log.service_time_s * 1e3,
            "planned_service_time_s": self.planned_service_time_s,
        }


def merge(
    schedule: Schedule, records: Records, start_monotonic_s: float, *, without_end_mark: EndReason | None = None
) -> Observed:
    """One row per planned request.

    A request that was sent and has no outcome is `unresolved`. One without any record is `not_reached` where the worker
    ended early and in order, else `unaccounted`: nobody knows what became of it. without_end_mark: how the worker ended
    where its records do not say so; None means that it was killed.
    """
    n = len(schedule)
    ends = records[records["kind"] == Kind.END]
    ended = EndReason(int(ends["index"][-1])) if len(ends) else without_end_mark
    # A worker that could not write its records may have sent what they do not show.
    early = ended not in (None, EndReason.COMPLETE, EndReason.LOG_UNWRITABLE)
    sent = _rows(records, Kind.SENT, n)
    resolved = _rows(records, Kind.RESOLVED, n)
    if len(twice := np.flatnonzero(np.bincount(resolved["index"], minlength=n) > 1)):
        raise AssertionError(f"request {twice[0]} has two outcomes in the worker's records")

    outcome = np.full(n, Outcome.NOT_REACHED if early else Outcome.UNACCOUNTED, dtype=np.int64)
    outcome[sent["index"]] = Outcome.UNRESOLVED
    outcome[resolved["index"]] = resolved["outcome"]
    sent_ns = np.full(n, UNKNOWN_NS, dtype=np.int64)
    sent_ns[sent["index"]] = sent["sent_ns"]
    sent_ns[resolved["index"]] = resolved["sent_ns"]
    log = RequestLog(
        scheduled_s=schedule.scheduled_s,
        sent_s=_seconds(sent_ns),
        start_s=_column(resolved, "dispatch_s", n) - start_monotonic_s,
        finish_s=_seconds(_spread(resolved, "finish_ns", n, UNKNOWN_NS)),
        service_time_s=_column(resolved, "exec_ms", n) / 1e3,
        outcome=outcome,
        replica=_spread(resolved, "replica", n, NO_REPLICA),
        cause=_spread(resolved, "cause", n, NO_CAUSE),
    )
    return Observed(
        log=log,
        status=_spread(resolved, "status", n, 0),
        flagged=_spread(resolved, "flagged", n, 0),
        planned_service_time_s=schedule.service_time_s,
        ended=ended,
    )


def _rows(records: Records, kind: Kind, n: int) -> Records:
    rows: Records = records[records["kind"] == kind]
    if len(bad := np.flatnonzero((rows["index"] < 0) | (rows["index"] >= n))):
        raise AssertionError(f"the worker's records name request {rows['index'][bad[0]]}, the schedule has {n}")
    return rows


def _spread(rows: Records, name: str, n: int, unknown: int) -> IntArray:
    """One field of the records as a column of the log."""
    column = np.full(n, unknown, dtype=np.int64)
    column[rows["index"]] = rows[name]
    return column


def _column(rows: Records, name: str, n: int) -> FloatArray:
    column = np.full(n, np.nan)
    column[rows["index"]] = rows[name]
    return column


def _seconds(ns: IntArray) -> FloatArray:
    return np.where(ns == UNKNOWN_NS, np.nan, ns / 1e9)
