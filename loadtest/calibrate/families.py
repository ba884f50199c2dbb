"""Which distribution measured times have: the simplest that a Kolmogorov-Smirnov test does not reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.model import FloatArray
from planner.service import Deterministic, Distribution, Empirical, Exponential, Gamma, Lognormal

CONSTANT_CV = 0.02
"""Times that spread less than this are called constant: a worker that sleeps oversleeps by up to 1 %."""

REJECTED_BELOW = 0.01
"""Of the p-value. The fit is to the same times, so the distance is ranked among those of samples of the fit, each
fitted anew (Lilliefors); the textbook p-value would hardly ever reject."""

RESAMPLES = 199
LARGEST_SAMPLE = 2000
"""Times that are compared, evenly spread over the run: more would reject any family for a difference of no weight."""

MOST_VALUES = 5000
"""Measured times kept where no family fits."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A family at the measured mean and CV. p_value: None where nothing is tested (constant, empirical)."""

    family: str
    distance: float | None
    p_value: float | None


def choose(values: FloatArray, cv_holds_one: bool, before: Distribution) -> tuple[Fit, list[Fit]]:
    """The family of `values`, and every fit that was tried.

    constant below CONSTANT_CV; else the family of `before` if it is not rejected; else exponential where the interval
    of the CV holds 1; else lognormal or gamma, whichever is nearer; else the measured times themselves.
    """
    if values.std() <= CONSTANT_CV * values.mean():
        return Fit(family="deterministic", distance=None, p_value=None), []
    sample = _thinned(values, LARGEST_SAMPLE)
    if sample.std() <= CONSTANT_CV * sample.mean():  # times in a regular pattern that the thinning meets
        return Fit(family="empirical", distance=None, p_value=None), []
    fits = [_test(name, sample) for name in ("lognormal", "gamma")]
    if cv_holds_one:
        fits.append(_test("exponential", sample))
    kept = [fit for fit in fits if fit.p_value is not None and fit.p_value >= REJECTED_BELOW]
    own = [fit for fit in kept if fit.family == family_of(before)]
    simple = [fit for fit in kept if fit.family == "exponential"]
    nearest = sorted(kept, key=lambda fit: fit.distance or 0.0)
    for candidates in (own, simple, nearest):
        if candidates:
            return candidates[0], fits
    return Fit(family="empirical", distance=None, p_value=None), fits


def family_of(distribution: object) -> str:
    return type(distribution).__name__.lower()


def made(family: str, mean_s: float, cv: float, values_s: tuple[float, ...] = ()) -> Distribution:
    """A distribution by family, mean and CV."""
    if family == "empirical":
        return Empirical(np.array(values_s))
    makers: dict[str, Callable[[], Distribution]] = {
        "deterministic": lambda: Deterministic(mean_s),
        "exponential": lambda: Exponential(mean_s),
        "lognormal": lambda: Lognormal(mean_s, cv),
        "gamma": lambda: Gamma(mean_s, cv),
    }
    return makers[family]()


def kept_values(values: FloatArray) -> tuple[float, ...]:
    """The times that stand for all: every one, or as many quantiles."""
    if len(values) > MOST_VALUES:
        values = np.quantile(values, (np.arange(MOST_VALUES) + 0.5) / MOST_VALUES)
    return tuple(float(value) for value in np.sort(values).round(9))


def _thinned(values: FloatArray, most: int) -> FloatArray:
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).astype(np.int64)]


def _test(family: str, sample: FloatArray) -> Fit:
    generator = np.random.default_rng(len(sample))
    n = len(sample)
    distance = _distance(family, sample)
    fitted = made(family, float(sample.mean()), float(sample.std(ddof=1) / sample.mean()))
    others = [_distance(family, fitted.draw(generator, n)) for _ in range(RESAMPLES)]
    beyond = int(np.sum(np.array(others) >= distance))
    return Fit(family=family, distance=distance, p_value=(1 + beyond) / (RESAMPLES + 1))


def _distance(family: str, sample: FloatArray) -> float:
    """Largest distance between the sample's distribution function and that of the family, fitted by mean and CV."""
    from scipy.special import gammainc, ndtr

    ordered = np.sort(sample)
    n, mean_s = len(ordered), float(ordered.mean())
    cv = float(ordered.std(ddof=1)) / mean_s
    if family == "exponential":
        expected = -np.expm1(-ordered / mean_s)
    elif family == "gamma":
        expected = gammainc(1 / cv**2, ordered / (mean_s * cv**2))
    else:
        variance = np.log1p(cv**2)
        expected = ndtr((np.log(np.maximum(ordered, 1e-300) / mean_s) + variance / 2) / np.sqrt(variance))
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))
