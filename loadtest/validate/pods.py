"""What waited inside a replica, told from the dispatch times and replica numbers that the lab's front end gives."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.model import FloatArray, IntArray, Outcome, RequestLog


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Answers 200 whose dispatch, replica and time in the worker are known, n of them.

    in_pod_s: dispatch to answer less the time in the worker: overhead and waiting in the pod, shape (n,). others: how
    many requests their replica held at the dispatch, shape (n,). free_s[i, w - 1]: how long after the dispatch of i one
    of w workers was free for it, 0 where one was at once, shape (n, most).
    """

    in_pod_s: FloatArray
    others: IntArray
    free_s: FloatArray


def pods(log: RequestLog, most: int) -> Pods:
    """Rebuild what each request met in its replica. most: the largest number of workers to try.

    The worker of a request that got 504 goes on for an unknown time: whoever came while it may have is left out.
    """
    dispatched = np.isfinite(log.start_s) & np.isfinite(log.finish_s) & (log.replica >= 0)
    told = dispatched & (log.outcome == Outcome.OK) & np.isfinite(log.service_time_s)
    longest_s = float(log.service_time_s[told].max(initial=0.0))
    in_pod, others, free = [], [], []
    for replica in np.unique(log.replica[dispatched]):
        mine = np.flatnonzero(dispatched & (log.replica == replica))
        mine = mine[np.argsort(log.start_s[mine], kind="stable")]
        ends: list[float] = []
        unclear_until_s = -np.inf
        for i in mine:
            start_s, finish_s = float(log.start_s[i]), float(log.finish_s[i])
            del ends[: bisect.bisect_right(ends, start_s)]
            if not told[i]:
                unclear_until_s = max(unclear_until_s, finish_s + longest_s)
            elif start_s >= unclear_until_s:
                in_pod.append(finish_s - start_s - log.service_time_s[i])
                others.append(len(ends))
                free.append([ends[len(ends) - w] - start_s if w <= len(ends) else 0.0 for w in range(1, most + 1)])
            bisect.insort(ends, finish_s)
    return Pods(
        in_pod_s=np.array(in_pod, dtype=np.float64),
        others=np.array(others, dtype=np.int64),
        free_s=np.array(free, dtype=np.float64).reshape(len(in_pod), most),
    )


def overheads(log: RequestLog, max_concurrent_requests: int) -> FloatArray:
    """The router's overhead in each answer that cannot have waited in its pod, whatever WORKER_COUNT is."""
    if max_concurrent_requests > 1:
        found = pods(log, 0)
        return np.asarray(found.in_pod_s[found.others == 0])
    answered: npt.NDArray[np.bool_] = log.outcome == Outcome.OK
    overhead = (log.finish_s - log.start_s - log.service_time_s)[answered]
    return np.asarray(overhead[np.isfinite(overhead)])
