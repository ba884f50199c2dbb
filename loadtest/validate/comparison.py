"""Three statistics, each ranked among the replicates' own, so that a right total for a wrong reason is seen.

Where the run or any replicate has a 504, the fraction of 504s is one more.

The tests are Monte Carlo rank tests: where the model is right, the observed run is one more replicate, and its rank
among R + 1 is uniform. The statistics share the error rate equally (Bonferroni). A fourth joins them where another
scenario's service times are on trial against times that the run has measured: their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.validate.observed import Observation
from loadtest.validate.prediction import Prediction
from planner.model import FloatArray
from planner.sim.engine import BIN_S

ERROR_RATE = 0.01
"""Chance that a correct model fails, all statistics together, at most."""

SERVICE_TIME_RESOLUTION = 0.01
"""A mean service time is measured to within this share: a worker that sleeps oversleeps."""

READY_RESOLUTION_S = 0.05
"""A replica is seen to become ready or to go within this time of the instant at which it does: timers, polling."""

RESOLUTION_503S = 1
"""One request more or less is told by chance events below any model of timing noise.

These widths matter only where nothing is random, with constant cold and service times: there all replicates agree to
the last digit, and a real run that is right but for a millisecond would fail.
"""


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
    """fraction_503, fraction_504 if there are any (two-sided); distances of cumulative 503s and ready replicas from
    their means (one-sided)."""
    on_trial = _is_service_on_trial(seen, prediction)
    rate = error_rate(seen, prediction)
    margin = RESOLUTION_503S / seen.requests
    statistics = [_two_sided("fraction_503", seen.fraction_503, prediction.fractions, rate, margin)]
    if has_504(seen, prediction):
        statistics.append(_two_sided("fraction_504", seen.fraction_504, prediction.fractions_504, rate, margin))
    cumulative = np.cumsum(prediction.bin_503, axis=1)
    largest = _distances(np.cumsum(seen.bin_503), cumulative, lambda gap: np.abs(gap).max(axis=-1))
    statistics.append(_one_sided("largest_distance_of_cumulative_503s", *largest, rate, RESOLUTION_503S))
    if seen.bin_ready is not None:
        after = slice(min(seen.first_bin, len(seen.bin_ready) - 1), None)
        gaps = (seen.bin_ready[after], prediction.bin_ready[:, after])
        average = _distances(*gaps, lambda gap: np.abs(gap).mean(axis=-1))
        changes = float(np.abs(np.diff(gaps[0])).sum())
        margin = READY_RESOLUTION_S * changes / (len(gaps[0]) * BIN_S)
        statistics.append(_one_sided("mean_distance_of_ready_replicas", *average, rate, margin))
    if prediction.drawn_service_mean_s is not None and on_trial:
        measured = float(np.nanmean(seen.service_time_s))
        margin = SERVICE_TIME_RESOLUTION * measured
        statistics.append(_two_sided("mean_service_time_s", measured, prediction.drawn_service_mean_s, rate, margin))
    return statistics


def has_504(seen: Observation, prediction: Prediction) -> bool:
    """Whether 504s are on trial. Said of the run and the replicates together, it favours none of them."""
    return bool(seen.failures.n_504 or prediction.n_504.any())


def error_rate(seen: Observation, prediction: Prediction) -> float:
    """Of each statistic."""
    on_trial = _is_service_on_trial(seen, prediction)
    return ERROR_RATE / (2 + has_504(seen, prediction) + (seen.bin_ready is not None) + on_trial)


def single_runs(value: float, replicates: FloatArray, seen: Observation, rate: float) -> Interval:
    """Where one more run's fraction falls; with the resolution of one request."""
    found = _two_sided("", value, replicates, rate, RESOLUTION_503S / seen.requests)
    return found.low, found.high


def _is_service_on_trial(seen: Observation, prediction: Prediction) -> bool:
    return prediction.drawn_service_mean_s is not None and bool(np.isfinite(seen.service_time_s).any())


Interval = tuple[float, float]


def _two_sided(name: str, value: float, replicates: FloatArray, error_rate: float, margin: float) -> Statistic:
    """The interval by order statistics that one further replicate leaves with chance error_rate, and the margin."""
    ordered = np.sort(replicates)
    n = len(ordered)
    rank = max(1, int(error_rate / 2 * (n + 1)))
    tail = min(int((ordered <= value + margin).sum()), int((ordered >= value - margin).sum()))
    low, high = max(0.0, float(ordered[rank - 1]) - margin), float(ordered[-rank]) + margin
    return Statistic(name=name, value=value, low=low, high=high, p_value=min(1.0, 2 * (1 + tail) / (n + 1)))


def _one_sided(name: str, value: float, replicates: FloatArray, error_rate: float, margin: float) -> Statistic:
    ordered = np.sort(replicates)
    n = len(ordered)
    rank = max(1, int(error_rate * (n + 1)))
    tail = int((ordered >= value - margin).sum())
    high = float(ordered[-rank]) + margin
    return Statistic(name=name, value=value, low=0.0, high=high, p_value=(1 + tail) / (n + 1))


def _distances(
    observed: npt.NDArray[Any], replicates: FloatArray, size: Callable[[FloatArray], Any]
) -> tuple[float, FloatArray]:
    """Distance of the observed curve from the replicates' mean, and of each replicate from the others' mean."""
    n = len(replicates)
    total = replicates.sum(axis=0)
    others = (total - replicates) / (n - 1)
    return float(size(observed - total / n)), np.asarray(size(replicates - others))
