"""Arrival rates over time. The cumulative rate is the primitive; the rate and its inverse follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray, IntArray

LARGEST_RATE_RPS = 1e7
"""Per second; far above what a router takes (5,000), and low enough that a cumulative rate keeps its precision."""


@dataclass(frozen=True)
class RateProfile:
    """A rate that is linear between `time_s[i]` and `time_s[i + 1]`, from `left_rps[i]` to `right_rps[i]`.

    time_s: n + 1 strictly increasing edges, the first 0. left_rps, right_rps: n rates at the two ends of each piece,
    not negative; a step is a difference between right_rps[i - 1] and left_rps[i]. Beyond the last edge there are no
    arrivals.
    """

    time_s: FloatArray
    left_rps: FloatArray
    right_rps: FloatArray

    def __post_init__(self) -> None:
        for name in ("time_s", "left_rps", "right_rps"):
            values = np.array(getattr(self, name), dtype=np.float64)
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if not len(self.time_s) == len(self.left_rps) + 1 == len(self.right_rps) + 1 >= 2:
            raise InputError("a rate profile needs one more edge than pieces, and at least one piece")
        if self.time_s[0] != 0:
            raise InputError(f"time_s[0] = {self.time_s[0]}, must be 0")
        if len(bad := np.flatnonzero(~(np.diff(self.time_s) > 0))):
            raise InputError(f"time_s[{bad[0] + 1}] = {self.time_s[bad[0] + 1]}, must be later than the edge before it")
        for name in ("left_rps", "right_rps"):
            values = getattr(self, name)
            if len(bad := np.flatnonzero(~((values >= 0) & (values <= LARGEST_RATE_RPS)))):
                raise InputError(f"{name}[{bad[0]}] = {values[bad[0]]}, must be from 0 to {LARGEST_RATE_RPS:g}")

    @classmethod
    def constant(cls, rps: float, duration_s: float) -> RateProfile:
        return cls(np.array([0.0, duration_s]), np.array([rps]), np.array([rps]))

    @cached_property
    def edge_count(self) -> FloatArray:
        """Expected arrivals up to each edge, shape (n + 1,)."""
        pieces = np.diff(self.time_s) * (self.left_rps + self.right_rps) / 2
        return np.concatenate(([0.0], np.cumsum(pieces)))

    def rate(self, t_s: FloatArray) -> FloatArray:
        """Rate per second at each time; 0 outside the profile."""
        t = np.asarray(t_s, dtype=np.float64)
        i = np.clip(np.searchsorted(self.time_s, t, side="right") - 1, 0, len(self.left_rps) - 1)
        share = (t - self.time_s[i]) / (self.time_s[i + 1] - self.time_s[i])
        inside = (t >= 0) & (t < self.time_s[-1])
        return np.where(inside, self.left_rps[i] + share * (self.right_rps[i] - self.left_rps[i]), 0.0)

    def cumulative(self, t_s: FloatArray) -> FloatArray:
        """Expected arrivals in [0, t)."""
        t = np.clip(np.asarray(t_s, dtype=np.float64), 0.0, self.time_s[-1])
        i = np.clip(np.searchsorted(self.time_s, t, side="right") - 1, 0, len(self.left_rps) - 1)
        dt = t - self.time_s[i]
        slope = (self.right_rps[i] - self.left_rps[i]) / (self.time_s[i + 1] - self.time_s[i])
        return np.asarray(self.edge_count[i] + dt * (self.left_rps[i] + slope * dt / 2))

    @cached_property
    def is_stepwise(self) -> bool:
        """Every piece has a constant rate."""
        return bool((self.left_rps == self.right_rps).all())

    def inverse(self, count: FloatArray) -> FloatArray:
        """The time at which each expected count is reached; infinite beyond the last edge. count: sorted, shape (n,).

        On a piece with rate a + s t the count c after dt solves c = a dt + s dt^2 / 2, of which
        dt = 2c / (a + sqrt(a^2 + 2 s c)) is the root that is stable for s near 0 and for a = 0.
        """
        count = np.asarray(count, dtype=np.float64)
        piece = self._pieces(count)
        a = self.left_rps[piece]
        since_edge = count - self.edge_count[piece]
        if self.is_stepwise and (a > 0).all():
            dt = since_edge / a
        else:
            slope = (self.right_rps[piece] - a) / (self.time_s[piece + 1] - self.time_s[piece])
            root = np.sqrt(np.maximum(a * a + 2 * slope * since_edge, 0.0))
            with np.errstate(divide="ignore", invalid="ignore"):
                dt = np.where(since_edge > 0, 2 * since_edge / (a + root), 0.0)
        times = np.minimum(self.time_s[piece] + dt, self.time_s[piece + 1])
        if len(count) and count[-1] > self.edge_count[-1]:
            times[count > self.edge_count[-1]] = np.inf
        return times

    def _pieces(self, count: FloatArray) -> IntArray:
        """The piece of each count, shape (n,), or (1,) where they share one."""
        edges = self.edge_count[1:-1]
        # side="left": a count that is reached exactly at an edge belongs to the piece before a silence.
        first, last = np.searchsorted(edges, count[[0, -1]], side="left") if len(count) else (0, 0)
        if first == last:
            return np.array([first])
        cuts = np.searchsorted(count, edges[first:last], side="right")
        return np.repeat(np.arange(first, last + 1), np.diff(np.concatenate(([0], cuts, [len(count)]))))
