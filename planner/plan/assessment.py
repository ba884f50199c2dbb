"""How probable it is, from its own runs, that a setting keeps the promise, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from planner.model import Slo
from planner.plan.pool import Pool
from planner.plan.settings import Setting
from planner.plan.tally import Cost, Part, Ratio, parts_of, ratio

NEAR = 1.5
"""|log(ratio / bound)| of the settings whose spread stands for that of all."""

COST_TOLERANCE = 0.02
"""A setting counts as one of the cheapest within this, or within one replica for the whole run if that is more."""


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """One simulated setting. keeps: probability that every part of the promise is kept; keeps_well: with the margin of
    the indifference zone, an upper bound (the least of the parts')."""

    setting: Setting
    ratios: tuple[Ratio, ...]
    errors: tuple[float, ...]
    smooth_errors: tuple[float, ...]
    """Of the ratios' `smooth`."""
    cost: Cost
    keeps: float
    keeps_well: float

    def cheaper_than(self, cost_s: float) -> float:
        """Probability that it costs less."""
        if self.cost.error_s == 0:
            return float(self.cost.mean_s < cost_s)
        return float(ndtr((cost_s - self.cost.mean_s) / self.cost.error_s))


def assess(pool: Pool, slo: Slo) -> dict[Setting, Assessed]:
    """All simulated settings."""
    parts = parts_of(slo, has_504=any(pool.runs(setting).n_504.any() for setting in pool.settings))
    ratios = {setting: tuple(ratio(part, pool.runs(setting), slo) for part in parts) for setting in pool.settings}
    common = [_common_variance([found[i] for found in ratios.values()]) for i in range(len(parts))]
    return {setting: assessed(setting, found, Cost.of(pool.runs(setting)), common) for setting, found in ratios.items()}


def assessed(setting: Setting, ratios: tuple[Ratio, ...], cost: Cost, common: list[float]) -> Assessed:
    errors = tuple(r.error(variance) for r, variance in zip(ratios, common, strict=True))
    return Assessed(
        setting=setting,
        ratios=ratios,
        errors=errors,
        smooth_errors=tuple(errors[0] if r.part.is_share_of_runs else e for r, e in zip(ratios, errors, strict=True)),
        cost=cost,
        keeps=math.prod(r.probability_below(1.0, variance) for r, variance in zip(ratios, common, strict=True)),
        keeps_well=min(r.probability_below(r.part.indifference, v) for r, v in zip(ratios, common, strict=True)),
    )


def common_variance(pool: Pool, part: Part, slo: Slo) -> float:
    return _common_variance([ratio(part, pool.runs(setting), slo) for setting in pool.settings])


def _common_variance(ratios: list[Ratio]) -> float:
    """Of one run, the median over the settings near the bound, or over all."""
    seen = [r for r in ratios if r.variance_per_run > 0]
    near = [r for r in seen if abs(r.log_value) < NEAR] or seen
    return float(np.median([r.variance_per_run for r in near])) if near else 1.0


def cheaper_bound_s(cost_s: float, duration_s: float, strictness: float = 1.0) -> float:
    """A setting below this cost makes one at cost_s miss: more than the tolerance and more than one replica cheaper.

    strictness: share of the tolerance that is asked for.
    """
    return min(cost_s / (1 + strictness * COST_TOLERANCE), cost_s - strictness * duration_s)
