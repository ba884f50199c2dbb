"""The prediction of one run: many simulated replicates under the requests that the run really sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from loadtest.validate.carried import EXACT, Carried, Drawn, spread, standard_draws
from loadtest.validate.observed import Observation
from planner.draws import Stream, block_generator
from planner.errors import InputError
from planner.measures import fraction
from planner.model import Cause, Estimate, FloatArray
from planner.scenario import Scenario
from planner.service import FromTrace
from planner.sim.engine import ReplicateResult, simulate_requests
from planner.sim.replications import SERIAL, Executor
from planner.workload import cold_starts, first_draws

REPLICATES = 999
FEWEST_REPLICATES = 600
"""What three corrected 99 % intervals by order statistics need at least: 0.01 / 3 / 2 x 601 > 1."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What R replicates gave: arrays of shape (R,) and, over time, (R, bins)."""

    n: FloatArray
    n_503: FloatArray
    n_504: FloatArray
    bin_503: FloatArray
    bin_ready: FloatArray
    bin_desired: FloatArray
    """Mean over the replicates, shape (bins,)."""
    causes: FloatArray
    """503s by cause, shape (R, causes)."""
    drawn_service_mean_s: FloatArray | None
    """Mean service time of each replicate, where the scenario's service times were put on trial by drawing them all."""

    @property
    def fractions(self) -> FloatArray:
        return self.n_503 / self.n

    @property
    def fractions_504(self) -> FloatArray:
        return self.n_504 / self.n

    @property
    def fractions_failed(self) -> FloatArray:
        return (self.n_503 + self.n_504) / self.n

    def estimate(self) -> Estimate:
        """The mean of the fraction of 503s with its confidence interval."""
        return fraction(self.n_503, self.n)

    def cause_shares(self) -> dict[str, float | None]:
        total = self.n_503.sum()
        return {c.label: float(self.causes[:, c].sum() / total) if total else None for c in Cause}


def predict(
    scenario: Scenario,
    seen: Observation,
    *,
    replicates: int = REPLICATES,
    executor: Executor = SERIAL,
    service_factor: float = 1.0,
    use_known_service_times: bool = True,
    carried: Carried = EXACT,
    on_done: Callable[[], object] = lambda: None,
) -> Prediction:
    """Simulate the observed sends `replicates` times; service times that the run knows are used, the others drawn.

    carried: intervals of settings that each replicate draws anew.
    """
    make = partial(
        simulated,
        scenario,
        seen,
        service_factor=service_factor,
        use_known_service_times=use_known_service_times,
        carried=carried,
    )
    return _gather(executor.in_order(make, range(replicates)), on_done, on_trial=not use_known_service_times)


def simulated(
    scenario: Scenario,
    seen: Observation,
    replicate: int,
    *,
    service_factor: float = 1.0,
    use_known_service_times: bool = True,
    carried: Carried = EXACT,
    with_log: bool = False,
) -> tuple[ReplicateResult, float]:
    """One replicate, and the mean of the service times in it that the run has measured."""
    drawn = carried.drawn(scenario.seed, replicate)
    own_factor = drawn.service_factor
    services = _service_times(scenario, seen, replicate, use_known_service_times, own_factor) * service_factor
    longer_s = _longer_s(scenario, seen, drawn, replicate)
    arrivals, noisy = _with_timing_noise(scenario, seen, services + longer_s, replicate)
    starts = (block * drawn.cold_start_factor for block in cold_starts(scenario, replicate))
    result = simulate_requests(
        scenario,
        [arrivals],
        iter([noisy]),
        _late(starts, scenario, seen, replicate),
        with_log=with_log,
        tick_offset_s=_tick_offset_s(scenario, seen, replicate),
    )
    measured = np.isfinite(seen.service_time_s)
    return result, float(services[measured].mean()) if measured.any() else math.nan


