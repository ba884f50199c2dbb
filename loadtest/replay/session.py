"""One replay in progress, from the parent: its processes, time 0, progress, and how it ended. No gevent here."""

from __future__ import annotations

import time
from collections.abc import Callable

from loadtest.replay.credentials import Credentials
from loadtest.replay.fleet import Fleet
from loadtest.replay.interrupts import ignore_interrupts
from loadtest.replay.plan import Plan
from loadtest.replay.progress import Progress, Tracker
from loadtest.replay.start import Start

POLL_S = 0.25
STOP_WITHIN_S = 12.0

OnProgress = Callable[[Progress], None]


class Session:
    """Runs a plan. What is known when it is over is in the run folder: journal, segments, logs."""

    def __init__(self, plan: Plan, credentials: Credentials, on_progress: OnProgress) -> None:
        self._plan = plan
        self._journal = plan.journal
        self._credentials = credentials
        self._on_progress = on_progress
        self._start = Start(plan)
        self._tracker = Tracker(plan.folder, plan.schedule)

    def perform(self) -> None:
        """Arm, start, follow to the end. Ctrl-C ends it early and is remembered; then interrupts are ignored."""
        options = self._plan.options
        with Fleet(self._plan.folder.path, self._credentials.settings.to_environment()) as fleet:
            try:
                interrupted = False
                try:
                    self._start.watch_cluster()
                    armed = fleet.arm(self._plan.orders, options.processes, options.expect_workers, options.master_bind)
                    self._journal.add("armed", armed)
                    fleet.start_at(self._start.begin(self._credentials.authorization))
                    self._follow(fleet)
                except KeyboardInterrupt:
                    interrupted = True
                ignore_interrupts()
                if interrupted:
                    self._journal.add("interrupted", True)
                    self._stop(fleet)
                fleet.release()
            finally:
                self._start.finish()

    def _follow(self, fleet: Fleet) -> None:
        ended = False
        while not ended and (message := fleet.next_message(POLL_S)) is not None:
            ended = self._note(message)
            self._tell_progress()
        everybody_done = self._tracker.everything_resolved
        while everybody_done and self._start.elapsed_s < self._plan.schedule.duration_s:
            time.sleep(min(POLL_S, max(0.0, self._plan.schedule.duration_s - self._start.elapsed_s)))
            self._tell_progress()

    def _stop(self, fleet: Fleet) -> None:
        fleet.ask_to_stop()
        give_up_s = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < give_up_s:
            message = fleet.next_message(POLL_S)
            if message is None or self._note(message):
                return

    def _note(self, message: dict[str, object]) -> bool:
        """Keep what a message says; whether it is the last one."""
        if "worker_ended" in message:
            self._journal.add("worker_ended", message["worker_ended"])
        if "problem" in message:
            self._journal.add("problem", message["problem"])
        return "ended" in message

    def _tell_progress(self) -> None:
        self._on_progress(self._tracker.update(self._start.elapsed_s, self._start.ready_replicas))
