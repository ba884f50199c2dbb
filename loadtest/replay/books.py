"""The books of a replay: what was planned, what was sent, what came back. They balance or the run is worth nothing.

planned = sent + skipped_late + dropped_max_inflight + not_reached + unaccounted
sent    = ok + bad_response + status_503 + status_429 + status_504 + other_4xx + other_5xx + other_status + timeout
          + connection_error + in_flight_at_stop + unresolved

Both hold per second of the schedule, per worker and in total. `planned` is counted in the schedule, `sent` in the send
times and the rest in the outcomes: three columns that are written apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loadtest.schedule import Schedule
from planner.model import NEVER_SENT, SENT, IntArray, Outcome, RequestLog


class BooksError(AssertionError):
    """The books do not balance: a defect of the replay, never of the endpoint."""


def label(outcome: Outcome) -> str:
    """The name of an outcome in JSON: ok, status_503, …"""
    return outcome.name.lower()


def balance(schedule: Schedule, log: RequestLog, worker: IntArray | None = None) -> dict[str, Any]:
    """The books as a document: totals by name, and columns per second of the schedule (those that are not all 0).

    worker: whose share each request is; the books then also balance for each worker.
    """
    seconds = max(1, -(-schedule.duration_ns // 1_000_000_000))
    planned_second = schedule.offset_ns // 1_000_000_000
    log_second = np.minimum(np.rint(log.scheduled_s * 1e9).astype(np.int64) // 1_000_000_000, seconds - 1)
    planned = np.bincount(np.minimum(planned_second, seconds - 1), minlength=seconds)
    sent = np.bincount(log_second[np.isfinite(log.sent_s)], minlength=seconds)
    by_outcome = _by_row_and_outcome(log, log_second, seconds)
    check(planned, sent, by_outcome)
    columns = {"planned": planned, "sent": sent} | {label(o): by_outcome[:, o] for o in Outcome}
    totals = {name: int(column.sum()) for name, column in columns.items()}
    per_second = {name: column.tolist() for name, column in columns.items() if column.any()}
    return totals | {"balanced": True, "per_second": per_second} | _per_worker(log, worker)


def _per_worker(log: RequestLog, worker: IntArray | None) -> dict[str, Any]:
    if worker is None or not worker.any():
        return {}
    workers = int(worker.max()) + 1
    planned = np.bincount(worker, minlength=workers)
    sent = np.bincount(worker[np.isfinite(log.sent_s)], minlength=workers)
    by_outcome = _by_row_and_outcome(log, worker, workers)
    check(planned, sent, by_outcome, "worker")
    columns = {"planned": planned, "sent": sent} | {label(o): by_outcome[:, o] for o in Outcome}
    return {"per_worker": {name: column.tolist() for name, column in columns.items() if column.any()}}


def check(planned: IntArray, sent: IntArray, by_outcome: IntArray, row: str = "second") -> None:
    """Raise BooksError unless both identities hold in every row, which is a second of the schedule or a worker.

    planned, sent: shape (rows,); by_outcome: shape (rows, outcomes).
    """
    outcomes_sent = by_outcome[:, list(SENT)].sum(axis=1)
    never_sent = by_outcome[:, list(NEVER_SENT)].sum(axis=1)
    if len(bad := np.flatnonzero(planned != sent + never_sent)):
        s = bad[0]
        raise BooksError(f"{row} {s}: {planned[s]} planned, but {sent[s]} sent and {never_sent[s]} never sent")
    if len(bad := np.flatnonzero(sent != outcomes_sent)):
        s = bad[0]
        raise BooksError(f"{row} {s}: {sent[s]} sent, but {outcomes_sent[s]} outcomes of sent requests")


def _by_row_and_outcome(log: RequestLog, row: IntArray, rows: int) -> IntArray:
    kinds = len(Outcome)
    if len(bad := np.flatnonzero((log.outcome < 0) | (log.outcome >= kinds))):
        raise BooksError(f"request {bad[0]} has the unknown outcome {log.outcome[bad[0]]}")
    return np.bincount(row * kinds + log.outcome, minlength=rows * kinds).reshape(rows, kinds)
