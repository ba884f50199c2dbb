"""Distributions of times: what is drawn has the mean, the CV and the shape that was asked for."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from planner.draws import Stream, block_generator
from planner.errors import InputError
from planner.model import FloatArray
from planner.service import (
    Deterministic,
    Distribution,
    Empirical,
    Exponential,
    FromTrace,
    Gamma,
    Lognormal,
    Scaled,
)

N = 100_000
P = 1e-4


def draws(distribution: Distribution, n: int = N) -> FloatArray:
    return distribution.draw(block_generator(20261122, 0, Stream.SERVICE, 0), n)


def lognormal(mean_s: float, cv: float) -> stats.distributions.rv_frozen:
    sigma = np.sqrt(np.log1p(cv**2))
    return stats.lognorm(sigma, scale=mean_s / np.sqrt(1 + cv**2))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (Exponential(0.2), stats.expon(scale=0.2)),
        (Lognormal(0.12, 0.6), lognormal(0.12, 0.6)),
        (Lognormal(35.0, 2.0), lognormal(35.0, 2.0)),
        (Gamma(0.25, 0.5), stats.gamma(4, scale=0.25 / 4)),
        (Gamma(0.25, 2.0), stats.gamma(0.25, scale=1.0)),
    ],
    ids=lambda value: value.describe() if hasattr(value, "describe") else "",
)
def test_draws_have_the_distribution(distribution: Distribution, expected: stats.distributions.rv_frozen) -> None:
    """Kolmogorov-Smirnov at p = 1e-4 on 100,000 draws: sees a distance of 0.7 %. Mean and CV are scipy's own."""
    cdf: Any = expected.cdf
    assert stats.kstest(draws(distribution), cdf).pvalue > P
    assert expected.mean() == pytest.approx(distribution.mean_s, rel=1e-12)
    assert expected.std() / expected.mean() == pytest.approx(distribution.cv, rel=1e-9)


def test_a_constant_time() -> None:
    assert set(draws(Deterministic(0.3), 10).tolist()) == {0.3}
    assert (Deterministic(0.0).mean_s, Deterministic(0.3).cv) == (0.0, 0.0)


@pytest.mark.statistical
def test_measured_times_are_drawn_equally_often() -> None:
    """Chi-square of four values at p = 1e-4 on 100,000 draws: sees one of them 3 % too rare."""
    values = np.array([0.1, 0.2, 0.4, 0.8])
    measured = Empirical(values)
    assert measured.mean_s == pytest.approx(0.375)
    assert measured.cv == pytest.approx(values.std() / 0.375)
    found, times = np.unique(draws(measured), return_counts=True)
    assert found.tolist() == values.tolist()
    assert stats.chisquare(times).pvalue > P


def test_measured_times_do_not_change_with_the_array_they_came_from() -> None:
    values = np.array([1.0, 2.0])
    measured = Empirical(values)
    values[0] = 99
    assert measured.values_s.tolist() == [1.0, 2.0]


def test_a_scaled_distribution_draws_the_same_numbers_times_a_factor() -> None:
    base = Lognormal(0.12, 0.6)
    scaled = Scaled(base, 1.5)
    assert draws(scaled) == pytest.approx(1.5 * draws(base))
    assert scaled.mean_s == pytest.approx(0.18)
    assert scaled.cv == 0.6


def test_times_from_a_trace() -> None:
    measured = FromTrace(np.array([0.1, 0.3]), "tokens")
    assert measured.mean_s == pytest.approx(0.2)
    assert measured.cv == pytest.approx(0.5)
    assert "tokens" in measured.describe()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Deterministic(-1.0),
        lambda: Deterministic(float("nan")),
        lambda: Exponential(0.0),
        lambda: Lognormal(1.0, 0.0),
        lambda: Lognormal(-1.0, 1.0),
        lambda: Gamma(1.0, float("inf")),
        lambda: Empirical(np.empty(0)),
        lambda: Empirical(np.array([1.0, -1.0])),
        lambda: FromTrace(np.array([1.0, np.nan]), "trace"),
    ],
)
def test_impossible_distributions_cannot_be_made(make: object) -> None:
    with pytest.raises(InputError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (Exponential(0.2), stats.expon(scale=0.2)),
        (Lognormal(0.12, 0.6), lognormal(0.12, 0.6)),
        (Gamma(0.25, 0.5), stats.gamma(4, scale=0.25 / 4)),
        (Gamma(0.25, 2.0), stats.gamma(0.25, scale=1.0)),
        (Scaled(Exponential(0.2), 3.0), stats.expon(scale=0.6)),
    ],
    ids=lambda value: value.describe() if hasattr(value, "describe") else "",
)
@pytest.mark.parametrize("limit_s", [0.0, 0.1, 0.5, 2.0])
def test_the_share_above_a_limit_is_scipys(
    distribution: Distribution, expected: stats.distributions.rv_frozen, limit_s: float
) -> None:
    assert distribution.share_above(limit_s) == pytest.approx(expected.sf(limit_s), rel=1e-9, abs=1e-300)


def test_the_share_of_given_times_above_a_limit_is_counted() -> None:
    times = np.array([0.1, 0.2, 0.2, 0.4])
    for given in (Empirical(times), FromTrace(times, "trace")):
        assert [given.share_above(limit) for limit in (0.0, 0.1, 0.2, 0.4)] == [1.0, 0.75, 0.25, 0.0]
    assert [Deterministic(0.3).share_above(limit) for limit in (0.2, 0.3)] == [1.0, 0.0]
    assert Scaled(Deterministic(0.3), 0.0).share_above(0.0) == 0.0
    assert FromTrace(np.empty(0), "trace").share_above(1.0) == 0.0
