"""Waiting for an instant of the monotonic clock inside gevent's loop."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import gevent
from gevent.hub import get_hub

from loadtest.timerfd import TimerFd

NEAR_NS = 150_000
"""About what it takes to read an answer and write it into the books."""

_READABLE = 1


class Alarm:
    """Sleeps until an absolute time.

    gevent's own timers wake at whole milliseconds of epoll's timeout; a Linux timerfd in the same loop is exact to some
    0.1 ms at the same cost. Elsewhere gevent.sleep has to do. Where an alarm and answers are due together, the alarm
    comes first.
    """

    def __init__(self) -> None:
        self._next_ns = 0
        self._timer = TimerFd() if sys.platform == "linux" else None
        self._watcher: Any = None
        if self._timer is not None:
            loop = get_hub().loop
            self._watcher = loop.io(self._timer.fd, _READABLE, priority=loop.MAXPRI)

    def wait_until(self, deadline_ns: int) -> None:
        """Return at or just after the deadline (nanoseconds of time.monotonic_ns), at once if it has passed."""
        self._next_ns = deadline_ns
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            if self._timer is None:
                gevent.sleep(left_ns / 1e9)
            else:
                self._timer.set(deadline_ns)
                get_hub().wait(self._watcher)

    def let_pass(self) -> None:
        """For those who have work to do that can wait: if a deadline is near, return after it."""
        deadline_ns = self._next_ns
        if 0 < deadline_ns - time.monotonic_ns() < NEAR_NS:
            while time.monotonic_ns() < deadline_ns:
                gevent.sleep(0)

    def close(self) -> None:
        if self._timer is not None:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._timer.fd)
            self._timer = None
