"""Linux's timerfd, which wakes a process to some 0.1 ms where epoll's own timeout counts in whole milliseconds."""

from __future__ import annotations

import ctypes
import os
import time

_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = 0o2000000
_TFD_TIMER_ABSTIME = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerFd:
    """A descriptor, `fd`, that becomes readable at an instant of the monotonic clock, until it is set anew."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd: int = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._spec = _Itimerspec()
        self._spec_address = ctypes.byref(self._spec)

    def set(self, deadline_ns: int) -> None:
        """Wake at a deadline (nanoseconds of time.monotonic_ns), at once if it has passed; 0: never."""
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(deadline_ns, 1_000_000_000)
        if self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, self._spec_address, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
