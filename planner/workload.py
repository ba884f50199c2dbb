"""The random inputs of one replicate of a scenario, from their named streams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from planner.arrivals import Recorded
from planner.draws import Stream, block_generator, block_size
from planner.model import FloatArray
from planner.scenario import Scenario
from planner.service import Distribution, FromTrace


def arrival_times(scenario: Scenario, replicate: int) -> FloatArray:
    """All arrival times of one replicate, sorted, in [0, duration_s), shape (n,)."""
    return np.concatenate([np.empty(0), *scenario.arrivals.blocks(scenario.seed, replicate)])


def service_times(scenario: Scenario, replicate: int, n: int) -> FloatArray:
    """The service times of the first n requests of one replicate, shape (n,)."""
    if isinstance(scenario.service_time, FromTrace):
        return times_of_the_trace(scenario, scenario.service_time, replicate)[:n]
    return first_draws(scenario.service_time, scenario.seed, replicate, Stream.SERVICE, n)


def times_of_the_trace(scenario: Scenario, service_time: FromTrace, replicate: int) -> FloatArray:
    """The service times that a trace carries, in the order in which one replicate's requests come, shape (n,)."""
    if replicate == 0 or not (isinstance(scenario.arrivals, Recorded) and scenario.arrivals.is_random):
        return service_time.times_s
    _, order = scenario.arrivals.placed(scenario.seed, replicate)
    return service_time.times_s[order]


def cold_starts(scenario: Scenario, replicate: int) -> Iterator[FloatArray]:
    """Blocks of cold starts; the n-th draw belongs to the n-th replica created after the start."""
    return drawn(scenario.cold_start, scenario.seed, replicate, Stream.COLD_STARTS)


def drawn(distribution: Distribution, seed: int, replicate: int, stream: Stream) -> Iterator[FloatArray]:
    """Endless blocks of draws."""
    block = 0
    while True:
        yield distribution.draw(block_generator(seed, replicate, stream, block), block_size(block))
        block += 1


def first_draws(distribution: Distribution, seed: int, replicate: int, stream: Stream, n: int) -> FloatArray:
    """The first n draws of a stream, shape (n,)."""
    blocks = drawn(distribution, seed, replicate, stream)
    parts = [np.empty(0)]
    while sum(map(len, parts)) < n:
        parts.append(next(blocks))
    return np.concatenate(parts)[:n]
