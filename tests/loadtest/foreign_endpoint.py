"""HAProxy before real scoring servers: an endpoint whose front end nobody here wrote.

`python -m tests.loadtest.foreign_endpoint FOLDER REPLICAS WAIT_S` starts it, says its port on a line of stdout, and
ends when its stdin does. Each server takes one request at a time; what finds none free waits in HAProxy's queue, at
most WAIT_S, and then gets 503. It listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from loadtest.lab.azmlinfsrv import AzmlInfSrv
from loadtest.lab.environment import scoring_python
from loadtest.lab.launcher_client import SCORING_SERVER_FOLDER, Launcher
from loadtest.lab.scoring_server.launcher import die_with_parent
from planner.child import child_environment, module_command
from planner.model import Autoscaler, Deployment

CONFIGURATION = """\
global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout queue {wait_ms:.0f}ms
frontend clients
  bind fd@{fd}
  default_backend scoring
backend scoring
  balance leastconn
{servers}
"""

LONGEST_START_S, LONGEST_END_S = 240.0, 10.0


def haproxy() -> str | None:
    """The program; None where it is not installed. Debian keeps it where only root looks."""
    return shutil.which("haproxy", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))


def haproxy_version(program: str) -> str:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\S+)", said)
    return found[1] if found else said.splitlines()[0]


@contextmanager
def foreign_endpoint(folder: Path, replicas: int, wait_s: float) -> Iterator[str]:
    """The scoring URL of an endpoint in a process of its own, which ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [*module_command("tests.loadtest.foreign_endpoint"), str(folder), str(replicas), str(wait_s)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=child_environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                raise RuntimeError(f"no endpoint; logs in {folder}")
            yield f"http://127.0.0.1:{port}/score"
        finally:
            process.stdin.close()
            try:
                process.wait(LONGEST_END_S)
            except subprocess.TimeoutExpired:
                process.kill()


async def _serve(folder: Path, replicas: int, wait_s: float) -> None:
    launcher = Launcher(scoring_python(lambda said: print(said, file=sys.stderr)))
    deployment = Deployment(autoscaler=Autoscaler.FIXED, min_replicas=replicas, max_replicas=replicas)
    score = SCORING_SERVER_FOLDER / "score.py"
    servers = [AzmlInfSrv(launcher, score, folder / f"scoring-{k}.log", deployment) for k in range(replicas)]
    try:
        async with asyncio.timeout(LONGEST_START_S):
            await asyncio.gather(*(server.start() for server in servers))
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            await _front_end(folder, listener, [server.port or 0 for server in servers], wait_s)
    finally:
        await asyncio.gather(*(server.stop() for server in servers), return_exceptions=True)
        launcher.stop()


async def _front_end(folder: Path, listener: socket.socket, ports: list[int], wait_s: float) -> None:
    """HAProxy until stdin ends, or until it does."""
    servers = "\n".join(f"  server s{k} 127.0.0.1:{port} maxconn 1" for k, port in enumerate(ports))
    configuration = folder / "haproxy.cfg"
    configuration.write_text(CONFIGURATION.format(wait_ms=1e3 * wait_s, fd=listener.fileno(), servers=servers))
    program = haproxy()
    assert program is not None, "HAProxy is not installed"
    with (folder / "haproxy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, "-db", "-f", str(configuration)),
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, os.getpid()),  # also when this process is killed
        )
    try:
        print(listener.getsockname()[1], flush=True)
        ended = asyncio.create_task(process.wait())
        hung_up = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        await asyncio.wait({ended, hung_up}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
