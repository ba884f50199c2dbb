"""Estimates against plain numpy and scipy, and the rules of what counts as resolved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from planner.measures import bucket_value_s, clopper_pearson_high, fraction, mean, quantile, share, share_of_runs
from planner.sim.layout import LATENCY_BUCKETS
from planner.sim.requests import _latency_bucket


def histogram(values: np.ndarray) -> np.ndarray:
    buckets = [_latency_bucket.py_func(float(v)) for v in values]
    return np.bincount(buckets, minlength=LATENCY_BUCKETS)


def test_fraction_is_a_ratio_of_sums_with_a_log_t_interval() -> None:
    hits, trials = np.array([2.0, 4, 6, 3] * 10), np.array([100.0, 150, 300, 90] * 10)
    estimate = fraction(hits, trials)
    p = hits.sum() / trials.sum()
    residuals = hits - p * trials
    se = math.sqrt((residuals**2).sum() / 39 / 40) / trials.mean()
    spread = stats.t.ppf(0.975, 39) * se / p
    assert estimate.value == pytest.approx(p)
    assert (estimate.low, estimate.high) == pytest.approx((p * math.exp(-spread), p * math.exp(spread)))
    assert estimate.resolved


def test_no_hit_gives_an_upper_bound_not_a_zero() -> None:
    estimate = fraction(np.zeros(50), np.full(50, 1000.0))
    assert (estimate.value, estimate.low, estimate.resolved) == (0.0, 0.0, False)
    assert estimate.high == pytest.approx(1 - 0.05 ** (1 / 50))


@pytest.mark.parametrize(("saw", "replications", "resolved"), [(29, 100, False), (30, 100, True), (8, 8, True)])
def test_resolved_needs_thirty_replications_with_hits_or_all(saw: int, replications: int, resolved: bool) -> None:
    hits = np.where(np.arange(replications) < saw, 1.0 + np.arange(replications) % 3, 0.0)
    estimate = fraction(hits, np.full(replications, 1000.0))
    assert estimate.resolved is resolved
    assert estimate.low <= estimate.value <= estimate.high


def test_a_fraction_of_no_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="no requests"):
        fraction(np.zeros(5), np.zeros(5))


def test_mean_and_share_have_t_intervals() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    estimate = mean(values)
    assert (estimate.low, estimate.high) == pytest.approx(
        stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
        if stats.t.interval(0.95, 3, values.mean(), stats.sem(values))[0] > 0
        else (0.0, stats.t.interval(0.95, 3, values.mean(), stats.sem(values))[1])
    )
    assert share(np.full(40, 3.0), np.full(40, 4.0)).value == 0.75


def test_share_of_runs_has_the_exact_binomial_interval() -> None:
    estimate = share_of_runs(np.arange(50) < 47)
    exact = stats.binomtest(47, 50).proportion_ci(0.95, "exact")
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    assert clopper_pearson_high(50, 50) == 1.0


def test_latency_buckets_are_a_tenth_of_a_percent_wide_at_most() -> None:
    values = np.geomspace(2e-6, 3e4, 5000)
    middles = np.array([bucket_value_s(_latency_bucket.py_func(float(v))) for v in values])
    assert np.max(np.abs(middles / values - 1)) < 0.0005


def test_quantile_is_that_of_the_pooled_answers() -> None:
    generator = np.random.default_rng(3)
    values = generator.lognormal(size=(20, 500))
    estimate = quantile(np.array([histogram(row) for row in values]), 0.99)
    assert estimate is not None
    exact = np.quantile(values, 0.99, method="inverted_cdf")
    assert estimate.value == pytest.approx(exact, rel=0.001)
    assert estimate.low < exact < estimate.high
    assert quantile(np.zeros((3, LATENCY_BUCKETS), dtype=np.int64), 0.5) is None
