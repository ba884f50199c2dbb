"""The surrogate against a slow twin written from the formulas of kriging, and against functions that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planner.model import FloatArray
from planner.plan.surrogate import SHARED, SMALLEST_NOISE, TREND_VARIANCE, Fit, Surrogate


class Twin:
    """y = a + b.(x - 1/2) + f(x) + e, with a and b normal of variance TREND_VARIANCE, f a Gaussian process with a
    Matern 5/2 kernel and e correlated: conditioned by inverting the whole covariance."""

    def __init__(self, x: FloatArray, y: FloatArray, errors: FloatArray, runs: FloatArray, fit: Fit) -> None:
        self.x, self.y, self.fit = x, y, fit
        self.noise = np.array([[self._noise(errors, runs, i, j) for j in range(len(x))] for i in range(len(x))])
        self.inverse = np.linalg.inv(self._covariances(x, x) + self.noise)
        self.widen = self._widen()

    @staticmethod
    def _noise(errors: FloatArray, runs: FloatArray, i: int, j: int) -> float:
        if i == j:
            return float(errors[i] ** 2)
        few, many = sorted((runs[i], runs[j]))
        return float(SHARED * math.sqrt(few / many) * errors[i] * errors[j])

    def _covariances(self, a: FloatArray, b: FloatArray) -> FloatArray:
        return np.array([[self._covariance(p, q) for q in b] for p in a])

    def _covariance(self, p: FloatArray, q: FloatArray) -> float:
        r = math.sqrt(5 * sum(((u - v) / length) ** 2 for u, v, length in zip(p, q, self.fit.lengths, strict=True)))
        matern = self.fit.amplitude * (1 + r + r * r / 3) * math.exp(-r)
        return matern + TREND_VARIANCE * (1 + sum((u - 0.5) * (v - 0.5) for u, v in zip(p, q, strict=True)))

    def _widen(self) -> float:
        """Each point is left out in its turn, and predicted from the rest, noise and all."""
        whole = self._covariances(self.x, self.x) + self.noise
        squares = []
        for i in range(len(self.y)):
            rest = [j for j in range(len(self.y)) if j != i]
            gain = whole[i, rest] @ np.linalg.inv(whole[np.ix_(rest, rest)])
            variance = whole[i, i] - gain @ whole[rest, i]
            squares.append((self.y[i] - gain @ self.y[rest]) ** 2 / variance)
        return max(1.0, math.sqrt(sum(squares) / len(squares)))

    def conditioned(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        cross = self._covariances(points, self.x)
        covariance = self._covariances(points, points) - cross @ self.inverse @ cross.T
        return cross @ self.inverse @ self.y, covariance * self.widen**2


def example(seed: int, n: int, d: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    generator = np.random.default_rng(seed)
    x = generator.random((n, d))
    y = 2 * x[:, 0] - np.sin(5 * x[:, -1]) + generator.normal(0, 0.1, n)
    return x, y, generator.uniform(0.05, 0.4, n), generator.choice([4.0, 20.0, 80.0], n)


FITS = [Fit(0.5, np.array([0.3, 0.7])), Fit(3.0, np.array([2.0, 0.2])), Fit(0.01, np.array([5.0, 5.0]))]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("fit", FITS)
def test_guesses_are_those_of_the_twin(seed: int, fit: Fit) -> None:
    x, y, errors, runs = example(seed, 20, 2)
    points = np.random.default_rng(seed + 10).random((15, 2))
    surrogate, twin = Surrogate(x, y, errors, runs, fit), Twin(x, y, errors, runs, fit)
    guess = surrogate.guess(points)
    mean, covariance = twin.conditioned(points)
    assert guess.mean == pytest.approx(mean, rel=1e-4, abs=1e-5)
    assert guess.sd == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-4)
    assert surrogate.fit is fit


def test_a_fit_that_is_too_sure_is_widened() -> None:
    """The twin leaves out each point in its turn; noise that is far too small shows in them."""
    x, y, errors, runs = example(3, 25, 2)
    y = y + np.random.default_rng(4).normal(0, 1.0, 25)
    fit = Fit(0.05, np.array([3.0, 3.0]))
    twin = Twin(x, y, errors * 0.3, runs, fit)
    assert twin.widen > 2
    points = np.random.default_rng(5).random((5, 2))
    expected = np.sqrt(np.diag(twin.conditioned(points)[1]))
    assert Surrogate(x, y, np.maximum(errors * 0.3, 0), runs, fit, smallest_noise=0.0).guess(
        points
    ).sd == pytest.approx(expected, rel=1e-4)


def test_draws_have_the_mean_and_the_covariance_of_the_guess() -> None:
    """20,000 joint draws: a covariance is known to 1 % of the variances, a mean to 1 % of its deviation. 4 errors."""
    x, y, errors, runs = example(6, 15, 2)
    fit = FITS[0]
    surrogate, twin = Surrogate(x, y, errors, runs, fit), Twin(x, y, errors, runs, fit)
    points = np.random.default_rng(7).random((6, 2))
    drawn = surrogate.draws(points, np.random.default_rng(8).standard_normal((20_000, 6)))
    mean, covariance = twin.conditioned(points)
    sd = np.sqrt(np.diag(covariance))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 4 / math.sqrt(20_000)
    assert np.abs((np.cov(drawn.T) - covariance) / np.outer(sd, sd)).max() < 4 * math.sqrt(2 / 20_000)
    assert surrogate.guess(points).sd == pytest.approx(drawn.std(axis=0), rel=0.03)
    assert not np.allclose(covariance, np.diag(sd**2), atol=0.05 * float(sd.max()) ** 2)  # they do hang together


def test_nothing_is_drawn_away_from_the_guess() -> None:
    x, y, errors, runs = example(6, 15, 2)
    surrogate = Surrogate(x, y, errors, runs, FITS[1])
    points = np.random.default_rng(7).random((4, 2))
    assert surrogate.draws(points, np.zeros((3, 4))) == pytest.approx(np.tile(surrogate.guess(points).mean, (3, 1)))


# Noise


def test_noise_that_all_share_does_not_average_out() -> None:
    """Forty settings at one place, all with an error of 0.3: together as sure as one of them, but for a tenth."""
    fit = Fit(1.0, np.array([0.5]))
    near = np.full((40, 1), 0.5)
    same_runs = Surrogate(near, np.zeros(40), np.full(40, 0.3), np.full(40, 20.0), fit)
    sd = float(same_runs.guess(np.array([[0.5]])).sd[0])
    assert sd == pytest.approx(0.3 * math.sqrt(SHARED + 0.1 / 40), rel=0.01)
    assert sd > 5 * 0.3 / math.sqrt(40)


def test_runs_that_only_one_has_are_its_own() -> None:
    """A setting with 16 times the runs of another shares a quarter of what it could."""
    fit = Fit(1.0, np.array([0.5]))
    x, errors = np.full((2, 1), 0.5), np.array([0.4, 0.1])
    shared = Surrogate(x, np.zeros(2), errors, np.array([10.0, 160.0]), fit).guess(x[:1]).sd[0]
    weight_covariance = SHARED / 4 * 0.4 * 0.1
    best = (0.16 * 0.01 - weight_covariance**2) / (0.16 + 0.01 - 2 * weight_covariance)
    assert shared == pytest.approx(math.sqrt(best), rel=0.01)


def test_a_known_value_is_known_no_better_than_the_smallest_noise() -> None:
    x = np.array([[0.2], [0.8]])
    fit = Fit(1.0, np.array([0.5]))
    exact = Surrogate(x, np.array([1.0, -1.0]), np.zeros(2), np.full(2, 20.0), fit).guess(x)
    assert exact.sd == pytest.approx([SMALLEST_NOISE] * 2, rel=0.05)
    assert exact.mean == pytest.approx([1.0, -1.0], abs=0.01)
    finer = Surrogate(x, np.array([1.0, -1.0]), np.zeros(2), np.full(2, 20.0), fit, smallest_noise=1e-3).guess(x)
    assert finer.sd == pytest.approx([1e-3] * 2, rel=0.05)


# What it is for


def surface(kind: int, x: FloatArray) -> FloatArray:
    """Smooth functions like those of log(503 fraction): slopes, a saturation, a bend."""
    a, b, c = x.T
    return np.asarray(
        [
            6 - 9 * a - 2 * b,
            3 - 6 * np.tanh(2 * a) + 2 * b * c,
            np.maximum(-3.0, 4 - 8 * a - 3 * b * (1 - c)),
            np.log1p(np.exp(6 - 10 * a + 2 * c)) - 2,
            3 * np.cos(2 * a) + b**2 - 2 * c,
        ][kind]
    )


@pytest.mark.parametrize("kind", range(5))
def test_its_spread_is_that_of_its_errors(kind: int) -> None:
    """40 noisy values of one surface, eight designs, 60 points each. Correlated errors of 0.15 move all points of a
    design together, so a coverage of 95 % shows as 80 % and more in each surface; a spread three times too wide would
    hold nearly all within 1 sd."""
    inside_2, inside_1 = [], []
    for seed in range(8):
        generator = np.random.default_rng(100 * kind + seed)
        x, points = generator.random((40, 3)), generator.random((60, 3))
        noise = 0.15 * (math.sqrt(SHARED) * generator.normal() + math.sqrt(1 - SHARED) * generator.standard_normal(40))
        guess = Surrogate(x, surface(kind, x) + noise, np.full(40, 0.15), np.full(40, 20.0)).guess(points)
        off = np.abs(guess.mean - surface(kind, points)) / guess.sd
        inside_2.append(np.mean(off < 1.96))
        inside_1.append(np.mean(off < 0.5))
    assert np.mean(inside_2) > 0.8
    assert np.mean(inside_1) < 0.85


def test_lengths_follow_the_function() -> None:
    """What one coordinate does not change has the longer length, and the guess does not depend on it."""
    generator = np.random.default_rng(11)
    x = generator.random((40, 2))
    surrogate = Surrogate(x, np.sin(6 * x[:, 0]), np.full(40, 0.02), np.full(40, 20.0))
    assert surrogate.fit.lengths[1] > 3 * surrogate.fit.lengths[0]
    across = surrogate.guess(np.column_stack((np.full(5, 0.4), np.linspace(0, 1, 5))))
    assert across.mean == pytest.approx(np.full(5, math.sin(2.4)), abs=0.1)


def test_far_from_everything_it_is_unsure() -> None:
    x = np.random.default_rng(12).random((30, 2)) * 0.3
    guess = Surrogate(x, np.sin(8 * x[:, 0]), np.full(30, 0.02), np.full(30, 20.0)).guess(
        np.array([[0.15, 0.15], [1, 1]])
    )
    assert guess.sd[1] > 5 * guess.sd[0]


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_values_are_enough_to_guess(n: int) -> None:
    x = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])[:n]
    guess = Surrogate(x, np.ones(n), np.full(n, 0.1), np.full(n, 20.0)).guess(np.array([[0.5, 0.0, 0.0, 0.0]]))
    assert np.isfinite(guess.mean).all()
    assert guess.sd[0] > 0.1
