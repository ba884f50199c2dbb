"""A real scoring server: azmlinfsrv in processes of its own, listening on 127.0.0.1 only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from loadtest.lab.http_client import Answer, ConnectionBroken, encode_request, exchange
from loadtest.lab.launcher_client import Launcher, LauncherEnded
from loadtest.lab.scoring import ScoringServerFailed
from loadtest.lab.waiting import first_of
from planner.model import Deployment

START_LIMIT_S = 300.0
"""gunicorn gives a worker up after the same time (WORKER_TIMEOUT)."""
STOP_GRACE_S = 2.0
LOG_TAIL_LINES = 40
_BACKLOG = 2048


class AzmlInfSrv:
    """One azmlinfsrv with WORKER_COUNT workers; its master leads a process group of its own.

    The lab opens the listening socket and hands it down, so ports are never raced for and a request sent while the
    server boots waits in the backlog. A pipe tells when the workers are up, and by its end that all processes are gone.
    """

    def __init__(self, launcher: Launcher, score_file: Path, log_file: Path, deployment: Deployment) -> None:
        self.port: int | None = None
        self.pid: int | None = None
        self.ended = asyncio.Event()
        self._launcher = launcher
        self._score_file = score_file
        self._log_file = log_file
        self._deployment = deployment
        self._forking: asyncio.Task[int] | None = None
        self._workers_up = 0
        self._all_up = asyncio.Event()

    async def start(self) -> None:
        self._forking = asyncio.create_task(self._fork())
        try:
            await asyncio.shield(self._forking)
        except LauncherEnded as error:
            raise ScoringServerFailed(f"the launcher of scoring servers has ended: {error}", "") from None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_LIMIT_S):
                await first_of(self._all_up, self.ended)
        if self.ended.is_set():
            raise ScoringServerFailed(why_it_ended(self.log(), self._score_file), _tail(self.log()))
        if not self._all_up.is_set():
            sentence = f"{self._score_file}: init() has not returned after {START_LIMIT_S:g} s"
            raise ScoringServerFailed(sentence, _tail(self.log()))
        await self._check_health()

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert self.port is not None
        return await exchange(self.port, encode_request("POST", "/score", headers, body))

    async def stop(self) -> None:
        """Ask, then kill. Returns when every process of it is gone."""
        if self._forking is None:
            return
        try:
            pid = await asyncio.shield(self._forking)
        except LauncherEnded:
            return
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                await self.ended.wait()
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        await self.ended.wait()

    def log(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self._log_file.read_text(encoding="utf-8", errors="replace")
        return ""

    async def _fork(self) -> int:
        ready_read, ready_write = os.pipe()
        os.set_blocking(ready_read, False)
        asyncio.get_running_loop().add_reader(ready_read, self._on_pipe, ready_read)
        try:
            with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener, self._log_file.open("wb") as log:
                self.port = listener.getsockname()[1]
                arguments = ["--entry_script", str(self._score_file), "--port", str(self.port)]
                arguments += ["--worker_count", str(self._deployment.worker_count)]
                files = [listener.fileno(), ready_write, log.fileno()]
                self.pid = await self._launcher.fork(arguments, self._settings(), self._score_file.parent, files)
                return self.pid
        finally:
            os.close(ready_write)

    def _settings(self) -> dict[str, str]:
        settings = {"AML_APP_ROOT": str(self._score_file.parent)}
        if not self._deployment.worker_busy_after_504:
            # The server's own timeout drops the work; it runs from the start of run(), not from dispatch or arrival.
            settings["SCORING_TIMEOUT_MS"] = str(max(1, round(1000 * self._deployment.scoring_timeout_s)))
        return settings

    def _on_pipe(self, pipe: int) -> None:
        said = os.read(pipe, 4096)
        self._workers_up += len(said)
        if self._workers_up >= self._deployment.worker_count:
            self._all_up.set()
        if not said:
            asyncio.get_running_loop().remove_reader(pipe)
            os.close(pipe)
            self._kill_group()
            self.ended.set()

    def _kill_group(self) -> None:
        """With the master may go processes that the model started and left in its group."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _check_health(self) -> None:
        assert self.port is not None
        try:
            answer = await exchange(self.port, encode_request("GET", "/", {}))
        except ConnectionBroken as error:
            raise ScoringServerFailed(f"the scoring server's health probe failed: {error}", _tail(self.log())) from None
        if (answer.status, answer.body) != (200, b"Healthy"):
            sentence = f"the scoring server's health probe answered {answer.status} {answer.body[:80]!r}"
            raise ScoringServerFailed(sentence, _tail(self.log()))


def why_it_ended(log: str, score_file: Path) -> str:
    """One sentence from a log: the user's exception and its place, else how the workers died, else the last line."""
    deaths = re.findall(r"^Worker \(pid:(\d+)\) died before init\(\) had returned$", log, re.M)
    end = log.rpartition("died before init() had returned\n")[2]
    exception = re.search(r"^Traceback \(most recent call last\):\n((?:[ \t].*\n|\n)+)(\S.*)$", _messages(end), re.M)
    if exception is not None:
        where = re.findall(rf'File "{re.escape(str(score_file))}", line (\d+)', exception[1])
        place = f"{score_file}, line {where[-1]}" if where else str(score_file)
        deed = "init() raised" if "User's init function failed" in end else "importing it raised"
        return f"{place}: {deed} {exception[2]}"
    if pids := deaths or re.findall(r"Worker \(pid:(\d+)\) exited with code", log):
        return f"{score_file}: {_how_they_died(log, pids)}"
    lines = [line for line in log.splitlines() if line.strip()]
    return f"{score_file}: the scoring server ended: {lines[-1] if lines else 'it left no log'}"


def _how_they_died(log: str, pids: list[str]) -> str:
    """The end and the last words of the last worker; gunicorn notes every end except an exit with code 0."""
    times = "once" if len(pids) == 1 else f"{len(pids)} times"
    noted = re.search(rf"Worker \(pid:{pids[-1]}\) (?:was sent (\w+)|exited with code (\d+))", log)
    end = "exit code 0" if noted is None else f"killed by {noted[1]}" if noted[1] else f"exit code {noted[2]}"
    guess = ", perhaps out of memory" if end == "killed by SIGKILL" else ""
    said = re.findall(rf"^\S+ \S+ \w \[{pids[-1]}\] \S+ - (.*)$", log, re.M)
    last_words = f'; its log ends with "{said[-1]}"' if said else ""
    return f"its worker process died {times} before init() had returned ({end}{guess}){last_words}"


def _messages(log: str) -> str:
    """The log with the logger's prefix taken off the first line of each traceback."""
    return re.sub(r"^.*?(?=Traceback \(most recent call last\):)", "", log, flags=re.M)


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
