"""Control groups: every program of a cluster and its children are in one of its own, so that none is lost."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def make(name: str) -> Path:
    """The folder of a control group that processes can be put in."""
    folder = _tracking_root() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def processes(name: str) -> Iterator[int]:
    """The ids of all processes in this group and below."""
    for listing in (_tracking_root() / name).rglob("cgroup.procs"):
        with contextlib.suppress(OSError):  # a group that went away meanwhile
            yield from (int(line) for line in listing.read_text().split())


def kill_processes(*names: str, patience_s: float = 15.0) -> None:
    """SIGKILL for every process of the groups and below, until there is none."""
    deadline_s = time.monotonic() + patience_s
    while left := {pid for name in names for pid in processes(name)}:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"processes of {names[0]} survive SIGKILL: {sorted(left)}")
        time.sleep(0.05)


def remove(name: str) -> None:
    """Removes the group and those below in every hierarchy."""
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / name, topdown=False):
            for _ in range(40):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
                if not os.path.exists(folder):
                    break
                time.sleep(0.05)


def remove_if_empty(name: str) -> None:
    for hierarchy in _hierarchies():
        with contextlib.suppress(OSError):
            (hierarchy / name).rmdir()


def exists(name: str) -> bool:
    return any((hierarchy / name).exists() for hierarchy in _hierarchies())


def _unified() -> bool:
    return (ROOT / "cgroup.controllers").exists()


def _hierarchies() -> list[Path]:
    if _unified():
        return [ROOT]
    return [folder for folder in ROOT.iterdir() if (folder / "cgroup.procs").exists() and not folder.is_symlink()]


def _tracking_root() -> Path:
    """Of several hierarchies (version 1) one is enough to find processes; containers are in all of them."""
    return ROOT if _unified() else ROOT / "pids"
