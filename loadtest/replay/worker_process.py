"""The parent's end of a replay worker: start it, arm it, give it T0, stop it, and never leave it behind."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import queue
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtest.replay.settings import WorkerSettings
from planner.child import child_environment, module_command
from planner.errors import NoVerdictError

ARM_WITHIN_S = 60.0
"""Importing Locust takes 1 to 2 s, on a busy machine more."""

STOP_WITHIN_S = 5.0


class WorkerProcess:
    """`python -m loadtest.replay.worker` in a session of its own, so that Ctrl-C in a terminal reaches only the parent.

    The worker stops when its stdin ends: a parent that is killed leaves no orphan.
    """

    def __init__(self, settings: WorkerSettings, log: Path) -> None:
        if importlib.util.find_spec("locust") is None:
            raise ModuleNotFoundError("No module named 'locust'", name="locust")
        self._log_path = log
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                module_command("loadtest.replay.worker"),
                env=child_environment() | settings.to_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read_messages, name="replay-worker-messages", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def wait_armed(self) -> dict[str, Any]:
        """What the worker says when it is ready to start."""
        try:
            message = self._messages.get(timeout=ARM_WITHIN_S)
        except queue.Empty:
            raise NoVerdictError(f"the replay worker was not ready within {ARM_WITHIN_S:g} s") from None
        if message is not None and "armed" in message:
            armed: dict[str, Any] = message["armed"]
            return armed
        if message is not None and "problem" in message:
            raise NoVerdictError(f"the replay worker could not start: {message['problem']}")
        raise NoVerdictError(f"the replay worker ended before it was ready: {self._last_log_line()}")

    def start_at(self, start_ns: int) -> None:
        self._write(json.dumps({"start_ns": start_ns}))

    def ask_to_stop(self) -> None:
        self._write("stop")

    def next_message(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message; {} if none came in time; None when the worker has ended."""
        try:
            return self._messages.get(timeout=timeout_s)
        except queue.Empty:
            return {}

    def close(self) -> None:
        """End the worker, whatever state it is in."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._reader.join()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it may have ended; next_message says so
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

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

    def _last_log_line(self) -> str:
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.wait()}"
