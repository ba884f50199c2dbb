"""Time 0 of a run, agreed with a lab where there is one, and the replicas that are watched from before it on."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loadtest.replay.observe_lab import ReplicaObserver, aligned_start_s, find_lab
from loadtest.replay.plan import Plan

if TYPE_CHECKING:
    from loadtest.observe.observer import ClusterObserver

LEAD_S = 1.0
"""From armed workers to T0, at least."""


class Start:
    """`watch_cluster` and `begin`, which chooses T0, start to watch; `finish` ends that.

    What a lab shows goes into the journal, what a cluster shows into a log of its own in the run folder.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._journal = plan, plan.journal
        self.start_ns: int | None = None
        lab_state, why_not = find_lab(plan.endpoint, is_lab=plan.is_lab)
        self._journal.add("lab", {"state": lab_state, "why_not": why_not})
        self._observer = None
        if lab_state is not None:
            self._observer = ReplicaObserver(plan.endpoint, on_row=lambda row: self._journal.add("row", row))
        self._cluster: ClusterObserver | None = None

    @property
    def ready_replicas(self) -> int | None:
        watching = self._observer or self._cluster
        return None if watching is None else watching.ready

    def watch_cluster(self) -> None:
        """Returns when the replicas that there are have been seen; nothing without a cluster."""
        if self._plan.cluster is not None:
            from loadtest.observe.observer import ClusterObserver

            self._cluster = ClusterObserver(self._plan.cluster, self._plan.folder.path)
            self._cluster.start()

    @property
    def elapsed_s(self) -> float:
        """Since T0; negative before it, and a whole lead before it is known."""
        return -LEAD_S if self.start_ns is None else time.monotonic() - self.start_ns / 1e9

    def begin(self, authorization: str | None) -> int:
        """T0 on this machine's monotonic clock: a lab is told it, or it is put on one of the lab's ticks."""
        start_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        told_lab = aligned = False
        if self._observer is not None:
            self._observer.start()
            told_lab = aligned = self._observer.begin(start_ns / 1e9, authorization)
            if not told_lab and (tick_s := aligned_start_s(self._observer.states[-1:], start_ns / 1e9)):
                aligned = True
                start_ns = round(tick_s * 1e9)
        started_at = datetime.fromtimestamp(time.time() + start_ns / 1e9 - time.monotonic(), UTC)
        entry = {
            "start_monotonic_s": start_ns / 1e9,
            "started_at": started_at.isoformat(timespec="milliseconds"),
            "aligned_to_tick": aligned,
            "lab_was_told": told_lab,
        }
        self._journal.add("started", entry)
        self.start_ns = start_ns
        return start_ns

    def finish(self) -> None:
        """Take a last look at the replicas."""
        if self._cluster is not None:
            self._cluster.stop()
        if self._observer is not None:
            self._observer.stop()
            states = self._observer.states
            seen = {"first": states[0], "last": states[-1]} if states else None
            about = {"source": self._observer.source, "problem": self._observer.problem, "states": seen}
            self._journal.add("observer", about)
