"""One replay against the stub with a bare timer loop before and after it, and what both say of this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtest.replay.conclude import ReplayResult
from loadtest.replay.run import replay
from loadtest.replay.statistics import quantile, send_errors
from loadtest.selftest.children import StubProcess, timer_lateness_s
from loadtest.selftest.cpu import CpuSampler, descendants
from planner.model import FloatArray, IntArray
from planner.scenario import Scenario
from planner.scenario_file import load

if TYPE_CHECKING:
    from loadtest.replay.progress import Progress

ANSWER_AFTER_S = 0.05
CONFIDENCE = 0.95
LEAST_WAKEUPS_PER_S = 200.0
"""Of the timer loop at lower rates: p99 of fewer would be the largest of a handful."""
_REPLAY_MODULES = "loadtest.replay"
"""What the command line of a replay's processes contains."""

_SCENARIO = """\
schema_version: 1
name: selftest-{rate_rps:g}
shows: Poisson arrivals for a stub server on this machine, to see how well their times are kept.
duration: {seconds:g}s
traffic: {{arrivals: poisson, rps: {rate_rps:g}}}
service_time: {{distribution: deterministic, mean: {service_ms:g}ms}}
deployment: {{api: v1, autoscaler: fixed, num_replicas: 1, max_request_wait_time: 100ms, scoring_timeout_ms: 10000}}
seed: {seed}
"""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A replay and what the stub saw of it. arrivals: rows (arrival_ns, index, worker) of the planned requests."""

    result: ReplayResult
    arrivals: IntArray
    worker_cores: float | None
    """Of the busiest process of the replay; None where the run was too short to say."""
    stub_cores: float | None

    @property
    def start_s(self) -> float:
        """T0 on the monotonic clock."""
        return float(self.result.document["start_monotonic_s"])

    @property
    def arrived_s(self) -> FloatArray:
        """When each planned request first reached the stub, seconds from T0; NaN where it never did."""
        arrived_s = np.full(len(self.result.requests), np.nan)
        # Backwards, so that of a request that was sent twice the first stays.
        arrived_s[self.arrivals[::-1, 1]] = self.arrivals[::-1, 0] / 1e9 - self.start_s
        return arrived_s

    @property
    def arrival_error_s(self) -> FloatArray:
        """Arrival at the stub minus planned time; NaN where a request never arrived."""
        return self.arrived_s - self.result.requests.scheduled_s


@dataclass(frozen=True, kw_only=True)
class Lateness:
    """Quantiles of a lateness in seconds.

    p99_low_s, p99_high_s: the interval of p99 by order statistics; it takes late requests for independent, though they
    come in groups. None: too few values to bound it.
    """

    count: int
    p50_s: float | None
    p99_s: float | None
    p99_low_s: float | None
    p99_high_s: float | None
    max_s: float | None


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one rate gave. `exit_code`, `valid` and `problems` are the replay's own."""

    rate_rps: float
    processes: int
    planned: int
    sent: int
    skipped: int
    dropped: int
    unaccounted: int
    arrived: int
    achieved_fraction: float | None
    late_fraction: float | None
    send_error: Lateness
    arrival_error: Lateness
    timer: Lateness
    worker_cores: float | None
    stub_cores: float | None
    valid: bool
    problems: list[str]
    exit_code: int


def poisson_scenario(
    folder: Path, rate_rps: float, seconds: float, *, seed: int, service_s: float = ANSWER_AFTER_S
) -> Scenario:
    """A scenario of nothing but Poisson arrivals. service_s: for how long requests are expected to be out."""
    path = folder / "selftest.yaml"
    path.write_text(_SCENARIO.format(rate_rps=rate_rps, seconds=seconds, service_ms=service_s * 1e3, seed=seed))
    return load(path)


