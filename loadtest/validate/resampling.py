"""Intervals of a mean, a CV and a ratio by a circular block bootstrap.

The model draws service times independently, and then blocks cost next to nothing; where a run has slow spells (a noisy
neighbour, a garbage collection) neighbouring times resemble each other, and single draws would make the interval too
narrow. Blocks hold n^(1/3) requests in the order of their sends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.model import FloatArray

RESAMPLES = 1000
Z = 1.959964
"""Half the width of a 95 % interval, in standard errors."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def mean_and_cv(values: FloatArray) -> tuple[Interval, Interval]:
    """Of times, at least two. The interval of the CV is symmetric in its logarithm; times of 0 have a CV of 0."""
    if not values.any():
        return Interval(value=0.0, low=0.0, high=0.0), Interval(value=0.0, low=0.0, high=0.0)
    n = len(values)
    firsts, squares = _resampled_sums(values), _resampled_sums(values**2)
    length = _resampled_sums(np.ones(n))
    means = firsts / length
    means_known = np.where(means > 0, means, 1.0)  # a resample of times of 0 alone: its squares are 0 too
    cvs = np.sqrt(np.maximum(squares / length / means_known**2 - 1, 0.0))
    mean, cv = float(values.mean()), float(values.std(ddof=1) / values.mean())
    half = Z * float(means.std())
    spread = Z * float(np.log(np.maximum(cvs, 1e-12)).std()) if cv > 0 else 0.0
    return (
        Interval(value=mean, low=max(0.0, mean - half), high=mean + half),
        Interval(value=cv, low=cv * math.exp(-spread), high=cv * math.exp(spread)),
    )


def ratio(tops: FloatArray, bottoms: FloatArray) -> Interval:
    """Of two sums over the same requests; the sum of the bottoms is above 0."""
    value = float(tops.sum() / bottoms.sum())
    resampled_tops, resampled_bottoms = _resampled_sums(tops), _resampled_sums(bottoms)
    defined = resampled_bottoms > 0
    half = Z * float((resampled_tops[defined] / resampled_bottoms[defined]).std())
    return Interval(value=value, low=value - half, high=value + half)


def median(values: FloatArray) -> Interval:
    """The median, its interval by order statistics: no distribution is assumed."""
    return quantile(values, 0.5)


def quantile(values: FloatArray, share: float) -> Interval:
    """A quantile, its interval by order statistics."""
    ordered = np.sort(values)
    n = len(ordered)
    half = Z * math.sqrt(n * share * (1 - share))
    low, high = max(0, math.floor(n * share - half) - 1), min(n - 1, math.ceil(n * share + half))
    return Interval(value=float(np.quantile(ordered, share)), low=float(ordered[low]), high=float(ordered[high]))


def _resampled_sums(values: FloatArray) -> FloatArray:
    """Sums over RESAMPLES circular block resamples, the same blocks for every call with as many values."""
    n = len(values)
    size = max(1, round(n ** (1 / 3)))
    ends = np.concatenate(([0.0], np.cumsum(np.concatenate((values, values[: size - 1])))))
    blocks = ends[size:] - ends[:-size]
    generator = np.random.default_rng(n)
    count = math.ceil(n / size)
    return np.array([blocks[generator.integers(0, n, count)].sum() for _ in range(RESAMPLES)])
