"""Distributions of positive times: service times and cold starts.

A distribution maps a generator to n draws; which generator is `planner.draws`' business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray

SMALLEST_CV, LARGEST_CV = 1e-3, 100.0
"""Beyond these the shape of a gamma or the exponent of a lognormal leaves what a float can hold."""


class Distribution(Protocol):
    """A distribution of times in seconds."""

    @property
    def mean_s(self) -> float: ...

    @property
    def cv(self) -> float:
        """Standard deviation over mean; 0 exactly where every draw is the same."""
        ...

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        """n independent times, shape (n,)."""
        ...

    def share_above(self, limit_s: float) -> float:
        """The probability of a longer time. limit_s: at least 0."""
        ...

    def describe(self) -> str: ...


@dataclass(frozen=True)
class Deterministic:
    mean_s: float
    cv: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean_s) and self.mean_s >= 0):
            raise InputError(f"mean = {self.mean_s}, must be at least 0")

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        return np.full(n, self.mean_s)

    def share_above(self, limit_s: float) -> float:
        return float(self.mean_s > limit_s)

    def describe(self) -> str:
        return f"constant {self.mean_s:g} s"


@dataclass(frozen=True)
class Exponential:
    mean_s: float
    cv: float = 1.0

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        return generator.standard_exponential(n) * self.mean_s

    def share_above(self, limit_s: float) -> float:
        return math.exp(-limit_s / self.mean_s)

    def describe(self) -> str:
        return f"exponential, mean {self.mean_s:g} s"


@dataclass(frozen=True)
class Lognormal:
    """Lognormal by mean and CV: sigma^2 = ln(1 + cv^2), mu = ln(mean) - sigma^2 / 2."""

    mean_s: float
    cv: float

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)
        _check_cv(self.cv)

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        variance = math.log1p(self.cv**2)
        log_mean = math.log(self.mean_s) - variance / 2
        return np.asarray(np.exp(log_mean + math.sqrt(variance) * generator.standard_normal(n)))

    def share_above(self, limit_s: float) -> float:
        if limit_s <= 0:
            return 1.0
        variance = math.log1p(self.cv**2)
        log_mean = math.log(self.mean_s) - variance / 2
        return math.erfc((math.log(limit_s) - log_mean) / math.sqrt(2 * variance)) / 2

    def describe(self) -> str:
        return f"lognormal, mean {self.mean_s:g} s, CV {self.cv:g}"


@dataclass(frozen=True)
class Gamma:
    """Gamma by mean and CV: shape 1 / cv^2."""

    mean_s: float
    cv: float

    def __post_init__(self) -> None:
        _check_mean(self.mean_s)
        _check_cv(self.cv)

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        shape = 1 / self.cv**2
        return generator.standard_gamma(shape, n) * (self.mean_s / shape)

    def share_above(self, limit_s: float) -> float:
        from scipy.special import gammaincc  # takes longer to import than most commands that read a scenario

        shape = 1 / self.cv**2
        return float(gammaincc(shape, limit_s * shape / self.mean_s))

    def describe(self) -> str:
        return f"gamma, mean {self.mean_s:g} s, CV {self.cv:g}"


@dataclass(frozen=True)
class Empirical:
    """Draws with replacement from measured times. values_s: shape (m,), m >= 1, none negative."""

    values_s: FloatArray

    def __post_init__(self) -> None:
        values = np.array(self.values_s, dtype=np.float64)
        if len(values) == 0:
            raise InputError("values is empty, needs at least one time")
        if len(bad := np.flatnonzero(~(np.isfinite(values) & (values >= 0)))):
            raise InputError(f"values[{bad[0]}] = {values[bad[0]]}, must be at least 0")
        values.flags.writeable = False
        object.__setattr__(self, "values_s", values)

    @property
    def mean_s(self) -> float:
        return float(self.values_s.mean())

    @property
    def cv(self) -> float:
        return float(self.values_s.std() / self.values_s.mean()) if np.ptp(self.values_s) > 0 else 0.0

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        return np.asarray(self.values_s[generator.integers(0, len(self.values_s), n)])

    def share_above(self, limit_s: float) -> float:
        return float(np.mean(self.values_s > limit_s))

    def describe(self) -> str:
        return f"empirical, {len(self.values_s)} values, mean {self.mean_s:g} s"


@dataclass(frozen=True)
class Scaled:
    """Another distribution with every time multiplied by `factor`."""

    base: Distribution
    factor: float

    @property
    def mean_s(self) -> float:
        return self.base.mean_s * self.factor

    @property
    def cv(self) -> float:
        return self.base.cv

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        return self.base.draw(generator, n) * self.factor

    def share_above(self, limit_s: float) -> float:
        return self.base.share_above(limit_s / self.factor) if self.factor > 0 else 0.0

    def describe(self) -> str:
        return f"{self.base.describe()}, times {self.factor:g}"


@dataclass(frozen=True)
class FromTrace:
    """Each request's own time, carried by the trace; `source` says how it was made ("tokens" or "trace")."""

    times_s: FloatArray
    source: str

    def __post_init__(self) -> None:
        if len(bad := np.flatnonzero(~(np.isfinite(self.times_s) & (self.times_s >= 0)))):
            raise InputError(f"service time of request {bad[0]} = {self.times_s[bad[0]]}, must be at least 0")

    @property
    def mean_s(self) -> float:
        return float(np.mean(self.times_s)) if len(self.times_s) else 0.0

    @property
    def cv(self) -> float:
        return float(np.std(self.times_s) / np.mean(self.times_s)) if np.any(self.times_s) else 0.0

    def share_above(self, limit_s: float) -> float:
        """The share of the trace's requests that take longer."""
        return float(np.mean(self.times_s > limit_s)) if len(self.times_s) else 0.0

    def describe(self) -> str:
        return f"from the {self.source}, {len(self.times_s)} requests, mean {self.mean_s:.3g} s"


ServiceTime = Distribution | FromTrace


def _check_mean(mean_s: float) -> None:
    if not (math.isfinite(mean_s) and mean_s > 0):
        raise InputError(f"mean = {mean_s}, must be above 0")


def _check_cv(cv: float) -> None:
    if not SMALLEST_CV <= cv <= LARGEST_CV:
        raise InputError(f"cv = {cv}, must be from {SMALLEST_CV:g} to {LARGEST_CV:g} (use `deterministic` for 0)")
