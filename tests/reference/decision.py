"""The autoscaler's decision at one tick, in plain numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from planner.model import V2_SCALE_DOWN_TICKS, ScaleDownRule, ScaleStep, UtilizationOver


def unclamped_count(
    signal: float, *, current: int, ready: int, concurrency: int, target_percent: int, over: UtilizationOver
) -> int:
    """The replicas that the signal asks for. An instantaneous signal is an int, a time average a float."""
    if over is UtilizationOver.CURRENT:
        return _ceil_of_ratio(100 * signal, concurrency * target_percent)
    if ready == 0:
        return current
    return _ceil_of_ratio(100 * signal * current, concurrency * ready * target_percent)


def _ceil_of_ratio(numerator: float, denominator: int) -> int:
    if isinstance(numerator, int):
        return -(-numerator // denominator)
    return math.ceil(numerator / denominator - 1e-9)


def delay_has_passed(ticks: int, *, period_s: float, delay_s: float | None) -> bool:
    """Whether that many ticks last the scale-down delay; None is the 20 ticks of v2, exactly."""
    if delay_s is None:
        return ticks >= V2_SCALE_DOWN_TICKS
    return ticks * period_s >= delay_s


def decide(
    *,
    tick: int,
    desired_by_tick: Sequence[int],
    current: int,
    timer: int | None,
    period_s: float,
    delay_s: float | None,
    rule: ScaleDownRule,
    step: ScaleStep,
) -> tuple[int, int | None]:
    """The new number of starting and ready replicas, and the new timer.

    desired_by_tick[j] is the desired of tick j up to this one; [0] is the initial count, which the specification
    treats as the desired of instant 0.
    """
    desired = desired_by_tick[tick]
    new = current
    if desired > current:
        new, timer = desired, None
    elif rule is ScaleDownRule.WINDOW_MAX:
        window = [
            desired_by_tick[j]
            for j in range(tick + 1)
            if not delay_has_passed(tick - j, period_s=period_s, delay_s=delay_s)
        ]
        new = min(current, max(window))
    elif desired == current:
        timer = None
    else:
        timer = tick if timer is None else timer
        if delay_has_passed(tick - timer, period_s=period_s, delay_s=delay_s):
            new, timer = desired, None
    if step is ScaleStep.ONE:
        new = max(current - 1, min(current + 1, new))
    return new, timer


def time_average(levels: Sequence[tuple[float, int]], from_s: float, until_s: float) -> float:
    """The average over [from_s, until_s) of a level; each (time, level) holds until the next, the last for ever."""
    ends = [time_s for time_s, _ in levels[1:]] + [math.inf]
    area = sum(
        level * overlap_s(begin_s, end_s, from_s, until_s) for (begin_s, level), end_s in zip(levels, ends, strict=True)
    )
    return area / (until_s - from_s)


def overlap_s(begin_s: float, end_s: float, from_s: float, until_s: float) -> float:
    return max(0.0, min(end_s, until_s) - max(begin_s, from_s))
