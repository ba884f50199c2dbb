"""Equal allocation: the procedure that the planner has to beat, a slow twin that shares no code with `planner.plan`.

It simulates every candidate with as many replications, on common random numbers, and takes the cheapest whose estimate
keeps the promise, as if the estimate were the truth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from planner.model import Autoscaler
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate

REPLICATIONS = 20

Estimates = tuple[float, float]
"""503 fraction, and paid replica-seconds of a run."""


def equal_allocation(
    scenario: Scenario, settings: Sequence[Setting], replications: int = REPLICATIONS
) -> Setting | None:
    """The setting with the least estimated cost of those whose estimate is within the SLO, None if none is."""
    assert scenario.slo is not None
    estimate = partial(estimated, scenario, replications=replications)
    if scenario.deployment.autoscaler is Autoscaler.FIXED:
        return _first_of_fixed(settings, scenario.slo.max_fraction_503, estimate)
    found = {setting: estimate(setting) for setting in settings}
    kept = [setting for setting, (fraction, _) in found.items() if fraction <= scenario.slo.max_fraction_503]
    return min(kept, key=lambda setting: found[setting][1], default=None)


def _first_of_fixed(
    settings: Sequence[Setting], max_fraction_503: float, estimate: Callable[[Setting], Estimates]
) -> Setting | None:
    """The same answer sooner: the costs are known, so nothing dearer than the answer needs to be simulated."""
    by_cost = sorted(settings, key=lambda setting: setting.min_replicas)
    return next((setting for setting in by_cost if estimate(setting)[0] <= max_fraction_503), None)


def estimated(scenario: Scenario, setting: Setting, replications: int) -> Estimates:
    """By replicates 0, 1, 2, …, whose draws do not depend on the setting. A fraction is a ratio of sums."""
    deployment = dataclasses.replace(
        scenario.deployment,
        min_replicas=setting.min_replicas,
        max_replicas=setting.max_replicas,
        target_utilization_percent=setting.target_percent,
    )
    deployed = dataclasses.replace(scenario, deployment=deployment)
    results = (simulate_replicate(deployed, replicate, bin_s=scenario.duration_s) for replicate in range(replications))
    n, n_503, paid_s = np.array([(r.n, r.n_503, r.paid_s) for r in results], dtype=np.float64).T
    return float(n_503.sum() / n.sum()), float(paid_s.mean())
