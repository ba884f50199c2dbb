"""The worker's side of a replay: is armed with a share of the schedule, starts at T0, streams what it measures."""

from __future__ import annotations

import contextlib
import os
import platform
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from loadtest.payloads import read_payloads, secrets_of
from loadtest.replay.credentials import Credentials
from loadtest.replay.endpoint import is_loopback, parse_url, resolve
from loadtest.replay.engine import Engine, Share
from loadtest.replay.journal import RUN_ID_KEY, first_entry
from loadtest.replay.messages import PAYLOADS_FILE, SCHEDULE_FILE, ToMaster, ToWorker
from loadtest.replay.orders import Orders
from loadtest.replay.redaction import redact
from loadtest.replay.segment import EndReason, SegmentWriter
from loadtest.schedule import read_schedule
from planner.errors import InputError, SurgeproofError

LOST_MASTER_AFTER_S = 10.0
"""Without a word from its master for this long, a worker stops sending."""

FETCH_WITHIN_S = 60.0
FINISH_WITHIN_S = 3.0


class Agent:
    """Listens to the coordinator through a Locust runner (a worker's, or a local one that is both).

    away: where this process keeps its records when it cannot see the run folder of its master. allow_hosts: hosts that
    may be loaded though they are not this machine; None: the master has checked that already, in this same machine.
    """

    def __init__(
        self,
        runner: Any,
        request_event: Any,
        credentials: Credentials,
        *,
        away: Path,
        allow_hosts: Collection[str] | None = None,
    ) -> None:
        self._runner = runner
        self._request_event = request_event
        self._credentials = credentials
        self._has_credentials = False
        self._other_secrets: list[str] = []
        self._away = away
        self._allow_hosts = allow_hosts
        self._engine: Engine | None = None
        self._files: dict[str, _Incoming] = {}
        self._folder: Path | None = None
        self._shared = True
        self._heard_s = time.monotonic()
        self.ended = Event()
        self.master_lost = Event()
        self.refused: str | None = None
        """Why this worker has not taken the last orders."""
        self.kept: Path | None = None
        """Where the records of a run lie whose master has not said that it has them."""
        for name, listener in {
            ToWorker.PING: self._on_ping,
            ToWorker.ARM: self._on_arm,
            ToWorker.FILE: self._on_file,
            ToWorker.START: self._on_start,
            ToWorker.BEAT: self._on_beat,
            ToWorker.STOP: self._on_stop,
            ToWorker.DONE: self._on_done,
        }.items():
            runner.register_message(str(name), listener)

    def stop(self, reason: EndReason = EndReason.STOPPED) -> None:
        if self._engine is not None:
            self._engine.stop(reason)

    def secrets(self) -> list[str]:
        """What must not stand in this process's log."""
        return self._credentials.secrets() + self._other_secrets

    def finish(self, within_s: float = FINISH_WITHIN_S) -> None:
        """Stop, and wait until what was measured is written and told."""
        if self._engine is not None:
            self.stop()
            self.ended.wait(within_s)

    def _refuse(self, problem: str) -> None:
        self.refused = self._without_secrets(problem)
        self._tell(ToMaster.REFUSED, problem=self.refused)

    def _without_secrets(self, text: str | None) -> str | None:
        """What a defect says goes into the run folder."""
        return None if text is None else redact(text, self.secrets())

    def _tell(self, message: ToMaster, /, **data: Any) -> None:
        self._runner.send_message(str(message), data)

    def _on_ping(self, msg: Any, **_: Any) -> None:
        self._tell(ToMaster.PONG, number=msg.data["number"], monotonic_ns=time.monotonic_ns())

    def _on_beat(self, **_: Any) -> None:
        self._heard_s = time.monotonic()

    def _on_stop(self, **_: Any) -> None:
        self.stop()

    def _on_file(self, msg: Any, **_: Any) -> None:
        self._files[msg.data["name"]].add(msg.data)

    def _on_arm(self, msg: Any, **_: Any) -> None:
        self._heard_s = time.monotonic()
        self.refused = None
        self.ended.clear()
        gevent.spawn(self._arm, msg.data)

    def _on_start(self, msg: Any, **_: Any) -> None:
        gevent.spawn(self._run, msg.data["start_ns"])

    def _on_done(self, **_: Any) -> None:
        if self.kept is not None and self._folder is not None:
            for name in (SCHEDULE_FILE, PAYLOADS_FILE, self.kept.name):
                (self._folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            self.kept = None

    def _arm(self, message: dict[str, Any]) -> None:
        try:
            armed = self._armed(Orders.from_document(message["orders"]), message["worker"], message["workers"])
        except SurgeproofError as error:
            self._refuse(str(error))
        except Exception as error:
            traceback.print_exc()
            self._refuse(f"{type(error).__name__}: {error}")
        else:
            about = {"pid": os.getpid(), "host": platform.node(), "shares_the_run_folder": self._shared}
            self._tell(ToMaster.ARMED, **armed, **about)

    def _armed(self, orders: Orders, worker: int, workers: int) -> dict[str, Any]:
        self._check_host(orders.settings.url)
        self._folder = self._run_folder(orders, worker)
        schedule = read_schedule(self._file(SCHEDULE_FILE))
        if schedule.sha256 != orders.schedule_sha256:
            raise InputError(f"{self._folder / SCHEDULE_FILE}: another schedule than the master's")
        payloads = read_payloads(self._file(PAYLOADS_FILE), orders.payloads_sha256)
        self._other_secrets = [*secrets_of(payloads, os.environ), *parse_url(orders.settings.url).secrets]
        if not self._has_credentials:
            self._credentials.start()
            self._has_credentials = True
        path = self._folder / f"worker-{worker}.segment"
        if not self._shared:
            self.kept = path
        self._engine = Engine(
            Share(schedule=schedule, payloads=payloads, worker=worker, workers=workers),
            orders.settings,
            self._credentials,
            SegmentWriter(path, schedule.sha256, worker, workers),
            self._request_event,
            self._hand_over,
        )
        armed = self._engine.arm()
        self._engine.flush()
        return armed

    def _check_host(self, url: str) -> None:
        endpoint = parse_url(url)
        addresses = resolve(endpoint)
        if self._allow_hosts is None or is_loopback(addresses):
            return
        if endpoint.host not in {host.lower() for host in self._allow_hosts}:
            raise InputError(
                f"{endpoint.host} is not the worker's own machine; start the worker with --allow-host {endpoint.host}"
            )

    def _run_folder(self, orders: Orders, worker: int) -> Path:
        """The master's run folder where this process sees it, else a folder of its own."""
        folder = orders.folder
        self._shared = first_entry(folder).get(RUN_ID_KEY) == orders.run_id
        if not self._shared:
            folder = self._away / f"worker-{worker}-of-{orders.run_id}"
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _file(self, name: str) -> Path:
        """A file of the run; one that this machine does not have is fetched from the master."""
        assert self._folder is not None
        path = self._folder / name
        if not self._shared:
            self._files[name] = incoming = _Incoming()
            self._tell(ToMaster.NEED, name=name)
            if not incoming.whole.wait(FETCH_WITHIN_S):
                raise InputError(f"{name}: not received from the master within {FETCH_WITHIN_S:g} s")
            path.write_bytes(incoming.data)
            del self._files[name]
        return path

    def _hand_over(self, records: bytes) -> None:
        """After each flush: the records, for a master that cannot see them, and that this worker is alive."""
        self._tell(ToMaster.RECORDS, data=b"" if self._shared else records)
        if time.monotonic() - self._heard_s > LOST_MASTER_AFTER_S:
            self.stop()
            self.master_lost.set()

    def _run(self, start_ns: int) -> None:
        engine, credentials = self._engine, self._credentials
        if engine is None:
            return
        cpu_s = time.process_time()
        reason = engine.run(start_ns)
        self._engine = None
        self._tell(
            ToMaster.ENDED,
            ended=reason.name.lower(),
            problem=self._without_secrets(engine.problem),
            remarks={str(status): self._without_secrets(said) for status, said in engine.remarks.items()},
            cpu_s=time.process_time() - cpu_s,
            connections_opened=engine.connections_opened,
            token_refreshes=credentials.refreshes,
            token_problem=credentials.problem,
        )
        self.ended.set()


class _Incoming:
    """A file as it arrives in parts, in order."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.whole = Event()

    def add(self, part: dict[str, Any]) -> None:
        if part["offset"] == len(self.data):
            self.data += part["data"]
        if len(self.data) == part["size"]:
            self.whole.set()
