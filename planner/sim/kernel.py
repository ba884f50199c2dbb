"""The event loop of `docs/model.md`, compiled. It draws and prints nothing, and suspends when it needs more input."""

import math

from planner.sim.compiled import compiled, inlined, pointer
from planner.sim.fleet import become_ready, settle, tick
from planner.sim.integrals import integrate_level
from planner.sim.layout import (
    CREATED,
    DESIRED,
    FINISHES,
    HELD,
    LAST_ANSWER,
    NEXT_READY,
    NEXT_REQUEST,
    NOW,
    QUEUE_HEAD,
    QUEUED,
    READY,
    ROW_DESIRED,
    ROW_READY,
    ROW_STARTING,
    ROWS,
    STARTING,
    TICK,
    Output,
)
from planner.sim.requests import arrive, expire, finish

# Why the kernel came back.
DONE, NEED_ARRIVALS, NEED_COLD_STARTS, GROW_FINISHES, GROW_QUEUE, GROW_ROWS = range(6)

_FINISH, _READY, _TICK, _EXPIRY, _ARRIVAL = range(5)


@compiled
def advance(s, state, output, arrivals, services, is_last, cold_starts, used_before):
    """Run until the input is used up or something must grow. Returns (why, requests taken from this block).

    arrivals, services: the next requests, shape (n,). is_last: no block follows. cold_starts: draws from number
    `used_before` on.
    """
    i, f = pointer(state.i), pointer(state.f)
    out = Output(
        pointer(output.counts),
        pointer(output.totals),
        pointer(output.request_i),
        pointer(output.request_f),
        pointer(output.row_i),
        pointer(output.row_s),
    )
    position = 0
    while True:
        more_arrivals = position < len(arrivals)
        blocked = _blocked(s, i, more_arrivals or is_last, len(cold_starts) + used_before)
        if blocked != DONE:
            return blocked, position
        arrival_s = arrivals[position] if more_arrivals else math.inf
        kind, now_s = _next_event(s, i, f, arrival_s, more_arrivals)
        if now_s == math.inf:
            _write_row(s, i, f, out)
            settle(s, i, f, out, f[NOW])
            return DONE, position
        if now_s > f[NOW]:
            _write_row(s, i, f, out)
            f[NOW] = now_s
        if s.utilization_window_s > 0.0:
            integrate_level(s, i, f, now_s)
        if kind == _FINISH:
            finish(s, i, f, out, now_s)
        elif kind == _READY:
            become_ready(s, i, f, out, now_s)
        elif kind == _TICK:
            tick(s, i, f, state.memory, out, now_s, cold_starts, used_before)
        elif kind == _EXPIRY:
            expire(s, i, f, out, now_s)
        else:
            arrive(s, i, f, out, arrival_s, services[position], i[NEXT_REQUEST])
            position += 1
            i[NEXT_REQUEST] += 1


@inlined
def _blocked(s, i, has_arrivals, cold_starts):
    if not has_arrivals:
        return NEED_ARRIVALS
    if i[FINISHES] + s.slots >= s.layout.finishes:
        return GROW_FINISHES
    if i[QUEUED] + 1 >= s.layout.queue:
        return GROW_QUEUE
    if i[CREATED] + s.max_replicas >= cold_starts:
        return NEED_COLD_STARTS
    if s.layout.log_rows > 0 and i[ROWS] + 2 >= s.layout.log_rows:
        return GROW_ROWS
    return DONE


@inlined
def _next_event(s, i, f, arrival_s, more_arrivals):
    """The next (kind, time): the earliest, and at one instant the first kind of finish, ready, tick, expiry, arrival.

    Infinite when the duration has passed and every request has its answer.
    """
    time_s = arrival_s
    kind = _ARRIVAL
    if i[QUEUED] > 0:
        expiry_s = f[s.layout.f_queue_arrival + i[QUEUE_HEAD]] + s.max_wait_s
        if expiry_s <= time_s:
            time_s = expiry_s
            kind = _EXPIRY
    tick_s = i[TICK] * s.period_s + s.tick_offset_s
    if tick_s <= time_s:
        time_s = tick_s
        kind = _TICK
    if f[NEXT_READY] <= time_s and f[NEXT_READY] < math.inf:
        time_s = f[NEXT_READY]
        kind = _READY
    if i[FINISHES] > 0 and f[s.layout.f_finish_time] <= time_s:
        time_s = f[s.layout.f_finish_time]
        kind = _FINISH
    if time_s >= s.duration_s and not more_arrivals and i[QUEUED] == 0 and f[LAST_ANSWER] <= time_s:
        time_s = math.inf
    return kind, time_s


@inlined
def _write_row(s, i, f, out):
    """The state after everything at the instant that ends now, if replicas have changed in it."""
    if s.layout.log_rows == 0:
        return
    if i[ROW_DESIRED] == i[DESIRED] and i[ROW_READY] == i[READY] and i[ROW_STARTING] == i[STARTING]:
        return
    row = i[ROWS]
    out.row_s[row] = f[NOW]
    out.row_i[5 * row + 0] = i[ROW_DESIRED] = i[DESIRED]
    out.row_i[5 * row + 1] = i[ROW_READY] = i[READY]
    out.row_i[5 * row + 2] = i[ROW_STARTING] = i[STARTING]
    out.row_i[5 * row + 3] = i[HELD]
    out.row_i[5 * row + 4] = i[QUEUED]
    i[ROWS] = row + 1
