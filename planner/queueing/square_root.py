"""Square-root staffing: c = a + beta sqrt(a). Approximations for many slots, whose error shrinks as 1 / sqrt(a).

Formulas, with beta = (c - a) / sqrt(a) (no unit), phi and Phi the normal density and distribution:

    P(wait > 0) ~ 1 / (1 + beta Phi(beta) / phi(beta)),  beta > 0, nobody leaves (approximates Erlang C)
    epsilon ~ sqrt(a) Phi(beta) / phi(beta),             put into M/M/c+D, any beta

Source: Halfin & Whitt, Operations Research 29(3) (1981) 567-588; survey van Leeuwaarden, Mathijsen & Zwart 2019,
arXiv:1706.05397. The form with a wait limit puts the same limit of 1 / B(c - 1, a) into the exact formula.
Stops being true for few slots and for rare events, where both are far too low: `erlang_c` and `WaitLimitQueue` are
exact and as easy to call. What this form shows is the rule: the slots beyond the load grow with its square root.
"""

from __future__ import annotations

import math

from planner.queueing.erlang import log1p_exp
from planner.queueing.search import check_load, check_queue, check_slots, check_target, fewest_slots, least_slots
from planner.queueing.wait_limit import parts


def delay_probability_square_root(slots: int, load_erlangs: float) -> float:
    """Approximate share of customers that wait where nobody leaves: [1 + beta Phi(beta) / phi(beta)]^-1.

    slots: c. load_erlangs: a = lambda S. 1 where c <= a.
    Against Erlang C, with as many slots as that needs for 50 % | 10 % | 1 % | 0.1 %: 0.93 | 0.77 | 0.45 | 0.22 of it at
    20 erlangs, 0.98 | 0.92 | 0.78 | 0.63 at 200, 1.00 | 0.99 | 0.97 | 0.94 at 10,000; below 1e-3 of the 0.1 % at 1.
    """
    check_slots(slots)
    check_load(load_erlangs)
    if slots <= load_erlangs:
        return 1.0
    if load_erlangs == 0:
        return 0.0
    beta = (slots - load_erlangs) / math.sqrt(load_erlangs)
    return math.exp(-log1p_exp(math.log(beta) + log_mills_ratio(beta)))


def slots_for_square_root_delay(max_delayed: float, load_erlangs: float) -> int:
    """The fewest slots for an approximate share of customers that wait; it falls with c, as Phi / phi rises with beta.

    Against the inverse of Erlang C: 0 to 2 slots too few, for 1 to 10,000 erlangs and 50 % to 0.1 %.
    """
    check_target("max_delayed", max_delayed)
    check_load(load_erlangs)
    return fewest_slots(
        lambda slots: delay_probability_square_root(slots, load_erlangs), max_delayed, least_slots(load_erlangs, 0.0)
    )


def fraction_503_square_root(slots: int, arrival_rate_rps: float, mean_service_s: float, wait_limit_s: float) -> float:
    """Approximate 503 fraction of M/M/c+D: epsilon ~ sqrt(a) Phi(beta) / phi(beta) in the exact expression.

    slots: c. arrival_rate_rps: lambda. mean_service_s: S. wait_limit_s: D.
    Against the exact one, with as many slots as that needs for 1 % | 0.1 % | 0.01 %: 0.90 | 0.77 | 0.59 of it at
    20 erlangs with S = 1 s, D = 0.5 s, and 1.00 | 0.99 | 0.97 at 200; with S = 10 s 0.65 | 0.33 | 0.17 and 0.96 | 0.85
    | 0.72; at 1 erlang below 0.01 of the 0.1 %.
    """
    check_slots(slots)
    check_queue(arrival_rate_rps, mean_service_s, wait_limit_s)
    load = arrival_rate_rps * mean_service_s
    log_epsilon = math.log(load) / 2 + log_mills_ratio((slots - load) / math.sqrt(load))
    return parts(log_epsilon, slots, arrival_rate_rps, mean_service_s, wait_limit_s).fraction_503


def slots_for_square_root(
    max_fraction_503: float, arrival_rate_rps: float, mean_service_s: float, wait_limit_s: float
) -> int:
    """The fewest slots for the approximate 503 fraction, which falls with c as the exact one does: Phi / phi rises.

    Against the exact inverse, `slots_for`: 0 to 3 slots too few, for 1 to 10,000 erlangs and targets down to 1e-6.
    """
    check_target("max_fraction_503", max_fraction_503)
    check_queue(arrival_rate_rps, mean_service_s, wait_limit_s)
    return fewest_slots(
        lambda slots: fraction_503_square_root(slots, arrival_rate_rps, mean_service_s, wait_limit_s),
        max_fraction_503,
        1,
    )


def log_mills_ratio(beta: float) -> float:
    """log(Phi(beta) / phi(beta))."""
    if beta >= -5:
        return math.log(math.erfc(-beta / math.sqrt(2)) / 2) + beta**2 / 2 + math.log(2 * math.pi) / 2
    fraction = -beta  # Laplace's continued fraction, x + 1 / (x + 2 / (x + 3 / …)), where both are tiny
    for n in range(40, 0, -1):
        fraction = -beta + n / fraction
    return -math.log(fraction)
