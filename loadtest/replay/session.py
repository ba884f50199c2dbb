"""One replay in progress: the worker, the lab's observer and the clock that both start by."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from loadtest.replay.endpoint import Endpoint
from loadtest.replay.interrupts import ignore_interrupts
from loadtest.replay.observe_lab import ReplicaObserver, aligned_start_s, find_lab
from loadtest.replay.progress import Progress, Tracker
from loadtest.replay.segment import EndReason, SegmentReader
from loadtest.replay.settings import WorkerSettings
from loadtest.replay.worker_process import WorkerProcess
from loadtest.runfolder import RunFolder
from loadtest.schedule import Schedule

LEAD_S = 1.0
"""From the armed worker to T0, at least."""

POLL_S = 0.25
STOP_WITHIN_S = 5.0

OnProgress = Callable[[Progress], None]


class Session:
    """One replay in progress, and what is known about it when it is over."""

    def __init__(
        self,
        endpoint: Endpoint,
        schedule: Schedule,
        settings: WorkerSettings,
        folder: RunFolder,
        *,
        loopback: bool,
        on_progress: OnProgress,
    ) -> None:
        self.endpoint = endpoint
        self.schedule = schedule
        self.settings = settings
        self.folder = folder
        self.interrupted = False
        self.armed: dict[str, Any] = {}
        self.ended: dict[str, Any] = {}
        self.started_at: datetime | None = None
        self.start_s = 0.0
        self.aligned = False
        self.told_lab = False
        self.lab_state, self.no_replicas_because = find_lab(endpoint, loopback=loopback)
        self.observer = ReplicaObserver(endpoint) if self.lab_state is not None else None
        self._on_progress = on_progress
        self._tracker = Tracker(SegmentReader(folder.segment, schedule.sha256), schedule)

    @property
    def end_reason(self) -> EndReason | None:
        """How the worker says that it ended; None if it ended without a word."""
        if self.started_at is None:
            return EndReason.STOPPED
        said = self.ended.get("ended")
        return None if said is None else EndReason[said.upper()]

    def perform(self) -> None:
        """Arm, start, follow to the end. Ctrl-C ends it early and is remembered; then interrupts are ignored."""
        with WorkerProcess(self.settings, self.folder.worker_log) as worker:
            try:
                try:
                    self._start(worker)
                    self._follow(worker)
                except KeyboardInterrupt:
                    self.interrupted = True
                ignore_interrupts()
                if self.interrupted:
                    self._stop(worker)
            finally:
                if self.observer is not None:
                    self.observer.stop()

    def _start(self, worker: WorkerProcess) -> None:
        self.armed = worker.wait_armed()
        start_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        if self.observer is not None:
            self.observer.start()
            self.told_lab = self.observer.begin(start_ns / 1e9, self.settings.key)
            self.aligned = self.told_lab
            if not self.told_lab and (tick_s := aligned_start_s(self.observer.states[-1:], start_ns / 1e9)):
                self.aligned = True
                start_ns = round(tick_s * 1e9)
        self.start_s = start_ns / 1e9
        self.started_at = datetime.fromtimestamp(time.time() + self.start_s - time.monotonic(), UTC)
        worker.start_at(start_ns)

    def _follow(self, worker: WorkerProcess) -> None:
        while (message := worker.next_message(POLL_S)) is not None:
            self.ended.update(message)
            self._tell_progress()
        if self.ended.get("ended") == "complete":
            while time.monotonic() < self.start_s + self.schedule.duration_s:
                time.sleep(min(POLL_S, max(0.0, self.start_s + self.schedule.duration_s - time.monotonic())))
                self._tell_progress()

    def _stop(self, worker: WorkerProcess) -> None:
        worker.ask_to_stop()
        give_up_s = time.monotonic() + STOP_WITHIN_S
        while (message := worker.next_message(POLL_S)) is not None and time.monotonic() < give_up_s:
            self.ended.update(message)

    def _tell_progress(self) -> None:
        ready = self.observer.ready if self.observer is not None else None
        self._on_progress(self._tracker.update(self.start_s, ready))
