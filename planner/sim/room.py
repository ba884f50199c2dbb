"""Which replicas can take a request: sets of slots, one for each number of requests held. Compiled.

A set is a bit per slot and above it a bit per word of these bits, so the lowest slot of a set (the lowest id: slots
are in the order of ids) is found by looking at two words, up to 1,024 replicas, and at a few more beyond. Under the
rule of the fewest requests the sets are told apart by the number held; the other rules need one set only.
"""

from planner.sim.compiled import compiled, inlined, lowest_bit
from planner.sim.layout import (
    FEWEST_REQUESTS,
    HELD,
    LAST_TAKER,
    LEVEL,
    PHASE_READY,
    READY,
    ROUND_ROBIN,
    STARTING,
    WORD_BITS,
    WORD_SHIFT,
)


@inlined
def take_replica(s, i):
    """The slot of the replica that gets the next request, which it now holds. Some replica must have room."""
    if s.dispatch == ROUND_ROBIN:
        slot = _first_from(s, i, 0, i[LAST_TAKER] + 1)
        if slot < 0:
            slot = _first(s, i, 0)
        level = 0
    else:
        level = i[LEVEL]
        slot = _first(s, i, level)
        while slot < 0:
            level += 1
            slot = _first(s, i, level)
        i[LEVEL] = level
    held = i[s.i_held + slot] + 1
    i[s.i_held + slot] = held
    i[HELD] += 1
    i[LAST_TAKER] = slot
    if held == s.slots_per_replica:
        _leave(s, i, level, slot)
    elif _level(s, held) != level:
        _leave(s, i, level, slot)
        _join(s, i, level + 1, slot)
    return slot


@inlined
def give_back(s, i, slot):
    """The replica holds one request less."""
    held = i[s.i_held + slot] - 1
    i[s.i_held + slot] = held
    i[HELD] -= 1
    level = _level(s, held)
    if held + 1 == s.slots_per_replica:
        _join(s, i, level, slot)
    elif _level(s, held + 1) != level:
        _leave(s, i, level + 1, slot)
        _join(s, i, level, slot)
    i[LEVEL] = min(i[LEVEL], level)


@inlined
def add_replica(s, i, slot):
    """An empty replica is ready."""
    _join(s, i, 0, slot)
    i[LEVEL] = 0


@compiled
def rebuild(s, i):
    """The sets anew, from phases and requests held."""
    for word in range(s.i_room, s.i_room + s.levels * s.room_words):
        i[word] = 0
    i[LEVEL] = 0
    for slot in range(i[READY] + i[STARTING]):
        if i[s.i_phase + slot] == PHASE_READY and i[s.i_held + slot] < s.slots_per_replica:
            _join(s, i, _level(s, i[s.i_held + slot]), slot)


@inlined
def _level(s, held):
    return held if s.dispatch == FEWEST_REQUESTS else 0


@inlined
def _join(s, i, level, slot):
    summary = s.i_room + level * s.room_words
    word = slot >> WORD_SHIFT
    i[summary + s.summary_words + word] |= 1 << (slot & (WORD_BITS - 1))
    i[summary + (word >> WORD_SHIFT)] |= 1 << (word & (WORD_BITS - 1))


@inlined
def _leave(s, i, level, slot):
    summary = s.i_room + level * s.room_words
    word = slot >> WORD_SHIFT
    left = i[summary + s.summary_words + word] & ~(1 << (slot & (WORD_BITS - 1)))
    i[summary + s.summary_words + word] = left
    if left == 0:
        i[summary + (word >> WORD_SHIFT)] &= ~(1 << (word & (WORD_BITS - 1)))


@inlined
def _first(s, i, level):
    """The lowest slot of a set, -1 if it is empty."""
    summary = s.i_room + level * s.room_words
    for k in range(s.summary_words):
        if i[summary + k] != 0:
            word = (k << WORD_SHIFT) + lowest_bit(i[summary + k])
            return (word << WORD_SHIFT) + lowest_bit(i[summary + s.summary_words + word])
    return -1


@compiled
def _first_from(s, i, level, slot):
    """The lowest slot of a set that is not below `slot`, -1 if there is none."""
    words = s.i_room + level * s.room_words + s.summary_words
    word = slot >> WORD_SHIFT
    above = -1 << (slot & (WORD_BITS - 1))
    while word < s.room_words - s.summary_words:
        found = i[words + word] & above
        if found != 0:
            return (word << WORD_SHIFT) + lowest_bit(found)
        above = -1
        word += 1
    return -1
