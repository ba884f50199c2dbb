"""Many replicates of a scenario, in order, by whatever executes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from planner.errors import WorkersLostError
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult, simulate_replicate

Task = TypeVar("Task")
R = TypeVar("R")

DEFAULT_REPLICATIONS = 100


class Executor(Protocol):
    """Computes a function of many tasks, wherever; `planner.executors` has worker processes and Dask."""

    @property
    def workers(self) -> int: ...

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        """function(task) for each task, in the order of the tasks, few kept in memory.

        Closing the generator cancels the rest. What is computed must not depend on where or with how many workers.
        """
        ...


class Serial:
    """One task after the other, here."""

    workers = 1

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        yield from map(function, tasks)


SERIAL = Serial()


def replicate(
    scenario: Scenario, replications: int, executor: Executor = SERIAL, *, first: int = 0
) -> Iterator[ReplicateResult]:
    """The results of replicates first to first + replications - 1."""
    try:
        yield from executor.in_order(partial(simulate_replicate, scenario), range(first, first + replications))
    except WorkersLostError as lost:
        if not lost.tasks:
            raise
        which = "replicate " + " to ".join(str(n) for n in sorted({lost.tasks[0], lost.tasks[-1]}))
        raise WorkersLostError(f"{scenario.name}, {which}: {lost}", lost.tasks) from None
