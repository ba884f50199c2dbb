"""What happens to replicas: ticks, creation, readiness, removal. Compiled.

A draining replica needs no events: it takes no new requests and the end of its last work is known.
"""

import math

from planner.scaling import Observation, decide
from planner.sim.compiled import compiled, inlined
from planner.sim.finishes import rise
from planner.sim.integrals import integrate_desired, integrate_ready, pay, signal
from planner.sim.layout import (
    CAPACITY,
    CREATED,
    DESIRED,
    FINISHES,
    HELD,
    LAST_TAKER,
    NEVER,
    NEXT_ID,
    NEXT_READY,
    NEXT_STARTER,
    PEAK_UNCLAMPED,
    PHASE_GONE,
    PHASE_READY,
    PHASE_STARTING,
    QUEUED,
    READY,
    SLOT_BITS,
    SLOT_MASK,
    STARTING,
    TICK,
)
from planner.sim.requests import dispatch_head
from planner.sim.room import add_replica, rebuild


@compiled
def tick(s, i, f, memory, out, now_s, cold_starts, used_before):
    number = i[TICK]
    current = i[STARTING] + i[READY]
    seen = Observation(number, signal(s, i, f, number, now_s), current, i[READY])
    decision = decide(s, memory, seen)
    i[PEAK_UNCLAMPED] = max(i[PEAK_UNCLAMPED], decision.unclamped)
    if decision.desired != i[DESIRED]:
        integrate_desired(s, i, f, out, now_s)
        i[DESIRED] = decision.desired
    i[TICK] = number + 1
    for _ in range(decision.new_current - current):
        _create(s, i, f, now_s, cold_starts[i[CREATED] - used_before])
    if decision.new_current < current:
        for _ in range(current - decision.new_current):
            _remove_one(s, i, f, out, now_s, current)
        _close_ranks(s, i, f, current)


@compiled
def become_ready(s, i, f, out, now_s):
    slot = i[NEXT_STARTER]
    integrate_ready(s, i, f, out, now_s)
    i[s.i_phase + slot] = PHASE_READY
    i[STARTING] -= 1
    i[READY] += 1
    i[CAPACITY] += s.slots_per_replica
    _find_next_starter(s, i, f)
    add_replica(s, i, slot)
    while i[QUEUED] > 0 and i[HELD] < i[CAPACITY]:
        dispatch_head(s, i, f, out, now_s)


@compiled
def settle(s, i, f, out):
    """At the end: bring the integrals up to the duration and pay for the replicas that still exist."""
    integrate_ready(s, i, f, out, s.duration_s)
    integrate_desired(s, i, f, out, s.duration_s)
    for slot in range(i[READY] + i[STARTING]):
        pay(s, out, f[s.f_created + slot], s.duration_s)


@inlined
def _create(s, i, f, now_s, cold_start_s):
    slot = i[READY] + i[STARTING]
    i[s.i_phase + slot] = PHASE_STARTING
    i[s.i_id + slot] = i[NEXT_ID]
    i[s.i_held + slot] = 0
    f[s.f_created + slot] = now_s
    f[s.f_ready + slot] = now_s + cold_start_s
    f[s.f_end + slot] = now_s
    for worker in range(s.workers):
        f[s.f_worker_free + slot * s.workers + worker] = now_s
    i[NEXT_ID] += 1
    i[CREATED] += 1
    i[STARTING] += 1
    if now_s + cold_start_s < f[NEXT_READY]:
        f[NEXT_READY] = now_s + cold_start_s
        i[NEXT_STARTER] = slot


@compiled
def _find_next_starter(s, i, f):
    best = -1
    for slot in range(i[READY] + i[STARTING]):
        if i[s.i_phase + slot] == PHASE_STARTING and (best < 0 or f[s.f_ready + slot] < f[s.f_ready + best]):
            best = slot
    i[NEXT_STARTER] = best
    f[NEXT_READY] = f[s.f_ready + best] if best >= 0 else math.inf


@inlined
def _remove_one(s, i, f, out, now_s, slots):
    """The latest created starting replica; without one, the latest ready one, highest id on ties."""
    phase = PHASE_STARTING if i[STARTING] > 0 else PHASE_READY
    victim = -1
    for slot in range(slots):
        is_later = victim < 0 or phase == PHASE_STARTING or f[s.f_ready + slot] >= f[s.f_ready + victim]
        if i[s.i_phase + slot] == phase and is_later:
            victim = slot
    i[s.i_phase + victim] = PHASE_GONE
    if phase == PHASE_STARTING:
        pay(s, out, f[s.f_created + victim], now_s)
        i[STARTING] -= 1
        return
    pay(s, out, f[s.f_created + victim], max(now_s, f[s.f_end + victim]))
    integrate_ready(s, i, f, out, now_s)
    i[READY] -= 1
    i[HELD] -= i[s.i_held + victim]
    i[CAPACITY] -= s.slots_per_replica


@compiled
def _close_ranks(s, i, f, slots):
    """Give the replicas that stay the lowest slots, in their order, and forget the finishes of those that drain."""
    kept = kept_before_last = 0
    for slot in range(slots):
        if slot == i[LAST_TAKER] + 1:
            kept_before_last = kept
        i[s.i_moved + slot] = -1
        if i[s.i_phase + slot] != PHASE_GONE:
            i[s.i_moved + slot] = kept
            _move(s, i, f, slot, kept)
            kept += 1
    i[LAST_TAKER] = (kept if i[LAST_TAKER] + 1 >= slots else kept_before_last) - 1
    _keep_finishes(s, i)
    rebuild(s, i)
    _find_next_starter(s, i, f)


@inlined
def _keep_finishes(s, i):
    entries, kept = i[FINISHES], 0
    for entry in range(entries):
        time, key = i[s.i_finish + 2 * entry], i[s.i_finish + 2 * entry + 1]
        slot = i[s.i_moved + (key & SLOT_MASK)]
        if slot >= 0:
            rise(s, i, kept, time, key >> SLOT_BITS << SLOT_BITS | slot)
            kept += 1
    i[s.i_finish + 2 * kept] = NEVER
    i[FINISHES] = kept


@inlined
def _move(s, i, f, source, target):
    i[s.i_id + target] = i[s.i_id + source]
    i[s.i_phase + target] = i[s.i_phase + source]
    i[s.i_held + target] = i[s.i_held + source]
    f[s.f_created + target] = f[s.f_created + source]
    f[s.f_ready + target] = f[s.f_ready + source]
    f[s.f_end + target] = f[s.f_end + source]
    for worker in range(s.workers):
        f[s.f_worker_free + target * s.workers + worker] = f[s.f_worker_free + source * s.workers + worker]
