"""`azureml-fe`: up at once, down to the largest desired count of the scale-down window.

Source of the definition of utilization, of the speeds up and down, and of the defaults: Azure's documents, as told in
`docs/model.md`. The proportional rule itself is an inference: no document gives it.
"""

from __future__ import annotations

import math

import numpy as np

from planner.model import V1_SCALE_DOWN_DELAY_S, V2_SCALE_DOWN_TICKS, Api, Deployment, IntArray
from planner.scaling.observation import Decision
from planner.sim.compiled import compiled

# Layout of the memory: [timer, head, length, (tick, desired) x capacity]: a ring that holds the candidates for the
# largest desired count of the window, ticks increasing and counts decreasing from its head on.
_TIMER, _HEAD, _LENGTH, _RING = 0, 1, 2, 3


def window_ticks(deployment: Deployment) -> int:
    """Ticks in the scale-down window (t - delay, t], the current one included."""
    delay_s = deployment.scale_down_delay_s
    if delay_s is None:
        if deployment.api is Api.V2:
            return V2_SCALE_DOWN_TICKS
        delay_s = V1_SCALE_DOWN_DELAY_S
    period_s = deployment.refresh_period_s
    count = max(1, math.floor(delay_s / period_s))
    while count * period_s < delay_s:
        count += 1
    while count > 1 and (count - 1) * period_s >= delay_s:
        count -= 1
    return count


def new_memory(window_ticks: int, initial_count: int) -> IntArray:
    """The memory at time 0, when the initial count has been desired for ever."""
    memory = np.zeros(_RING + 2 * (window_ticks + 1), dtype=np.int64)
    memory[_LENGTH] = 1
    memory[_RING + 1] = initial_count
    return memory


@compiled
def decide(settings, memory, seen):
    unclamped = _unclamped(settings, seen)
    desired = min(max(unclamped, settings.min_replicas), settings.max_replicas)
    if settings.timer_then_jump:
        floor = _after_timer(settings, memory, seen, desired)
    else:
        floor = _largest_in_window(settings, memory, seen.tick, desired)
    new_current = desired if desired > seen.current else min(seen.current, floor)
    if settings.one_at_a_time:
        new_current = min(max(new_current, seen.current - 1), seen.current + 1)
    return Decision(unclamped, desired, new_current)


@compiled
def _unclamped(settings, seen):
    capacity = settings.slots_per_replica * settings.target_percent
    numerator = 100.0 * seen.signal
    if settings.over_ready:
        if seen.ready == 0:
            return seen.current
        numerator *= seen.current
        capacity *= seen.ready
    if settings.averaged:
        return math.ceil(numerator / capacity - 1e-9)
    return -(-int(numerator) // capacity)


@compiled
def _largest_in_window(settings, memory, tick, desired):
    capacity = settings.window_ticks + 1
    head, length = memory[_HEAD], memory[_LENGTH]
    while length > 0 and memory[_RING + 2 * head] <= tick - settings.window_ticks:
        head = (head + 1) % capacity
        length -= 1
    while length > 0 and memory[_RING + 2 * ((head + length - 1) % capacity) + 1] <= desired:
        length -= 1
    last = (head + length) % capacity
    memory[_RING + 2 * last] = tick
    memory[_RING + 2 * last + 1] = desired
    memory[_HEAD] = head
    memory[_LENGTH] = length + 1
    return memory[_RING + 2 * head + 1]


@compiled
def _after_timer(settings, memory, seen, desired):
    if desired >= seen.current:
        memory[_TIMER] = 0
        return desired
    if memory[_TIMER] == 0:
        memory[_TIMER] = seen.tick
    if seen.tick - memory[_TIMER] >= settings.window_ticks:
        memory[_TIMER] = 0
        return desired
    return seen.current
