"""Differences between two deployments on the same random numbers, run by run."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from planner.measures import CONFIDENCE, Counts, are_exact
from planner.model import Estimate, FloatArray, IntArray
from planner.sim.engine import ReplicateResult


def difference_503(base: Sequence[ReplicateResult], other: Sequence[ReplicateResult]) -> Estimate:
    """The other's 503 fraction minus the base's."""
    return Counts.of(base).difference_to(Counts.of(other))


def difference_failed(base: Sequence[ReplicateResult], other: Sequence[ReplicateResult]) -> Estimate:
    """The other's fraction of requests that are not answered 200 minus the base's."""
    return Counts.of(base).difference_to(Counts.of(other), "n_failed")


def difference_in_hours(base: Sequence[ReplicateResult], other: Sequence[ReplicateResult]) -> Estimate:
    """The other's paid replica-hours minus the base's, with the t interval of the pairs' differences."""
    changes = (_paid_s(other) - _paid_s(base)) / 3600  # one exact run stands for as many as the other has
    n, value = len(changes), float(changes.mean())
    if are_exact(base) and are_exact(other):
        return Estimate(value=value, low=value, high=value, replications=n, exact=True)
    spread = math.inf
    if n > 1:
        spread = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * changes.std(ddof=1)) / math.sqrt(n)
    return Estimate(value=value, low=value - spread, high=value + spread, replications=n, resolved=n > 1)


def _paid_s(results: Sequence[ReplicateResult]) -> FloatArray:
    return np.array([r.paid_s for r in results])


def n_503(results: Sequence[ReplicateResult]) -> IntArray:
    """The 503s of each run, shape (R,)."""
    return np.array([r.n_503 for r in results])
