"""What the formulas and their inverses share: bounds of the inputs, and the search for the fewest slots."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral

from planner.errors import InputError

LARGEST_SLOTS = 1_000_000
"""The inverses and the formulas end here; those that count slot by slot take about a second at this size."""

SMALLEST, LARGEST = 1e-100, 1e100
"""Of a rate, a time or a load above 0: beyond them products leave what a float can hold."""


def fewest_slots(fraction_at: Callable[[int], float], at_most: float, start: int, largest: int = LARGEST_SLOTS) -> int:
    """The smallest c from `start` on with fraction_at(c) <= at_most, for a fraction that never rises with c.

    Steps up that double, then halving: about 2 log2(c - start) evaluations.
    """
    low, high, step = start - 1, start, 1
    while high > largest or fraction_at(high) > at_most:
        if high >= largest:
            raise too_many_slots(at_most, largest)
        low, high, step = high, min(high + step, largest), 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if fraction_at(middle) > at_most:
            low = middle
        else:
            high = middle
    return high


def replicas_for_slots(slots: int, max_concurrent: int) -> int:
    """Replicas that hold `slots` requests at once, each holding max_concurrent: the quotient, rounded up."""
    check_slots(slots)
    if not (isinstance(max_concurrent, Integral) and max_concurrent >= 1):
        raise InputError(f"max concurrent requests = {max_concurrent}, must be an integer, at least 1")
    return -(-slots // max_concurrent)


def least_slots(load_erlangs: float, at_most: float) -> int:
    """No c below this keeps the target: slots are busy at most always, so a fraction of at least 1 - c / a is lost."""
    return max(1, math.floor(min(load_erlangs * (1 - at_most), 2 * LARGEST_SLOTS)))


def too_many_slots(at_most: float, largest: int = LARGEST_SLOTS) -> InputError:
    return InputError(f"a target of {at_most:g} needs more than {largest:,} slots, which is not supported")


def check_slots(slots: int) -> None:
    if not (isinstance(slots, Integral) and 1 <= slots <= LARGEST_SLOTS):
        raise InputError(f"slots = {slots}, must be an integer from 1 to {LARGEST_SLOTS:,}")


def check_load(load_erlangs: float) -> None:
    if load_erlangs != 0 and not SMALLEST <= load_erlangs <= LARGEST:
        raise InputError(f"offered load = {load_erlangs} erlangs, must be 0 or from {SMALLEST:g} to {LARGEST:g}")


def check_queue(arrival_rate_rps: float, mean_service_s: float, wait_limit_s: float) -> None:
    if not SMALLEST <= arrival_rate_rps <= LARGEST:
        raise InputError(f"arrival rate = {arrival_rate_rps} per second, must be from {SMALLEST:g} to {LARGEST:g}")
    check_service(mean_service_s, wait_limit_s)
    check_load(arrival_rate_rps * mean_service_s)


def check_service(mean_service_s: float, wait_limit_s: float) -> None:
    if not SMALLEST <= mean_service_s <= LARGEST:
        raise InputError(f"mean service time = {mean_service_s} s, must be from {SMALLEST:g} to {LARGEST:g}")
    check_wait_limit(wait_limit_s)


def check_wait_limit(wait_limit_s: float) -> None:
    if not 0 <= wait_limit_s <= LARGEST:
        raise InputError(f"wait limit = {wait_limit_s} s, must be from 0 to {LARGEST:g}")


def check_target(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError(f"{name} = {value}, must be above 0 and below 1")
