"""The settings of the autoscaler that are searched: the values that are tried, and what an accepted set means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loadtest.calibrate.evidence import Evidence
from loadtest.calibrate.finding import Value
from planner.azureml import SETTINGS
from planner.model import V1_SCALE_DOWN_DELAY_S, V2_SCALE_DOWN_TICKS, Api, Deployment
from planner.scenario import Scenario
from planner.scenario_file.retiming import duration_text

TARGETS = (1, *range(5, 101, 5))
PERIODS_S = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)
DELAYS_S = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1200.0)
MOST_BETWEEN = 8
"""Finer steps between two values of a grid."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One setting. natural: the values below and above which there is none, None where the grid only stops there."""

    setting: str
    name: str
    unit: str | None
    get: Callable[[Deployment], Value]
    put: Callable[[Deployment, Any], Deployment]
    grid: Callable[[Scenario, Evidence], Iterable[Value]]
    step: Callable[[Deployment], float | None] = lambda deployment: 1.0
    """The smallest difference that means anything; None: there is none."""
    natural: tuple[float | None, float | None] = (None, None)
    unseen: str
    """Why a run may not bound it."""

    def values(self, scenario: Scenario, evidence: Evidence) -> list[Any]:
        """The grid, the scenario's own value among it."""
        own = self.get(scenario.deployment)
        return sorted({*self.grid(scenario, evidence), own}, key=str if self.name == "api" else None)

    def finer(self, around: Sequence[Value], tried: Sequence[Value], deployment: Deployment) -> list[Value]:
        """Values between the ends of `around` and the values beyond them that were tried."""
        numbers = sorted(float(v) for v in tried if isinstance(v, int | float))
        inner = [float(v) for v in around if isinstance(v, int | float)]
        if not inner or not numbers:
            return []
        below = max((v for v in numbers if v < min(inner)), default=min(inner))
        above = min((v for v in numbers if v > max(inner)), default=max(inner))
        step = self.step(deployment)
        between = {*_between(below, min(inner), step), *_between(max(inner), above, step)} - {*numbers}
        return [int(v) if isinstance(self.get(deployment), int) else v for v in sorted(between)]

    def reading(
        self, accepted: Sequence[Any], tried: Sequence[Any], deployment: Deployment
    ) -> tuple[bool, Value, Value, str]:
        """Whether the run identifies the setting, the ends of the accepted set (None: open), and why.

        Between the last value accepted and the first rejected nobody looked: that belongs to the set.
        """
        counts = f"{len(accepted)} of {len(tried)} values tried are not rejected"
        if self.name == "api":
            told = len(accepted) == 1
            only = accepted[0] if told else None
            return told, only, only, f"{counts}." if told else f"{counts}: {self.unseen}."
        low, high = min(accepted), max(accepted)
        open_low = low == min(tried) and low != self.natural[0]
        open_high = high == max(tried) and high != self.natural[1]
        identified = len(accepted) < len(tried) and not open_low and not open_high
        why = f"{counts}." if identified else f"{counts}: {self.unseen}."
        step = type(low)(self.step(deployment) or 0)
        low = min(low, max((v for v in tried if v < low), default=low - step) + step)
        high = max(high, min((v for v in tried if v > high), default=high + step) - step)
        return identified, None if open_low else low, None if open_high else high, why

    def overrides(self, scenario: Scenario, document: Mapping[str, Any]) -> dict[str, object]:
        """The setting as a scenario file writes it, under the name that the file uses."""
        return _OVERRIDES[self.name](scenario.deployment, document.get("deployment") or {})


def _between(low: float, high: float, step: float | None) -> list[float]:
    """Up to MOST_BETWEEN values inside (low, high): whole steps from low, or in equal ratios."""
    if high <= low:
        return []
    if step is None:
        return [round(low * (high / low) ** share, 3) for share in (0.25, 0.5, 0.75)]
    inside = low + step * np.arange(1, math.ceil((high - low) / step - 1e-9))
    if len(inside) > MOST_BETWEEN:
        inside = inside[np.linspace(0, len(inside) - 1, MOST_BETWEEN).astype(np.int64)]
    return [round(float(v), 9) for v in inside]


def value_of(axis: Axis, scenario: Scenario) -> Value:
    return axis.get(scenario.deployment)


def with_value(axis: Axis, scenario: Scenario, value: Value) -> Scenario:
    return replace(scenario, deployment=axis.put(scenario.deployment, value))


def delay_s(deployment: Deployment) -> float:
    """How long fewer replicas must suffice before some go. Whole looks count: 7.5 s mean 8 s with one a second."""
    if deployment.scale_down_delay_s is not None:
        return deployment.scale_down_delay_s
    return V1_SCALE_DOWN_DELAY_S if deployment.api is Api.V1 else V2_SCALE_DOWN_TICKS * deployment.refresh_period_s


def _fewest(scenario: Scenario, evidence: Evidence) -> Iterable[int]:
    assert evidence.replicas is not None
    seen = int((evidence.replicas.ready + np.maximum(evidence.replicas.starting, 0)).min())
    top = max(seen, scenario.deployment.min_replicas) + 3
    return _thinned(1, min(top, scenario.deployment.max_replicas))


