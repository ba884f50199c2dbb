"""What the tests of real replays share: Locust in its processes, sockets on the loopback, and what both sides saw.

A run whose generator was held up by a busy machine repeats once (`valid_replay`); a wrong result never does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.replay import plan, start
from loadtest.replay.journal import last, read_journal
from loadtest.replay.progress import Progress
from loadtest.replay.run import ReplayResult, replay
from planner.scenario import Scenario
from planner.scenario_file import load
from tests.loadtest.conftest import STUB, StubServer, write_scenario

MakeStub = Callable[..., StubServer]
MakeScenario = Callable[..., Scenario]
MakeFile = Callable[..., Path]

KEY = "k3y-that-nobody-may-see"

real_runs = [
    pytest.mark.lab,
    pytest.mark.usefixtures("short_lead"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc for processes left behind"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make namespaces and mount a small disk")

SURGEPROOF = [sys.executable, "-m", "planner.cli.root"]


def valid_replay(
    scenario: Scenario, start_stub: Callable[[], StubServer], out: Path, **options: Any
) -> tuple[ReplayResult, StubServer]:
    """A run whose generator kept up, against a fresh stub; one more try where the machine was busy."""
    for attempt in ("first", "second"):
        server = start_stub()
        result = replay(scenario, server.url, out=out / attempt, **options)
        if result.document["generator"]["valid"]:
            return result, server
    raise AssertionError(f"generator invalid twice: {result.document['generator']['problems']}")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run of this process: the endpoint's settings, the scenario's, and the replay's options."""

    script: Path = STUB
    stub: dict[str, Any] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """What both sides saw of a run."""

    result: ReplayResult
    record: dict[str, Any]

    @property
    def document(self) -> dict[str, Any]:
        return self.result.document

    @property
    def books(self) -> dict[str, int]:
        return totals(self.result.document)


def run_cases(folder: Path, cases: Mapping[str, Case]) -> dict[str, Seen]:
    """Run them, three at a time: real runs mostly wait. Not for what asks for punctual requests."""

    def run_case(name: str, case: Case) -> Seen:
        server = StubServer(case.stub, script=case.script)
        try:
            path = write_scenario(folder / f"{name}.yaml", **case.scenario)
            result = replay(load(str(path)), server.url, out=folder / name, **case.options)
            return Seen(result, server.record())
        finally:
            server.close()

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(3) as pool:
        patch.setattr(start, "LEAD_S", 0.3)
        patch.setattr(plan, "CLIENT_SLACK_S", 0.2)
        runs = {name: pool.submit(run_case, name, case) for name, case in cases.items()}
        return {name: run.result() for name, run in runs.items()}


def arrivals(server: StubServer, result: ReplayResult) -> tuple[np.ndarray, np.ndarray]:
    """Request indices in order of arrival, and their arrival times in seconds from the start of the run."""
    seen = server.record()["arrivals"]
    return np.array([i for i, _ in seen]), np.array([t for _, t in seen]) - result.document["start_monotonic_s"]


def totals(document: dict[str, Any]) -> dict[str, int]:
    """The books without zeros; that they balance is checked anew."""
    books = document["books"]
    never_sent = ("skipped_late", "dropped_max_inflight", "not_reached", "unaccounted")
    outcomes = [name for name, n in books.items() if type(n) is int and name not in ("planned", "sent", *never_sent)]
    assert books["balanced"] is True
    assert books["planned"] == books["sent"] + sum(books[name] for name in never_sent)
    assert books["sent"] == sum(books[name] for name in outcomes)
    for rows in (books["per_second"], books.get("per_worker", {})):
        assert all(sum(column) == books[name] for name, column in rows.items())
    return {name: n for name, n in books.items() if type(n) is int and n}


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def folder_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def processes() -> dict[int, tuple[int, str]]:
    """Every process of this machine: id -> (parent's id, command line)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found[int(path.name)] = (parent, command)
    return found


def workers_of(parent: int | None = None) -> list[int]:
    """Processes of a replay that a process (this one) has started."""
    parent = os.getpid() if parent is None else parent
    return [
        pid for pid, (ppid, command) in processes().items() if ppid == parent and "loadtest.replay.worker" in command
    ]


def descendants(root: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in processes().items():
        children.setdefault(parent, []).append(pid)
    found, new = [root], [root]
    while new:
        new = [child for pid in new for child in children.get(pid, [])]
        found += new
    return found


def leading_process(parent: int | None = None) -> int:
    found = processes()
    (lead,) = [pid for pid in workers_of(parent) if found[pid][1].split()[-1] == "lead"]
    return lead


def worker_pid(folder: Path, worker: int) -> int:
    """The process that sends the share of worker k, as the journal of a run in progress says."""
    armed = last(read_journal(folder), "armed")
    return int(next(about["pid"] for about in armed if about["worker"] == worker))


class At:
    """Does something once, when a run has gone on for so long: at(1.0, lambda: os.kill(...))."""

    def __init__(self, elapsed_s: float, what: Callable[[], object]) -> None:
        self._elapsed_s = elapsed_s
        self._what: Callable[[], object] | None = what

    def __call__(self, progress: Progress) -> None:
        if self._what is not None and progress.elapsed_s >= self._elapsed_s:
            what, self._what = self._what, None
            what()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def command(*arguments: object, inside: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    """`surgeproof …` in a process of its own, without Ctrl-C of this terminal."""
    return subprocess.Popen(
        [*inside, *SURGEPROOF, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def run(*arguments: object, within_s: float = 60.0, **options: Any) -> tuple[int, str, str]:
    """`surgeproof …` to its end: exit code, stdout, stderr. Never a traceback."""
    with command(*arguments, **options) as process:
        stdout, stderr = process.communicate(timeout=within_s)
    assert "Traceback" not in stderr, stderr
    return process.returncode, stdout, stderr


def run_json(*arguments: object, **options: Any) -> tuple[int, dict[str, Any], str]:
    code, stdout, stderr = run(*arguments, "--output", "json", **options)
    return code, json.loads(stdout or "{}"), stderr


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leaving: int) -> None:
    """Leave so many bytes free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(b"\0" * (free - leaving))


def together(*jobs: Callable[[], object]) -> None:
    """Do several things at the same time: real runs mostly wait. Not for what asks for punctual requests."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def wait_for(condition: Callable[[], object], within_s: float = 60.0) -> None:
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, "waited in vain"
        time.sleep(0.05)
