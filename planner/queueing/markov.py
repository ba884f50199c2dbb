"""MAP/M/c+D: bursty (Markovian) arrivals, exponential service, a queue that a customer leaves after waiting D. Exact.

Formula (Choi, Kim & Zhu, Mathematics of Operations Research 29 (2004) 309-325). f(x) is the density of the virtual wait
x (s) by phase, a row vector, g(x) an auxiliary one, D0 and D1 (1/s) the matrices of the arrival process:

    f' = -f D0 - g,   g' = c mu (f D1 - g)   on (0, D],   g(0) = c mu p_{c-1} D1,   f(D) (c mu I - D0 - D1) = g(D)
    p_{n-1} D1 + p_n (D0 - n mu I) + (n + 1) mu p_{n+1} = 0   for n < c busy slots, f(0) in place of c mu p_c
    503 fraction = f(D) D1 1 / (c mu lambda),   lambda the mean arrival rate, total mass f(D) 1 / (c mu) above D

Solved as first passages: upwards through the numbers of busy slots, and by doubling through the waits
(`planner.queueing.slab`), without a subtraction, so that small fractions keep their digits.
Stops being true: service that is not exponential, slots that come and go (the simulator), or before the steady state,
which slow bursts take long to reach: single runs scatter far more than the mean suggests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from planner.errors import InputError
from planner.model import FloatArray
from planner.queueing.chains import is_irreducible, stationary, time_in_states
from planner.queueing.search import (
    LARGEST,
    check_service,
    check_slots,
    check_target,
    fewest_slots,
    least_slots,
)
from planner.queueing.slab import above_limit, below_empty_queue, waiting

LARGEST_SLOTS = 100_000
"""The time grows with c, about 5 s here."""

LONGEST_S = 1e100
"""Expected times are cut here, far from overflow."""

SMALLEST_TARGET = 1e-60
"""Fractions far below are not told from each other."""


@dataclass(frozen=True, eq=False)
class MarkovArrivals:
    """A Markovian arrival process (MAP): phases that change with and without an arrival.

    d0[i, j] (1/s), i != j: rate of going from phase i to j without an arrival; its diagonal makes the rows of d0 + d1
    sum to 0. d1[i, j] (1/s): rate of an arrival that takes phase i to j (i = j included). Every phase must be reachable
    from every other.
    """

    d0: FloatArray
    d1: FloatArray

    def __post_init__(self) -> None:
        d0, d1 = (np.array(matrix, dtype=np.float64) for matrix in (self.d0, self.d1))
        _check_shape(d0, d1)
        _check_entries(d0, d1)
        np.fill_diagonal(d0, 0.0)
        np.fill_diagonal(d0, -(d0 + d1).sum(axis=1))
        for name, matrix in (("d0", d0), ("d1", d1)):
            matrix.flags.writeable = False
            object.__setattr__(self, name, matrix)

    @classmethod
    def poisson(cls, rate_rps: float) -> MarkovArrivals:
        """One phase."""
        return cls(np.array([[-rate_rps]]), np.array([[rate_rps]]))

    @classmethod
    def mmpp(cls, rates_rps: npt.ArrayLike, switching_per_s: npt.ArrayLike) -> MarkovArrivals:
        """Poisson arrivals at rate rates_rps[i] in phase i, which is left at rate switching_per_s[i] for the next one.

        The last phase is followed by the first, as in `planner.arrivals.MarkovModulatedPoisson`.
        """
        rates, switching = (np.array(values, dtype=np.float64) for values in (rates_rps, switching_per_s))
        if not (rates.ndim == 1 and rates.shape == switching.shape and len(rates) >= 2):
            raise InputError("mmpp needs as many switching rates as rates, and at least two")
        if not ((rates >= 0).all() and rates.any()):
            raise InputError(f"mmpp rates = {rates.tolist()}, must be at least 0 and not all 0")
        if not (switching > 0).all():
            raise InputError(f"mmpp switching = {switching.tolist()}, must be above 0")
        to_next = np.roll(np.diag(switching), 1, axis=1)
        return cls(to_next - np.diag(rates + switching), np.diag(rates))

    @cached_property
    def phase_shares(self) -> FloatArray:
        """Share of time in each phase, shape (m,)."""
        return stationary(self.d0 + self.d1)

    @property
    def rates_rps(self) -> FloatArray:
        """Arrival rate in each phase, shape (m,)."""
        return np.asarray(self.d1.sum(axis=1))

    @property
    def mean_rate_rps(self) -> float:
        """lambda: arrivals per second in the long run."""
        return float(self.phase_shares @ self.rates_rps)


@dataclass(frozen=True)
class MarkovArrivalsQueue:
    """MAP/M/c+D in steady state, exact for every load; the module says what it rests on.

    slots: c. mean_service_s: S = 1 / mu. wait_limit_s: D. One phase gives M/M/c+D, D = 0 a loss system.
    Relative error about 1e-16 times the events (arrivals, completions, changes of phase) expected in a time of D, at
    least 1e-14: 1e-12 at c = 10,000, S = 1 s, D = 0.5 s. Fractions below 1e-60 are not told from each other.
    """

    slots: int
    arrivals: MarkovArrivals
    mean_service_s: float
    wait_limit_s: float

    def __post_init__(self) -> None:
        check_slots(self.slots)
        check_service(self.mean_service_s, self.wait_limit_s)

    @property
    def load_erlangs(self) -> float:
        """a = lambda S."""
        return self.arrivals.mean_rate_rps * self.mean_service_s

    @property
    def fraction_503(self) -> float:
        """Share of arrivals that leave unserved: 503s per second over arrivals per second."""
        return self._at_limit.share_above(self.arrivals)

    def wait_exceeds(self, x_s: float) -> float:
        """Share of arrivals with V > x, 0 <= x <= D, V the virtual wait: what one would wait without the limit."""
        if not 0 <= x_s <= self.wait_limit_s:
            raise InputError(f"wait = {x_s} s, must be from 0 to the wait limit, {self.wait_limit_s} s")
        return self._crossings(x_s).share_above(self.arrivals)

    @property
    def mean_queue_time_s(self) -> float:
        """Mean time in the queue of all arrivals, those that leave included: E[min(V, D)] over arrivals."""
        seen, rates = self._at_limit, self.arrivals.rates_rps
        return float((seen.moment_below_s2 + self.wait_limit_s * seen.time_above_s) @ rates / (seen.time_s @ rates))

    @property
    def utilization(self) -> float:
        """Share of slots that are busy: a (1 - P503) / c."""
        return self.load_erlangs / self.slots * self._at_limit.share_below(self.arrivals)

    @cached_property
    def _at_limit(self) -> _Crossings:
        return self._crossings(self.wait_limit_s)

    @cached_property
    def _free(self) -> _Free:
        return next(islice(_free_slots(self.arrivals, self.mean_service_s), self.slots - 1, None))

    def _crossings(self, level_s: float) -> _Crossings:
        return _crossings(self._free, self.slots, self.arrivals, self.mean_service_s, self.wait_limit_s, level_s)


@dataclass(frozen=True)
class _Crossings:
    """Times between two upward crossings of a level of V, by phase: shape (m,)."""

    time_above_s: FloatArray
    time_below_s: FloatArray
    moment_below_s2: FloatArray
    """The integral of V over the time below."""

    @property
    def time_s(self) -> FloatArray:
        return self.time_above_s + self.time_below_s

    def share_above(self, arrivals: MarkovArrivals) -> float:
        """Share of arrivals that find V above the level."""
        return float(self.time_above_s @ arrivals.rates_rps / (self.time_s @ arrivals.rates_rps))

    def share_below(self, arrivals: MarkovArrivals) -> float:
        return float(self.time_below_s @ arrivals.rates_rps / (self.time_s @ arrivals.rates_rps))


def _crossings(
    free: _Free, slots: int, arrivals: MarkovArrivals, service_s: float, limit_s: float, level_s: float
) -> _Crossings:
    """In the steady state V crosses the level downwards in phases `falling`, and next upwards in phases `rising`."""
    d0, d1, service_per_s = arrivals.d0, arrivals.d1, slots / service_s
    lower = below_empty_queue(*free).under(waiting(level_s, d0, d1, service_per_s))
    upper = waiting(limit_s - level_s, d0, d1, service_per_s).under(above_limit(d0 + d1, service_per_s))
    falling = stationary(lower.back_above @ upper.back_below)
    rising = falling @ lower.back_above
    return _Crossings(rising @ upper.from_below_s, falling @ lower.from_above_s, falling @ lower.from_above_moment_s2)


def slots_for_markov_arrivals(
    max_fraction_503: float, arrivals: MarkovArrivals, mean_service_s: float, wait_limit_s: float
) -> int:
    """The fewest slots whose exact fraction of 503s is at most max_fraction_503.

    It never rises with c, for any arrivals (docs/model.md, Formulas, has the proof).
    """
    check_target("max_fraction_503", max_fraction_503)
    if max_fraction_503 < SMALLEST_TARGET:
        raise InputError(f"max_fraction_503 = {max_fraction_503}, must be at least {SMALLEST_TARGET:g}")
    check_service(mean_service_s, wait_limit_s)
    more, known = _free_slots(arrivals, mean_service_s), list[_Free]()

    def fraction_at(slots: int) -> float:
        known.extend(islice(more, max(0, slots - len(known))))
        at_limit = _crossings(known[slots - 1], slots, arrivals, mean_service_s, wait_limit_s, wait_limit_s)
        return at_limit.share_above(arrivals)

    start = least_slots(arrivals.mean_rate_rps * mean_service_s, max_fraction_503)
    return fewest_slots(fraction_at, max_fraction_503, start, LARGEST_SLOTS)


class _Free(NamedTuple):
    """What happens once one of c slots is free, by phase: shape (m, m)."""

    up: FloatArray
    """The phase in which all are busy again."""
    time_s: FloatArray
    """Expected time until then in each phase."""


def _free_slots(arrivals: MarkovArrivals, mean_service_s: float) -> Iterator[_Free]:
    """For c = 1, 2, …, by first passages from n = c - 1 busy slots to c: at once, or down and up again.

    N_n = (n mu (I - U_{n-1}) - D0)^-1 is the time with n busy, U_n = N_n D1 the phases, N_n (I + n mu T_{n-1}) all the
    time T_n.
    """
    rates_rps, d0, d1 = arrivals.rates_rps, arrivals.d0, arrivals.d1
    one = np.eye(len(d0))
    up = time_s = np.zeros_like(d0)
    for busy in count():
        down = busy / mean_service_s
        with_busy_s = time_in_states(d0 + down * up, rates_rps)
        up = with_busy_s @ d1
        up = up / up.sum(axis=1, keepdims=True)
        time_s = with_busy_s @ (one + down * time_s)
        time_s = time_s * min(1.0, LONGEST_S / time_s.max())
        yield _Free(up, time_s)


def _check_shape(d0: FloatArray, d1: FloatArray) -> None:
    if not (d0.ndim == 2 and d0.shape == d1.shape and d0.shape[0] == d0.shape[1] >= 1):
        raise InputError(f"d0 of shape {d0.shape} and d1 of shape {d1.shape}, must be two square matrices of one size")


def _check_entries(d0: FloatArray, d1: FloatArray) -> None:
    switching = d0.copy()
    np.fill_diagonal(switching, 0.0)
    for name, matrix in (("d0", switching), ("d1", d1)):
        if len(bad := np.argwhere(~((matrix >= 0) & (matrix <= LARGEST)))):
            i, j = bad[0]
            raise InputError(f"{name}[{i}, {j}] = {matrix[i, j]}, must be from 0 to {LARGEST:g}")
    leaving = (switching + d1).sum(axis=1)
    if len(rows := np.flatnonzero(~(np.abs(d0.diagonal() + leaving) <= 1e-9 * leaving))):
        i = rows[0]
        raise InputError(f"d0[{i}, {i}] = {d0[i, i]}, must be {-leaving[i]}, so that row {i} of d0 + d1 sums to 0")
    if not d1.any():
        raise InputError("d1 is 0: nobody ever arrives")
    if not is_irreducible(switching + d1):
        raise InputError("some phase of the arrival process cannot be reached from another; every one must be")
