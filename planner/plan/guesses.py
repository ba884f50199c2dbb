"""What the surrogates say of all settings that nobody has simulated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from planner.draws import Stream, block_generator
from planner.model import FloatArray
from planner.plan.assessment import Assessed
from planner.plan.settings import Setting
from planner.plan.surrogate import Fit, Guess, Surrogate
from planner.plan.tally import INDIFFERENCE

LOWEST = -3.0
"""log(ratio / bound) is cut here: what is a twentieth of the bound need not be told from a thousandth, which few runs
can."""

LEAST_COST_S = 1e-3
"""Replica-seconds of a run, as the surrogate sees them: one that starts no replica before it ends costs nothing."""

REFIT = 1.3
"""Growth of the number of simulated settings at which hyperparameters are fitted anew."""

JOINT_SETTINGS, JOINT_DRAWS = 200, 400

APART = 0.1
"""Settings of one batch are at least so far from each other, in the unit cube."""


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """parts: a guess of log(ratio / bound) for each part of the promise; log_cost: of the paid replica-seconds."""

    settings: tuple[Setting, ...]
    """Those that are left, in the order of the arrays."""
    x: FloatArray
    parts: tuple[Guess, ...]
    log_cost: Guess
    surrogates: tuple[Surrogate, ...]
    fitted_at: int

    def likely(self, bound_s: float) -> FloatArray:
        """Probability of each that it costs less than bound_s and keeps the promise with the margin, shape (m,)."""
        keeps = np.ones(len(self.settings))
        for part in self.parts:
            keeps = np.minimum(keeps, ndtr((math.log(INDIFFERENCE) - part.mean) / part.sd))
        if math.isinf(bound_s):
            return keeps
        if bound_s <= 0:
            return np.zeros(len(self.settings))
        return np.asarray(keeps * ndtr((math.log(bound_s) - self.log_cost.mean) / self.log_cost.sd))

    def most_likely(self, bound_s: float, most: int, least: float) -> list[Setting]:
        """The most likely that are not beside each other; none below `least`."""
        likely = self.likely(bound_s)
        chosen: list[int] = []
        for i in np.argsort(-likely, kind="stable"):
            if likely[i] < least or len(chosen) == most:
                break
            if all(np.abs(self.x[i] - self.x[j]).max() >= APART for j in chosen):
                chosen.append(int(i))
        return [self.settings[i] for i in chosen]

    def any_likely(self, bound_s: float) -> float:
        """Probability that any of them is cheaper and good: by joint draws of the most likely ones."""
        likely = self.likely(bound_s)
        top = np.argsort(-likely, kind="stable")[:JOINT_SETTINGS]
        top = top[likely[top] > 1e-6]
        if not len(top):
            return 0.0
        good = np.ones((JOINT_DRAWS, len(top)), dtype=bool)
        limits = [math.log(INDIFFERENCE)] * len(self.parts) + [math.log(bound_s) if bound_s > 0 else -math.inf]
        for number, (surrogate, limit) in enumerate(zip(self.surrogates, limits, strict=True)):
            normals = block_generator(0, 0, Stream.PLAN, number).standard_normal((JOINT_DRAWS, len(top)))
            good &= surrogate.draws(self.x[top], normals) < limit
        return float(good.any(axis=1).mean())

    def cost_s(self, setting: Setting, coordinates: Mapping[Setting, FloatArray]) -> float:
        """The guessed mean of the paid replica-seconds of any setting."""
        return math.exp(float(self.surrogates[-1].guess(coordinates[setting][None, :]).mean[0]))


def guess_all(
    coordinates: Mapping[Setting, FloatArray],
    assessed: Mapping[Setting, Assessed],
    before: Guesses | None,
    left: Sequence[Setting],
) -> Guesses:
    """Surrogates through all simulated settings, and their guesses of those that are left."""
    known = list(assessed.values())
    x = np.array([coordinates[a.setting] for a in known])
    runs = np.array([a.ratios[0].runs for a in known], dtype=float)
    same_parts = before is not None and len(before.parts) == len(known[0].ratios)
    reuse = before is not None and same_parts and len(known) < REFIT * before.fitted_at
    fits: list[Fit | None] = [s.fit for s in before.surrogates] if reuse and before is not None else []
    fits = fits or [None] * (len(known[0].ratios) + 1)
    surrogates = []
    for part in range(len(known[0].ratios)):
        values = np.maximum([a.ratios[part].smooth for a in known], LOWEST)
        errors = np.array([a.smooth_errors[part] for a in known])
        surrogates.append(Surrogate(x, np.asarray(values), errors, runs, fits[part]))
    paid_s = np.maximum([a.cost.mean_s for a in known], LEAST_COST_S)
    costs = np.log(paid_s)
    errors = np.array([a.cost.error_s for a in known]) / paid_s
    surrogates.append(Surrogate(x, np.asarray(costs), errors, runs, fits[-1], smallest_noise=COST_NOISE))
    points = np.array([coordinates[s] for s in left]).reshape(len(left), x.shape[1])
    guesses = [surrogate.guess(points) for surrogate in surrogates]
    return Guesses(
        settings=tuple(left),
        x=points,
        parts=tuple(guesses[:-1]),
        log_cost=guesses[-1],
        surrogates=tuple(surrogates),
        fitted_at=before.fitted_at if reuse and before is not None else len(known),
    )


COST_NOISE = 1e-3
