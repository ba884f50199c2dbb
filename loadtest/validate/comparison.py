"""Three statistics, each ranked among the replicates' own, so that a right total for a wrong reason is seen.

The tests are Monte Carlo rank tests: where the model is right, the observed run is one more replicate, and its rank among
R + 1 is uniform. Each statistic gets a third of the error rate (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from loadtest.validate.observed import Observation
from loadtest.validate.prediction import Prediction
from planner.model import FloatArray

ERROR_RATE = 0.01
"""Chance that a correct model fails, all three statistics together, at most."""

STATISTICS = 3


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One statistic of the observed run against its prediction interval [low, high]."""

    name: str
    value: float
    low: float
    high: float
    p_value: float

    @property
    def is_inside(self) -> bool:
        return self.low <= self.value <= self.high


def compare(seen: Observation, prediction: Prediction) -> list[Statistic]:
    """fraction_503 (two-sided), and the distances of cumulative 503s and of ready replicas from their means (one-sided)."""
    statistics = [_two_sided("fraction_503", seen.fraction_503, prediction.fractions)]
    cumulative = np.cumsum(prediction.bin_503, axis=1)
    largest = _distances(np.cumsum(seen.bin_503), cumulative, lambda gap: np.abs(gap).max(axis=-1))
    statistics.append(_one_sided("largest_distance_of_cumulative_503s", *largest))
    if seen.bin_ready is not None:
        average = _distances(seen.bin_ready, prediction.bin_ready, lambda gap: np.abs(gap).mean(axis=-1))
        statistics.append(_one_sided("mean_distance_of_ready_replicas", *average))
    return statistics


def prediction_interval(values: FloatArray) -> tuple[float, float]:
    """The two-sided interval by order statistics that one further replicate leaves with chance ERROR_RATE / STATISTICS."""
    ordered = np.sort(values)
    rank = max(1, int(ERROR_RATE / STATISTICS / 2 * (len(ordered) + 1)))
    return float(ordered[rank - 1]), float(ordered[-rank])


def _two_sided(name: str, value: float, replicates: FloatArray) -> Statistic:
    low, high = prediction_interval(replicates)
    n = len(replicates)
    tail = min(int((replicates <= value).sum()), int((replicates >= value).sum()))
    return Statistic(name=name, value=value, low=low, high=high, p_value=min(1.0, 2 * (1 + tail) / (n + 1)))


def _one_sided(name: str, value: float, replicates: FloatArray) -> Statistic:
    ordered = np.sort(replicates)
    n = len(ordered)
    rank = max(1, int(ERROR_RATE / STATISTICS * (n + 1)))
    tail = int((ordered >= value).sum())
    return Statistic(name=name, value=value, low=0.0, high=float(ordered[-rank]), p_value=(1 + tail) / (n + 1))


def _distances(observed: FloatArray, replicates: FloatArray, size) -> tuple[float, FloatArray]:  # type: ignore[no-untyped-def]
    """Distance of the observed curve from the mean of the replicates, and of each replicate from the mean of the others."""
    n = len(replicates)
    total = replicates.sum(axis=0)
    others = (total - replicates) / (n - 1)
    return float(size(observed - total / n)), np.asarray(size(replicates - others))
