"""Many replicates of a scenario, in order, on the cores given.

Threads are enough: the kernel and numpy's generators release the interpreter's lock, and results come back in the
order of their replicates, so the number of cores cannot change a result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult, simulate_replicate

T = TypeVar("T")

DEFAULT_REPLICATIONS = 100


def in_order(make: Callable[[int], T], count: int, cores: int) -> Iterator[T]:
    """make(0), make(1), … make(count - 1), computed `cores` at a time, yielded in order, few kept in memory."""
    if cores == 1:
        yield from map(make, range(count))
        return
    with ThreadPoolExecutor(cores) as pool:
        numbers = iter(range(count))
        waiting = [pool.submit(make, number) for number in islice(numbers, 2 * cores)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting.extend(pool.submit(make, number) for number in islice(numbers, 1))
        finally:
            for future in waiting:
                future.cancel()


def replicate(scenario: Scenario, replications: int, cores: int = 1) -> Iterator[ReplicateResult]:
    """The results of replicates 0 to replications - 1."""
    return in_order(lambda number: simulate_replicate(scenario, number), replications, cores)
