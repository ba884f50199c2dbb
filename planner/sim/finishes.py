"""The heap of coming finishes, ordered by (time, request): a table of the state in `planner.sim.layout`.

Times are kept as their bits: integers, in the same order, that compare faster. An entry sinks to a leaf before it
rises to its place, and the smaller child is chosen by arithmetic: the processor cannot foresee such a branch.
"""

from planner.sim.compiled import bits_of, float_of, inlined
from planner.sim.layout import FINISHES, NEVER, SLOT_MASK


@inlined
def first_finish_s(s, i):
    """Infinite if there is none."""
    return float_of(i[s.i_finish])


@inlined
def first_finish_slot(s, i):
    return i[s.i_finish + 1] & SLOT_MASK


@inlined
def push_finish(s, i, time_s, key):
    last = i[FINISHES]
    i[FINISHES] = last + 1
    i[s.i_finish + 2 * last + 2] = NEVER
    rise(s, i, last, bits_of(time_s), key)


@inlined
def pop_finish(s, i):
    """Remove the earliest entry (index 0)."""
    last = i[FINISHES] - 1
    time, key = i[s.i_finish + 2 * last], i[s.i_finish + 2 * last + 1]
    i[s.i_finish + 2 * last] = NEVER
    i[FINISHES] = last
    if last > 0:
        rise(s, i, _sink(s, i, last), time, key)


@inlined
def replace_finish(s, i, time_s, key):
    """Another entry in place of the earliest."""
    rise(s, i, _sink(s, i, i[FINISHES]), bits_of(time_s), key)


@inlined
def _sink(s, i, length):
    """Move the hole at the root down to a leaf; its place there. Behind the last entry stands NEVER."""
    heap = s.i_finish
    hole, child = 0, 1
    while child < length:
        left, right = heap + 2 * child, heap + 2 * child + 2
        child += (i[right] < i[left]) | ((i[right] == i[left]) & (i[right + 1] < i[left + 1]))
        i[heap + 2 * hole] = i[heap + 2 * child]
        i[heap + 2 * hole + 1] = i[heap + 2 * child + 1]
        hole, child = child, 2 * child + 1
    return hole


@inlined
def rise(s, i, hole, time, key):
    """Put an entry at the hole or, while those above it come later, above it."""
    heap = s.i_finish
    while hole > 0:
        parent = (hole - 1) >> 1
        parent_time = i[heap + 2 * parent]
        if time > parent_time or (time == parent_time and key > i[heap + 2 * parent + 1]):
            break
        i[heap + 2 * hole] = parent_time
        i[heap + 2 * hole + 1] = i[heap + 2 * parent + 1]
        hole = parent
    i[heap + 2 * hole] = time
    i[heap + 2 * hole + 1] = key
