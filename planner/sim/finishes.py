"""The heap of coming finishes, ordered by (time, request): tables of the state in `planner.sim.layout`."""

from planner.sim.compiled import inlined
from planner.sim.layout import FINISHES


@inlined
def push_finish(layout, i, f, time_s, request, slot):
    hole = i[FINISHES]
    i[FINISHES] = hole + 1
    while hole > 0:
        parent = (hole - 1) >> 1
        parent_s = f[layout.f_finish_time + parent]
        if time_s > parent_s or (time_s == parent_s and request > i[layout.i_finish_request + parent]):
            break
        _move(layout, i, f, parent, hole)
        hole = parent
    f[layout.f_finish_time + hole] = time_s
    i[layout.i_finish_request + hole] = request
    i[layout.i_finish_slot + hole] = slot
    i[layout.i_finish_id + hole] = i[layout.i_id + slot]


@inlined
def pop_finish(layout, i, f):
    """Remove the earliest entry (index 0)."""
    last = i[FINISHES] - 1
    i[FINISHES] = last
    time_s = f[layout.f_finish_time + last]
    request = i[layout.i_finish_request + last]
    hole = 0
    while 2 * hole + 1 < last:
        child = 2 * hole + 1
        if child + 1 < last and _goes_first(layout, i, f, child + 1, child):
            child += 1
        child_s = f[layout.f_finish_time + child]
        if child_s > time_s or (child_s == time_s and i[layout.i_finish_request + child] > request):
            break
        _move(layout, i, f, child, hole)
        hole = child
    _move(layout, i, f, last, hole)


@inlined
def _goes_first(layout, i, f, entry, other):
    entry_s, other_s = f[layout.f_finish_time + entry], f[layout.f_finish_time + other]
    return entry_s < other_s or (
        entry_s == other_s and i[layout.i_finish_request + entry] < i[layout.i_finish_request + other]
    )


@inlined
def _move(layout, i, f, source, target):
    f[layout.f_finish_time + target] = f[layout.f_finish_time + source]
    i[layout.i_finish_request + target] = i[layout.i_finish_request + source]
    i[layout.i_finish_slot + target] = i[layout.i_finish_slot + source]
    i[layout.i_finish_id + target] = i[layout.i_finish_id + source]
