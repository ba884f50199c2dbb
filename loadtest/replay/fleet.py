"""The parent's end of a replay's processes: one that leads and, for more than one worker, the workers beside it.

The parent never imports gevent. Each process is a session of its own, so that Ctrl-C in a terminal reaches only the
parent, and each ends when its stdin does: a parent that is killed leaves no orphan.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtest.replay.orders import Orders
from planner.child import child_environment, module_command
from planner.errors import NoVerdictError

CONNECT_WITHIN_S = 60.0
"""Importing Locust takes 1 to 2 s for each process, on a busy machine more."""

CONNECT_ELSEWHERE_WITHIN_S = 600.0
"""Workers on other machines have to be started by somebody."""

ARM_WITHIN_S = 120.0

STOP_WITHIN_S = 8.0

LOOK_PERIOD_S = 0.25
"""How late it may be noticed that a process has ended."""

LEAD, WORK = "lead", "work"


class Fleet:
    """The processes of one replay. environment: what they get beside this process's own, secrets included."""

    def __init__(self, log_folder: Path, environment: Mapping[str, str]) -> None:
        if importlib.util.find_spec("locust") is None:
            raise ModuleNotFoundError("No module named 'locust'", name="locust")
        self._log_folder = log_folder
        self._environment = environment
        self._workers: list[_Process] = []
        self._told: list[_Process] = []
        self._lead: _Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def arm(self, orders: Orders, processes: int, expect: int, bind: tuple[str, int]) -> list[dict[str, Any]]:
        """Start everything; returns what the armed workers say of themselves.

        processes: workers on this machine; expect: those on other machines, which connect to `bind`.
        """
        alone = processes == 1 and expect == 0
        self._lead = self._start("lead", [LEAD])
        connect_within_s = CONNECT_ELSEWHERE_WITHIN_S if expect else CONNECT_WITHIN_S
        order = {
            "orders": orders.to_document(),
            "workers": processes + expect,
            "bind": None if alone else bind,
            "connect_within_s": connect_within_s,
        }
        self._lead.write(json.dumps(order))
        if not alone:
            address = f"{bind[0]}:{self._expect('listening', ARM_WITHIN_S)}"
            self._workers = [self._start(f"worker-{k}", [WORK, address]) for k in range(processes)]
        armed: list[dict[str, Any]] = self._expect("armed", connect_within_s + ARM_WITHIN_S)
        return armed

    def start_at(self, start_ns: int) -> None:
        self._write(json.dumps({"start_ns": start_ns}))

    def ask_to_stop(self) -> None:
        self._write("stop")

    def release(self) -> None:
        """The results are written: workers elsewhere may remove their own records."""
        self._write("done")

    def next_message(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message; {} if none came in time; None when the leading process has ended.

        The leading process is told of workers beside it that have ended, for their silence alone says it late.
        """
        assert self._lead is not None
        for process in self._workers:
            if process.exit_code is not None and process not in self._told:
                self._told.append(process)
                self._write(json.dumps({"gone_pid": process.pid}))
        return self._lead.next_message(timeout_s)

    def close(self) -> None:
        """End every process, whatever state it is in."""
        processes = [*([self._lead] if self._lead else []), *self._workers]
        for process in processes:
            process.hang_up()
        for process in processes:
            process.close()

    def _start(self, name: str, arguments: list[str]) -> _Process:
        command = [*module_command("loadtest.replay.worker"), *arguments]
        return _Process(command, self._environment, self._log_folder / f"{name}.log")

    def _write(self, line: str) -> None:
        if self._lead is not None:
            self._lead.write(line)

    def _expect(self, key: str, within_s: float) -> Any:
        """The value of the message that must come next."""
        assert self._lead is not None
        message, give_up_s = self.next_message(0), time.monotonic() + within_s
        while message == {}:
            if ended := [process for process in self._workers if process.exit_code is not None]:
                raise NoVerdictError(f"the replay worker ended before it was ready: {ended[0].last_log_line()}")
            if time.monotonic() > give_up_s:
                raise NoVerdictError(f"the replay workers were not ready within {within_s:g} s")
            message = self.next_message(LOOK_PERIOD_S)
        if message is not None and key in message:
            return message[key]
        if message is not None and "problem" in message:
            raise NoVerdictError(f"the replay could not start: {message['problem']}")
        raise NoVerdictError(f"the replay worker ended before it was ready: {self._lead.last_log_line()}")


class _Process:
    """One process, its JSON lines, its log."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                command,
                env=child_environment() | dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read_messages, name="replay-messages", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it may have ended; next_message says so
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def next_message(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return {}

    def hang_up(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def close(self) -> None:
        self.hang_up()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def last_log_line(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def _read_messages(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._messages.put(message)
        self._messages.put(None)
