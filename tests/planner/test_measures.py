"""Estimates against plain numpy and scipy, and the rules of what counts as resolved."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from planner.errors import NoVerdictError
from planner.measures import (
    CLUSTER,
    Counts,
    bucket_value_s,
    clopper_pearson_high,
    difference,
    fraction,
    mean,
    quantile,
    share,
    share_of_runs,
)
from planner.model import Slo
from planner.promise import runs_within
from planner.sim.requests import _latency_bucket


def answers(values: np.ndarray) -> Any:
    """What `quantile` reads of a replicate."""
    buckets, counts = np.unique([_latency_bucket.py_func(float(v)) for v in values], return_counts=True)
    return SimpleNamespace(repeats=False, latency_bucket=buckets.astype(int), latency_count=counts)


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
    assert estimate.high == pytest.approx((1 - 0.05 ** (1 / 50)) * CLUSTER / 1000)


def test_fewer_503s_never_give_a_worse_bound() -> None:
    trials = np.full(100, 600.0)
    bounds = [fraction(np.where(np.arange(100) < saw, 1.0, 0.0), trials).high for saw in range(30)]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize(("saw", "replications", "resolved"), [(29, 100, False), (30, 100, True), (8, 8, True)])
def test_resolved_needs_thirty_replications_with_hits_or_all(saw: int, replications: int, resolved: bool) -> None:
    hits = np.where(np.arange(replications) < saw, 1.0 + np.arange(replications) % 3, 0.0)
    estimate = fraction(hits, np.full(replications, 1000.0))
    assert estimate.resolved is resolved
    assert estimate.low <= estimate.value <= estimate.high


def test_a_fraction_of_no_requests_is_refused() -> None:
    with pytest.raises(NoVerdictError, match="nothing to estimate"):
        fraction(np.zeros(5), np.zeros(5))


def test_difference_is_that_of_pairs() -> None:
    generator = np.random.default_rng(4)
    trials = generator.poisson(1000, 60).astype(float)
    hits = generator.binomial(200, 0.4, 60).astype(float)
    other = hits + generator.binomial(20, 0.5, 60)
    estimate = difference(hits, trials, other, 2 * trials)
    p, q = hits.sum() / trials.sum(), other.sum() / (2 * trials).sum()
    effects = (other - q * 2 * trials) / (2 * trials.mean()) - (hits - p * trials) / trials.mean()
    spread = stats.t.ppf(0.975, 59) * stats.sem(effects)
    assert estimate.value == pytest.approx(q - p)
    assert (estimate.low, estimate.high) == pytest.approx((q - p - spread, q - p + spread))
    assert estimate.resolved


def test_what_pairs_have_in_common_cancels() -> None:
    hits, trials = np.arange(40) * 10.0, np.full(40, 1000.0)
    estimate = difference(hits, trials, hits + 5, trials)
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((0.005, 0.005, 0.005))
    alone = fraction(hits, trials)
    assert alone.high - alone.low > 0.07


@pytest.mark.parametrize("differ", [0, 1, 29])
def test_a_difference_in_few_pairs_is_bounded_both_ways(differ: int) -> None:
    hits, trials = np.arange(100.0), np.full(100, 1000.0)
    estimate = difference(hits, trials, hits + (np.arange(100) < differ), trials)
    reach = clopper_pearson_high(differ, 100) * CLUSTER / 1000
    assert not estimate.resolved
    assert estimate.low == pytest.approx(-reach)
    assert estimate.high >= reach
    assert difference(hits, trials, hits + (np.arange(100) < 30), trials).resolved


def test_a_difference_that_no_pair_shows_reaches_as_far_as_either_fraction() -> None:
    """A part of the traffic has fewer requests than the whole, so its fraction may be larger unseen."""
    none, many, few = np.zeros(20), np.full(20, 400.0), np.full(20, 100.0)
    for one, other in ((many, few), (few, many)):
        estimate = difference(none, one, none, other)
        assert estimate.high == -estimate.low == fraction(none, few).high


def test_the_difference_of_one_pair_is_unknown() -> None:
    one = np.array([5.0]), np.array([100.0])
    estimate = difference(*one, *one)
    assert (estimate.low, estimate.high, estimate.resolved) == (-1.0, 1.0, False)


def test_mean_and_share_have_t_intervals() -> None:
    values = np.array([5.0, 6.0, 8.0, 9.0])
    estimate = mean(values)
    assert (estimate.low, estimate.high) == pytest.approx(stats.t.interval(0.95, 3, values.mean(), stats.sem(values)))
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
    estimate = quantile([answers(row) for row in values], 0.99)
    assert estimate is not None
    exact = np.quantile(values, 0.99, method="inverted_cdf")
    assert estimate.value == pytest.approx(exact, rel=0.001)
    assert estimate.low < exact < estimate.high
    assert quantile([answers(np.empty(0))] * 3, 0.5) is None


def test_an_exact_number_is_a_point() -> None:
    hits, trials = np.array([29.0]), np.array([100.0])
    for estimate in (fraction(hits, trials, exact=True), share(hits, trials, exact=True), mean(hits, exact=True)):
        assert estimate.low == estimate.value == estimate.high
        assert estimate.exact


def test_equal_runs_that_may_differ_are_no_point() -> None:
    """None of 100 differed, so up to 3 % of runs may, by CLUSTER requests or more."""
    estimate = fraction(np.full(100, 30.0), np.full(100, 1000.0))
    assert estimate.low == pytest.approx(0.03 - clopper_pearson_high(0, 100) * CLUSTER / 1000)
    assert estimate.high == pytest.approx(0.03 + clopper_pearson_high(0, 100) * CLUSTER / 1000)


@pytest.mark.parametrize("other", [0.0, 500.0])
def test_one_run_that_differs_may_stand_for_a_twentieth_of_all(other: float) -> None:
    hits = np.append(np.full(99, 100.0), other)
    estimate = fraction(hits, np.full(100, 1000.0))
    true = 0.1 + 0.04 * (other / 1000 - 0.1)  # four in a hundred runs differ
    assert estimate.low <= true <= estimate.high


def test_a_run_at_the_bound_keeps_it_as_the_fraction_does() -> None:
    assert 29 > 0.29 * 100
    hits, none = np.array([29.0, 30.0, 0.0]), np.zeros(3)
    counts = Counts(n=np.array([100.0, 100.0, 0.0]), n_503=hits, n_504=none, causes=none)
    assert runs_within(Slo(max_fraction_503=0.29), counts).tolist() == [True, False, True]