def _most(scenario: Scenario, evidence: Evidence) -> Iterable[int]:
    assert evidence.replicas is not None
    peak = int((evidence.replicas.ready + np.maximum(evidence.replicas.starting, 0)).max())
    tried = {peak - 2, peak - 1, peak, peak + 1, peak + 2, math.ceil(1.5 * peak), 2 * peak + 2}
    least = max(scenario.deployment.min_replicas, scenario.deployment.initial_count)
    return {v for v in tried if v >= least}


def _thinned(low: int, high: int, most: int = 15) -> Iterable[int]:
    return {int(v) for v in np.linspace(low, high, min(most, high - low + 1)).round()}


def _delays(scenario: Scenario, evidence: Evidence) -> Iterable[float]:
    inside = [v for v in DELAYS_S if v < scenario.duration_s]
    return [*inside, *[v for v in DELAYS_S if v >= scenario.duration_s][:1]]


def _put_min(deployment: Deployment, value: int) -> Deployment:
    """The run began with the replicas that it began with, whatever the fewest are."""
    return replace(deployment, min_replicas=value, initial_replicas=deployment.initial_count)


def _put_api(deployment: Deployment, value: str) -> Deployment:
    """Only what counts as utilization: the delay, which an API also brings, stays."""
    return replace(deployment, api=Api(value), scale_down_delay_s=delay_s(deployment))


AXES = (
    Axis(
        setting="deployment.autoscale_target_utilization",
        name="target",
        unit="%",
        get=lambda d: d.target_utilization_percent,
        put=lambda d, v: replace(d, target_utilization_percent=v),
        grid=lambda s, e: TARGETS,
        natural=(1, 100),
        unseen="the load never asked for another number of replicas",
    ),
    Axis(
        setting="deployment.autoscale_min_replicas",
        name="min",
        unit=None,
        get=lambda d: d.min_replicas,
        put=_put_min,
        grid=_fewest,
        natural=(1, None),
        unseen="the load never fell so far that the fewest replicas would have been too many",
    ),
    Axis(
        setting="deployment.autoscale_max_replicas",
        name="max",
        unit=None,
        get=lambda d: d.max_replicas,
        put=lambda d, v: replace(d, max_replicas=v),
        grid=_most,
        unseen="the log never reached the most replicas",
    ),
    Axis(
        setting="deployment.autoscale_refresh_seconds",
        name="refresh",
        unit="s",
        get=lambda d: d.refresh_period_s,
        put=lambda d, v: replace(d, refresh_period_s=v),
        grid=lambda s, e: [v for v in PERIODS_S if v < s.duration_s],
        step=lambda d: None,
        unseen="too few looks of the autoscaler changed anything",
    ),
    Axis(
        setting="deployment.scale_down_delay",
        name="delay",
        unit="s",
        get=delay_s,
        put=lambda d, v: replace(d, scale_down_delay_s=v),
        grid=_delays,
        step=lambda d: d.refresh_period_s,
        unseen="the run was too short, or never calm for long enough, to see replicas go",
    ),
    Axis(
        setting="deployment.api",
        name="api",
        unit=None,
        get=lambda d: str(d.api),
        put=_put_api,
        grid=lambda s, e: [str(api) for api in Api],
        unseen="queued requests never decided how many replicas there were",
    ),
)


def _azure_name(field: str, deployment: Deployment, given: Mapping[str, Any]) -> str:
    setting = next(s for s in SETTINGS if s.field == field)
    used = [name for name in (setting.v1, setting.v2) if name in given]
    return f"deployment.{used[0] if used else setting.name(deployment.api)}"


def _azure(field: str) -> Callable[[Deployment, Mapping[str, Any]], dict[str, object]]:
    return lambda d, given: {_azure_name(field, d, given): getattr(d, field)}


def _of_min(deployment: Deployment, given: Mapping[str, Any]) -> dict[str, object]:
    return {
        _azure_name("min_replicas", deployment, given): deployment.min_replicas,
        "deployment.initial_replicas": deployment.initial_count,
    }


def _of_api(deployment: Deployment, given: Mapping[str, Any]) -> dict[str, object]:
    """Written with what would otherwise change with the API's defaults."""
    return {
        "deployment.api": str(deployment.api),
        "deployment.scale_down_delay": duration_text(delay_s(deployment)),
        _azure_name("max_replicas", deployment, given): deployment.max_replicas,
        _azure_name("scoring_timeout_s", deployment, given): f"{deployment.scoring_timeout_s:.9g}s",
    }


_OVERRIDES: dict[str, Callable[[Deployment, Mapping[str, Any]], dict[str, object]]] = {
    "target": _azure("target_utilization_percent"),
    "min": _of_min,
    "max": _azure("max_replicas"),
    "refresh": _azure("refresh_period_s"),
    "delay": lambda d, given: {"deployment.scale_down_delay": duration_text(delay_s(d))},
    "api": _of_api,
}
