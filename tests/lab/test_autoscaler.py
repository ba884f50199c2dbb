"""Decisions by example; tests/lab/test_agreement.py compares them with the reference on random cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from loadtest.lab.autoscaler import Autoscaler
from loadtest.lab.ticks import Ticks
from planner.model import Api, Deployment, ScaleDownRule, ScaleStep, UtilizationOver

from .fake_clock import FakeClock


def counts(signals: Sequence[float], **settings: Any) -> list[int]:
    """Replicas after each tick; every one of them is ready at once."""
    autoscaler = Autoscaler(Deployment(**({"max_replicas": 10, "scale_down_delay_s": 3.0} | settings)))
    current = Deployment(**({"max_replicas": 10} | settings)).initial_count
    seen = []
    for tick, signal in enumerate(signals, start=1):
        current = autoscaler.decide(tick, signal=signal, current=current, ready=current).replicas
        seen.append(current)
    return seen


@pytest.mark.parametrize(
    ("signal", "settings", "unclamped", "desired"),
    [
        (7, {}, 10, 10),  # 100 x 7 / 70, which floating point makes 10.000000000000002
        (7.01, {"utilization_window_s": 1.0}, 11, 10),
        (14, {"max_concurrent_requests": 2}, 10, 10),
        (20, {}, 29, 10),
        (0, {"min_replicas": 2}, 0, 2),
        (3, {"target_utilization_percent": 100}, 3, 3),
    ],
)
def test_desired_is_the_signal_over_the_target(
    signal: float, settings: dict[str, Any], unclamped: int, desired: int
) -> None:
    decision = Autoscaler(Deployment(**settings)).decide(1, signal=signal, current=2, ready=2)
    assert (decision.unclamped, decision.desired) == (unclamped, desired)


def test_utilization_over_ready_replicas_scales_with_those_that_are_not() -> None:
    autoscaler = Autoscaler(Deployment(max_replicas=20, utilization_over=UtilizationOver.READY))
    assert autoscaler.decide(1, signal=2, current=4, ready=2).unclamped == 6  # ceil(100 x 2 x 4 / (2 x 70))
    assert autoscaler.decide(2, signal=2, current=4, ready=0).unclamped == 4


def test_up_at_once_down_after_the_window() -> None:
    assert counts([7, 0, 0, 0, 0]) == [10, 10, 10, 1, 1]


def test_a_lower_peak_inside_the_window_keeps_its_own_count() -> None:
    assert counts([7, 3, 0, 0, 0, 0]) == [10, 10, 10, 5, 1, 1]


def test_the_initial_count_is_in_the_window_until_the_delay_has_passed() -> None:
    assert counts([0, 0, 0, 0], initial_replicas=4) == [4, 4, 1, 1]


def test_the_window_of_v2_is_twenty_ticks_whatever_the_period() -> None:
    settings = {"api": Api.V2, "refresh_period_s": 0.1, "scale_down_delay_s": None}
    assert counts([7] + [0] * 21, **settings) == [10] * 20 + [1, 1]


def test_the_window_of_v1_is_a_minute() -> None:
    settings = {"api": Api.V1, "refresh_period_s": 10.0, "scale_down_delay_s": None}
    assert counts([7] + [0] * 7, **settings) == [10] * 6 + [1, 1]


def test_timer_then_jump_forgets_when_the_load_returns() -> None:
    settings = {"scale_down_rule": ScaleDownRule.TIMER_THEN_JUMP}
    assert counts([7, 0, 0, 7, 0, 0, 0, 2, 0], **settings) == [10, 10, 10, 10, 10, 10, 10, 3, 3]


def test_steps_of_one() -> None:
    assert counts([7, 7, 0, 0, 0, 0], scale_step=ScaleStep.ONE) == [2, 3, 3, 3, 2, 1]


def test_ticks_do_not_drift_and_none_is_left_out() -> None:
    clock = FakeClock()
    seen: list[tuple[int, float]] = []
    ticks = Ticks(clock, 0.1, lambda number, at_s: seen.append((number, at_s)))
    ticks.count_from(5.0)
    clock.stall_until(5.35)
    clock.run_until(6.0)
    assert seen == [(k, 5.0 + k * 0.1) for k in range(1, 11)]
    assert ticks.next_s == 5.0 + 11 * 0.1
    ticks.stop()
    clock.run_until(9.0)
    assert len(seen) == 10
