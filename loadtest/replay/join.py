"""Workers on this machine for a replay that another machine leads: the parent's side, without gevent."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

from loadtest.replay.credential_settings import CredentialSettings
from loadtest.replay.credentials import Credentials
from planner.child import child_environment, module_command
from planner.errors import InputError

STOP_WITHIN_S = 8.0
EXIT_INTERRUPTED = 130


def join(
    master: tuple[str, int],
    *,
    processes: int,
    away: Path,
    allow_hosts: Collection[str],
    credentials: CredentialSettings,
) -> int:
    """Run the workers to their end; returns the exit code. Ctrl-C stops them, and what they have measured is kept."""
    if importlib.util.find_spec("locust") is None:
        raise ModuleNotFoundError("No module named 'locust'", name="locust")
    with Credentials(credentials, os.environ):  # refused now rather than when the run is to start
        pass
    try:
        away.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {away}: cannot be made ({error.strerror})") from None
    address = f"{master[0]}:{master[1]}"
    command = [*module_command("loadtest.replay.worker"), "join", address, str(away.absolute()), *allow_hosts]
    environment = child_environment() | credentials.to_environment()
    print(f"waiting for the master at {address}", file=sys.stderr)
    workers = [
        subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
        for _ in range(processes)
    ]
    try:
        return max(worker.wait() for worker in workers)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        _end(workers)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    """Hang up, which stops a worker in order; one that does not end is killed."""
    for worker in workers:
        if worker.stdin is not None:
            worker.stdin.close()
    give_up_s = time.monotonic() + STOP_WITHIN_S
    for worker in workers:
        try:
            worker.wait(max(0.0, give_up_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
