"""A clock that a test moves by hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeClock:
    """The part of an event loop that the front end and the ticks need."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._order = count()
        self._timers: list[tuple[float, int, Callable[[], object], FakeTimer]] = []

    def time(self) -> float:
        return self._now_s

    def call_at(self, when: float, callback: Callable[[], object], /) -> FakeTimer:
        timer = FakeTimer()
        heapq.heappush(self._timers, (when, next(self._order), callback, timer))
        return timer

    def run_until(self, time_s: float) -> None:
        """Fire what is due up to time_s, each at its time."""
        while self._timers and self._timers[0][0] <= time_s:
            when, _, callback, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self._now_s = max(self._now_s, when)
                callback()
        self._now_s = time_s

    def stall_until(self, time_s: float) -> None:
        """Time passes while nothing fires, as when the process is not scheduled."""
        self._now_s = time_s
