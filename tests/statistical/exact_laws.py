"""Exact laws of arrival processes: what is known of a process without simulating it. Shares no code with `planner`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy import special

from planner.model import FloatArray


class Law(Protocol):
    """A process, seen from outside."""

    @property
    def duration_s(self) -> float: ...

    @property
    def lowest(self) -> float:
        """Gaps below this quantile are lost in the rounding of the times."""
        ...

    def expected(self, t_s: FloatArray) -> FloatArray:
        """Mean number of arrivals in [0, t) of the process had it always been running."""
        ...

    def total(self) -> tuple[float, float]:
        """Mean and variance of the number of arrivals in [0, duration)."""
        ...

    def window_variance(self, mean: float) -> float:
        """Variance of the number of arrivals in a window that is expected to hold `mean`, long after the start."""
        ...

    def uniforms(self, times_s: Sequence[FloatArray]) -> list[FloatArray]:
        """By replicate: each gap's distribution function, given the arrivals before it, at that gap.

        For the right law these are independent and uniform on [0, 1] (Rosenblatt 1952).
        """
        ...


@dataclass(frozen=True)
class RenewalLaw:
    """Gamma gaps of mean 1 and that CV, in the time of a rate that is linear between edges; ordinary from time 0."""

    edges_s: tuple[float, ...]
    left_rps: tuple[float, ...]
    right_rps: tuple[float, ...]
    cv: float

    @property
    def duration_s(self) -> float:
        return self.edges_s[-1]

    @property
    def shape(self) -> float:
        return 1 / self.cv**2

    @property
    def lowest(self) -> float:
        return float(special.gammainc(self.shape, self.shape * 1e-9)) if self.cv > 1 else 0.0

    def expected(self, t_s: FloatArray) -> FloatArray:
        """Piece by piece, the trapezium between its start and t."""
        reached = np.zeros_like(t_s)
        for start, end, left, right in zip(self.edges_s, self.edges_s[1:], self.left_rps, self.right_rps, strict=False):
            share = np.clip((t_s - start) / (end - start), 0.0, 1.0)
            reached += (end - start) * share * (left + (right - left) * share / 2)
        return reached

    def total(self) -> tuple[float, float]:
        """P(N >= n) is the distribution function of the sum of n gaps."""
        mean = float(self.expected(np.array([self.duration_s]))[0])
        n = np.arange(1, mean + 12 * self.cv * math.sqrt(mean) + 50 * max(1.0, self.cv**2))
        at_least = special.gammainc(n * self.shape, mean * self.shape)
        first, second = float(at_least.sum()), float(((2 * n - 1) * at_least).sum())
        return first, second - first**2

    def window_variance(self, mean: float) -> float:
        """w + 2 int_0^w M(u) du - w^2 for unit-mean gaps, M = sum of F_n the ordinary renewal function (Cox 1962).

        F_n, of the sum of n gaps, is a gamma; its integral is w F_n(w) - n F'_n(w), F'_n with one more in the shape.
        """
        n = np.arange(1, mean + 20 * self.cv * math.sqrt(mean) + 100 * max(1.0, self.cv**2))
        a, x = n * self.shape, mean * self.shape
        integral = (mean * special.gammainc(a, x) - n * special.gammainc(a + 1, x)).sum()
        return float(mean + 2 * integral - mean**2)

    def uniforms(self, times_s: Sequence[FloatArray]) -> list[FloatArray]:
        gaps = [np.maximum(np.diff(self.expected(t), prepend=0.0), 0.0) for t in times_s]
        if self.cv == 1:
            return [-np.expm1(-g) for g in gaps]
        return [np.asarray(special.gammainc(self.shape, self.shape * g), dtype=float) for g in gaps]


@dataclass(frozen=True)
class MarkovLaw:
    """MMPP as a Markovian arrival process (D0 moves without an arrival, D1 with one), stationary from time 0."""

    rates_rps: tuple[float, ...]
    switching_per_s: tuple[float, ...]
    duration_s: float
    lowest: float = 0.0

    @cached_property
    def generator(self) -> FloatArray:
        switching = np.diag(self.switching_per_s)
        return np.asarray(np.roll(switching, 1, axis=1) - switching)

    @cached_property
    def stationary(self) -> FloatArray:
        """Solves pi Q = 0, pi 1 = 1."""
        m = len(self.rates_rps)
        return np.asarray(np.linalg.solve(self.generator.T + np.ones((m, m)), np.ones(m)), dtype=float)

    @property
    def mean_rps(self) -> float:
        return float(self.stationary @ np.array(self.rates_rps))

    def expected(self, t_s: FloatArray) -> FloatArray:
        return self.mean_rps * t_s

    def total(self) -> tuple[float, float]:
        mean = self.mean_rps * self.duration_s
        return mean, self.window_variance(mean)

    def window_variance(self, mean: float) -> float:
        """mean + 2 pi R (D t - D^2 (1 - e^{Qt})) R 1, R = diag(rates), D the deviation matrix of Q.

        D t - D^2 (1 - e^{Qt}) integrates (t - u)(e^{Qu} - 1 pi): the covariance of the rate over all pairs of times.
        """
        q, rates, t = self.generator, np.array(self.rates_rps), mean / self.mean_rps
        limit = np.tile(self.stationary, (len(rates), 1))
        deviation = np.linalg.inv(limit - q) - limit
        values, vectors = np.linalg.eig(q)
        moved = (vectors * np.exp(values * t)) @ np.linalg.inv(vectors)
        pairs = deviation * t - deviation @ deviation @ (np.eye(len(rates)) - moved)
        return float((mean + 2 * (self.stationary * rates) @ pairs @ rates).real)

    def uniforms(self, times_s: Sequence[FloatArray]) -> list[FloatArray]:
        """1 - alpha e^{D0 x} 1, alpha the probability of each phase given the arrivals before (a hidden Markov filter).

        In the basis of D0's eigenvectors, all replicates side by side.
        """
        lengths = [len(t) for t in times_s]
        gaps = np.zeros((max(lengths), len(times_s)))
        for replicate, t in enumerate(times_s):
            gaps[: len(t), replicate] = np.diff(t, prepend=0.0)
        rates = np.array(self.rates_rps)
        values, vectors = np.linalg.eig(self.generator - np.diag(rates))
        back = np.linalg.inv(vectors)
        on_arrival, ones = (back * rates) @ vectors, back.sum(axis=1)
        arrival = on_arrival @ ones
        phase = np.tile(self.stationary @ vectors, (len(times_s), 1))
        later = np.empty(gaps.shape)
        for i, decay in enumerate(np.exp(gaps[:, :, None] * values)):
            kept = phase * decay
            later[i] = (kept @ ones).real
            phase = (kept @ on_arrival) / (kept @ arrival)[:, None]
        return [1 - later[:n, replicate] for replicate, n in enumerate(lengths)]


@dataclass(frozen=True)
class CopiedLaw:
    """A Poisson trace in which each request has one copy, up to 1 s to either side."""

    rps: float
    duration_s: float
    lowest: float = 0.0

    def expected(self, t_s: FloatArray) -> FloatArray:
        return 2 * self.rps * t_s

    def total(self) -> tuple[float, float]:
        return 2 * self.rps * self.duration_s, 4 * self.rps * self.duration_s

    def window_variance(self, mean: float) -> float:
        """Rate x (2 w + twice the mean length of w from which a copy, at d uniform on [-1, 1], stays inside)."""
        w = mean / (2 * self.rps)
        both_inside = w - 0.5 if w >= 1 else w * w / 2
        return self.rps * (2 * w + 2 * both_inside)

    def uniforms(self, times_s: Sequence[FloatArray]) -> list[FloatArray]:
        raise NotImplementedError("pairs that overlap: the gaps have no law in closed form")
