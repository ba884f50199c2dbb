"""What happens to replicas: ticks, creation, readiness, removal. Compiled.

A draining replica needs no events: it takes no new requests and the end of its last work is known.
"""

import math

from planner.scaling import Observation, decide
from planner.sim.compiled import compiled, inlined
from planner.sim.integrals import add_to_bins, integrate_ready, pay, signal
from planner.sim.layout import (
    CREATED,
    DESIRED,
    F_BINS,
    FREE,
    HELD,
    NEXT_ID,
    NEXT_READY,
    NEXT_STARTER,
    PHASE_NONE,
    PHASE_READY,
    PHASE_STARTING,
    QUEUED,
    READY,
    STARTING,
    TICK,
)
from planner.sim.requests import dispatch_head, update_tree


@compiled
def tick(s, i, f, memory, out, now_s, cold_starts, used_before):
    number = i[TICK]
    current = i[STARTING] + i[READY]
    seen = Observation(number, signal(s, i, f, number, now_s), current, i[READY])
    decision = decide(s.policy, memory, seen)
    add_to_bins(s, out, F_BINS + s.layout.bins, _last_tick_s(s, number), now_s, i[DESIRED])
    i[DESIRED] = decision.desired
    i[TICK] = number + 1
    for _ in range(decision.new_current - current):
        _create(s, i, f, now_s, cold_starts[i[CREATED] - used_before])
    for _ in range(current - decision.new_current):
        _remove_one(s, i, f, out, now_s)


@inlined
def _last_tick_s(s, number):
    """The tick before tick `number`; the start, before the first."""
    return max(0.0, (number - 1) * s.period_s + s.tick_offset_s) if number > 1 else 0.0


@compiled
def become_ready(s, i, f, out, now_s):
    slot = i[NEXT_STARTER]
    integrate_ready(s, i, f, out, now_s)
    i[s.layout.i_phase + slot] = PHASE_READY
    i[STARTING] -= 1
    i[READY] += 1
    i[FREE] += s.slots
    _find_next_starter(s, i, f)
    update_tree(s, i, slot)
    while i[QUEUED] > 0 and i[FREE] > 0:
        taker = i[s.layout.i_tree + 1]
        dispatch_head(s, i, f, out, taker, now_s)
        update_tree(s, i, taker)


@compiled
def settle(s, i, f, out, now_s):
    """At the end: bring the integrals up to the duration and pay for the replicas that still exist."""
    integrate_ready(s, i, f, out, max(s.duration_s, now_s))
    add_to_bins(s, out, F_BINS + s.layout.bins, _last_tick_s(s, i[TICK]), s.duration_s, i[DESIRED])
    for slot in range(s.layout.replicas):
        if i[s.layout.i_phase + slot] != PHASE_NONE:
            pay(s, out, f[s.layout.f_created + slot], s.duration_s)


@compiled
def _create(s, i, f, now_s, cold_start_s):
    slot = 0
    while i[s.layout.i_phase + slot] != PHASE_NONE:
        slot += 1
    i[s.layout.i_phase + slot] = PHASE_STARTING
    i[s.layout.i_id + slot] = i[NEXT_ID]
    i[s.layout.i_held + slot] = 0
    f[s.layout.f_created + slot] = now_s
    f[s.layout.f_ready + slot] = now_s + cold_start_s
    f[s.layout.f_end + slot] = now_s
    for worker in range(s.workers):
        f[s.layout.f_worker_free + slot * s.workers + worker] = now_s
    i[NEXT_ID] += 1
    i[CREATED] += 1
    i[STARTING] += 1
    if now_s + cold_start_s < f[NEXT_READY]:
        f[NEXT_READY] = now_s + cold_start_s
        i[NEXT_STARTER] = slot


@compiled
def _find_next_starter(s, i, f):
    best = -1
    for slot in range(s.layout.replicas):
        if i[s.layout.i_phase + slot] == PHASE_STARTING and (best < 0 or _is_older(s, i, f, slot, best)):
            best = slot
    i[NEXT_STARTER] = best
    f[NEXT_READY] = f[s.layout.f_ready + best] if best >= 0 else math.inf


@compiled
def _remove_one(s, i, f, out, now_s):
    """The latest created starting replica; without one, the latest ready one, highest id on ties."""
    starting = i[STARTING] > 0
    phase = PHASE_STARTING if starting else PHASE_READY
    victim = -1
    for slot in range(s.layout.replicas):
        if i[s.layout.i_phase + slot] == phase and (
            victim < 0
            or (starting and i[s.layout.i_id + victim] < i[s.layout.i_id + slot])
            or (not starting and _is_older(s, i, f, victim, slot))
        ):
            victim = slot
    i[s.layout.i_phase + victim] = PHASE_NONE
    if starting:
        pay(s, out, f[s.layout.f_created + victim], now_s)
        i[STARTING] -= 1
        _find_next_starter(s, i, f)
        return
    pay(s, out, f[s.layout.f_created + victim], max(now_s, f[s.layout.f_end + victim]))
    integrate_ready(s, i, f, out, now_s)
    held = i[s.layout.i_held + victim]
    i[READY] -= 1
    i[HELD] -= held
    i[FREE] -= s.slots - held
    update_tree(s, i, victim)


@inlined
def _is_older(s, i, f, slot, other):
    """Ready earlier, lower id on ties."""
    ready_s, other_s = f[s.layout.f_ready + slot], f[s.layout.f_ready + other]
    return ready_s < other_s or (ready_s == other_s and i[s.layout.i_id + slot] < i[s.layout.i_id + other])
