"""A process of a replay: Locust as a library around the coordinator, an agent, or both.

    … lead                        leads, and is the one worker where there is no other
    … work HOST:PORT              a worker of the master on this same machine
    … join HOST:PORT DIR [HOST…]  one of a master elsewhere; keeps its records in DIR, may load HOST beside this machine

Orders come to the leading process on stdin, as JSON lines: the orders, then {"start_ns": …}, {"gone_pid": …}, "stop",
"done". It answers on stdout: {"listening": port}, {"armed": […]}, {"worker_ended": …}, {"ended": true}, or
{"problem": …}. A process ends when its stdin does.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import gevent
import locust
from gevent.event import Event
from gevent.fileobject import FileObject
from locust import User, task
from locust.env import Environment
from locust.exception import RPCError, RPCReceiveError
from locust.runners import WorkerRunner

from loadtest.replay.agent import Agent
from loadtest.replay.coordinator import Coordinator
from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from loadtest.replay.orders import Orders
from loadtest.replay.redaction import redact
from planner.errors import InputError, NoVerdictError, SurgeproofError


class Nobody(User):
    """Locust wants a user; requests are the engine's."""

    @task
    def nothing(self) -> None:
        gevent.sleep(3600)


def tell(**message: Any) -> None:
    """One JSON line to the parent."""
    print(json.dumps(message), flush=True)


def lead() -> int:
    lines = FileObject(0, "rb", closefd=False)
    order = json.loads(lines.readline())
    environment = Environment(user_classes=[Nobody], events=locust.events)
    runner = _runner(environment, order["bind"])
    coordinator = Coordinator(runner)
    parent = _Parent(lines, coordinator)
    gevent.signal_handler(signal.SIGTERM, coordinator.stop)
    gevent.spawn(parent.listen)
    try:
        if order["bind"] is not None:
            parent.wait_for_workers(runner, order["workers"], order["connect_within_s"])
        orders = Orders.from_document(order["orders"])
        coordinator.perform(orders, parent.start_at, lambda about: tell(worker_ended=about))
    except SurgeproofError as error:
        tell(problem=str(error))
        runner.quit()  # workers elsewhere would wait for a minute
        return 2
    tell(ended=True)
    parent.gone.wait()
    runner.quit()
    return 0


class _Parent:
    """What comes on stdin after the orders; its end (the parent is gone) stops the run."""

    def __init__(self, lines: Any, coordinator: Coordinator) -> None:
        self._lines = lines
        self._coordinator = coordinator
        self._start_ns: int | None = None
        self._decided = Event()
        self.gone = Event()

    def listen(self) -> None:
        for line in iter(self._lines.readline, b""):
            order = json.loads(line) if line.startswith(b"{") else {}
            if "gone_pid" in order:
                self._coordinator.gone(int(order["gone_pid"]))
            elif "start_ns" in order:
                self._start_ns = int(order["start_ns"])
                self._decided.set()
            elif line.strip() == b"done":
                self._coordinator.release()
            else:
                self._stop()
        self._stop()
        self.gone.set()

    def start_at(self, armed: list[dict[str, Any]]) -> int | None:
        """Tell the parent who is armed, and wait for its T0; None if it wants none."""
        tell(armed=armed)
        self._decided.wait()
        return self._start_ns

    def wait_for_workers(self, runner: Any, workers: int, within_s: float) -> None:
        with gevent.Timeout(within_s, False):
            while len(runner.clients.ready) < workers and not self._decided.is_set():
                gevent.sleep(0.05)
        if (connected := len(runner.clients.ready)) < workers:
            waited = "before the replay was stopped" if self._decided.is_set() else f"within {within_s:g} s"
            raise NoVerdictError(f"{connected} of {workers} replay workers have connected {waited}")

    def _stop(self) -> None:
        self._coordinator.stop()
        self._decided.set()


