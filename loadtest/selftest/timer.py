"""`python -m loadtest.selftest.timer`: a bare timer loop that sleeps to each deadline and notes how late it woke.

The yardstick of a generator: what it adds to this is its own. Settings as one JSON line on stdin: `offsets` and
`lateness`, two .npy files (int64 nanoseconds; the deadlines from the start, and what is written: wake-up minus
deadline), and `method`, "sleep" (clock_nanosleep) or "timerfd" (one in an epoll loop, as gevent's loop waits).
"""

from __future__ import annotations

import gc
import json
import select
import sys
import time
from collections.abc import Callable

import numpy as np

from loadtest.timerfd import TimerFd

LEAD_NS = 20_000_000


def lateness_ns(deadlines_ns: list[int], wait_until: Callable[[int], None]) -> list[int]:
    """How late each deadline of the monotonic clock was met; one that has passed already is not waited for."""
    late = []
    for deadline_ns in deadlines_ns:
        if deadline_ns > time.monotonic_ns():
            wait_until(deadline_ns)
        late.append(time.monotonic_ns() - deadline_ns)
    return late


def sleep_until(deadline_ns: int) -> None:
    while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


def timerfd_waiter() -> Callable[[int], None]:
    timer = TimerFd()
    epoll = select.epoll()
    epoll.register(timer.fd, select.EPOLLIN)

    def wait_until(deadline_ns: int) -> None:
        timer.set(deadline_ns)
        epoll.poll()

    return wait_until


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    offsets_ns = np.load(settings["offsets"])
    wait_until = timerfd_waiter() if settings["method"] == "timerfd" else sleep_until
    gc.collect()
    gc.freeze()
    start_ns = time.monotonic_ns() + LEAD_NS
    late_ns = lateness_ns((start_ns + offsets_ns).tolist(), wait_until)
    np.save(settings["lateness"], np.array(late_ns, dtype=np.int64))


if __name__ == "__main__":
    main()
