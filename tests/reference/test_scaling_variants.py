"""The reference simulator against cases worked out on paper (on_paper.py): variants of the autoscaler."""

from __future__ import annotations

from typing import Any

from planner.model import Api, Autoscaler, ScaleDownRule, ScaleStep, UtilizationOver

from .on_paper import counts, run


def test_timer_then_jump() -> None:
    """Delay 2 s. Idle, 3 replicas: the timer is set at tick 1 and fires at tick 3. Two requests at tick 2 clear it: it
    is set again at tick 3 and fires at 5. With x = 2, 2, 1 it jumps to 1 at tick 3, where the window rule (down to 2
    at tick 2, when instant 0 has left the window) still sees the 2 of tick 2.
    """
    timer: dict[str, Any] = {"scale_down_rule": ScaleDownRule.TIMER_THEN_JUMP, "scale_down_delay_s": 2.0}
    assert counts(run(max_replicas=3, initial_replicas=3, **timer)) == [3, 3, 1, 1]
    cleared = run([1.5, 1.5], [1, 1], duration=6.0, max_replicas=2, initial_replicas=2, **timer)
    assert counts(cleared) == [2, 2, 2, 2, 1]
    assert counts(run([0, 0], [2.5, 4.5], max_replicas=3, initial_replicas=3, **timer)) == [3, 3, 1, 1]
    window = run([0, 0], [2.5, 4.5], max_replicas=3, initial_replicas=3, scale_down_delay_s=2.0)
    assert counts(window) == [3, 2, 2, 1]


def test_a_scale_up_clears_the_timer() -> None:
    """Delay 2 s, v2. Tick 1: x = 0, the timer is set. Tick 2: x = 3, a third replica. Tick 3: x = 0, the timer is set
    anew, so that the jump comes at tick 5, not 3.
    """
    result = run(
        [1.75] * 3,
        [0.5] * 3,
        cold=[0.5],
        duration=6.0,
        api=Api.V2,
        max_replicas=3,
        initial_replicas=2,
        scale_down_delay_s=2.0,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(result) == [2, 3, 3, 3, 1]


def test_timer_then_jump_in_v2_takes_20_ticks_by_default() -> None:
    """The timer is set at tick 1, and 21 - 1 >= 20, whatever 20 * 0.1 rounds to."""
    result = run(
        duration=2.25,
        api=Api.V2,
        max_replicas=3,
        initial_replicas=3,
        refresh_period_s=0.1,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(result) == [3] * 20 + [1] * 2


def test_steps_of_one() -> None:
    """Up: x = 4 at every tick (v2), 2, 3, 4 replicas. Down: 3, 2, 1. With the timer: fires at tick 3, is set anew at
    tick 4 and fires again at 6.
    """
    one = ScaleStep.ONE
    up = run([0] * 4, [9] * 4, cold=[0.5] * 3, api=Api.V2, max_replicas=4, max_request_wait_s=20.0, scale_step=one)
    assert counts(up)[:4] == [2, 3, 4, 4]
    assert [tick.desired for tick in up.ticks[:2]] == [4, 4]
    assert counts(run(max_replicas=3, initial_replicas=3, scale_down_delay_s=1.0, scale_step=one)) == [2, 1, 1, 1]
    timer = run(
        duration=7.0,
        max_replicas=3,
        initial_replicas=3,
        scale_down_delay_s=2.0,
        scale_step=one,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(timer) == [3, 3, 2, 2, 2, 1]


def test_utilization_over_ready_replicas() -> None:
    """x = 3 (v2), one replica ready until 6. Tick 1: 3 * 1 / 1 = 3; tick 2: 3 * 3 / 1 = 9; tick 3: 3 * 9 / 1 = 27, cut
    to 10. Over current replicas it stays 3. With none ready the unclamped count is the current one: 0, then 1.
    """
    busy: dict[str, Any] = {"api": Api.V2, "max_replicas": 10, "max_request_wait_s": 20.0}
    ready = run([0] * 3, [9] * 3, cold=[5.0] * 9, utilization_over=UtilizationOver.READY, **busy)
    assert [(tick.unclamped, tick.current_after) for tick in ready.ticks[:3]] == [(3, 3), (9, 9), (27, 10)]
    current = run([0] * 3, [9] * 3, cold=[5.0] * 9, **busy)
    assert counts(current)[:3] == [3, 3, 3]
    none = run(cold=[9], initial_replicas=0, utilization_over=UtilizationOver.READY)
    assert [(tick.unclamped, tick.desired, tick.current_after) for tick in none.ticks[:2]] == [(0, 1, 1), (1, 1, 1)]


def test_fixed_desires_its_count_at_every_tick() -> None:
    """Two wanted, one at the start: tick 1 creates R1, ready at 1.5, which takes r1. Idle replicas stay."""
    result = run(
        [0, 0],
        [3, 1],
        cold=[0.5],
        autoscaler=Autoscaler.FIXED,
        min_replicas=2,
        max_replicas=2,
        initial_replicas=1,
        max_request_wait_s=2.0,
        scale_down_delay_s=1.0,
    )
    assert result.dispatch_s == [0, 1.5]
    assert [tick.desired for tick in result.ticks] == counts(result) == [2, 2, 2, 2]
    assert result.paid_s == 5 + 4
