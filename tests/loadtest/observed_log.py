"""An `Observed` from a log: what the replay's own functions take, without a replay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from loadtest.replay.merge import Observed
from loadtest.replay.segment import RECORD, EndReason
from planner.model import FloatArray, IntArray, RequestLog


def observed_log(
    log: RequestLog,
    *,
    status: IntArray | None = None,
    flagged: IntArray | None = None,
    planned_service_time_s: FloatArray | None = None,
    ends: Mapping[int, EndReason | None] | None = None,
) -> Observed:
    """The log as a replay has it; row i is the share of worker i mod n, where `ends` names n workers (default one)."""
    n = len(log)
    zeros = np.zeros(n, dtype=np.int64)
    ends = ends or {0: EndReason.COMPLETE}
    return Observed(
        log=log,
        status=zeros if status is None else status,
        flagged=zeros if flagged is None else flagged,
        planned_service_time_s=log.service_time_s if planned_service_time_s is None else planned_service_time_s,
        payload_id=zeros,
        worker=np.arange(n) % len(ends),
        retries=np.empty(0, RECORD),
        ends=ends,
    )
