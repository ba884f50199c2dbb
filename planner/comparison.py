"""Several scenarios on the same random numbers: what each replicate needs to say of its failures to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.model import IntArray
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate


@dataclass(frozen=True)
class ReplicateCounts:
    """Little, so that many are cheap to move and to keep. causes: 503s by `Cause`."""

    n: int
    n_503: int
    n_504: int
    causes: IntArray
    repeats: bool = False


def count_failures(scenarios: Sequence[Scenario], task: tuple[int, int]) -> ReplicateCounts:
    """What one replicate of one scenario counts. task: which scenario, which replicate."""
    which, replicate = task
    result = simulate_replicate(scenarios[which], replicate)
    return ReplicateCounts(result.n, result.n_503, result.n_504, result.causes, result.repeats)
