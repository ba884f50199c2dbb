"""Runs made by hand: a log with given times and outcomes, and nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from loadtest.replay.merge import Observed
from planner.model import FloatArray, IntArray, Outcome, RequestLog


def request_log(scheduled_s: FloatArray, sent_s: FloatArray, finish_s: FloatArray, outcome: IntArray) -> RequestLog:
    n = len(outcome)
    return RequestLog(
        scheduled_s=scheduled_s,
        sent_s=sent_s,
        start_s=np.full(n, np.nan),
        finish_s=finish_s,
        service_time_s=np.full(n, np.nan),
        outcome=outcome,
        replica=np.full(n, -1),
        cause=np.full(n, -1),
    )


def observed_run(log: RequestLog, status: IntArray | None = None) -> Observed:
    """A run with this log; what a log's numbers do not depend on is empty."""
    n = len(log)
    known: dict[str, Any] = {"log": log, "status": np.zeros(n, dtype=np.int64) if status is None else status}
    needed = [f.name for f in dataclasses.fields(Observed) if f.default is dataclasses.MISSING and f.name not in known]
    return Observed(**known, **dict.fromkeys(needed))


def log_of(*outcomes: Outcome, latency_s: float = 0.1) -> RequestLog:
    """One request a second from second 0."""
    outcome = np.array(outcomes, dtype=np.int64)
    sent = np.array([o.was_sent for o in outcomes])
    scheduled_s = np.arange(len(outcomes), dtype=np.float64)
    sent_s = np.where(sent, scheduled_s + 0.01, np.nan)
    unknown = np.isin(outcome, (Outcome.IN_FLIGHT_AT_STOP, Outcome.UNRESOLVED))
    return request_log(scheduled_s, sent_s, np.where(unknown, np.nan, sent_s + latency_s), outcome)
