"""What chance makes of the difference of two runs: both simulated many times on the requests that they really sent.

503s come in bursts, so requests are not independent trials, and a binomial interval is wrong by a wide margin; a whole
run is the unit here. Every replicate of the one run is paired with every replicate of the other but its own number,
which would share its random numbers: with R replicates R (R - 1) differences, whose quantiles are those of one more
pair of runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from loadtest.results.metrics import LEVELS
from loadtest.results.predicted import latency_of_replicate
from loadtest.validate.observed import Observation
from loadtest.validate.prediction import simulated
from planner.model import FloatArray
from planner.scenario import Scenario
from planner.service import FromTrace
from planner.sim.replications import SERIAL, Executor

REPLICATES = 300

ROLLS = 10
"""Pairs per replicate where a pair costs a whole curve."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """R replicates of one run: fractions of shape (R,), latency quantiles of shape (R, levels), ready (R, bins)."""

    fraction_503: FloatArray
    fraction_504: FloatArray
    latency_s: FloatArray
    bin_ready: FloatArray

    @property
    def fraction_failed(self) -> FloatArray:
        return self.fraction_503 + self.fraction_504


def simulate_run(
    scenario: Scenario,
    seen: Observation,
    *,
    replicates: int = REPLICATES,
    executor: Executor = SERIAL,
    on_done: Callable[[], object] = lambda: None,
) -> Simulated:
    """Simulate the sends of a run under a scenario's endpoint; service times that the run knows are used."""
    rows = []
    for row in executor.in_order(partial(_replicate, scenario, seen), range(replicates)):
        rows.append(row)
        on_done()
    of_503, of_504, latency, ready = (np.array(column) for column in zip(*rows, strict=True))
    return Simulated(fraction_503=of_503, fraction_504=of_504, latency_s=latency, bin_ready=ready)


def with_endpoint_of(traffic: Scenario, endpoint: Scenario) -> Scenario:
    """The traffic of one scenario against the endpoint of another.

    Service times from a trace belong to its requests, so they stay with the traffic.
    """
    from_trace = isinstance(traffic.service_time, FromTrace) or isinstance(endpoint.service_time, FromTrace)
    return replace(
        traffic,
        deployment=endpoint.deployment,
        cold_start=endpoint.cold_start,
        service_time=traffic.service_time if from_trace else endpoint.service_time,
    )


def _replicate(scenario: Scenario, seen: Observation, replicate: int) -> tuple[float, float, list[float], FloatArray]:
    result, _ = simulated(scenario, seen, replicate)
    latencies = [latency_of_replicate(result, level) for level in LEVELS.values()]
    of_503, of_504 = (n / result.n if result.n else np.nan for n in (result.n_503, result.n_504))
    return of_503, of_504, latencies, result.bin_ready.astype(np.float32)


def differences(a: FloatArray, b: FloatArray) -> FloatArray:
    """b - a of all pairs of replicates with different numbers, those that are not defined left out."""
    pairs = b[:, None] - a[None, :]
    found = pairs[~np.eye(len(b), len(a), dtype=bool)]
    return np.asarray(found[np.isfinite(found)])


def interval(values: FloatArray, error_rate: float, margin: float = 0.0) -> tuple[float, float] | None:
    """What all but error_rate of the values lie in, half of the rest on either side; None without values."""
    if not len(values):
        return None
    low, high = np.quantile(values, (error_rate / 2, 1 - error_rate / 2))
    return float(low) - margin, float(high) + margin


def ready_distances(a: Simulated, b: Simulated, bins: slice) -> FloatArray:
    """Mean distance between the ready replicas of two simulated runs, of ROLLS pairs per replicate."""
    one, other = a.bin_ready[:, bins], b.bin_ready[:, bins]
    rolls = range(1, min(ROLLS, len(one) - 1) + 1)
    return np.concatenate([np.abs(one - np.roll(other, k, axis=0)).mean(axis=1) for k in rolls])
