"""Plans for inputs that are known within intervals only: over worlds, after Netflix's service-capacity-modeling.

A world has one value of each uncertain input. Each is planned for itself; what is best in any, and what is safe in all
of them, is then simulated in every world. Either the cheapest that keeps the promise in enough worlds is taken, or the
one with the least regret. One world at the low and one at the high of each input, the others at mid, say what an
input is worth; only the mid one and the drawn ones count.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.draws import Stream, block_generator
from planner.model import FloatArray, Slo
from planner.plan.assessment import Assessed, assess
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.uncertain import UncertainInput

DEFAULT_WORLDS = 12
DEFAULT_KEPT_IN = 0.9

RUNS = (20, 100)
RUN_REQUESTS = 3e6
"""Runs of a candidate in one world: as many as make RUN_REQUESTS, within RUNS."""

MOST_CANDIDATES = 40


class Criterion(StrEnum):
    """kept: the cheapest on average of those that keep the promise in enough worlds. least_regret: the smallest largest
    regret, a broken promise counting as what the dearest world's own plan costs."""

    KEPT = "kept"
    LEAST_REGRET = "least_regret"


@dataclass(frozen=True, kw_only=True)
class World:
    """positions: by input, in [-1, 1]; an input that is not named is at its mid."""

    positions: Mapping[str, float]
    counts: bool


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A world and the search in it."""

    world: World
    found: Found

    @property
    def best_hours(self) -> float | None:
        """What the world's own plan costs."""
        best = self.found.best
        return None if best is None else self.found.assessed[best].cost.mean_s / 3600


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A setting in all worlds, in their order. hours: paid in a run."""

    setting: Setting
    kept: tuple[bool, ...]
    hours: tuple[float, ...]
    kept_share: float
    """Of the worlds that count."""
    mean_hours: float
    largest_regret_hours: float


def worlds_of(inputs: Sequence[UncertainInput], count: int, seed: int) -> list[World]:
    """The mid, the low and high of each input, and `count` drawn: triangular over the intervals, a Latin hypercube."""
    made = [World(positions={}, counts=True)]
    made += [World(positions={given.name: end}, counts=False) for given in inputs for end in (-1.0, 1.0)]
    generator = block_generator(seed, 0, Stream.PLAN, 1)
    strata = np.array([generator.permutation(count) for _ in inputs]).reshape(len(inputs), count)
    uniforms = (strata + generator.random((len(inputs), count))) / max(count, 1)
    positions = np.where(uniforms < 0.5, np.sqrt(2 * uniforms) - 1, 1 - np.sqrt(2 * (1 - uniforms)))
    for drawn in positions.T:
        named = {given.name: float(p) for given, p in zip(inputs, drawn, strict=True)}
        made.append(World(positions=named, counts=True))
    return made


def candidates(planned: Sequence[Planned]) -> list[Setting]:
    """What is best in any world, what is safe in two of them, and all between the mildest and the hardest."""
    best = sorted({p.found.best for p in planned if p.found.best is not None})
    both = [_safer(a, b) for a in best for b in best if a < b]
    return list(dict.fromkeys([*best, *sorted(set(both))]))[:MOST_CANDIDATES]


def _safer(a: Setting, b: Setting) -> Setting:
    low = max(a.min_replicas, b.min_replicas)
    return Setting(
        low,
        max(low, a.max_replicas, b.max_replicas),
        min(a.target_percent, b.target_percent),
        a.max_concurrent,
        a.worker_count,
    )


def simulate_candidates(
    settings: Iterable[Setting], planned: Sequence[Planned], scenario: Scenario, slo: Slo
) -> list[Candidate]:
    """Each setting in each world, on the world's own random numbers."""
    settings = list(settings)
    least, most = RUNS
    runs = int(min(most, max(least, RUN_REQUESTS / max(scenario.arrivals.expected_count, 1.0))))
    seen: list[dict[Setting, Assessed]] = []
    for each in planned:
        pool = each.found.pool
        pool.extend([(setting, max(runs, pool.count(setting))) for setting in settings])
        seen.append(assess(pool, slo))
    return [_candidate(setting, planned, [s[setting] for s in seen]) for setting in settings]


def _candidate(setting: Setting, planned: Sequence[Planned], seen: Sequence[Assessed]) -> Candidate:
    kept = [a.keeps >= 0.5 for a in seen]
    hours = [a.cost.mean_s / 3600 for a in seen]
    counted = np.array([each.world.counts for each in planned])
    dearest = max([each.best_hours for each in planned if each.best_hours is not None], default=max(hours))
    least = [dearest if each.best_hours is None else each.best_hours for each in planned]
    regrets: FloatArray = np.where(kept, np.maximum(np.subtract(hours, least), 0.0), dearest)
    return Candidate(
        setting=setting,
        kept=tuple(kept),
        hours=tuple(hours),
        kept_share=float(np.mean(np.array(kept)[counted])),
        mean_hours=float(np.mean(np.array(hours)[counted])),
        largest_regret_hours=float(regrets[counted].max()),
    )


def choose(found: Sequence[Candidate], criterion: Criterion, kept_in: float) -> Candidate | None:
    """None where nothing keeps the promise in enough worlds; by regret there is always one if there are any."""
    if criterion is Criterion.LEAST_REGRET:
        return min(found, key=lambda c: (c.largest_regret_hours, c.mean_hours, c.setting), default=None)
    enough = [c for c in found if c.kept_share >= kept_in]
    return min(enough, key=lambda c: (c.mean_hours, c.setting), default=None)


def plan_worlds(
    inputs: Sequence[UncertainInput],
    count: int,
    seed: int,
    search: Callable[[World, int, int], Found],
) -> list[Planned]:
    """Each world planned for itself. search: of a world, its number and how many there are."""
    worlds = worlds_of(inputs, count, seed)
    return [
        Planned(world=world, found=search(world, number, len(worlds))) for number, world in enumerate(worlds, start=1)
    ]


def with_choice(found: Found, chosen: Setting) -> Found:
    """The search in the mid world, with the robust choice in place of its own."""
    return dataclasses.replace(
        found, best=chosen, probability=None, over_worlds=True, assessed=assess(found.pool, found.slo)
    )
