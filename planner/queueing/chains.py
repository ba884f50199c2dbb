"""Linear algebra of Markov chains without a subtraction, so that no digit is lost however rare an event is.

Source: the elimination of Grassmann, Taksar & Heyman, Operations Research, 1985.
"""

from __future__ import annotations

import numpy as np

from planner.model import FloatArray

SMALLEST_LEAVING = 1e-100
"""Stands for a rate of leaving that has become 0 in floats. Small against all, its square not lost."""


def time_in_states(rates: FloatArray, leaving: FloatArray) -> FloatArray:
    """Expected time in each state before the chain ends, by the state it starts in: shape (m, m).

    rates: between the states, shape (m, m), the diagonal ignored. leaving: rate of ending in each state, shape (m,).
    It is the inverse of diag(leaving + sums of rates) - rates.
    """
    m = len(leaving)
    table = np.hstack((rates, np.maximum(leaving, SMALLEST_LEAVING)[:, np.newaxis], np.eye(m)))
    for k in range(m - 1, -1, -1):
        table[k] /= table[k, :k].sum() + table[k, m]
        table[:k] += table[:k, k, np.newaxis] * table[k]
    times = table[:, m + 1 :]
    for k in range(1, m):
        times[k] += table[k, :k] @ times[:k]
    return times


def stationary(rates: FloatArray) -> FloatArray:
    """Stationary distribution of an irreducible chain, shape (m,), from its rates or its transition probabilities.

    rates: shape (m, m), the diagonal ignored.
    """
    m = len(rates)
    table = rates.copy()
    for k in range(m - 1, 0, -1):
        table[:k, k] /= table[k, :k].sum()
        table[:k, :k] += table[:k, k, np.newaxis] * table[k, :k]
    weights = np.ones(m)
    for k in range(1, m):
        weights[k] = weights[:k] @ table[:k, k]
        weights /= weights.max()
    return np.asarray(weights / weights.sum())


def is_irreducible(rates: FloatArray) -> bool:
    """Whether every state can be reached from every other."""
    steps = (rates > 0) | np.eye(len(rates), dtype=bool)
    for _ in range(len(rates).bit_length()):
        steps = steps @ steps
    return bool(steps.all())
