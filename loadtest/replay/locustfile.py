"""Replays a schedule with Locust, open loop. `surgeproof replay` runs it; so does plain Locust:

    SURGEPROOF_URL=http://127.0.0.1:5001/score SURGEPROOF_SCHEDULE=runs/NAME/schedule.parquet \\
    SURGEPROOF_SEGMENT=/tmp/again.segment locust -f loadtest/replay/locustfile.py --headless

Environment variables:

    SURGEPROOF_URL            the full scoring URL (required)
    SURGEPROOF_SCHEDULE       a schedule.parquet (required)
    SURGEPROOF_SEGMENT        a new file for the records of this run (required); `loadtest.replay.merge` reads it
    SURGEPROOF_ENDPOINT_KEY   sent as `Authorization: Bearer KEY`
    SURGEPROOF_ALLOW_HOST     the host, if it is not this machine; then SURGEPROOF_MAX_REQUESTS is needed too
    SURGEPROOF_MAX_REQUESTS   stop after that many
    SURGEPROOF_TIMEOUT_S      the client's timeout (70); keep it above wait limit + scoring timeout of the endpoint
    SURGEPROOF_MAX_IN_FLIGHT  requests that may be out at one time (4096)
    SURGEPROOF_CUTOFF_S       requests this late are skipped (1)
    SURGEPROOF_WARM_SOCKETS   connections opened before the start (16)

One user is one dispatcher: Locust's number of users and spawn rate do not change the load, the schedule does.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from gevent.fileobject import FileObject
from locust import FastHttpUser, task
from locust.exception import StopUser

from loadtest.replay.endpoint import check_allowed, is_loopback, parse_url, resolve
from loadtest.replay.engine import Engine
from loadtest.replay.segment import EndReason
from loadtest.replay.settings import WorkerSettings
from loadtest.schedule import read_schedule
from planner.errors import SurgeproofError

LEAD_S = 2.0
"""Without a parent the run starts this long after arming."""


class ReplayUser(FastHttpUser):
    """The dispatcher as a Locust user. There is one of it, whatever the number of users asked for."""

    host = os.environ.get("SURGEPROOF_URL", "http://127.0.0.1")
    fixed_count = 1
    engine: ClassVar[Engine | None] = None
    finished: ClassVar[Event] = Event()
    problem: ClassVar[str | None] = None

    @task
    def replay(self) -> None:
        cls = type(self)
        by_parent = False
        try:
            settings = WorkerSettings.from_environment()
            by_parent = settings.start_by_parent
            self._replay(settings)
        except SurgeproofError as error:
            cls.problem = str(error)
        except Exception as error:
            traceback.print_exc()
            cls.problem = f"{type(error).__name__}: {error}"
        finally:
            cls.finished.set()
        if not by_parent:
            self._end_locust()
        raise StopUser

    def _replay(self, settings: WorkerSettings) -> None:
        if not settings.start_by_parent:
            _check_alone(settings)
        type(self).engine = engine = Engine(settings, self.environment.events.request)
        armed = engine.arm()
        if settings.start_by_parent:
            tell(armed=armed)
            start_ns = _start_from_parent(engine)
        else:
            start_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        reason = engine.run(start_ns)
        if settings.start_by_parent:
            tell(ended=reason.name.lower(), connections_opened=engine.connections_opened)

    def _end_locust(self) -> None:
        """Plain Locust: end the process when headless, else only the test."""
        if self.problem:
            print(f"replay: {self.problem}", file=sys.stderr, flush=True)
            self.environment.process_exit_code = 2
        runner = self.environment.runner
        gevent.spawn(runner.stop if self.environment.web_ui else runner.quit)


def tell(**message: Any) -> None:
    """One JSON line to the parent."""
    print(json.dumps(message), flush=True)


def _start_from_parent(engine: Engine) -> int:
    """Wait for {"start_ns": …}; from then on a line "stop", or the end of stdin (the parent is gone), stops the run."""
    lines = FileObject(0, "rb", closefd=False)
    first = lines.readline()
    start_ns = int(json.loads(first)["start_ns"]) if first.startswith(b"{") else 0
    if not start_ns:
        engine.stop(EndReason.STOPPED)

    def watch_parent() -> None:
        lines.readline()
        engine.stop(EndReason.STOPPED)

    gevent.spawn(watch_parent)
    return start_ns


def _check_alone(settings: WorkerSettings) -> None:
    """The safety rules that the command checks before it starts a worker."""
    endpoint = parse_url(settings.url)
    schedule = read_schedule(settings.schedule)
    check_allowed(
        endpoint,
        loopback=is_loopback(resolve(endpoint)),
        allow_hosts=[os.environ.get("SURGEPROOF_ALLOW_HOST", "")],
        max_requests=settings.max_requests,
        planned=len(schedule),
        peak_rate_rps=schedule.peak_rate_rps,
    )