def replay_against_stub(
    scenario: Scenario,
    folder: Path,
    *,
    processes: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    **stub_settings: Any,
) -> Replayed:
    """Replay a scenario against a stub of its own, which answers after 50 ms unless its settings say otherwise."""
    stub_settings.setdefault("delay_s", ANSWER_AFTER_S)
    with StubProcess(folder, **stub_settings) as stub, CpuSampler(lambda: [*_replay_processes(), stub.pid]) as sampler:
        out = Path(tempfile.mkdtemp(dir=folder)) / "run"
        # The only call of a replay here and in the benchmarks.
        result = replay(scenario, stub.url, out=out, processes=processes, on_progress=on_progress)
        seen = stub.arrivals()
        stub_pid = stub.pid
    if result.document["start_monotonic_s"] is None:  # interrupted before its time 0
        raise KeyboardInterrupt
    start_s = float(result.document["start_monotonic_s"])
    cores = sampler.cores(start_s, start_s + scenario.duration_s)
    stub_cores = cores.pop(stub_pid, None)
    mine = (seen[:, 1] >= 0) & (seen[:, 1] < len(result.requests)) & (seen[:, 0] >= start_s * 1e9)
    return Replayed(
        result=result,
        arrivals=seen[mine],
        worker_cores=max(cores.values(), default=None),
        stub_cores=stub_cores,
    )


def measure(
    rate_rps: float, *, seconds: float, timer_seconds: float, processes: int, seed: int, folder: Path
) -> Measurement:
    """One rate: half of the timer loop, the replay, the other half, so that what disturbs one disturbs both."""
    timer_hz = max(rate_rps, LEAST_WAKEUPS_PER_S)
    halves = [poisson_offsets_ns(timer_hz, timer_seconds / 2, seed + half) for half in range(2)]
    before_s = timer_lateness_s(folder, halves[0])
    run = replay_against_stub(poisson_scenario(folder, rate_rps, seconds, seed=seed), folder, processes=processes)
    after_s = timer_lateness_s(folder, halves[1]) if run.result.exit_code != 130 else before_s[:0]
    return judge(rate_rps, processes, run, np.concatenate((before_s, after_s)))


def judge(rate_rps: float, processes: int, run: Replayed, timer_s: FloatArray) -> Measurement:
    books, generator = run.result.document["books"], run.result.document["generator"]
    arrival_error_s = run.arrival_error_s
    return Measurement(
        rate_rps=rate_rps,
        processes=processes,
        planned=books["planned"],
        sent=books["sent"],
        skipped=books["skipped_late"],
        dropped=books["dropped_max_inflight"],
        unaccounted=books["unaccounted"],
        arrived=int(np.isfinite(arrival_error_s).sum()),
        achieved_fraction=generator["achieved_fraction"],
        late_fraction=generator["late_fraction"],
        send_error=lateness(send_errors(run.result.requests)),
        arrival_error=lateness(arrival_error_s[np.isfinite(arrival_error_s)]),
        timer=lateness(timer_s),
        worker_cores=run.worker_cores,
        stub_cores=run.stub_cores,
        valid=generator["valid"],
        problems=generator["problems"],
        exit_code=run.result.exit_code,
    )


def lateness(values_s: FloatArray) -> Lateness:
    """Its quantiles, p99 with the order statistics that bound it."""
    from scipy.stats import binom

    ordered = np.sort(values_s)
    n = len(ordered)
    tail = (1 - CONFIDENCE) / 2
    low, high = (int(binom.ppf(tail, n, 0.99)), int(binom.ppf(1 - tail, n, 0.99)) + 1) if n else (0, 1)
    return Lateness(
        count=n,
        p50_s=quantile(ordered, 0.5),
        p99_s=quantile(ordered, 0.99),
        p99_low_s=float(ordered[low - 1]) if low >= 1 else None,
        p99_high_s=float(ordered[high - 1]) if high <= n else None,
        max_s=float(ordered[-1]) if n else None,
    )


def poisson_offsets_ns(rate_rps: float, seconds: float, seed: int) -> IntArray:
    """Arrival times of a Poisson process in [0, seconds), nanoseconds; at least one."""
    generator = np.random.default_rng(seed)
    count = max(1, generator.poisson(rate_rps * seconds))
    return np.sort(generator.integers(0, max(1, round(seconds * 1e9)), count))


def _replay_processes() -> Collection[int]:
    return [pid for pid, command in descendants(os.getpid()).items() if _REPLAY_MODULES in command]
