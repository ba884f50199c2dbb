"""Time 0 of a run, agreed with a lab where there is one, and the replicas that are watched from then on."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from loadtest.replay.endpoint import Endpoint
from loadtest.replay.journal import Journal
from loadtest.replay.observe_lab import ReplicaObserver, aligned_start_s, find_lab

LEAD_S = 1.0
"""From armed workers to T0, at least."""


class Start:
    """`begin` chooses T0 and starts to watch; `finish` ends that. Everything seen goes into the journal."""

    def __init__(self, endpoint: Endpoint, journal: Journal, *, loopback: bool) -> None:
        self._journal = journal
        self.start_ns: int | None = None
        lab_state, why_not = find_lab(endpoint, loopback=loopback)
        journal.add("lab", {"state": lab_state, "why_not": why_not})
        self._observer = None
        if lab_state is not None:
            self._observer = ReplicaObserver(endpoint, on_row=lambda row: journal.add("row", row))

    @property
    def ready_replicas(self) -> int | None:
        return self._observer.ready if self._observer is not None else None

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
        if self._observer is not None:
            self._observer.stop()
            states = self._observer.states
            seen = {"first": states[0], "last": states[-1]} if states else None
            about = {"source": self._observer.source, "problem": self._observer.problem, "states": seen}
            self._journal.add("observer", about)
