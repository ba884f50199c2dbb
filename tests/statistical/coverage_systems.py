"""The systems on which coverage is measured: two in the steady state with exact formulas, two from time 0.

The warm-up of the first two leaves a bias far below the standard error of the largest experiments, as `test_coverage`
measures. The burst without a queue has an exact chain. With a queue there is no finite one: the truth is the fraction
over all replicates, which have 670 times the requests of one of the largest experiments.
"""

from __future__ import annotations

import numpy as np

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Renewal
from planner.model import Autoscaler, Deployment
from planner.queueing import WaitLimitQueue
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Distribution, Exponential, Lognormal
from tests.reference.tick_chain import TickChain, total
from tests.statistical.coverage import SEED, System

WAIT_S = 0.5
MEAN_SERVICE_S = 1.0
MEAN_COLD_START_S = 8.0

Steps = tuple[tuple[float, float], ...]
"""(time from which on, arrivals per second)."""


def scenario(
    arrivals: ArrivalProcess, deployment: Deployment, duration_s: float, warm_up_s: float, cold_start: Distribution
) -> Scenario:
    return Scenario(
        name="coverage",
        shows="",
        duration_s=duration_s,
        warm_up_s=warm_up_s,
        arrivals=arrivals,
        service_time=Exponential(MEAN_SERVICE_S),
        deployment=deployment,
        cold_start=cold_start,
        seed=SEED,
    )


def fixed(servers: int) -> Deployment:
    return Deployment(
        autoscaler=Autoscaler.FIXED, min_replicas=servers, max_replicas=servers, max_request_wait_s=WAIT_S
    )


def poisson(servers: int, rate_rps: float, duration_s: float, warm_up_s: float, sees_503: float) -> System:
    arrivals = Renewal(RateProfile.constant(rate_rps, duration_s))
    return System(
        f"M/M/{servers}+D",
        scenario(arrivals, fixed(servers), duration_s, warm_up_s, Exponential(MEAN_COLD_START_S)),
        sees_503,
        WaitLimitQueue(servers, rate_rps, MEAN_SERVICE_S, WAIT_S).fraction_503,
    )


def bursty(servers: int, duration_s: float, warm_up_s: float, sees_503: float) -> System:
    rates_rps, switching_per_s = (2.0, 8.0), (0.2, 0.2)
    arrivals = MarkovModulatedPoisson(np.array(rates_rps), np.array(switching_per_s), duration_s)
    exact = MarkovArrivals.mmpp(rates_rps, switching_per_s)
    return System(
        f"MMPP/M/{servers}+D",
        scenario(arrivals, fixed(servers), duration_s, warm_up_s, Exponential(MEAN_COLD_START_S)),
        sees_503,
        MarkovArrivalsQueue(servers, exact, MEAN_SERVICE_S, WAIT_S).fraction_503,
    )


def steps(rates_rps: Steps, duration_s: float) -> Renewal:
    rates = np.array([rate for _, rate in rates_rps])
    return Renewal(RateProfile(np.array([*(since_s for since_s, _ in rates_rps), duration_s]), rates, rates))


def burst_without_queue(
    min_replicas: int, max_replicas: int, rates_rps: Steps, duration_s: float, sees_503: float
) -> System:
    deployment = Deployment(
        min_replicas=min_replicas, max_replicas=max_replicas, max_request_wait_s=0.0, scale_down_delay_s=duration_s
    )
    chain = TickChain(deployment, mean_service_s=MEAN_SERVICE_S, mean_cold_start_s=MEAN_COLD_START_S, by_counts=True)
    return System(
        "burst, D = 0",
        scenario(steps(rates_rps, duration_s), deployment, duration_s, 0.0, Exponential(MEAN_COLD_START_S)),
        sees_503,
        total(chain.transient(rates_rps, [0.0, duration_s])).fraction_503,
    )


def burst_with_queue(
    min_replicas: int, max_replicas: int, rates_rps: Steps, duration_s: float, sees_503: float
) -> System:
    deployment = Deployment(min_replicas=min_replicas, max_replicas=max_replicas, max_request_wait_s=WAIT_S)
    cold_start = Lognormal(10.0, 0.3)
    return System(
        "burst, D = 0.5 s",
        scenario(steps(rates_rps, duration_s), deployment, duration_s, 0.0, cold_start),
        sees_503,
        None,
    )


def systems() -> list[System]:
    return [
        poisson(7, 3.0, 215.0, 15.0, sees_503=0.63),
        bursty(11, 80.0, 20.0, sees_503=0.53),
        burst_without_queue(8, 14, ((0.0, 1.5), (10.0, 4.0), (20.0, 1.5)), 30.0, sees_503=0.36),
        burst_with_queue(10, 20, ((0.0, 3.0), (20.0, 8.0), (50.0, 3.0)), 80.0, sees_503=0.49),
    ]


def small_systems() -> list[System]:
    """Nearly every run sees a 503: few replications are enough."""
    return [
        poisson(3, 1.0, 210.0, 10.0, sees_503=0.96),
        burst_without_queue(4, 8, ((0.0, 1.0), (5.0, 4.0)), 20.0, sees_503=0.99),
    ]
