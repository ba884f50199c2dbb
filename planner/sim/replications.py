"""Many replicates of a scenario, in order, by whatever executes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from planner.errors import WorkersLostError
from planner.scenario import Scenario
from planner.sim.engine import BIN_S, ReplicateResult, simulate_replicate

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
    scenario: Scenario, replications: int, executor: Executor = SERIAL, *, first: int = 0, bin_s: float = BIN_S
) -> Iterator[ReplicateResult]:
    """The results of replicates first to first + replications - 1; where all are the same, of the first alone."""
    make = partial(simulate_replicate, scenario, bin_s=bin_s)
    replicates = range(first, first + replications)
    try:
        if not scenario.has_random_requests:
            for result in executor.in_order(make, replicates[:1]):
                yield result
                if result.repeats:
                    return
            replicates = replicates[1:]
        yield from executor.in_order(make, replicates)
    except WorkersLostError as lost:
        if not lost.tasks:
            raise
        which = "replicate " + " to ".join(str(n) for n in sorted({lost.tasks[0], lost.tasks[-1]}))
        raise WorkersLostError(f"{scenario.name}, {which}: {lost}", lost.tasks) from None
