"""Waiting for an instant of the monotonic clock inside gevent's loop."""

from __future__ import annotations

import ctypes
import os
import sys
import time

import gevent
from gevent.hub import get_hub

_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = 0o2000000
_TFD_TIMER_ABSTIME = 1


NEAR_NS = 150_000
"""About what it takes to read an answer and write it into the books."""


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class Alarm:
    """Sleeps until an absolute time.

    gevent's own timers wake at whole milliseconds of epoll's timeout; a Linux timerfd in the same loop is exact to some
    0.1 ms at the same cost. Elsewhere gevent.sleep has to do. Where an alarm and answers are due together, the alarm
    comes first.

    next_ns: the deadline that is waited for, or was last.
    """

    def __init__(self) -> None:
        self.next_ns = 0
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._fd = -1
        if self._libc is not None:
            self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        loop = get_hub().loop
        self._watcher = loop.io(self._fd, 1, priority=loop.MAXPRI) if self._fd >= 0 else None

    def wait_until(self, deadline_ns: int) -> None:
        """Return at or just after the deadline (nanoseconds of time.monotonic_ns), at once if it has passed."""
        self.next_ns = deadline_ns
        while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            if self._watcher is None:
                gevent.sleep(left_ns / 1e9)
                continue
            self._arm(deadline_ns)
            get_hub().wait(self._watcher)
            os.read(self._fd, 8)

    def _arm(self, deadline_ns: int) -> None:
        seconds, nanoseconds = divmod(deadline_ns, 1_000_000_000)
        spec = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, nanoseconds))
        assert self._libc is not None
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")

    def let_pass(self) -> None:
        """For those who have work to do that can wait: if a deadline is near, return after it."""
        deadline_ns = self.next_ns
        if 0 < deadline_ns - time.monotonic_ns() < NEAR_NS:
            while time.monotonic_ns() < deadline_ns:
                gevent.sleep(0)

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
            os.close(self._fd)
