"""The autoscaler's decision at a tick, written from docs/model.md ("Autoscaler"). No clock: ticks are numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from planner.model import (
    V1_SCALE_DOWN_DELAY_S,
    V2_SCALE_DOWN_TICKS,
    Api,
    Deployment,
    ScaleDownRule,
    ScaleStep,
    UtilizationOver,
)
from planner.model import Autoscaler as AutoscalerName


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one tick decided. desired is clamped, unclamped is not; replicas is the count to have from now on."""

    tick: int
    signal: float
    unclamped: int
    desired: int
    replicas: int


class Autoscaler:
    """Remembers what earlier ticks desired, so long as the scale-down rule needs it. Tick 0 is the start."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._desired_at: list[tuple[int, int]] = []
        self._timer_tick: int | None = None

    def decide(self, tick: int, *, signal: float, current: int, ready: int) -> Decision:
        """The decision of tick 1, 2, ... from what was seen at it; current = starting + ready replicas."""
        limits = self._deployment
        unclamped = self._unclamped(signal, current, ready)
        desired = min(max(unclamped, limits.min_replicas), limits.max_replicas)
        if limits.scale_down_rule is ScaleDownRule.WINDOW_MAX:
            lowest = self._window_max(tick, desired)
        else:
            lowest = self._timer_then_jump(tick, desired, current)
        replicas = desired if desired > current else min(current, lowest)
        if limits.scale_step is ScaleStep.ONE and limits.autoscaler is not AutoscalerName.FIXED:
            replicas = min(max(replicas, current - 1), current + 1)
        return Decision(tick=tick, signal=signal, unclamped=unclamped, desired=desired, replicas=replicas)

    def _unclamped(self, signal: float, current: int, ready: int) -> int:
        """ceil(100 x / (K target)); in integers where the signal is a count."""
        per_replica = self._deployment.max_concurrent_requests * self._deployment.target_utilization_percent
        load = 100 * signal
        if self._deployment.utilization_over is UtilizationOver.READY:
            if ready == 0:
                return current
            load, per_replica = load * current, per_replica * ready
        if self._deployment.utilization_window_s > 0:
            return math.ceil(load / per_replica - 1e-9)
        return -(-int(load) // per_replica)

    def _window_max(self, tick: int, desired: int) -> int:
        """The largest desired over the ticks in the scale-down window, and the initial count if it reaches 0."""
        self._desired_at = [(j, value) for j, value in self._desired_at if not self._delay_over(tick - j)]
        self._desired_at.append((tick, desired))
        largest = max(value for _, value in self._desired_at)
        return largest if self._delay_over(tick) else max(largest, self._deployment.initial_count)

    def _timer_then_jump(self, tick: int, desired: int, current: int) -> int:
        if desired >= current:
            self._timer_tick = None
            return current
        if self._timer_tick is None:
            self._timer_tick = tick
        if not self._delay_over(tick - self._timer_tick):
            return current
        self._timer_tick = None
        return desired

    def _delay_over(self, ticks: int) -> bool:
        """Whether so many ticks are at least the scale-down delay."""
        delay_s = self._deployment.scale_down_delay_s
        if delay_s is None and self._deployment.api is Api.V2:
            return ticks >= V2_SCALE_DOWN_TICKS
        return ticks * self._deployment.refresh_period_s >= (V1_SCALE_DOWN_DELAY_S if delay_s is None else delay_s)
