"""The worker process of a replay: Locust as a library around one `ReplayUser`.

Run by `worker_process` as `python -m loadtest.replay.worker`. Settings come in the environment, T0 on stdin; JSON lines
go out on stdout: {"armed": …}, then {"ended": …}, or {"problem": …}.
"""

from __future__ import annotations

import signal
import sys

import gevent
import locust
from locust.env import Environment

from loadtest.replay.locustfile import ReplayUser, tell
from loadtest.replay.segment import EndReason


def main() -> int:
    gevent.signal_handler(signal.SIGTERM, _stop)
    environment = Environment(user_classes=[ReplayUser], events=locust.events)
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    ReplayUser.finished.wait()
    if ReplayUser.problem:
        tell(problem=ReplayUser.problem)
    runner.quit()
    return 2 if ReplayUser.problem else 0


def _stop() -> None:
    if ReplayUser.engine is not None:
        ReplayUser.engine.stop(EndReason.STOPPED)
    else:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())