def _with_timing_noise(
    scenario: Scenario, seen: Observation, services: FloatArray, replicate: int
) -> tuple[FloatArray, FloatArray]:
    """Arrivals and service times as uncertain as they were measured.

    A send time is not the instant at which the front end sees the request, and a few milliseconds decide what a tick
    sees: simulated without noise, the same requests give the same answers in every replicate, which no real run
    repeats. Arrivals get a delay drawn from the run's own send errors. Service times get an overhead drawn from those
    that the run measured, in place of the scenario's constant one; without any, an error drawn from the send errors,
    around the scenario's overhead.
    """
    n = len(seen.sent_s)
    generator = block_generator(scenario.seed, replicate, Stream.TIMING, 0)
    delay_s = seen.send_error_s[generator.integers(0, n, n)]
    noise_s = _overhead_noise(scenario, seen)
    noise_s = noise_s[generator.integers(0, len(noise_s), n)]
    arrivals = np.minimum(seen.sent_s + delay_s, np.nextafter(scenario.duration_s, 0.0))
    order = np.argsort(arrivals, kind="stable")
    return arrivals[order], np.maximum(services + noise_s, -scenario.deployment.router_overhead_s)[order]


def _longer_s(scenario: Scenario, seen: Observation, drawn: Drawn, replicate: int) -> float:
    """By how much this replicate's overhead is longer than the middle of what is known of it, in seconds.

    The run's own measurement goes first, with its interval if it has one; else the calibrated interval.
    """
    if len(seen.overhead_s):
        if seen.overhead_interval_s is None:
            return 0.0
        mean_s = max(0.0, float(seen.overhead_s.mean()))
        return spread(mean_s, *seen.overhead_interval_s, standard_draws(scenario.seed, replicate, 1)[0]) - mean_s
    return 0.0 if drawn.overhead_s is None else drawn.overhead_s - scenario.deployment.router_overhead_s


def _late(blocks: Iterator[FloatArray], scenario: Scenario, seen: Observation, replicate: int) -> Iterator[FloatArray]:
    """Cold starts that end as late as the run's own timers rang: constant ones would be met to the last digit."""
    for number, block in enumerate(blocks):
        generator = block_generator(scenario.seed, replicate, Stream.TIMING, 2 + number)
        yield block + seen.send_error_s[generator.integers(0, len(seen.send_error_s), len(block))]


def _tick_offset_s(scenario: Scenario, seen: Observation, replicate: int) -> float:
    """Where the autoscaler's ticks fall: on the run's time 0 if it was put there, else anywhere."""
    if seen.on_tick:
        return 0.0
    share = block_generator(scenario.seed, replicate, Stream.TIMING, 1).random()
    return -share * scenario.deployment.refresh_period_s


def _overhead_noise(scenario: Scenario, seen: Observation) -> FloatArray:
    if len(seen.overhead_s):
        return np.subtract(seen.overhead_s, scenario.deployment.router_overhead_s)
    return np.subtract(seen.send_error_s, float(seen.send_error_s.mean()))


def _service_times(
    scenario: Scenario, seen: Observation, replicate: int, use_known: bool, own_factor: float
) -> FloatArray:
    """own_factor: of the times that are the scenario's."""
    known = np.isfinite(seen.service_time_s) & use_known
    if known.all():
        return seen.service_time_s
    if isinstance(scenario.service_time, FromTrace):
        own = _times_of_the_trace(scenario.service_time, seen)
    else:
        own = first_draws(scenario.service_time, scenario.seed, replicate, Stream.SERVICE, len(seen.sent_s))
    return np.asarray(np.where(known, seen.service_time_s, own * own_factor))


def _times_of_the_trace(service_time: FromTrace, seen: Observation) -> FloatArray:
    if len(service_time.times_s) <= seen.request.max():
        raise InputError(
            f"service_time: the scenario's trace has {len(service_time.times_s)} requests, the run planned at least "
            f"{int(seen.request.max()) + 1}: the service times of another trace cannot be judged by this run"
        )
    return service_time.times_s[seen.request]


def _gather(
    results: Iterator[tuple[ReplicateResult, float]], on_done: Callable[[], object], *, on_trial: bool
) -> Prediction:
    kept = []
    for r, service_mean_s in results:
        kept.append((r.n, r.n_503, r.n_504, r.bin_503, r.bin_ready, r.bin_desired, r.causes, service_mean_s))
        on_done()
    columns = (np.array(column, dtype=np.float64) for column in zip(*kept, strict=True))
    n, n_503, n_504, bin_503, bin_ready, bin_desired, causes, drawn_mean_s = columns
    return Prediction(
        n=n,
        n_503=n_503,
        n_504=n_504,
        bin_503=bin_503,
        bin_ready=bin_ready,
        bin_desired=bin_desired.mean(axis=0),
        causes=causes,
        drawn_service_mean_s=drawn_mean_s if on_trial else None,
    )
