"""Speed of the simulator beside a bare compiled recursion that knows only fixed servers, in one run: `make bench`.

The floor is the Kiefer-Wolfowitz recursion of a G/G/c queue on a heap: no wait limit, no ticks, no counts. What is
compared does more, so the ratio says what the model costs. Medians of interleaved rounds.
"""

from __future__ import annotations

import platform
import statistics
import time
from datetime import UTC, datetime

import numba
import numpy as np

from planner import __version__
from planner.arrivals import Renewal
from planner.model import Autoscaler, Deployment
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential
from planner.sim.engine import simulate_replicate

FLOOR = "bare recursion, 20 servers, no wait limit, no ticks (floor)"
ROUNDS = 7
REQUESTS = 1_000_000
RATE_RPS = 18.0


@numba.njit
def recursion(arrivals, services, servers):  # type: ignore[no-untyped-def]
    free_s = np.zeros(servers)
    waited_s = 0.0
    for k in range(len(arrivals)):
        start_s = max(free_s[0], arrivals[k])
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
    return waited_s


def scenario(replicas: int, wait_s: float, autoscaler: Autoscaler = Autoscaler.FIXED) -> Scenario:
    duration_s = REQUESTS / RATE_RPS
    return Scenario(
        name="bench",
        shows="",
        duration_s=duration_s,
        arrivals=Renewal(RateProfile.constant(RATE_RPS, duration_s)),
        service_time=Exponential(1.0),
        deployment=Deployment(
            autoscaler=autoscaler,
            min_replicas=replicas,
            max_replicas=replicas,
            max_request_wait_s=wait_s,
            scoring_timeout_s=1e6,
        ),
        cold_start=Deterministic(1.0),
    )


def floor() -> float:
    """Requests per second of the recursion, draws included."""
    started = time.perf_counter()
    generator = np.random.default_rng(1)
    arrivals = np.cumsum(generator.standard_exponential(REQUESTS) / RATE_RPS)
    recursion(arrivals, generator.standard_exponential(REQUESTS), 20)
    return REQUESTS / (time.perf_counter() - started)


def engine(case: Scenario) -> float:
    """Requests per second of one replicate, draws and ticks included."""
    started = time.perf_counter()
    result = simulate_replicate(case, 0)
    return result.n / (time.perf_counter() - started)


def main() -> None:
    cases = {
        "M/M/20, rho 0.9, wait limit 0.5 s, tick every second": scenario(20, 0.5),
        "the same without a wait limit": scenario(20, 1e9),
        "the same under azureml-fe, min = max = 20": scenario(20, 0.5, Autoscaler.AZUREML_FE),
        "200 replicas, the same rate": scenario(200, 0.5),
    }
    floor()
    for case in cases.values():
        engine(case)
    rows: dict[str, list[float]] = {name: [] for name in (FLOOR, *cases)}
    for _ in range(ROUNDS):
        rows[FLOOR].append(floor())
        for name, case in cases.items():
            rows[name].append(engine(case))
    medians = {name: statistics.median(values) for name, values in rows.items()}
    versions = f"numba {numba.__version__}, numpy {np.__version__}, Python {platform.python_version()}"
    print(f"surgeproof {__version__}, {versions}, {datetime.now(UTC):%Y-%m-%d}")
    print(f"one core, draws included, medians of {ROUNDS} interleaved rounds of {REQUESTS:,} requests\n")
    print("| program | million requests per second (min to max) | floor / this |\n|---|---|---|")
    for name, values in rows.items():
        spread = f"{min(values) / 1e6:.2f} to {max(values) / 1e6:.2f}"
        print(f"| {name} | {medians[name] / 1e6:.2f} ({spread}) | {medians[FLOOR] / medians[name]:.1f} |")


if __name__ == "__main__":
    main()
