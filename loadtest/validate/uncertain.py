"""What a prediction took as uncertain, with its numbers, as `validate` says it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loadtest.validate.carried import COLD_START, OVERHEAD, SERVICE_TIME, VALUE_OF, Carried
from loadtest.validate.comparison import compare
from loadtest.validate.observed import Observation
from loadtest.validate.prediction import FEWEST_REPLICATES, predict
from planner.model import Autoscaler
from planner.scenario import Scenario
from planner.sim.replications import Executor


@dataclass(frozen=True, kw_only=True)
class Uncertain:
    """One setting in seconds. value: what the prediction is around; low, high: 95 %, None where it counts as exact.

    scenario_value: the scenario's. why: one sentence.
    """

    setting: str
    scenario_value: float
    value: float
    low: float | None
    high: float | None
    why: str

    def document(self) -> dict[str, Any]:
        widens = self.low is not None and self.high is not None and self.low < self.high
        return vars(self) | {"unit": "s", "widens": widens}


def uncertain_settings(scenario: Scenario, seen: Observation, carried: Carried, *, on_trial: bool) -> list[Uncertain]:
    """What the prediction depends on and the run cannot tell exactly. on_trial: all service times are drawn."""
    found = [_overhead(scenario, seen, carried)]
    if on_trial or not np.isfinite(seen.service_time_s).all():
        found.append(_calibrated(SERVICE_TIME, scenario, carried))
    if scenario.deployment.autoscaler is not Autoscaler.FIXED:
        found.append(_calibrated(COLD_START, scenario, carried))
    return [setting for setting in found if setting is not None]


def as_if_exact(
    scenario: Scenario,
    seen: Observation,
    executor: Executor,
    *,
    use_known_service_times: bool,
) -> dict[str, float]:
    """The prediction interval of the fraction of 503s with every setting at its value: what uncertainty has widened."""
    prediction = predict(
        scenario,
        replace(seen, overhead_interval_s=None),
        replicates=FEWEST_REPLICATES,
        executor=executor,
        use_known_service_times=use_known_service_times,
    )
    total = compare(seen, prediction)[0]
    return {"prediction_low": total.low, "prediction_high": total.high}


def _overhead(scenario: Scenario, seen: Observation, carried: Carried) -> Uncertain | None:
    """The run's own where it tells it; None where it does so as exactly as the lab's front end."""
    scenario_s = scenario.deployment.router_overhead_s
    if len(seen.overhead_s):
        if seen.overhead_interval_s is None:
            return None
        value, (low, high) = max(0.0, float(seen.overhead_s.mean())), seen.overhead_interval_s
        why = f"This run's own, in place of the scenario's {scenario_s * 1e3:.3g} ms. {seen.overhead_from}"
        return Uncertain(setting=OVERHEAD, scenario_value=scenario_s, value=value, low=low, high=high, why=why)
    found = _calibrated(OVERHEAD, scenario, carried)
    if found is not None:
        return replace(found, why=f"{found.why} This run does not tell it: {seen.overhead_from}")
    why = f"It counts as exact: this run does not tell it, and no calibration did. {seen.overhead_from}"
    return Uncertain(setting=OVERHEAD, scenario_value=scenario_s, value=scenario_s, low=None, high=None, why=why)


def _calibrated(setting: str, scenario: Scenario, carried: Carried) -> Uncertain | None:
    value = VALUE_OF[setting](scenario)
    if (interval := carried.of(setting)) is not None:
        why = "As it was calibrated, with its interval."
        return Uncertain(
            setting=setting, scenario_value=value, value=value, low=interval.low, high=interval.high, why=why
        )
    changed = next((interval for interval in carried.by_hand if interval.setting == setting), None)
    if changed is None:
        return None
    why = f"It counts as exact: it was calibrated as {changed.value:.4g} s, and was changed since."
    return Uncertain(setting=setting, scenario_value=value, value=value, low=None, high=None, why=why)
