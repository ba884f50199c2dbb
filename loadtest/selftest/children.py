"""The parent's ends of the stub server and of the timer loop."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from planner.child import child_environment, module_command
from planner.errors import NoVerdictError
from planner.model import FloatArray, IntArray

STOP_WITHIN_S = 5.0


class StubProcess:
    """`loadtest.selftest.stub` in a session of its own, so that Ctrl-C in a terminal reaches only the parent."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self._record = folder / "arrivals.npy"
        self._process = subprocess.Popen(
            module_command("loadtest.selftest.stub"),
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._tell(json.dumps(settings | {"record_to": str(self._record)}))
        port = self._hear()
        self.url = f"http://127.0.0.1:{port}/score"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def arrivals(self) -> IntArray:
        """What it saw so far, in order: rows (arrival_ns, index, worker), -1 for unknown; shape (n, 3)."""
        self._tell("record")
        self._hear()
        rows: IntArray = np.load(self._record)
        return rows

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._process.stdout.close()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended; _hear says so
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise NoVerdictError(f"the stub server ended with exit code {self._process.returncode}")
        return int(line)


def timer_lateness_s(folder: Path, offsets_ns: IntArray, method: str = "sleep") -> FloatArray:
    """How late a bare timer loop in a process of its own wakes at each offset, seconds."""
    paths = {"offsets": folder / "offsets.npy", "lateness": folder / "lateness.npy"}
    np.save(paths["offsets"], offsets_ns)
    settings = {name: str(path) for name, path in paths.items()} | {"method": method}
    with subprocess.Popen(
        module_command("loadtest.selftest.timer"),
        env=child_environment(),
        stdin=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            process.communicate(json.dumps(settings).encode() + b"\n")
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise NoVerdictError(f"the timer loop ended with exit code {process.returncode}")
    late_s: FloatArray = np.load(paths["lateness"]) / 1e9
    return late_s
