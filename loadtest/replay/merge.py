"""Merges a schedule and the workers' records into a request log with one row per planned request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loadtest.replay.segment import RECORD, UNKNOWN_NS, EndReason, Kind, Note, Records, Segment
from loadtest.schedule import Schedule
from planner.errors import InputError
from planner.model import NO_CAUSE, NO_REPLICA, FloatArray, IntArray, Outcome, RequestLog

_NO_RECORDS: Records = np.empty(0, RECORD)


@dataclass(frozen=True, kw_only=True)
class WorkerNote:
    """What a worker noticed about its own machine, at_s seconds from the start."""

    worker: int
    note: Note
    at_s: float
    amount_s: float


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a replay saw: the log, further columns of the same length, and how each worker ended (None: it was killed).

    status: HTTP status, 0 where there was none, or the negative of `segment.Broken`. flagged: a 503 without the front
    end's body, or a connection that broke on a reused socket before a byte came back. planned_service_time_s: what the
    request asked for. worker: whose share it was. retries: the records of a client's further attempts, which are no
    part of the plan.
    """

    log: RequestLog
    status: IntArray
    flagged: IntArray
    planned_service_time_s: FloatArray
    payload_id: IntArray
    worker: IntArray
    retries: Records
    ends: Mapping[int, EndReason | None]
    notes: tuple[WorkerNote, ...] = ()

    @property
    def ended(self) -> EndReason | None:
        """How the run as a whole ended: a worker that was killed, else the first reason that is no mere consequence."""
        reasons = list(self.ends.values())
        if None in reasons:
            return None
        own = [reason for reason in reasons if reason not in (EndReason.COMPLETE, EndReason.STOPPED)]
        if own:
            return own[0]
        return EndReason.STOPPED if EndReason.STOPPED in reasons else EndReason.COMPLETE

    def extra_columns(self) -> dict[str, IntArray | FloatArray]:
        return {
            "status": np.maximum(self.status, 0),
            "broken": np.maximum(-self.status, 0),
            "flagged": self.flagged.astype(bool),
            "exec_ms": self.log.service_time_s * 1e3,
            "planned_service_time_s": self.planned_service_time_s,
            "payload": self.payload_id,
            "worker": self.worker,
        }


def merge(
    schedule: Schedule,
    segments: Sequence[Segment],
    workers: int,
    *,
    without_end_mark: Mapping[int, EndReason] | None = None,
) -> Observed:
    """One row per planned request.

    A request that was sent and has no outcome is `unresolved`. One without any record is `not_reached` where its worker
    ended early and in order, else `unaccounted`: nobody knows what became of it. without_end_mark: how workers ended
    whose records do not say so; one that neither names was killed.
    """
    n = len(schedule)
    worker = np.arange(n) % workers
    by_worker = {segment.worker: segment.records for segment in _checked(segments, workers)}
    ends: dict[int, EndReason | None] = {}
    outcome = np.empty(n, dtype=np.int64)
    for k in range(workers):
        ends[k] = _end(by_worker.get(k, _NO_RECORDS))
        if ends[k] is None:
            ends[k] = (without_end_mark or {}).get(k)
        # A worker that could not write its records may have sent what they do not show.
        early = ends[k] not in (None, EndReason.COMPLETE, EndReason.LOG_UNWRITABLE)
        outcome[worker == k] = Outcome.NOT_REACHED if early else Outcome.UNACCOUNTED
    together = _requests(by_worker, workers, n)
    first = together[together["attempt"] == 0]
    sent, resolved = first[first["kind"] == Kind.SENT], first[first["kind"] == Kind.RESOLVED]
    if len(twice := np.flatnonzero(np.bincount(resolved["index"], minlength=n) > 1)):
        raise AssertionError(f"request {twice[0]} has two outcomes in the workers' records")
    outcome[sent["index"]] = Outcome.UNRESOLVED
    outcome[resolved["index"]] = resolved["outcome"]
    sent_ns = np.full(n, UNKNOWN_NS, dtype=np.int64)
    sent_ns[sent["index"]] = sent["sent_ns"]
    sent_ns[resolved["index"]] = resolved["sent_ns"]
    exec_ms = np.full(n, np.nan)
    exec_ms[resolved["index"]] = resolved["exec_ms"]
    log = RequestLog(
        scheduled_s=schedule.scheduled_s,
        sent_s=_seconds(sent_ns),
        start_s=_seconds(_spread(resolved, "dispatch_ns", n, UNKNOWN_NS)),
        finish_s=_seconds(_spread(resolved, "finish_ns", n, UNKNOWN_NS)),
        service_time_s=exec_ms / 1e3,
        outcome=outcome,
        replica=_spread(resolved, "replica", n, NO_REPLICA),
        cause=_spread(resolved, "cause", n, NO_CAUSE),
    )
    return Observed(
        log=log,
        status=_spread(resolved, "status", n, 0),
        flagged=_spread(resolved, "flagged", n, 0),
        planned_service_time_s=schedule.service_time_s,
        payload_id=schedule.payload_id,
        worker=worker,
        retries=together[(together["attempt"] > 0) & (together["kind"] == Kind.RESOLVED)],
        ends=ends,
        notes=tuple(note for k, records in sorted(by_worker.items()) for note in _notes(k, records)),
    )


def _checked(segments: Sequence[Segment], workers: int) -> Sequence[Segment]:
    for segment in segments:
        if segment.workers != workers or [other.worker for other in segments].count(segment.worker) > 1:
            raise InputError(
                f"the records of worker {segment.worker} of {segment.workers} do not belong to a run of {workers}"
            )
    return segments


def _end(records: Records) -> EndReason | None:
    ends = records[records["kind"] == Kind.END]
    return EndReason(int(ends["index"][-1])) if len(ends) else None


def _requests(by_worker: Mapping[int, Records], workers: int, n: int) -> Records:
    """The records of requests of all workers."""
    return np.concatenate([_NO_RECORDS, *(_of_worker(records, k, workers, n) for k, records in by_worker.items())])


def _of_worker(records: Records, worker: int, workers: int, n: int) -> Records:
    """The records of requests; one that names a request of another share is a defect."""
    rows: Records = records[(records["kind"] == Kind.SENT) | (records["kind"] == Kind.RESOLVED)]
    index = rows["index"]
    if len(bad := np.flatnonzero((index < 0) | (index >= n) | (index % workers != worker))):
        raise AssertionError(
            f"the records of worker {worker} of {workers} name request {index[bad[0]]}, the schedule has {n}"
        )
    return rows


def _notes(worker: int, records: Records) -> list[WorkerNote]:
    rows = records[records["kind"] == Kind.NOTE]
    return [
        WorkerNote(worker=worker, note=Note(int(what)), at_s=at_ns / 1e9, amount_s=amount_ns / 1e9)
        for what, at_ns, amount_ns in zip(rows["index"], rows["sent_ns"], rows["finish_ns"], strict=True)
    ]


def _spread(rows: Records, name: str, n: int, unknown: int) -> IntArray:
    """One field of the records as a column of the log."""
    column = np.full(n, unknown, dtype=np.int64)
    column[rows["index"]] = rows[name]
    return column


def _seconds(ns: IntArray) -> FloatArray:
    return np.where(ns == UNKNOWN_NS, np.nan, ns / 1e9)
