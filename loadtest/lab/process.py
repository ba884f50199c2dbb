"""A lab in a process of its own, for those who need one beside them: tests and `surgeproof run`."""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loadtest.lab.options import KEY_VARIABLE, STOP_ON_EOF_VARIABLE
from loadtest.observe.target import ClusterTarget
from planner.child import child_environment, module_command
from planner.errors import InputError, SurgeproofError

STOP_LIMIT_S = 10.0
STOP_WITH_CLUSTER_LIMIT_S = 60.0
"""The Deployment gets its replica count back, or the lab says that it did not: a call that a silent API server does not
answer takes up to 25 s, and one may be under way."""


class LabProcess:
    """Starts the lab on entering the context, and has ended it and all its replicas on leaving.

    The lab ends with this process too, however that ends. `key` is made up if it is not given; on_progress receives
    what the lab says while it starts, line by line, from another thread.
    """

    url: str
    state_url: str

    def __init__(
        self,
        scenario: Path | str,
        *,
        replicas: str = "real",
        port: int = 0,
        log: Path | None = None,
        score_folder: Path | None = None,
        key: str | None = None,
        cluster: ClusterTarget | None = None,
        start_limit_s: float | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.key = key or secrets.token_urlsafe(24)
        self._arguments = [str(scenario), "--replicas", replicas, "--port", str(port), "--output", "json"]
        if log is not None:
            self._arguments += ["--log", str(log)]
        if score_folder is not None:
            self._arguments += ["--score-dir", str(score_folder)]
        if cluster is not None:
            self._arguments += [*cluster.arguments(), "--scale-deployment"]
        if start_limit_s is not None:
            self._arguments += ["--start-limit", f"{1000 * start_limit_s:.0f}ms"]
        self._stop_limit_s = STOP_LIMIT_S if cluster is None else STOP_WITH_CLUSTER_LIMIT_S
        self._on_progress = on_progress or (lambda line: None)
        self._said: deque[str] = deque(maxlen=50)
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [*module_command("loadtest.lab"), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=child_environment() | {KEY_VARIABLE: self.key, STOP_ON_EOF_VARIABLE: "1"},
            start_new_session=True,  # Ctrl-C reaches this process, which then ends the lab in its own time
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            document = self._first_document()
        except BaseException:
            self.stop()
            raise
        self.url, self.state_url = document["url"], document["state_url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, limit_s: float) -> int:
        """The exit code, once the lab has ended by itself."""
        assert self._process is not None
        return self._process.wait(limit_s)

    def stop(self) -> int | None:
        """End the lab, by force if it does not end by itself. Returns its exit code."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(self._stop_limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        return process.returncode

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line.rstrip())
            self._on_progress(line.rstrip())

    def _first_document(self) -> dict[str, Any]:
        """The JSON document that the lab prints when it is ready; its own error if it ends before."""
        assert self._process is not None
        assert self._process.stdout is not None
        text = ""
        for line in self._process.stdout:
            text += line
            with contextlib.suppress(json.JSONDecodeError):
                document: dict[str, Any] = json.loads(text)
                return document
        code = self._process.wait()
        assert self._listener is not None
        self._listener.join()
        lines = [line for line in self._said if line] or [f"the lab ended with exit code {code}"]
        raise InputError("\n".join(lines)) if code == InputError.exit_code else SurgeproofError(lines[-1])
