"""Erlang's formulas: slots without a queue (B) and with a queue that nobody leaves (C).

Sources: A. K. Erlang 1917; Cooper, *Introduction to Queueing Theory*, 1981; Iversen, *Teletraffic Engineering*, 2010.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

from planner.queueing.search import (
    LARGEST_SLOTS,
    check_load,
    check_slots,
    check_target,
    least_slots,
    too_many_slots,
)


def erlang_b(slots: int, load_erlangs: float) -> float:
    """Share of customers that find all slots busy, and leave: B(c, a) = (a^c / c!) / sum of a^j / j!, j = 0 to c.

    slots: c. load_erlangs: a = lambda S. Any service times (M/G/c/c), any load. Not for arrivals other than Poisson:
    bursts lose more (MMPP with 10 and 30 rps, 29 slots of 1 s: 0.108 against 0.0128).
    """
    check_slots(slots)
    return math.exp(-log_inverse_erlang_b(slots, load_erlangs))


def erlang_c(slots: int, load_erlangs: float) -> float:
    """Share of customers that wait where nobody leaves (M/M/c): C(c, a) = B / (1 - rho (1 - B)), rho = a / c.

    slots: c. load_erlangs: a = lambda S. 1 where rho >= 1, since the queue then grows without end. Exponential service
    and Poisson arrivals alone; with a wait limit fewer wait, since those who leave make room.
    """
    check_slots(slots)
    return _erlang_c(slots, load_erlangs, log_inverse_erlang_b(slots, load_erlangs))


def _erlang_c(slots: int, load_erlangs: float, log_inverse: float) -> float:
    rho = load_erlangs / slots
    blocked = math.exp(-log_inverse)
    return 1.0 if rho >= 1 else blocked / (1 - rho * (1 - blocked))


def slots_for_erlang_b(max_blocked: float, load_erlangs: float) -> int:
    """The fewest slots with B(c, a) <= max_blocked. B falls with c: 1 / B(c) = 1 + (c / a) / B(c - 1) >= 1 + c / a."""
    check_target("max_blocked", max_blocked)
    enough = -math.log(max_blocked)
    return next(c for c, log_inverse in log_inverses(load_erlangs, max_blocked) if c > 0 and log_inverse >= enough)


def slots_for_erlang_c(max_delayed: float, load_erlangs: float) -> int:
    """The fewest slots with C(c, a) <= max_delayed. C falls with c: 1 / C = (1 - rho) / B + rho, and 1 / B rises."""
    check_target("max_delayed", max_delayed)
    return next(
        c
        for c, log_inverse in log_inverses(load_erlangs, max_delayed)
        if c > load_erlangs and _erlang_c(c, load_erlangs, log_inverse) <= max_delayed
    )


def log_inverse_erlang_b(slots: int, load_erlangs: float) -> float:
    """log(1 / B(c, a)), which does not overflow where B underflows. 0 for c = 0."""
    check_load(load_erlangs)
    return next(islice(_log_inverses(load_erlangs), slots, None))


def log_inverses(load_erlangs: float, target: float) -> Iterator[tuple[int, float]]:
    """c and log(1 / B(c, a)) for c = 0, 1, … LARGEST_SLOTS; beyond, the `target` is refused."""
    check_load(load_erlangs)
    if least_slots(load_erlangs, target) <= LARGEST_SLOTS:
        yield from enumerate(islice(_log_inverses(load_erlangs), LARGEST_SLOTS + 1))
    raise too_many_slots(target)


def _log_inverses(load_erlangs: float) -> Iterator[float]:
    """Erlang's recursion turned over, 1 / B(c) = 1 + (c / a) / B(c - 1), on the logarithm."""
    log_inverse, c = 0.0, 0
    while True:
        yield log_inverse
        c += 1
        log_inverse = log1p_exp(log_inverse + math.log(c / load_erlangs)) if load_erlangs else math.inf


def log1p_exp(x: float) -> float:
    """log(1 + e^x), without forming e^x where it is large."""
    return x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x))
