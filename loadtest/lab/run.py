"""Runs a lab from the start of its replicas to their end: signals, clean-up, and what the command shows."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from loadtest.lab.azmlinfsrv import AzmlInfSrv
from loadtest.lab.environment import scoring_python
from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import AnyFleet, Fleet, Traffic
from loadtest.lab.here import lab_noted
from loadtest.lab.lab import Lab, drawn_cold_starts
from loadtest.lab.launcher_client import SCORING_SERVER_FOLDER, Launcher
from loadtest.lab.options import (
    KEY_VARIABLE,
    START_LIMIT_S,
    STOP_ON_EOF_VARIABLE,
    Announcement,
    LabOptions,
    ReplicaKind,
    check_replicas,
)
from loadtest.lab.scoring import ScoringServer, ScoringServerFailed, SimulatedServer
from loadtest.lab.server import LISTEN_BACKLOG, application, loopback_socket
from loadtest.scratch import scratch_folder
from planner.errors import InputError
from planner.scenario import Scenario

if TYPE_CHECKING:
    from loadtest.observe.observer import Connection

OPEN_FILES = 65536
PROGRESS_PERIOD_S = 10.0
"""While init() runs."""


def run_lab(
    scenario: Scenario,
    options: LabOptions,
    *,
    on_progress: Callable[[str], None],
    on_ready: Callable[[Announcement, str | None], None],
    on_status: Callable[[str], None] | None = None,
) -> None:
    """Serve until Ctrl-C, SIGTERM or a stop request, then end every replica. Blocks.

    on_ready receives the key too where the lab had to make one up, to be shown once.
    """
    score_file = _score_file(options)
    python, connection = None, None
    check_replicas(
        scenario.deployment.max_replicas,
        options.replicas,
        options.cluster,
        scale_deployment=options.scale_deployment,
        start_limit_s=options.start_limit_s,
    )
    if options.replicas is ReplicaKind.REAL:
        python = scoring_python(on_progress)
    if options.cluster is not None:
        from loadtest.observe.scaling import connect_to_scale  # the Kubernetes client takes half a second

        connection = connect_to_scale(options.cluster)
    _allow_many_connections()
    session = _Session(scenario, options, python, connection, score_file, on_progress, on_ready, on_status)
    asyncio.run(session.run())


def _score_file(options: LabOptions) -> Path:
    folder = (options.score_folder or SCORING_SERVER_FOLDER).absolute()
    if not (folder / "score.py").is_file():
        raise InputError(f"--score-dir {folder}: no score.py there")
    return folder / "score.py"


@dataclass(frozen=True)
class _Session:
    """One run of a lab."""

    scenario: Scenario
    options: LabOptions
    python: Path | None
    connection: Connection | None
    score_file: Path
    on_progress: Callable[[str], None]
    on_ready: Callable[[Announcement, str | None], None]
    on_status: Callable[[str], None] | None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[None] = loop.create_future()
        with (
            loopback_socket(self.options.host, self.options.port) as listener,
            scratch_folder() as folder,
        ):
            log = EventLog(loop.time, self.options.log)
            launcher = None if self.python is None else Launcher(self.python)
            lab = Lab(self.scenario, self._fleet_maker(launcher, folder, log, lambda error: _fail(stop, error)), log)
            loop.set_exception_handler(lambda loop, context: _on_stray_error(loop, context, stop))
            _stop_on_signals(stop)
            try:
                await self._start(lab, stop)
                if not stop.done():
                    await self._serve(lab, listener, stop)
            finally:
                await lab.stop()
                if launcher is not None:
                    launcher.stop()
            if stop.done():
                stop.result()

    async def _start(self, lab: Lab, stop: asyncio.Future[None]) -> None:
        """Start the initial replicas, unless the lab is to stop before they are ready."""
        count = self.scenario.deployment.initial_count
        healthy = 0

        def on_healthy() -> None:
            nonlocal healthy
            healthy += 1
            if healthy % math.ceil(count / 100) == 0 or healthy == count:
                self.on_progress(f"starting replicas: {healthy} of {count} healthy")

        self.on_progress(f"starting {count} {self.options.replicas.value} replicas")
        starting = asyncio.create_task(lab.start(on_healthy))
        waited_s = 0.0
        while not await _first_done(starting, stop, within_s=PROGRESS_PERIOD_S):
            waited_s += PROGRESS_PERIOD_S
            self.on_progress(
                f"starting replicas: {healthy} of {count} healthy, waiting for init(), {waited_s:.0f} s so far"
            )
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            raise KeyboardInterrupt
        try:
            starting.result()
        except ScoringServerFailed as failure:
            raise InputError(f"crash loop: {failure}") from None

    async def _serve(self, lab: Lab, listener: socket.socket, stop: asyncio.Future[None]) -> None:
        key = os.environ.get(KEY_VARIABLE, "")
        generated = None if key else secrets.token_urlsafe(24)
        runner = web.AppRunner(
            application(lab, generated or key, lambda: _stop(stop)), access_log=None, shutdown_timeout=0.5
        )
        await runner.setup()
        try:
            await web.SockSite(runner, listener, backlog=LISTEN_BACKLOG).start()
            with lab_noted(*listener.getsockname()[:2]) as problem:
                if problem:
                    self.on_progress(f"a replay cannot know that this is a lab and needs --lab ({problem})")
                gc.collect()
                gc.freeze()
                self.on_ready(self._announcement(listener), generated)
                await self._until_stopped(lab, stop)
        finally:
            await runner.cleanup()

    async def _until_stopped(self, lab: Lab, stop: asyncio.Future[None]) -> None:
        while not stop.done():
            await asyncio.wait({stop}, timeout=1.0)
            if self.on_status is not None:
                self.on_status(status_line(lab))

    def _fleet_maker(
        self, launcher: Launcher | None, folder: Path, log: EventLog, on_error: Callable[[BaseException], None]
    ) -> Callable[[Traffic, Callable[[], None]], AnyFleet]:
        connection = self.connection
        if connection is not None:
            from loadtest.lab.pods import PodFleet

            limit_s = self.options.start_limit_s or START_LIMIT_S
            return lambda traffic, on_change: PodFleet(
                connection, traffic, log, on_change, on_error, self.on_progress, limit_s
            )
        servers, cold_starts_s = self._server_factory(launcher, folder), drawn_cold_starts(self.scenario)
        return lambda traffic, on_change: Fleet(servers, cold_starts_s, traffic, log, on_change, on_error)

    def _server_factory(self, launcher: Launcher | None, folder: Path) -> Callable[[int], ScoringServer]:
        deployment = self.scenario.deployment
        if launcher is None:
            return lambda replica: SimulatedServer(deployment)
        started: dict[int, int] = {}

        def make(replica: int) -> ScoringServer:
            started[replica] = started.get(replica, 0) + 1
            log_file = folder / f"replica-{replica}-{started[replica]}.log"
            return AzmlInfSrv(launcher, self.score_file, log_file, deployment)

        return make

    def _announcement(self, listener: socket.socket) -> Announcement:
        host, port = listener.getsockname()[:2]
        root = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return Announcement(
            url=f"{root}/score",
            state_url=f"{root}/lab/state",
            log_url=f"{root}/lab/log",
            service=self.scenario.name,
            replicas=self.options.replicas.value,
            ready_replicas=self.scenario.deployment.initial_count,
        )


async def _first_done(*futures: asyncio.Future[None], within_s: float) -> bool:
    done, _ = await asyncio.wait(futures, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def status_line(lab: Lab) -> str:
    """The lab at a glance."""
    counts = lab.counts()
    replicas = f"replicas {counts['ready']} ready, {counts['starting']} starting, {counts['desired']} desired"
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(lab.answers.items())) or "none yet"
    loops = f" | crash loops {len(lab.fleet.crash_loops)}" if lab.fleet.crash_loops else ""
    return f"{replicas} | busy {counts['busy']}, queued {counts['queued']} | answers {answers}{loops}"


def _stop_on_signals(stop: asyncio.Future[None]) -> None:
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal_number != signal.SIGHUP or signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored: `nohup`
            loop.add_signal_handler(signal_number, _stop, stop)
    if os.environ.get(STOP_ON_EOF_VARIABLE):
        loop.add_reader(sys.stdin.fileno(), _stop_at_eof, stop)


def _stop_at_eof(stop: asyncio.Future[None]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        _stop(stop)


def _stop(stop: asyncio.Future[None]) -> None:
    if not stop.done():
        stop.set_result(None)


def _fail(stop: asyncio.Future[None], error: BaseException) -> None:
    if not stop.done():
        stop.set_exception(error)


def _on_stray_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any], stop: asyncio.Future[None]) -> None:
    """An exception that nobody awaits ends the lab; trouble with one connection does not."""
    error = context.get("exception")
    if error is None or isinstance(error, OSError):
        loop.default_exception_handler(context)
    else:
        _fail(stop, error)


def _allow_many_connections() -> None:
    """Raise the soft limit of open files, often 1,024, as far as it goes."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
