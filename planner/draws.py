"""Random numbers: every draw is a function of (seed, replicate, stream, index), delivered in blocks.

A block comes from its own counter-based Philox generator, so block 7 of a stream can be made without blocks 0 to 6,
two settings that ask for the same stream see the same draws, and memory does not grow with the number of draws.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

FIRST_BLOCK, LARGEST_BLOCK = 1024, 8192
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


def block_generator(seed: int, replicate: int, stream: Stream, block: int) -> np.random.Generator:
    """The generator of one block. seed, replicate and block are integers from 0 to 2**64 - 1."""
    # The low counter word advances as numbers are drawn; the other three say which block this is.
    counter = np.array([0, block, int(stream), replicate], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=np.array([seed, 0], dtype=np.uint64), counter=counter))
