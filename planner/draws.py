"""Random numbers: every draw is a function of (seed, replicate, stream, index), delivered in blocks.

A block comes from a generator of its own, SFC64 keyed by (seed, replicate, stream, block), so block 7 of a stream can
be made without blocks 0 to 6, two settings that ask for the same stream see the same draws, and memory does not grow
with the number of draws. Blocks of different keys never overlap: SFC64 counts its steps in its state, and a step has
one predecessor (C. Doty-Humphrey, PractRand). Why not a counter-based generator: `docs/decisions/0007`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

FIRST_BLOCK, LARGEST_BLOCK = 1024, 65536
"""Blocks double from the first size to the largest: a short scenario does not pay for draws that it never uses."""


def block_size(block: int) -> int:
    """Draws in block number `block` of every stream."""
    return min(FIRST_BLOCK << min(block, 16), LARGEST_BLOCK)


class Stream(IntEnum):
    """What a draw is for. Streams never share numbers."""

    ARRIVALS = 0
    SERVICE = 1
    COLD_STARTS = 2
    PHASES = 3
    TRACE = 4
    LAB = 5
    TIMING = 6
    PLAN = 7


_BLOCK_BITS = 48


def block_generator(seed: int, replicate: int, stream: Stream, block: int) -> np.random.Generator:
    """The generator of one block. seed and replicate: from 0 to 2**64 - 1, block: from 0 to 2**48 - 1."""
    key: Any = _Key(seed, replicate, int(stream) << _BLOCK_BITS | block)  # numpy's stubs name fewer kinds of seed
    return np.random.Generator(np.random.SFC64(key))


class _Key(ISeedSequence):
    """Three words that SFC64 takes as its state, and mixes in twelve steps before the first draw."""

    def __init__(self, *words: int) -> None:
        self._words = words

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        return np.array(self._words, dtype=np.uint64)
