"""MMPP/M/c+D, approximately: bursts that last long against the time in which a queue settles.

Formula: sum(pi_i r_i P503(r_i)) / sum(pi_i r_i). r_i (1/s) is the arrival rate in phase i, pi_i the share of time in
it, proportional to 1 / switching_i, switching_i (1/s) the rate of leaving it, P503(r) that of M/M/c+D at rate r. Each
phase is taken to be in its own steady state, the quasi-static (or pointwise stationary) view of Green, Kolesar & Whitt,
Production and Operations Management 16 (2007).
Stops being true where phases do not outlast a service many times over, or service is not exponential; the exact
`planner.queueing.markov` costs milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.errors import InputError
from planner.queueing.search import (
    LARGEST,
    SMALLEST,
    check_service,
    check_slots,
    check_target,
    fewest_slots,
    least_slots,
)
from planner.queueing.wait_limit import WaitLimitQueue


def fraction_503_slow_bursts(
    slots: int,
    rates_rps: Sequence[float],
    switching_per_s: Sequence[float],
    mean_service_s: float,
    wait_limit_s: float,
) -> float:
    """Approximate 503 fraction under slow bursts: the phases' M/M/c+D fractions, weighted by the arrivals in each.

    An approximation that has erred high wherever it was measured. Against exact MMPP/M/c+D with rates 10 and 30 per
    second, S = 1 s, D = 0.5 s and 20 to 50 slots: 0.4 % high at most at a switching rate of 0.001 per second, 4 % at
    0.01, 21 % at 0.05, twice at 0.2, 14 times at 1. With S = 10 s: 1.5 times at 0.01, 5 times at 0.05.
    """
    check_slots(slots)
    check_service(mean_service_s, wait_limit_s)
    _check_phases(rates_rps, switching_per_s)
    arrivals = [rate / switching for rate, switching in zip(rates_rps, switching_per_s, strict=True)]
    lost = [
        weight * WaitLimitQueue(slots, rate, mean_service_s, wait_limit_s).fraction_503
        for weight, rate in zip(arrivals, rates_rps, strict=True)
        if rate > 0
    ]
    return math.fsum(lost) / math.fsum(arrivals)


def slots_for_slow_bursts(
    max_fraction_503: float,
    rates_rps: Sequence[float],
    switching_per_s: Sequence[float],
    mean_service_s: float,
    wait_limit_s: float,
) -> int:
    """The fewest slots that keep the approximate 503 fraction: a mixture of fractions that each fall strictly with c.

    In the cases above with S = 1 s, and targets of 1 % to 1e-6, the same as the exact number for a switching rate of
    0.05 per second and less, 1 too many at 0.2, up to 4 at 1; with S = 10 s up to 5 at 0.01, 21 at 0.05.
    """
    check_target("max_fraction_503", max_fraction_503)
    check_service(mean_service_s, wait_limit_s)
    _check_phases(rates_rps, switching_per_s)
    shares = [1 / switching for switching in switching_per_s]
    mean_rps = math.fsum(s * r for s, r in zip(shares, rates_rps, strict=True)) / math.fsum(shares)

    def fraction_at(slots: int) -> float:
        return fraction_503_slow_bursts(slots, rates_rps, switching_per_s, mean_service_s, wait_limit_s)

    return fewest_slots(fraction_at, max_fraction_503, least_slots(mean_rps * mean_service_s, max_fraction_503))


def _check_phases(rates_rps: Sequence[float], switching_per_s: Sequence[float]) -> None:
    if not len(rates_rps) == len(switching_per_s) >= 1:
        raise InputError(
            f"{len(rates_rps)} rates and {len(switching_per_s)} switching rates, must be as many, at least 1"
        )
    if not (all(0 <= rate <= LARGEST for rate in rates_rps) and any(rate > 0 for rate in rates_rps)):
        raise InputError(f"rates = {list(rates_rps)}, must be from 0 to {LARGEST:g} and not all 0")
    if not all(SMALLEST <= switching <= LARGEST for switching in switching_per_s):
        raise InputError(f"switching = {list(switching_per_s)}, must be from {SMALLEST:g} to {LARGEST:g}")
