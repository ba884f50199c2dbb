"""Checks of samples against exact laws. Each returns a p-value: how often a correct process looks at least as odd.

All see a process through its arrival times alone, and none fits anything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import special, stats

from planner.arrivals import ArrivalProcess
from planner.model import FloatArray, IntArray
from tests.statistical.exact_laws import Law

CELLS = 20
"""Parts of the second, and of the duration, whose arrivals are counted."""

SETTLED_S = 15.0
"""After this no process here remembers its start."""


# p-values


def normal_p(z: float) -> float:
    """Two-sided."""
    return math.erfc(abs(z) / math.sqrt(2))


def smallest_p(p_values: Sequence[float]) -> float:
    """Of several checks that count as one (Bonferroni)."""
    return min(1.0, len(p_values) * min(p_values))


def scatter_p(values: FloatArray, exact: FloatArray | float) -> FloatArray:
    """Student's t of the replicates' mean against the exact one. values: shape (replicates, ...)."""
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    return np.asarray(2 * stats.t.sf(np.abs(values.mean(axis=0) - exact) / error, len(values) - 1))


def cells_p(counts: FloatArray, shares: FloatArray) -> float:
    """The oddest cell of shape (replicates, cells), given each cell's share of the expected count."""
    if counts[:, shares == 0].any():
        return 0.0
    used = shares > 0
    beyond_share = counts[:, used] - shares[used] * counts.sum(axis=1, keepdims=True)
    return smallest_p(scatter_p(beyond_share, 0.0).tolist())


def kolmogorov_p(uniforms: FloatArray, lowest: float = 0.0) -> float:
    """Kolmogorov-Smirnov on [lowest, 1]; below it only the number of values counts."""
    u = np.sort(uniforms)
    n = len(u)
    first = int(np.searchsorted(u, lowest, side="right"))
    below = np.arange(first, n) / n
    distance = np.concatenate(([first / n - lowest], below + 1 / n - u[first:], u[first:] - below)).max()
    return float(special.kolmogorov(distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))))


def correlation_p(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """Of two uniforms: for independent ones the mean of 12 (u - 1/2)(v - 1/2) has mean 0 and variance 1 / n."""
    n = sum(len(u) for u, _ in pairs)
    return normal_p(12 * sum(float((u - 0.5) @ (v - 0.5)) for u, v in pairs) / math.sqrt(n))


# Samples


@dataclass(frozen=True)
class Sample:
    """Arrival times (or draws) by replicate; opens: the number of the one that opens each block, but the first."""

    times_s: tuple[FloatArray, ...]
    opens: tuple[IntArray, ...]

    @classmethod
    def of(cls, process: ArrivalProcess, seed: int, replicates: int) -> Sample:
        return cls.of_blocks([process.blocks(seed, replicate) for replicate in range(replicates)])

    @classmethod
    def of_blocks(cls, by_replicate: Iterable[Iterable[FloatArray]]) -> Sample:
        blocks = [[block for block in replicate if len(block)] for replicate in by_replicate]
        return cls(
            tuple(np.concatenate(replicate) for replicate in blocks),
            tuple(np.cumsum([len(block) for block in replicate[:-1]], dtype=np.int64) for replicate in blocks),
        )


@dataclass(frozen=True)
class Observed:
    """A sample beside the law it should follow."""

    sample: Sample
    law: Law

    @cached_property
    def uniforms(self) -> list[FloatArray]:
        return self.law.uniforms(self.sample.times_s)

    def rate(self) -> float:
        mean, variance = self.law.total()
        counts = np.array([len(t) for t in self.sample.times_s])
        return normal_p((counts.sum() - len(counts) * mean) / math.sqrt(len(counts) * variance))

    def dispersion(self, window: float) -> float:
        """Windows that are expected to hold `window` arrivals, once the process has settled."""
        first, last = self.law.expected(np.array([SETTLED_S, self.law.duration_s]))
        edges = np.arange(first, last, window)
        counts = [np.diff(np.searchsorted(self.law.expected(t), edges)) for t in self.sample.times_s]
        squares = np.array([((c - window) ** 2).mean() for c in counts])
        return float(scatter_p(squares, self.law.window_variance(window)))

    def gaps(self) -> float:
        return kolmogorov_p(np.concatenate(self.uniforms), self.law.lowest)

    def phase(self) -> float:
        """Counts in each twentieth of the second, all seconds together."""
        counts = [
            np.bincount((t[t >= SETTLED_S] % 1 * CELLS).astype(int), minlength=CELLS) for t in self.sample.times_s
        ]
        grid = self.law.expected(np.arange(SETTLED_S * CELLS, self.law.duration_s * CELLS + 0.5) / CELLS)
        expected = np.diff(grid).reshape(-1, CELLS).sum(axis=0)
        return cells_p(np.array(counts, dtype=float), expected / expected.sum())

    def course(self) -> float:
        """Counts in each twentieth of the duration after the start."""
        edges = np.linspace(SETTLED_S, self.law.duration_s, CELLS + 1)
        counts = [np.diff(np.searchsorted(t, edges)) for t in self.sample.times_s]
        expected = np.diff(self.law.expected(edges))
        return cells_p(np.array(counts, dtype=float), expected / expected.sum())


def neighbours_p(uniforms: Sequence[FloatArray]) -> float:
    return correlation_p([(u[:-1], u[1:]) for u in uniforms])


def borders_p(uniforms: Sequence[FloatArray], opens: Sequence[IntArray]) -> float:
    """The draws that open a block: their distribution, and that they do not follow from the draw before."""
    opening = [u[o] for u, o in zip(uniforms, opens, strict=True)]
    before = [u[o - 1] for u, o in zip(uniforms, opens, strict=True)]
    return smallest_p([kolmogorov_p(np.concatenate(opening)), correlation_p(list(zip(before, opening, strict=True)))])


def blocks_p(uniforms: Sequence[FloatArray], opens: Sequence[IntArray]) -> float:
    """Each block beside the next, place by place."""
    pairs = []
    for u, o in zip(uniforms, opens, strict=True):
        blocks = np.split(u, o)
        pairs += [_side_by_side(a, b) for a, b in itertools.pairwise(blocks)]
    return correlation_p(pairs)


def replicates_p(uniforms: Sequence[FloatArray]) -> float:
    """Each replicate beside the next, place by place."""
    return correlation_p([_side_by_side(a, b) for a, b in itertools.pairwise(uniforms)])


def _side_by_side(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    n = min(len(a), len(b))
    return a[:n], b[:n]


COUNT_CHECKS: dict[str, Callable[[Observed], float]] = {
    "rate": Observed.rate,
    "dispersion, short windows": lambda seen: seen.dispersion(5.0),
    "dispersion, long windows": lambda seen: seen.dispersion(100.0),
    "phase": Observed.phase,
    "course": Observed.course,
}
GAP_CHECKS: dict[str, Callable[[Observed], float]] = {
    "gaps": Observed.gaps,
    "neighbours": lambda seen: neighbours_p(seen.uniforms),
    "replicates": lambda seen: replicates_p(seen.uniforms),
}
BLOCK_CHECKS: dict[str, Callable[[Observed], float]] = {
    "borders": lambda seen: borders_p(seen.uniforms, seen.sample.opens),
    "blocks": lambda seen: blocks_p(seen.uniforms, seen.sample.opens),
}
CHECKS = COUNT_CHECKS | GAP_CHECKS | BLOCK_CHECKS
