"""More or less of a scenario's traffic on the same random numbers: all of it, or what lies above its base rate."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from collections.abc import Callable

import numpy as np

from planner.arrivals import MarkovModulatedPoisson, Renewal
from planner.model import FloatArray
from planner.rates import RateProfile
from planner.scenario import Scenario

Scale = Callable[[Scenario, float], Scenario]
"""A scenario with so many times the traffic."""


def scaled_traffic(scenario: Scenario, factor: float, scale: Scale) -> Scenario:
    """The whole traffic times `factor`. scale: does it for a recorded trace, whose requests this module cannot make."""
    arrivals = scenario.arrivals
    if isinstance(arrivals, Renewal):
        profile = arrivals.profile
        more = RateProfile(profile.time_s, profile.left_rps * factor, profile.right_rps * factor)
        return dataclasses.replace(scenario, arrivals=dataclasses.replace(arrivals, profile=more))
    if isinstance(arrivals, MarkovModulatedPoisson):
        rates = np.asarray(arrivals.rates_rps) * factor
        return dataclasses.replace(scenario, arrivals=dataclasses.replace(arrivals, rates_rps=rates))
    return scale(scenario, factor)


def base_rps(scenario: Scenario) -> float | None:
    """The rate above which traffic counts as a spike: a profile's median, an MMPP's lowest; None for traces."""
    arrivals = scenario.arrivals
    if isinstance(arrivals, Renewal):
        return _median_over_time(arrivals.profile)
    if isinstance(arrivals, MarkovModulatedPoisson):
        return float(np.min(arrivals.rates_rps))
    return None


def scaled_spike(scenario: Scenario, factor: float) -> Scenario:
    """What lies above the base rate times `factor`; the rest stays. Not for traces."""
    base, arrivals = base_rps(scenario), scenario.arrivals
    if factor == 1:
        return scenario
    if isinstance(arrivals, Renewal):
        assert base is not None
        profile = _stretched(arrivals.profile, base, factor)
        return dataclasses.replace(scenario, arrivals=dataclasses.replace(arrivals, profile=profile))
    assert isinstance(arrivals, MarkovModulatedPoisson)
    rates = _above(np.asarray(arrivals.rates_rps, dtype=np.float64), base or 0.0, factor)
    return dataclasses.replace(scenario, arrivals=dataclasses.replace(arrivals, rates_rps=rates))


def _above(rates: FloatArray, base: float, factor: float) -> FloatArray:
    return np.where(rates > base, base + (rates - base) * factor, rates)


def _stretched(profile: RateProfile, base: float, factor: float) -> RateProfile:
    """A ramp through the base rate becomes two pieces, so that only the one above it changes."""
    edges, left, right = [0.0], list[float](), list[float]()
    pieces = zip(profile.time_s[:-1], profile.time_s[1:], profile.left_rps, profile.right_rps, strict=True)
    for start_s, end_s, first, last in pieces:
        if (first - base) * (last - base) < 0:
            crossing_s = start_s + (end_s - start_s) * (base - first) / (last - first)
            if start_s < crossing_s < end_s:
                edges.append(crossing_s)
                left.append(first)
                right.append(base)
                first = base
        edges.append(end_s)
        left.append(first)
        right.append(last)
    return RateProfile(np.array(edges), _above(np.array(left), base, factor), _above(np.array(right), base, factor))


def _median_over_time(profile: RateProfile) -> float:
    """The lowest rate that is not exceeded in half of the time."""
    widths = np.diff(profile.time_s)
    low, high = np.minimum(profile.left_rps, profile.right_rps), np.maximum(profile.left_rps, profile.right_rps)
    is_flat = low == high
    spans = np.where(is_flat, 1.0, high - low)

    def time_below(rate: float, *, or_at: bool) -> float:
        flat = low <= rate if or_at else low < rate
        return float(widths @ np.where(is_flat, flat, np.clip((rate - low) / spans, 0.0, 1.0)))

    values = np.unique(np.concatenate((low, high)))
    half = float(profile.time_s[-1]) / 2 * (1 - 1e-12)
    i = bisect_left(values, half, key=lambda rate: time_below(rate, or_at=True))
    reached = time_below(values[i], or_at=False)
    if i == 0 or reached < half:
        return float(values[i])
    before = time_below(values[i - 1], or_at=True)
    return float(values[i - 1] + (values[i] - values[i - 1]) * (half - before) / (reached - before))
