"""Numbers as a person reads them. A space that does not break stands before every unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"


def percent(fraction: float | None) -> str:
    """A fraction as a percent with three digits: 18.0 %, 1.43 %, 0.0138 %; nearly all is never shown as 100 %."""
    if fraction is None:
        return UNKNOWN
    value = 100 * fraction
    if value in (0.0, 100.0):
        return f"{value:.0f}\u00a0%"
    if 99.95 <= value < 100:
        return f"{min(value, 99.99):.2f}\u00a0%"
    return f"{_three_digits(value)}\u00a0%"


def bound(fraction: float) -> str:
    """A fraction that somebody chose, as a percent without padding: 1 %, 0.1 %."""
    return f"{100 * fraction:.6g}\u00a0%"


def time(seconds: float | None) -> str:
    """A time with three digits in the unit that suits it: 0.480 ms, 367 ms, 9.10 s, 2 min 4 s, 20 min, 2 h."""
    if seconds is None:
        return UNKNOWN
    if seconds == 0:
        return "0\u00a0s"
    if seconds < 0.9995:
        return f"{_short(seconds * 1e3)}\u00a0ms"
    if seconds < 120:
        return f"{_short(seconds)}\u00a0s"
    if seconds < 7200:
        return f"{seconds / 60:g}\u00a0min" if seconds % 60 == 0 else instant(seconds)
    return f"{_short(seconds / 3600)}\u00a0h"


def instant(seconds: float) -> str:
    """A point in time since the start of a run: 20.7 s, or 5 min 12 s in longer runs."""
    if seconds < 120:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}\u00a0min {rest}\u00a0s"


def count(number: float) -> str:
    """A whole number with thousands set apart."""
    return f"{number:,.0f}"


def plain(value: float | None) -> str:
    """A number with three digits, whole numbers without a point."""
    if value is None:
        return UNKNOWN
    return count(value) if value == int(value) else _three_digits(value)


def rate(rps: float) -> str:
    return f"{plain(rps)} per second"


def interval(low: str, high: str) -> str:
    """Two formatted ends; a unit that both have is said once."""
    number, _, unit = low.partition("\u00a0")
    return f"{number} to {high}" if unit and high.endswith(f"\u00a0{unit}") else f"{low} to {high}"


def estimate(document: Mapping[str, Any], form: Any) -> tuple[str, str]:
    """Value and interval of an estimate in JSON; an unresolved one has only an upper bound."""
    if document.get("exact"):
        return form(document["value"]), "exact: the same in every run of this seed"
    if not document["resolved"]:
        return form(document["value"]), f"at most {form(document['high'])}: too few runs saw one"
    return form(document["value"]), interval(form(document["low"]), form(document["high"]))


def plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def _three_digits(value: float) -> str:
    if abs(value) >= 999.5:
        return count(value)
    if abs(value) < 1e-4:
        return f"{value:.2g}"
    return f"{value:#.3g}".rstrip(".")


def _short(value: float) -> str:
    """Three digits, but no zeros after the point of a round number."""
    return f"{value:g}" if value == round(value, 1) else _three_digits(value)
