"""Inputs of a scenario that are known only within an interval, and the worlds that they make.

A world has one position in [-1, 1] for each of them: -1 is its low, 0 its mid, 1 its high, linear between.
"""

from __future__ import annotations

from dataclasses import dataclass

REQUEST_TIME, RATE, COLD_START = "request_time", "rate", "cold_start"

MID_WARNING = "The scenario's intervals are used by `plan` only: here each of them is taken at its mid."


@dataclass(frozen=True, kw_only=True)
class UncertainInput:
    """One input that is not known exactly.

    name: request_time, rate or cold_start. unit: "s" (the mean of the distribution) or "requests per second" (the mean
    rate of the whole scenario, all of whose intervals move together). paths: where the scenario file gives intervals.
    """

    name: str
    low: float
    mid: float
    high: float
    unit: str
    paths: tuple[str, ...]

    def at(self, position: float) -> float:
        """The value in a world."""
        return between(self.low, self.mid, self.high, position)


def between(low: float, mid: float, high: float, position: float) -> float:
    """Low at -1, mid at 0, high at 1, exactly, and linear between these."""
    if not -1 <= position <= 1:
        raise ValueError(f"position = {position}, must be from -1 to 1")
    if position in (-1, 0, 1):
        return {-1: low, 0: mid, 1: high}[int(position)]
    value = mid + position * (mid - low if position < 0 else high - mid)
    return min(max(value, low), high)
