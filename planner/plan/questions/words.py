"""How the questions say their numbers."""

from __future__ import annotations

from planner.measures import Measures
from planner.model import Estimate
from planner.percent import percent


def share(estimate: Estimate) -> str:
    """0.094 % (0.088 % to 0.1 %); where too few runs saw any, its upper bound."""
    if estimate.exact:
        return f"{percent(estimate.value)} (exactly)"
    if not estimate.resolved:
        return f"{percent(estimate.value)} (at most {percent(estimate.high)})"
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"


def failures(measures: Measures) -> str:
    """0.094 % (0.088 % to 0.1 %) of 503s; with the 504s where there are any."""
    said = f"{share(measures.fraction_503)} of 503s"
    return f"{said} and {share(measures.fraction_504)} of 504s" if measures.has_504 else said


def points(value: float) -> str:
    """A difference of two fractions in percentage points, with its sign."""
    return f"{100 * value:+.2g}" if value else "0"


def effect(change: Estimate) -> str:
    """A difference of two fractions with its interval: -0.2 points, -0.3 to -0.1."""
    if change.exact:
        return f"{points(change.value)} points exactly"
    return f"{points(change.value)} points, {points(change.low)} to {points(change.high)}"


def hours(change: Estimate) -> str:
    """What a change costs: for 0.31 more replica-hours."""
    if change.value == 0:
        return "at the same replica-hours"
    return f"for {abs(change.value):.3g} {'more' if change.value > 0 else 'fewer'} replica-hours"


def times(factor: float) -> str:
    return f"{factor:.3g} times" if factor < 100 else f"{factor:.0f} times"


def number(value: float) -> str:
    """Up to six digits."""
    return f"{value:.6g}"


def replicas(count: int) -> str:
    return f"{count:,} replica{'' if count == 1 else 's'}"
