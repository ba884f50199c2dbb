"""A smooth guess of what has not been simulated: a Gaussian process through what has, with its own uncertainty.

Kriging with a linear trend and a Matern 5/2 kernel, one lengthscale a coordinate, fitted by maximum likelihood
(Rasmussen & Williams, *Gaussian Processes for Machine Learning*, 2006, ch. 2, 4 and 5). Runs of different settings
share their random numbers, so their errors do not average out over settings: the noise is correlated. The predicted
spread is widened where the fit's own leave-one-out residuals are larger than it says.
Stops being right: jumps between neighbouring settings, of which the residuals tell only where something was simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from planner.model import FloatArray

SHARED = 0.9
"""Share of the noise that two settings with the same runs have in common."""

SMALLEST_NOISE = 0.02
"""Of a logarithm; below it a setting counts as known."""

TREND_VARIANCE = 9.0
USUAL_LENGTH = 0.7

CHUNK = 20_000
"""Points guessed at once, to bound the memory."""


@dataclass(frozen=True)
class Fit:
    """Hyperparameters: of the kernel on coordinates scaled to [0, 1]."""

    amplitude: float
    lengths: FloatArray


@dataclass(frozen=True)
class Guess:
    """Mean and standard deviation of the true values at some points, shape (m,)."""

    mean: FloatArray
    sd: FloatArray


class Surrogate:
    """Values at points x, shape (n, d), with standard errors and numbers of runs, shape (n,)."""

    def __init__(
        self,
        x: FloatArray,
        y: FloatArray,
        errors: FloatArray,
        runs: FloatArray,
        fit: Fit | None = None,
        smallest_noise: float = SMALLEST_NOISE,
    ) -> None:
        self._x = x
        self._basis = _basis(x)
        self._noise = _noise(np.maximum(errors, smallest_noise), runs)
        self._y = y
        self.fit = fit or _fitted(x, y, self._noise, self._basis)
        covariance = _covariance(x, x, self.fit) + self._noise + TREND_VARIANCE * self._basis @ self._basis.T
        self._factor = cho_factor(covariance + 1e-9 * np.eye(len(x)), lower=True)
        self._weights = cho_solve(self._factor, y)
        self._widen = self._widening()

    def _widening(self) -> float:
        """Root mean square of the standardized leave-one-out residuals, where it is above 1 (Dubrule 1983)."""
        inverse = cho_solve(self._factor, np.eye(len(self._y)))
        standardized = self._weights / np.sqrt(np.maximum(np.diag(inverse), 1e-12))
        return max(1.0, float(np.sqrt(np.mean(standardized**2))))

    def guess(self, x: FloatArray) -> Guess:
        """At points x, shape (m, d)."""
        pieces = [self._guess(x[i : i + CHUNK]) for i in range(0, max(1, len(x)), CHUNK)]
        return Guess(np.concatenate([p.mean for p in pieces]), np.concatenate([p.sd for p in pieces]))

    def _guess(self, x: FloatArray) -> Guess:
        cross = self._cross(x)
        mean = cross @ self._weights
        explained = np.einsum("ij,ji->i", cross, cho_solve(self._factor, cross.T))
        variance = self.fit.amplitude + TREND_VARIANCE * np.sum(_basis(x) ** 2, axis=1) - explained
        return Guess(np.asarray(mean), self._widen * np.sqrt(np.maximum(variance, 1e-12)))

    def draws(self, x: FloatArray, normals: FloatArray) -> FloatArray:
        """Joint draws of the true values at m points, shape (k, m), from standard normals of that shape."""
        cross = self._cross(x)
        mean = cross @ self._weights
        prior = _covariance(x, x, self.fit) + TREND_VARIANCE * _basis(x) @ _basis(x).T
        half = solve_triangular(self._factor[0], cross.T, lower=True)
        covariance = (prior - half.T @ half) * self._widen**2
        jitter = 1e-6 * np.trace(covariance) / len(x) + 1e-9
        root = cholesky(covariance + jitter * np.eye(len(x)), lower=True)
        return np.asarray(mean + normals @ root.T)

    def _cross(self, x: FloatArray) -> FloatArray:
        return np.asarray(_covariance(x, self._x, self.fit) + TREND_VARIANCE * _basis(x) @ self._basis.T)


def _basis(x: FloatArray) -> FloatArray:
    """Constant and slopes, shape (n, d + 1)."""
    return np.column_stack((np.ones(len(x)), x - 0.5))


def _noise(errors: FloatArray, runs: FloatArray) -> FloatArray:
    """Covariance of the errors of averages over the first runs of one sequence of random numbers, shape (n, n)."""
    nested = np.sqrt(np.minimum.outer(runs, runs) / np.maximum.outer(runs, runs))
    covariance = SHARED * nested * np.outer(errors, errors)
    np.fill_diagonal(covariance, errors**2)
    return np.asarray(covariance)


def _covariance(a: FloatArray, b: FloatArray, fit: Fit) -> FloatArray:
    squared = np.zeros((len(a), len(b)))
    for i, length in enumerate(fit.lengths):
        squared += (np.subtract.outer(a[:, i], b[:, i]) / length) ** 2
    r = np.sqrt(5 * squared)
    return np.asarray(fit.amplitude * (1 + r + r**2 / 3) * np.exp(-r))


def _fitted(x: FloatArray, y: FloatArray, noise: FloatArray, basis: FloatArray) -> Fit:
    """Maximum of the likelihood, with a weak prior that keeps lengths and amplitude within reason."""
    start = np.log(np.concatenate(([max(float(np.var(y)), 0.05)], np.full(x.shape[1], USUAL_LENGTH))))
    squares = np.array([np.subtract.outer(column, column) ** 2 for column in x.T])
    rest = noise + TREND_VARIANCE * basis @ basis.T + 1e-9 * np.eye(len(x))
    bounds = [(np.log(1e-3), np.log(100.0))] + [(np.log(0.08), np.log(20.0))] * x.shape[1]
    best = minimize(
        _loss, start, (start, squares, rest, y), "L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 40}
    )
    return Fit(float(np.exp(best.x[0])), np.asarray(np.exp(best.x[1:])))


def _loss(
    parameters: FloatArray, start: FloatArray, squares: FloatArray, rest: FloatArray, y: FloatArray
) -> tuple[float, FloatArray]:
    """Negative log likelihood plus prior, and its gradient, by the logarithms of amplitude and lengths.

    squares: squared distances by coordinate, shape (d, n, n). rest: the covariance that does not change.
    """
    amplitude = np.exp(parameters[0])
    scaled = squares * np.exp(-2 * parameters[1:])[:, None, None]
    r = np.sqrt(5 * scaled.sum(axis=0))
    decay = amplitude * np.exp(-r)
    kernel = (1 + r + r**2 / 3) * decay
    try:
        lower: Any = cholesky(kernel + rest, lower=True)
    except np.linalg.LinAlgError:
        return 1e12, np.zeros_like(parameters)
    inverse = cho_solve((lower, True), np.eye(len(y)))
    weights = inverse @ y
    slopes = (inverse - np.outer(weights, weights)) / 2
    away = (parameters - start) / np.concatenate(([2.0], np.ones(len(squares))))
    by_length = np.einsum("ij,dij->d", slopes * (1 + r) * decay, scaled) * 5 / 3
    gradient = np.concatenate(([np.sum(slopes * kernel)], by_length)) + away
    value = y @ weights / 2 + np.log(np.diag(lower)).sum() + away @ (parameters - start) / 2
    return float(value), np.asarray(gradient)
