"""Blocks of draws are keyed: any block alone, no two alike, neighbours unrelated."""

from __future__ import annotations

import numpy as np
import pytest

from planner.draws import FIRST_BLOCK, LARGEST_BLOCK, Stream, block_generator, block_size

KEY = (7, 3, Stream.SERVICE, 2)


def _first_word(seed: int, replicate: int, stream: Stream, block: int) -> int:
    return int(block_generator(seed, replicate, stream, block).bit_generator.random_raw())


def test_blocks_double_up_to_the_largest() -> None:
    sizes = [block_size(block) for block in range(9)]
    assert sizes == [1024, 2048, 4096, 8192, 16384, 32768, 65536, 65536, 65536]
    assert (sizes[0], sizes[-1]) == (FIRST_BLOCK, LARGEST_BLOCK)


def test_a_key_gives_one_block_and_every_part_of_it_counts() -> None:
    seed, replicate, stream, block = KEY
    assert _first_word(*KEY) == _first_word(*KEY)
    others = [
        (seed + 1, replicate, stream, block),
        (seed, replicate + 1, stream, block),
        (seed, replicate, Stream.ARRIVALS, block),
        (seed, replicate, stream, block + 1),
        (replicate, seed, stream, block),
        (2**64 - 1, 2**64 - 1, Stream.TIMING, 2**48 - 1),
    ]
    assert len({_first_word(*key) for key in [KEY, *others]}) == len(others) + 1


@pytest.mark.statistical
@pytest.mark.parametrize("part", ["seed", "replicate", "block"])
def test_flipping_a_bit_of_a_key_flips_half_of_the_bits(part: str) -> None:
    """The avalanche of the seeding: 16 low bits of a part, over 400 keys, against the 64 bits of the first draw.

    Each of the 1,024 counts is binomial(400, 1/2), standard deviation 10; a bound of 5.5 deviations fails by chance
    once in 25,000 (all three parts: 1e-4). A bit that flips with chance 0.36 instead of 0.5 is caught half the time.
    """
    keys = [{"seed": k * 7919, "replicate": k, "block": k % 50} for k in range(400)]
    flips = np.zeros((16, 64), dtype=np.int64)
    for key in keys:
        word = _word(key)
        for bit in range(16):
            changed = word ^ _word(key | {part: key[part] ^ (1 << bit)})
            flips[bit] += [changed >> k & 1 for k in range(64)]
    assert abs(flips - 200).max() < 55


@pytest.mark.statistical
@pytest.mark.parametrize("part", ["seed", "replicate", "block"])
def test_neighbouring_keys_are_uncorrelated(part: str) -> None:
    """First 50 draws of 2,000 neighbours in a row: the correlation at lags 1 to 3 is normal with deviation 0.0032.

    Bound 4.5 deviations, nine comparisons: fails by chance once in 16,000. Sees a correlation of 0.015.
    """
    keys = [{"seed": 5, "replicate": 0, "block": 0} | {part: k} for k in range(2000)]
    draws = np.array([_generator(key).random(50) for key in keys]) - 0.5
    for lag in (1, 2, 3):
        correlation = float((draws[:-lag] * draws[lag:]).mean() * 12)
        assert abs(correlation) < 4.5 / (50 * (2000 - lag)) ** 0.5


def _generator(key: dict[str, int]) -> np.random.Generator:
    return block_generator(key["seed"], key["replicate"], Stream.SERVICE, key["block"])


def _word(key: dict[str, int]) -> int:
    return int(_generator(key).bit_generator.random_raw())
