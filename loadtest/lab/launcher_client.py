"""The lab's side of the launcher: one process that forks scoring servers when asked."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SCORING_SERVER_FOLDER = Path(__file__).parent / "scoring_server"

_NOT_FOR_REPLICAS = ("SURGEPROOF_", "PYTHON", "VIRTUAL_ENV", "GUNICORN_", "AZUREML_", "AML_", "LISTEN_", "WORKER_")


class LauncherEnded(Exception):
    """The launcher has ended, and all scoring servers with it."""


class Launcher:
    """Starts `scoring_server/launcher.py` when it is first needed, and again should it ever end."""

    def __init__(self, python: Path) -> None:
        self._python = python
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()

    async def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path, files: Sequence[int]
    ) -> int:
        """Fork an azmlinfsrv; files: listening socket, pipe for readiness, log. Returns its process id.

        To be shielded from cancellation: the answer to a request that nobody awaits would be taken for the next one's.
        """
        request = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        async with self._one_at_a_time:
            control = self._running()
            try:
                socket.send_fds(control, [json.dumps(request).encode() + b"\n"], list(files))
                answer = await asyncio.get_running_loop().sock_recv(control, 64)
            except OSError as error:
                raise LauncherEnded(str(error)) from None
        if not answer:
            raise LauncherEnded("it closed its control socket")
        return int(answer)

    def stop(self) -> None:
        """End it. Scoring servers that are still there end with it."""
        if self._process is not None and self._control is not None:
            self._process.kill()
            self._process.wait()
            self._control.close()

    def _running(self) -> socket.socket:
        if self._process is None or self._control is None or self._process.poll() is not None:
            if self._control is not None:
                self._control.close()
            self._control, theirs = socket.socketpair()
            self._control.setblocking(False)
            with theirs:
                launcher = str(SCORING_SERVER_FOLDER / "launcher.py")
                self._process = subprocess.Popen(
                    [self._python, "-uB", launcher, str(os.getpid()), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env={name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_REPLICAS)},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C in the terminal is for the lab alone
                )
        return self._control
