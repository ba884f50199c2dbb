"""What this machine does by default: compute here, and start worker processes when that pays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from operator import length_hint
from types import TracebackType
from typing import Self, TypeVar

from planner.executors.processes import Processes

Task = TypeVar("Task")
R = TypeVar("R")

START_UP_S = 2.0
"""Until worker processes that start together have loaded the simulator."""

PROBE_S = 0.2
"""Work done here before the pace of the rest is judged."""


class Local:
    """Computes in this process until the work left would take longer than starting others to share it."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._processes = Processes(workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._processes.__exit__(kind, error, tb)

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        if self._processes.pids:
            yield from self._processes.in_order(function, tasks)
            return
        count, spent_s = length_hint(tasks, -1), 0.0
        left = iter(tasks)
        for done, task in enumerate(left, start=1):
            started = time.perf_counter()
            result = function(task)
            spent_s += time.perf_counter() - started
            yield result
            left_s = spent_s if count < 0 else spent_s / done * (count - done)  # of unknown length: as long again
            if spent_s > PROBE_S and self._pays(left_s):
                yield from self._processes.in_order(function, left)

    def _pays(self, left_s: float) -> bool:
        return left_s > START_UP_S + left_s / self.workers
