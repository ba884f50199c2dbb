"""One replicate: feeds the kernel blocks of arrivals, service times and cold starts, and gathers what it counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from planner.arrivals import Renewal
from planner.draws import Stream
from planner.model import Deployment, FloatArray, IntArray, Outcome, ReplicaLog, RequestLog
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, FromTrace
from planner.sim import kernel
from planner.sim.layout import (
    CREATED,
    F_BINS,
    I_BINS,
    I_CAUSE,
    I_OUTCOME,
    PAID_SECONDS,
    PEAK_UNCLAMPED,
    READY_SECONDS,
    ROWS,
    Output,
    Settings,
    enlarge_log,
    enlarge_queue,
    make_settings,
    new_output,
    new_state,
)
from planner.workload import cold_starts, drawn, times_of_the_trace

BIN_S = 1.0
"""Width of the bins of what is counted over time."""


@dataclass(frozen=True, kw_only=True)
class ReplicateResult:
    """What one replicate counted, over requests that arrive in [warm_up, duration); bins from time 0."""

    outcomes: IntArray
    """Counts by `Outcome`: ok, 503, 504."""
    causes: IntArray
    """503s by `Cause`."""
    ready_s: float
    """Ready replica-seconds in [warm_up, duration)."""
    paid_s: float
    """Replica-seconds that exist in [0, duration)."""
    peak_unclamped: int
    """The most replicas that any tick wanted, before max_replicas: where that is no less, it changed nothing."""
    latency_bucket: IntArray
    """Latencies of 200 answers: the buckets of `planner.sim.layout` that hold any, and how many each holds."""
    latency_count: IntArray
    created: int
    """Replicas created after the start: each has drawn a cold start."""
    bin_s: float
    bin_requests: IntArray
    bin_503: IntArray
    """503s by arrival."""
    bin_ready: FloatArray
    """Mean ready replicas in each bin."""
    bin_desired: FloatArray
    requests: RequestLog | None = None
    replicas: ReplicaLog | None = None
    repeats: bool = False
    """Nothing that is random took part: every other replicate of the scenario is this one, to the last digit."""

    @property
    def n(self) -> int:
        return int(self.outcomes.sum())

    @property
    def n_503(self) -> int:
        return int(self.outcomes[Outcome.STATUS_503])

    @property
    def n_504(self) -> int:
        return int(self.outcomes[Outcome.STATUS_504])


def simulate_replicate(
    scenario: Scenario, replicate: int, *, bin_s: float = BIN_S, with_log: bool = False
) -> ReplicateResult:
    """Simulate replicate number `replicate` of a scenario with its own draws."""
    if isinstance(scenario.service_time, FromTrace):
        services = iter([times_of_the_trace(scenario, scenario.service_time, replicate)])
    else:
        services = drawn(scenario.service_time, scenario.seed, replicate, Stream.SERVICE)
    arrivals = scenario.arrivals.blocks(scenario.seed, replicate)
    draws = cold_starts(scenario, replicate)
    result = simulate_requests(scenario, arrivals, services, draws, bin_s=bin_s, with_log=with_log)
    drew_nothing = result.created == 0 or scenario.cold_start.cv == 0
    return replace(result, repeats=drew_nothing and not scenario.has_random_requests)


def simulate_requests(
    scenario: Scenario,
    arrivals: Iterable[FloatArray],
    services: Iterator[FloatArray],
    cold_start_draws: Iterator[FloatArray],
    *,
    bin_s: float = BIN_S,
    with_log: bool = False,
    tick_offset_s: float = 0.0,
) -> ReplicateResult:
    """Simulate the scenario's deployment under given requests.

    arrivals: blocks of sorted times in [0, duration). services, cold_start_draws: blocks of any length, together at
    least as long as needed. with_log keeps every request and so needs memory for all of them.
    tick_offset_s, in (-period, 0]: tick k comes at k period + it, for an autoscaler that was not started at time 0.
    """
    blocks: Iterable[FloatArray] = [np.concatenate([np.empty(0), *arrivals])] if with_log else iter(arrivals)
    log_requests = len(blocks[0]) if isinstance(blocks, list) else None
    run = _Run(scenario, cold_start_draws, bin_s, log_requests, tick_offset_s)
    service_times = _Rechunked(services)
    for block in blocks:
        run.feed(block, service_times.take(len(block)), is_last=False)
    run.feed(np.empty(0), np.empty(0), is_last=True)
    result = run.result()
    if isinstance(blocks, list):
        return replace(result, requests=run.request_log(blocks[0], service_times.taken), replicas=run.replica_log())
    return result


def compile_kernel() -> None:
    """Compile the kernel, or load it from the cache, by simulating one request."""
    scenario = Scenario(
        name="compile",
        shows="",
        duration_s=1.0,
        arrivals=Renewal(RateProfile.constant(1.0, 1.0)),
        service_time=Deterministic(0.1),
        deployment=Deployment(),
        cold_start=Deterministic(0.0),
    )
    simulate_requests(scenario, [np.zeros(1)], iter([np.zeros(1)]), iter([np.zeros(64)]))


class _Run:
    """One kernel run: holds what the kernel may ask to be enlarged."""

    def __init__(
        self,
        scenario: Scenario,
        draws: Iterator[FloatArray],
        bin_s: float,
        log_requests: int | None,
        tick_offset_s: float,
    ) -> None:
        deployment = scenario.deployment
        self._settings: Settings = make_settings(
            deployment, scenario.duration_s, scenario.warm_up_s, bin_s, log_requests, tick_offset_s
        )
        self._packed = self._settings.packed()
        self._state = new_state(deployment, self._settings)
        self._out: Output = new_output(self._settings)
        self._draws = draws
        self._cold: FloatArray = np.empty(0)
        self._used_before = 0
        self._fed_until_s = 0.0

    def feed(self, arrivals: FloatArray, services: FloatArray, *, is_last: bool) -> None:
        self._check(arrivals)
        arrivals = np.array(arrivals)  # writable and contiguous: the kernel is compiled for one kind of array
        while True:
            why, used = kernel.advance(
                self._packed, self._state, self._out, arrivals, services, is_last, self._cold, self._used_before
            )
            arrivals, services = arrivals[used:], services[used:]
            if why in (kernel.DONE, kernel.NEED_ARRIVALS):
                return
            self._give(why)

    def _check(self, arrivals: FloatArray) -> None:
        """The kernel writes to memory by these times without a check of its own."""
        if not len(arrivals):
            return
        if not (self._fed_until_s <= arrivals[0] and arrivals[-1] < self._settings.rules.duration_s):
            raise ValueError(
                f"arrivals from {arrivals[0]} to {arrivals[-1]} s "
                f"leave [{self._fed_until_s}, {self._settings.rules.duration_s})"
            )
        if not (arrivals[1:] >= arrivals[:-1]).all():
            raise ValueError("arrivals must be sorted and finite")
        self._fed_until_s = float(arrivals[-1])

    def _give(self, why: int) -> None:
        if why == kernel.NEED_COLD_STARTS:
            created = int(self._state.i[CREATED])
            self._cold = np.concatenate((self._cold[created - self._used_before :], _next(self._draws, "cold starts")))
            self._used_before = created
            return
        if why == kernel.GROW_ROWS:
            self._settings, self._out = enlarge_log(self._settings, self._out)
        else:
            self._settings, self._state = enlarge_queue(self._settings, self._state)
        self._packed = self._settings.packed()

    def result(self) -> ReplicateResult:
        rules, count, total = self._settings.rules, self._out.counts, self._out.totals
        bins = self._settings.layout.bins
        widths = np.diff(np.minimum(np.arange(bins + 1) * rules.bin_s, rules.duration_s))
        result = ReplicateResult(
            outcomes=count[I_OUTCOME:I_CAUSE].copy(),
            causes=count[I_CAUSE:I_BINS].copy(),
            ready_s=float(total[READY_SECONDS]),
            paid_s=float(total[PAID_SECONDS]),
            peak_unclamped=int(self._state.i[PEAK_UNCLAMPED]),
            latency_bucket=(buckets := np.flatnonzero(self._out.latencies != 0)),
            latency_count=self._out.latencies[buckets].astype(np.int64),
            created=int(self._state.i[CREATED]),
            bin_s=rules.bin_s,
            bin_requests=count[I_BINS : I_BINS + bins].copy(),
            bin_503=count[I_BINS + bins :].copy(),
            bin_ready=total[F_BINS : F_BINS + bins] / widths,
            bin_desired=total[F_BINS + bins :] / widths,
        )
        if not result.n == result.bin_requests.sum() or not result.n_503 == result.causes.sum() == result.bin_503.sum():
            raise AssertionError(f"requests got lost: {result.outcomes}, {result.causes}, {result.bin_requests.sum()}")
        return result

    def request_log(self, arrivals: FloatArray, services: FloatArray) -> RequestLog:
        start_s, finish_s = self._out.request_f.reshape(2, -1)
        outcome, replica, cause = self._out.request_i.reshape(3, -1)
        return RequestLog(
            scheduled_s=arrivals,
            sent_s=arrivals,
            start_s=start_s,
            finish_s=finish_s,
            service_time_s=services,
            outcome=outcome,
            replica=replica,
            cause=cause,
        )

    def replica_log(self) -> ReplicaLog:
        rows = int(self._state.i[ROWS])
        desired, ready, starting, busy, queued = self._out.row_i[: 5 * rows].reshape(-1, 5).T
        return ReplicaLog(
            time_s=self._out.row_s[:rows], desired=desired, ready=ready, starting=starting, busy=busy, queued=queued
        )


def _next(blocks: Iterator[FloatArray], what: str) -> FloatArray:
    """A StopIteration would end the loop over the replicates as if it were over."""
    for block in blocks:
        return block
    raise ValueError(f"the {what} end before the simulation does")


class _Rechunked:
    """Blocks of any length, handed out in the lengths asked for."""

    def __init__(self, blocks: Iterator[FloatArray]) -> None:
        self._blocks = blocks
        self._left: FloatArray = np.empty(0)
        self.taken: FloatArray = np.empty(0)
        """What was handed out last."""

    def take(self, n: int) -> FloatArray:
        parts = []
        missing = n
        while missing > 0:
            if not len(self._left):
                self._left = _next(self._blocks, "service times")
            parts.append(self._left[:missing])
            self._left = self._left[missing:]
            missing -= len(parts[-1])
        self.taken = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])
        return self.taken
