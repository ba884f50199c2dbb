"""The event loop of `docs/model.md`, compiled. It draws and prints nothing, and suspends when it needs input or room.

Between two events of the fleet (a replica is ready, a tick) only requests happen: `_serve` is the hot loop.
"""

import math

from planner.sim.compiled import entry_point, inlined, pointer, record
from planner.sim.finishes import first_finish_s
from planner.sim.fleet import become_ready, settle, tick
from planner.sim.hot import hot_settings
from planner.sim.integrals import integrate_level
from planner.sim.layout import (
    CREATED,
    DESIRED,
    HELD,
    LAST_ANSWER,
    NEXT_READY,
    QUEUE_HEAD,
    QUEUED,
    READY,
    ROW_AT,
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
DONE, NEED_ARRIVALS, NEED_COLD_STARTS, GROW_QUEUE, GROW_ROWS = range(5)
_REACHED = DONE


@entry_point
def advance(settings, state, output, arrivals, services, is_last, cold_starts, used_before):
    """Run until the input is used up or something must grow. Returns (why, requests taken from this block).

    settings: `Settings.packed()`. arrivals, services: the next requests, shape (n,). is_last: no block follows.
    cold_starts: draws from number `used_before` on.
    """
    s = record(settings)
    hot = hot_settings(s)
    i, f, memory = pointer(state.i), pointer(state.f), pointer(state.memory)
    out = Output(
        pointer(output.counts),
        pointer(output.latencies),
        pointer(output.totals),
        pointer(output.request_i),
        pointer(output.request_f),
        pointer(output.row_i),
        pointer(output.row_s),
    )
    arrivals_s, services_s, n = pointer(arrivals), pointer(services), len(arrivals)
    position = 0
    while True:
        tick_s = i[TICK] * s.period_s + s.tick_offset_s
        event_s = min(f[NEXT_READY], tick_s)
        row_is_due = f[ROW_AT] < event_s
        limit_s = f[ROW_AT] if row_is_due else event_s
        why, position = _serve(s, hot, i, f, out, arrivals_s, services_s, position, n, is_last, limit_s, row_is_due)
        if why != _REACHED:
            return why, position
        is_over = event_s >= s.duration_s and i[QUEUED] == 0 and f[LAST_ANSWER] <= event_s
        if row_is_due or (is_over and f[ROW_AT] < math.inf):
            if i[ROWS] + 1 >= s.log_rows:
                return GROW_ROWS, position
            _write_row(i, f, out)
            continue
        if is_over:
            settle(s, i, f, out)
            return DONE, position
        if i[CREATED] - used_before + s.max_replicas - i[READY] - i[STARTING] > len(cold_starts):
            return NEED_COLD_STARTS, position
        if s.utilization_window_s > 0.0:
            integrate_level(s, i, f, event_s)
        if f[NEXT_READY] <= tick_s:
            become_ready(s, i, f, out, event_s)
        else:
            tick(s, i, f, memory, out, event_s, pointer(cold_starts), used_before)
        if s.log_rows > 0:
            f[ROW_AT] = event_s


@inlined
def _serve(s, hot, i, f, out, arrivals, services, position, length, is_last, limit_s, inclusive):
    """Everything that happens to requests up to limit_s, at it only the finishes unless `inclusive`.

    At one instant a finish comes before an expiry and that before an arrival. Returns (why it stopped, position).
    """
    windowed = hot.utilization_window_s > 0.0
    while True:
        if position < length:
            arrival_s = arrivals[position]
        elif is_last:
            arrival_s = math.inf
        else:
            return NEED_ARRIVALS, position
        finish_s = first_finish_s(hot, i)
        expiry_s = math.inf
        if i[QUEUED] > 0:
            expiry_s = f[hot.f_queue_arrival + i[QUEUE_HEAD]] + hot.max_wait_s
        other_s = min(arrival_s, expiry_s)
        if finish_s <= min(other_s, limit_s):
            if windowed:
                integrate_level(s, i, f, finish_s)
            finish(hot, i, f, out, finish_s)
        elif other_s < limit_s or (inclusive and other_s == limit_s):
            if windowed:
                integrate_level(s, i, f, other_s)
            if expiry_s <= arrival_s:
                expire(hot, i, f, out, expiry_s)
            elif i[QUEUED] + 1 >= hot.queue:
                return GROW_QUEUE, position
            else:
                arrive(hot, i, f, out, arrival_s, services[position])
                position += 1
        else:
            return _REACHED, position


@inlined
def _write_row(i, f, out):
    """The state after everything at the instant ROW_AT, if replicas have changed in it."""
    if i[ROW_DESIRED] != i[DESIRED] or i[ROW_READY] != i[READY] or i[ROW_STARTING] != i[STARTING]:
        row = i[ROWS]
        out.row_s[row] = f[ROW_AT]
        out.row_i[5 * row + 0] = i[ROW_DESIRED] = i[DESIRED]
        out.row_i[5 * row + 1] = i[ROW_READY] = i[READY]
        out.row_i[5 * row + 2] = i[ROW_STARTING] = i[STARTING]
        out.row_i[5 * row + 3] = i[HELD]
        out.row_i[5 * row + 4] = i[QUEUED]
        i[ROWS] = row + 1
    f[ROW_AT] = math.inf
