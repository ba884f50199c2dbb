"""Durations, rates, percents and counts as a person writes them, read into SI. Pure: no YAML, no model.

Every reader takes what YAML or a command line gives and returns a number, or raises ValueError with the bound that was
broken ("needs a unit, for example 20s"), to be put behind "file: key = value, ".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

_UNIT_SECONDS = {
    "d": Fraction(86400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "min": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 1000),
    "us": Fraction(1, 1_000_000),
}
_PART = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(min|ms|us|[dhms])(?![a-z])")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d{1,3})?", re.IGNORECASE)
_PERCENT = re.compile(r"\s*([-+]?(?:\d+(?:\.\d*)?|\.\d+))\s*%\s*")
_RATE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*(s|min|m|h)|rps)\s*")

DURATION_EXAMPLES = "for example 250ms, 20s, 5m or 1h30m"

Time = TypeVar("Time", float, Fraction)

LONGEST_S = 7 * 86400.0
"""Traffic repeats after a week; the counts of a hundred simulated weeks, second by second, already take 2 GB."""


def duration_fraction(value: object) -> Fraction:
    """Exact seconds of a duration with units, the larger before the smaller: 250ms, 20s, 5m, 1h30m."""
    if _is_number(value) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip())):
        raise ValueError(f"needs a unit, {DURATION_EXAMPLES}")
    if not isinstance(value, str):
        raise ValueError(f"must be a duration, {DURATION_EXAMPLES}")
    total, last, end = Fraction(0), None, 0
    while part := _PART.match(value, end):
        unit = _UNIT_SECONDS[part[2]]
        if last is not None and unit >= last:
            break
        total, last, end = total + Fraction(part[1]) * unit, unit, part.end()
    if last is None or value[end:].strip():
        raise ValueError(f"must be a duration, {DURATION_EXAMPLES}")
    return total


def seconds(value: object) -> float:
    """Seconds of a duration with units; at least 0."""
    return not_too_long(unbounded_seconds(value))


def unbounded_seconds(value: object) -> float:
    """Seconds of a duration in a trace's own time, in which nothing has to fit."""
    return _finite(duration_fraction(value))


def not_too_long(length_s: Time) -> Time:
    if length_s > LONGEST_S:
        raise ValueError(f"must be at most {LONGEST_S / 86400:g}d")
    return length_s


def positive_seconds(value: object) -> float:
    """Seconds of a duration with units; above 0."""
    return above_zero(seconds(value))


def milliseconds_or_duration(value: object) -> float:
    """Seconds of an Azure setting in milliseconds: 500, or with a unit, 500ms."""
    return not_too_long(number(value, least=0.0) / 1000) if _is_number(value) else seconds(value)


def positive_milliseconds_or_duration(value: object) -> float:
    return above_zero(milliseconds_or_duration(value))


def positive_seconds_or_duration(value: object) -> float:
    """Seconds of an Azure setting in seconds: 10, or with a unit, 10s."""
    return above_zero(not_too_long(number(value, least=0.0)) if _is_number(value) else seconds(value))


def fraction(value: object) -> float:
    """A fraction from 0 to 1: 0.001, or as a percent, 0.1%."""
    if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        share = _finite(Fraction(percent[1]) / 100)
        bound = "must be from 0% to 100%"
    else:
        share = number(value)
        bound = f"above 1 needs a percent sign; did you mean {share:g}%?" if share > 1 else "must be from 0 to 1"
    if not 0 <= share <= 1:
        raise ValueError(bound)
    return share


def target_percent(value: object) -> int:
    """An integer percent from 1 to 100, as Azure has it: 70, or 70%."""
    if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        target = float(percent[1])
    else:
        target = number(value)
        if 0 < target < 1 or (target == 1 and isinstance(value, float)):
            raise ValueError(f"must be an integer percent from 1 to 100; did you mean {100 * target:.6g}?")
    if not (1 <= target <= 100 and target == int(target)):
        raise ValueError("must be an integer percent from 1 to 100")
    return int(target)


def rate_rps(value: object) -> float:
    """Requests per second: a number, or with a unit, 20/s, 1200/min, 5000/h."""
    if isinstance(value, str) and (rate := _RATE.fullmatch(value)):
        return _finite(Fraction(rate[1]) / _UNIT_SECONDS[rate[2] or "s"])
    return number(value, least=0.0)


def number(value: object, *, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number from `least` to `most`."""
    if not _is_number(value):
        raise ValueError("must be a number")
    try:
        result = float(value)  # type: ignore[arg-type]
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise ValueError("must be a finite number")
    if result < least:
        raise ValueError(f"must be at least {least:g}")
    if result > most:
        raise ValueError(f"must be at most {most:g}")
    return result


def positive_number(value: object) -> float:
    return above_zero(number(value))


def count(*, least: int, most: int | None = None) -> Callable[[object], int]:
    """A reader of integers from `least` to `most`."""
    bound = f"must be an integer, at least {least}" if most is None else f"must be an integer from {least} to {most}"

    def read(value: object) -> int:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]
            raise ValueError(bound)
        return value  # type: ignore[return-value]

    return read


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def above_zero(value: float) -> float:
    if value <= 0:
        raise ValueError("must be above 0")
    return value


def _finite(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError("must be a finite number") from None
