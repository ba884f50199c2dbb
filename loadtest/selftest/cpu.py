"""How much CPU time other processes take, read from /proc while they run."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_PERIOD_S = 0.5
"""Reading /proc costs some milliseconds, which the replay that is measured has to share."""


def descendants(parent: int) -> dict[int, str]:
    """The processes below one, as id -> command line."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    wave = {parent}
    while wave:
        wave = {pid for pid, its_parent in parents.items() if its_parent in wave}
        for pid in wave:
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; raises OSError when it has ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class CpuSampler:
    """Notes, twice a second, how much CPU time processes have taken. `find()` names those that exist by now."""

    def __init__(self, find: Callable[[], Iterable[int]]) -> None:
        self._find = find
        self._samples: dict[int, list[tuple[float, float]]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_forever, name="cpu-sampler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def cores(self, from_s: float, to_s: float) -> dict[int, float]:
        """Cores that each process used between two instants of the monotonic clock, where it was seen in between."""
        return {
            pid: used
            for pid, samples in self._samples.items()
            if (used := _cores_between(samples, from_s, to_s)) is not None
        }

    def _sample_forever(self) -> None:
        while not self._ended.wait(SAMPLE_PERIOD_S):
            for pid in self._find():
                with contextlib.suppress(OSError):
                    self._samples.setdefault(pid, []).append((time.monotonic(), cpu_seconds(pid)))


def _cores_between(samples: Sequence[tuple[float, float]], from_s: float, to_s: float) -> float | None:
    inside = [sample for sample in samples if from_s <= sample[0] <= to_s]
    if len(inside) < 2:
        return None
    (first_s, first_cpu_s), (last_s, last_cpu_s) = inside[0], inside[-1]
    return (last_cpu_s - first_cpu_s) / (last_s - first_s)