def _runner(environment: Environment, bind: Sequence[Any] | None) -> Any:
    """A local runner with an agent of its own, or a master's."""
    if bind is None:
        runner = environment.create_local_runner()
        _agent(environment, runner, Path())
        return runner
    try:
        master = environment.create_master_runner(bind[0], int(bind[1]))
    except (OSError, SystemExit, RPCError):
        raise NoVerdictError(f"--master-bind {bind[0]}:{bind[1]}: cannot be listened on") from None
    _survive_strangers(master)
    tell(listening=master.server.port)
    return master


def _survive_strangers(master: Any) -> None:
    """Locust's greenlet that listens to workers ends for ever at a message that it cannot read or has not asked for."""
    receive, handle = master.server.recv_from_client, master.handle_message

    def receive_whole() -> Any:
        try:
            return receive()
        except (RPCError, RPCReceiveError):
            raise
        except Exception as error:
            raise RPCReceiveError(f"no message of Locust's ({type(error).__name__})") from error

    def handle_known(client_id: str, message: Any) -> None:
        try:
            handle(client_id, message)
        except Exception as error:
            print(f"a message that nobody understands: {type(error).__name__}", file=sys.stderr, flush=True)

    master.server.recv_from_client = receive_whole
    master.handle_message = handle_known


def work(address: str, away: Path = Path(), allow_hosts: Sequence[str] | None = None) -> int:
    """Serve one master until it or the parent is gone."""
    host, _, port = address.rpartition(":")
    environment = Environment(user_classes=[Nobody], events=locust.events)
    runner: _Worker | None = None

    def leave() -> None:
        if runner is None:
            os._exit(0)  # not connected yet: nothing is measured, and Locust's attempts to connect cannot be ended
        runner.agent.finish()
        runner.quit()

    def watch_parent() -> None:
        FileObject(0, "rb", closefd=False).read()
        leave()

    gevent.signal_handler(signal.SIGTERM, leave)
    gevent.spawn(watch_parent)
    try:
        runner = _Worker(environment, host, int(port), lambda own: _agent(environment, own, away, allow_hosts))
    except (ConnectionError, RPCError):
        print(f"no master answers at {address}", file=sys.stderr)
        return 3
    environment.runner = runner
    agent = runner.agent
    gevent.spawn(agent.master_lost.wait).link(lambda _: leave())
    runner.greenlet.join()
    agent.finish()
    if agent.refused is not None:
        print(agent.refused, file=sys.stderr)
        return 2
    if agent.kept is not None:
        print(f"the master has not said that it has the records; they are in {agent.kept}", file=sys.stderr)
        return 3
    return 0


class _Worker(WorkerRunner):
    """Its agent listens before the master hears of it: whoever connects first loses what is said in between."""

    agent: Agent

    def __init__(self, environment: Environment, host: str, port: int, agent: Callable[[Any], Agent]) -> None:
        self._make_agent = agent
        super().__init__(environment, host, port)

    def connect_to_master(self) -> None:
        if not self.custom_messages:  # Locust calls this again where no master answers
            self.agent = self._make_agent(self)
        super().connect_to_master()  # type: ignore[no-untyped-call]


def _agent(environment: Environment, runner: Any, away: Path, allow_hosts: Sequence[str] | None = None) -> Agent:
    credentials = Credentials(CredentialSettings.from_environment(os.environ), os.environ)
    agent = Agent(runner, environment.events.request, credentials, away=away, allow_hosts=allow_hosts)
    sys.stderr = _Redacted(sys.stderr, agent.secrets)
    return agent


class _Redacted(io.TextIOBase):
    """Stderr, which is a file in the run folder, without the secrets that are known when it is written."""

    def __init__(self, stream: Any, secrets: Callable[[], Collection[str]]) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        self._stream.write(redact(text, self._secrets()))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def main(arguments: Sequence[str]) -> int:
    try:
        match arguments:
            case ["lead"]:
                return lead()
            case ["work", address]:
                return work(address)
            case ["join", address, away, *hosts]:
                return work(address, Path(away), hosts)
    except SurgeproofError as error:
        tell(problem=str(error))
        return 2
    raise InputError(f"replay worker: {' '.join(arguments)}: not a command")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
