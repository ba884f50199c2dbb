"""M/M/c+D: Poisson arrivals, exponential service, one FIFO queue that a customer leaves (503) after waiting D. Exact.

Formula, with theta = c mu - lambda (1/s), epsilon = 1 / B(c - 1, a), and V the virtual wait (s), which an arrival would
have without the limit:

    J(x) = (e^{-theta x} - e^{-theta D}) / theta + J(D),   J(D) = e^{-theta D} / (c mu)
    P(V > x) = lambda J(x) / (epsilon + lambda J(0)) for 0 <= x <= D,   503 fraction = P(V > D)

Sources: Barrer, Operations Research, 1957; in this notation Zeltyn & Mandelbaum, Queueing Systems 51 (2005) 361-402.
Stops being true: arrivals that are not Poisson (`planner.queueing.markov`), service that is not exponential
(`planner.queueing.general_service`), slots that come and go (the simulator), or before the steady state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from planner.errors import InputError
from planner.queueing.erlang import log_inverse_erlang_b, log_inverses
from planner.queueing.search import check_queue, check_slots, check_target


class Parts(NamedTuple):
    """What the formulas are ratios of, each times e^{log_scale} so that none overflows."""

    theta_per_s: float
    """c mu - lambda: how fast the virtual wait falls on average."""
    log_scale: float
    epsilon: float
    within_limit: float
    """lambda times the integral of e^{-theta u} over [0, D]"""
    beyond_limit: float
    """lambda J(D)"""

    @property
    def served(self) -> float:
        return self.epsilon + self.within_limit

    @property
    def whole(self) -> float:
        return self.served + self.beyond_limit

    @property
    def fraction_503(self) -> float:
        return self.beyond_limit / self.whole


def parts(log_epsilon: float, slots: int, rate_rps: float, service_s: float, limit_s: float) -> Parts:
    """e^{-theta D} overflows for an overload, epsilon for a light load: the scale takes the larger of them out."""
    theta = slots / service_s - rate_rps
    log_scale = -max(log_epsilon, -theta * limit_s, 0.0)
    within = rate_rps * _decay_integral(theta, 0.0, limit_s, log_scale)
    beyond = rate_rps * math.exp(log_scale - theta * limit_s) * service_s / slots
    return Parts(theta, log_scale, math.exp(log_epsilon + log_scale), within, beyond)


@dataclass(frozen=True)
class WaitLimitQueue:
    """M/M/c+D in steady state, exact for every load, above 1 included; the module says what it rests on.

    slots: c. arrival_rate_rps: lambda. mean_service_s: S. wait_limit_s: D; with D = 0 it is Erlang B.
    Relative error of floats: below 1e-13 for c up to 10,000, rho up to 2 and fractions down to 1e-13.
    """

    slots: int
    arrival_rate_rps: float
    mean_service_s: float
    wait_limit_s: float

    def __post_init__(self) -> None:
        check_slots(self.slots)
        check_queue(self.arrival_rate_rps, self.mean_service_s, self.wait_limit_s)

    @property
    def load_erlangs(self) -> float:
        """a = lambda S."""
        return self.arrival_rate_rps * self.mean_service_s

    @cached_property
    def _parts(self) -> Parts:
        log_epsilon = log_inverse_erlang_b(self.slots - 1, self.load_erlangs)
        return parts(log_epsilon, self.slots, self.arrival_rate_rps, self.mean_service_s, self.wait_limit_s)

    @property
    def fraction_503(self) -> float:
        """Share of customers that leave unserved: P(V > D) = lambda J(D) / (epsilon + lambda J(0))."""
        return self._parts.fraction_503

    def wait_exceeds(self, x_s: float) -> float:
        """P(V > x) for 0 <= x <= D, V the virtual wait: what an arrival would wait without the limit."""
        if not 0 <= x_s <= self.wait_limit_s:
            raise InputError(f"wait = {x_s} s, must be from 0 to the wait limit, {self.wait_limit_s} s")
        theta, log_scale = self._parts.theta_per_s, self._parts.log_scale
        between = self.arrival_rate_rps * _decay_integral(theta, x_s, self.wait_limit_s, log_scale)
        return (between + self._parts.beyond_limit) / self._parts.whole

    @property
    def mean_queue_time_s(self) -> float:
        """Mean time in the queue of all customers, those who leave included: the integral of P(V > x) over [0, D]."""
        return (self._moment_s + self.wait_limit_s * self._parts.beyond_limit) / self._parts.whole

    @property
    def mean_wait_served_s(self) -> float:
        """Mean wait of the customers that are served: (E[queue time] - D P503) / (1 - P503)."""
        return self._moment_s / self._parts.served

    @property
    def utilization(self) -> float:
        """Share of slots that are busy: a (1 - P503) / c."""
        return self.load_erlangs / self.slots * (self._parts.served / self._parts.whole)

    @property
    def _moment_s(self) -> float:
        """lambda times the integral of u e^{-theta u} over [0, D], scaled as the parts are."""
        theta, log_scale = self._parts.theta_per_s, self._parts.log_scale
        return self.arrival_rate_rps * _decay_moment(theta, self.wait_limit_s, log_scale)


def slots_for(max_fraction_503: float, arrival_rate_rps: float, mean_service_s: float, wait_limit_s: float) -> int:
    """The fewest slots c whose M/M/c+D fraction of 503s is at most max_fraction_503.

    The fraction falls strictly with c: 1 / P503 = epsilon / (lambda J(D)) + J(0) / J(D), and both terms rise.
    """
    check_target("max_fraction_503", max_fraction_503)
    check_queue(arrival_rate_rps, mean_service_s, wait_limit_s)

    load = arrival_rate_rps * mean_service_s
    return next(
        busy + 1
        for busy, log_epsilon in log_inverses(load, max_fraction_503)
        # 1 - c / a bounds the fraction from below: spares most of the terms of an overloaded queue
        if 1 - (busy + 1) / load <= max_fraction_503
        and parts(log_epsilon, busy + 1, arrival_rate_rps, mean_service_s, wait_limit_s).fraction_503
        <= max_fraction_503
    )


def _decay_integral(theta: float, x_s: float, limit_s: float, log_scale: float) -> float:
    """e^{log_scale} times the integral of e^{-theta u} over [x, D]."""
    length = limit_s - x_s
    product = theta * length
    if product == 0:
        return length * math.exp(log_scale - theta * x_s)
    if theta > 0:
        return math.exp(log_scale - theta * x_s) * -math.expm1(-product) / theta
    return math.exp(log_scale - theta * limit_s) * -math.expm1(product) / -theta


def _decay_moment(theta: float, limit_s: float, log_scale: float) -> float:
    """e^{log_scale} times the integral of u e^{-theta u} over [0, D]: (1 - e^{-theta D} (1 + theta D)) / theta^2."""
    product = theta * limit_s
    if abs(product) < 0.05:  # the closed form cancels; its series does not
        series = math.fsum((-product) ** n / (math.factorial(n) * (n + 2)) for n in range(12))
        return math.exp(log_scale) * limit_s**2 * series
    if product > 0:
        return math.exp(log_scale) * (-math.expm1(-product) - product * math.exp(-product)) / theta**2
    return (math.exp(log_scale) - math.exp(log_scale - product) * (1 + product)) / theta**2
