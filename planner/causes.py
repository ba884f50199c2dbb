"""Why a request got 503, read off a replica log at its instant: the order of docs/model.md, the first that holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.model import NO_CAUSE, Cause, FloatArray, IntArray, ReplicaLog

Span = tuple[float, float]

UNATTRIBUTED = "unattributed"
"""Beside the causes: 503s at instants at which nobody saw the replicas."""


def cause_counts(causes: IntArray) -> dict[str, int]:
    """503s by cause and unattributed, from `Cause` or NO_CAUSE of each, shape (n,); they sum to n."""
    counted = {cause.label: int(np.sum(causes == cause)) for cause in Cause}
    return counted | {UNATTRIBUTED: int(np.sum(causes == NO_CAUSE))}


def causes_at(log: ReplicaLog, times_s: FloatArray, max_replicas: int, blind_s: Sequence[Span] = ()) -> IntArray:
    """`Cause` of a 503 at each of times_s, shape (n,); NO_CAUSE where the log does not tell.

    blind_s: spans in which nobody saw whether the log still held. What a log does not know (-1) of replicas that are
    lost or pending is taken for none: a lab of this machine has no nodes to wait for.
    """
    if len(log) == 0:
        return np.full(len(times_s), NO_CAUSE, dtype=np.int64)
    row = np.searchsorted(log.time_s, times_s, side="right") - 1
    unseen = (row < 0) | ~np.isfinite(times_s)
    row = np.maximum(row, 0)
    ready, desired = log.ready[row], log.desired[row]
    unseen |= (ready < 0) | (desired < 0)
    for start_s, end_s in blind_s:
        unseen |= (times_s >= start_s) & (times_s < end_s)
    conditions = {
        NO_CAUSE: unseen,
        Cause.NO_READY_REPLICA: ready == 0,
        Cause.REPLICA_LOST: log.lost[row] > 0,
        Cause.WAITING_FOR_NODE: log.pending[row] > 0,
        Cause.SCALE_UP_LAG: ready < desired,
        Cause.AT_MAX_REPLICAS: ready >= max_replicas,
    }
    return np.select(list(conditions.values()), list(conditions), Cause.HEADROOM_TOO_SMALL).astype(np.int64)
