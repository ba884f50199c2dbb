"""What is measured: one queue for all programs, the floor under it, and this engine in its variants."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np

from planner.arrivals import Renewal
from planner.model import Autoscaler, Deployment, FloatArray, Outcome
from planner.queueing import WaitLimitQueue, erlang_c
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential, Lognormal
from planner.sim.engine import simulate_replicate
from planner.sim.layout import LOWEST_OCTAVE, OCTAVE_BUCKETS

DAY_S = 86_400.0


@dataclass(frozen=True)
class Queue:
    """Poisson arrivals, exponential service with mean 1 s, FIFO, 503 after the wait limit (infinite: no limit)."""

    wait_limit_s: float = math.inf
    servers: int = 20
    rate_rps: float = 18.0

    @property
    def exact(self) -> float:
        """The 503 fraction; without a limit, where there is no 503, the mean wait in seconds."""
        if math.isinf(self.wait_limit_s):
            return erlang_c(self.servers, self.rate_rps) / (self.servers - self.rate_rps)
        return WaitLimitQueue(self.servers, self.rate_rps, 1.0, self.wait_limit_s).fraction_503

    def draws(self, requests: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """Gaps between arrivals and service times in seconds, each shape (requests,)."""
        generator = np.random.default_rng(seed)
        return generator.standard_exponential(requests) / self.rate_rps, generator.standard_exponential(requests)


class Work(NamedTuple):
    """What a program has counted: it shows that all do the same work."""

    requests: int
    n_503: int
    waited_s: float
    """In the queue, all requests together. Wanted only where there is no wait limit."""


def floor(queue: Queue, requests: int, seed: int) -> Work:
    """The Kiefer-Wolfowitz recursion of a G/G/c queue on a heap, compiled: fixed servers, no ticks, no statistics."""
    gaps, services = queue.draws(requests, seed)
    n_503, waited_s = _recursion(np.cumsum(gaps), services, queue.servers, queue.wait_limit_s)
    return Work(requests, n_503, waited_s)


@numba.njit
def _recursion(arrivals, services, servers, wait_limit_s):  # type: ignore[no-untyped-def]
    free_s = np.zeros(servers)
    n_503 = 0
    waited_s = 0.0
    for k in range(len(arrivals)):
        start_s = max(free_s[0], arrivals[k])
        if start_s - arrivals[k] > wait_limit_s:
            n_503 += 1
            continue
        waited_s += start_s - arrivals[k]
        end_s = start_s + services[k]
        hole = 0
        while 2 * hole + 1 < servers:
            child = 2 * hole + 1
            if child + 1 < servers and free_s[child + 1] < free_s[child]:
                child += 1
            if free_s[child] >= end_s:
                break
            free_s[hole] = free_s[child]
            hole = child
        free_s[hole] = end_s
    return n_503, waited_s


def engine(
    queue: Queue,
    requests: int,
    seed: int,
    *,
    autoscaler: Autoscaler = Autoscaler.AZUREML_FE,
    replicas: int | None = None,
    max_concurrent: int = 1,
    workers: int = 1,
) -> Work:
    """One replicate of this engine, draws and a tick every second included. replicas: one a server if None."""
    count = replicas or queue.servers
    deployment = Deployment(
        autoscaler=autoscaler,
        min_replicas=count,
        max_replicas=count,
        max_concurrent_requests=max_concurrent,
        worker_count=workers,
        max_request_wait_s=min(queue.wait_limit_s, 1e9),
        scoring_timeout_s=1e6,
    )
    duration_s = requests / queue.rate_rps
    result = simulate_replicate(
        Scenario(
            name="bench",
            shows="",
            duration_s=duration_s,
            arrivals=Renewal(RateProfile.constant(queue.rate_rps, duration_s)),
            service_time=Exponential(1.0),
            deployment=deployment,
            cold_start=Deterministic(1.0),
        ),
        seed,
    )
    octave, step = np.divmod(result.latency_bucket, OCTAVE_BUCKETS)
    latency_s = np.ldexp(1 + (step + 0.5) / OCTAVE_BUCKETS, octave + LOWEST_OCTAVE)
    return Work(result.n, result.n_503, float(latency_s @ result.latency_count) - int(result.outcomes[Outcome.OK]))


def day() -> Scenario:
    """24 hours at 60 requests per second under azureml-fe, which ticks every second."""
    return Scenario(
        name="day",
        shows="",
        duration_s=DAY_S,
        arrivals=Renewal(RateProfile.constant(60.0, DAY_S)),
        service_time=Lognormal(0.3, 0.6),
        deployment=Deployment(min_replicas=10, max_replicas=60),
        cold_start=Lognormal(35.0, 0.3),
    )
