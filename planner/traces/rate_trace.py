"""A recorded rate over time, and slices of it played faster, slower, thinned or multiplied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.clock import Clock
from planner.errors import InputError
from planner.rates import RateProfile
from planner.traces.records import Rates


@dataclass(frozen=True, kw_only=True)
class RateTrace:
    """profile: from the first step's start at 0. clock: what it showed at 0, if the file has timestamps.

    source, sha256: the file's name and the hash of its bytes. notes: sentences that the user must read.
    """

    profile: RateProfile
    clock: Clock | None
    source: str = "rates"
    sha256: str = ""
    notes: tuple[str, ...] = ()

    @property
    def end_s(self) -> float:
        """The end of the last step."""
        return float(self.profile.time_s[-1])

    @property
    def step_s(self) -> float:
        """Median length of a step."""
        return float(np.median(np.diff(self.profile.time_s)))


def rate_trace(rates: Rates) -> RateTrace:
    """The trace of what a file holds."""
    profile = RateProfile(rates.edge_s, rates.rate_rps, rates.rate_rps)
    clock = None if rates.utc_offset_s is None else Clock(rates.first_s, rates.utc_offset_s)
    return RateTrace(profile=profile, clock=clock, notes=rates.notes)


def play_rates(
    trace: RateTrace, *, from_s: float, for_s: float | None, time_scale: float, rate_scale: float
) -> RateProfile:
    """The rates of the slice [from_s, from_s + for_s), from its own zero: each step cut to it.

    time_scale 0.5 plays the same requests in half the time, at twice the rate. InputError for an empty slice.
    """
    profile = trace.profile
    end_s = trace.end_s if for_s is None else min(trace.end_s, from_s + for_s)
    if from_s >= end_s:
        raise InputError(f"no rate of {trace.source} falls into this slice")
    inner = profile.time_s[(profile.time_s > from_s) & (profile.time_s < end_s)]
    edge_s = np.concatenate(([from_s], inner, [end_s]))
    rate_rps = profile.left_rps[np.searchsorted(profile.time_s, edge_s[:-1], side="right") - 1]
    rate_rps = rate_rps * (rate_scale / time_scale)
    if not rate_rps.any():
        raise InputError(f"the rate of {trace.source} is 0 in this slice")
    return RateProfile((edge_s - from_s) * time_scale, rate_rps, rate_rps)
