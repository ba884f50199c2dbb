"""What runs say of promise and cost: probabilities against scipy's laws and against experiments whose truth is known.

Error rates: every experiment has a fixed seed and bounds that the right code passes for all but one in 1,000 seeds.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from planner.model import FloatArray, Slo, VerdictWord
from planner.plan.assessment import assess, assessed, cheaper_bound_s, common_variance
from planner.plan.judgement import judge_runs
from planner.plan.pool import Pool
from planner.plan.settings import Setting
from planner.plan.tally import (
    BROKEN_RUNS,
    CLUSTER,
    FRACTION,
    PRIOR_RUNS,
    SLOW,
    Cost,
    Part,
    Ratio,
    Runs,
    parts_of,
    ratio,
)
from planner.sim.replications import SERIAL
from tests.planner.plan.plan_cases import runs_of, scenario, steps

SLO = Slo(max_fraction_503=0.01, p99_latency_s=1.0, min_fraction_of_runs=0.9)
FRACTION_PART, SLOW_PART, RUNS_PART = parts_of(SLO)


def of(part: Part, runs: Runs, slo: Slo = SLO) -> Ratio:
    return ratio(part, runs, slo)


# Parts


def test_the_parts_of_a_promise() -> None:
    assert [(p.name, p.bound, p.is_share_of_runs, p.indifference) for p in parts_of(SLO)] == [
        (FRACTION, 0.01, False, 0.9),
        (SLOW, 0.01, False, 0.9),
        (BROKEN_RUNS, pytest.approx(0.1), True, 0.75),
    ]
    assert [p.name for p in parts_of(Slo(max_fraction_503=0.5))] == [FRACTION]
    assert [p.name for p in parts_of(Slo(max_fraction_503=0.5, min_fraction_of_runs=0.9))] == [FRACTION, BROKEN_RUNS]


def test_each_part_counts_its_own() -> None:
    runs = runs_of([1000, 2000, 1000], [10, 21, 0], answers=[900, 1900, 950], slow=[9, 0, 90])
    assert math.exp(of(FRACTION_PART, runs).log_value) == pytest.approx(31 / 4000 / 0.01)
    assert math.exp(of(SLOW_PART, runs).log_value) == pytest.approx(99 / 3750 / 0.01)
    broken = of(RUNS_PART, runs)  # 10 of 1,000 are no more than 1 %, 21 of 2,000 are
    assert (broken.saw, broken.runs) == (1, 3)
    assert math.exp(broken.log_value) == pytest.approx(1 / 3 / 0.1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), min_size=2, max_size=30))
def test_the_variance_is_that_of_the_delta_method(pairs: list[tuple[int, int]]) -> None:
    trials = np.array([max(a, b) for a, b in pairs], dtype=float)
    hits = np.array([b for _, b in pairs], dtype=float)
    if hits.sum() < CLUSTER:
        return
    found = of(FRACTION_PART, runs_of(trials, hits))
    covariance = np.cov(hits, trials, ddof=1)  # var(H/T) = var H / T^2 - 2 H cov / T^3 + H^2 var T / T^4
    h, t = hits.mean(), trials.mean()
    relative = covariance[0, 0] / h**2 - 2 * covariance[0, 1] / (h * t) + covariance[1, 1] / t**2
    assert found.variance_per_run == pytest.approx(relative, rel=1e-6, abs=1e-9)


# Probabilities


@pytest.mark.parametrize(("saw", "runs"), [(0, 20), (1, 20), (2, 20), (9, 100), (20, 20), (0, 73)])
def test_the_share_of_runs_has_the_posterior_of_a_uniform_prior(saw: int, runs: int) -> None:
    broken = np.repeat([100.0, 0.0], [saw, runs - saw])
    found = of(RUNS_PART, runs_of(1000, broken))
    for factor in (0.5, 0.75, 1.0, 2.0, 20.0):
        exact = stats.beta(saw + 1, runs - saw + 1).cdf(min(1.0, factor * 0.1))
        assert found.probability_below(factor, 1.0) == pytest.approx(exact, abs=1e-12)


def test_the_posterior_of_the_share_against_an_experiment() -> None:
    """Of 40,000 shares drawn from the prior, those that give 3 of 30; a share of one in 1,600 is known to 4 errors."""
    generator = np.random.default_rng(1)
    shares = generator.random(400_000)
    kept = shares[generator.binomial(30, shares) == 3]
    found = of(RUNS_PART, runs_of(1000, np.repeat([100.0, 0.0], [3, 27])))
    for factor in (0.75, 1.0, 1.5):
        expected = float((kept < factor * 0.1).mean())
        error = math.sqrt(expected * (1 - expected) / len(kept))
        assert abs(found.probability_below(factor, 1.0) - expected) < 4 * error


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(4, 400), min_size=3, max_size=40), st.sampled_from([0.9, 1.0, 1.1]))
def test_the_probability_of_a_fraction_is_students(hits: list[float], factor: float) -> None:
    found = of(FRACTION_PART, runs_of(10_000, hits))
    n, p, common = len(hits), np.mean(hits) / 10_000, 0.3
    spread = np.var(np.array(hits) / 10_000 / p, ddof=1)
    pooled = (PRIOR_RUNS * common + (n - 1) * spread) / (PRIOR_RUNS + n - 1)
    score = (math.log(factor) - math.log(p / 0.01)) / math.sqrt(pooled / n)
    assert found.error(common) == pytest.approx(math.sqrt(pooled / n))
    assert found.probability_below(factor, common) == pytest.approx(float(stats.t(PRIOR_RUNS + n - 1).cdf(score)))


def test_few_hits_are_never_sure() -> None:
    """None in 20 runs of 50 requests: what one cluster in all of them would be is just what is promised."""
    none = of(FRACTION_PART, runs_of(50, np.zeros(20)))
    assert math.exp(none.log_value) == pytest.approx(0.5 * CLUSTER / 1000 / 0.01)
    assert (none.variance_per_run, none.saw) == (0.0, 0)
    assert none.error(1e-9) == pytest.approx(math.sqrt(2))
    assert 0.5 < none.probability_below(1.0, 1e-9) < 0.75
    more = of(FRACTION_PART, runs_of(50, np.zeros(2000)))
    assert 0.98 < more.probability_below(1.0, 1.0) < 1
    one = of(FRACTION_PART, runs_of(1000, np.repeat([100.0, 0.0], [1, 19])))
    assert one.error(0.0) >= math.sqrt(1 / 1.5)
    assert one.probability_below(1.0, 1.0) < 0.95
    single = of(FRACTION_PART, runs_of(1000, [0.0]))
    assert single.variance_per_run == 0
    assert single.error(4.0) == pytest.approx(2.0)
    every = of(FRACTION_PART, runs_of(1000, np.full(20, 3.0)))  # seen in all runs: nothing is rare
    assert every.error(0.0) == 0


def test_a_part_without_trials_is_not_kept() -> None:
    found = of(SLOW_PART, runs_of(100, 0.0, answers=np.zeros(10), slow=0.0))
    assert math.exp(found.log_value) == pytest.approx(1 / 0.01)
    assert found.probability_below(1.0, 1.0) < 0.02


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=40), st.integers(0, 39), st.sampled_from(parts_of(SLO)))
def test_probabilities_are_probabilities(hits: list[int], run: int, part: Part) -> None:
    runs = runs_of(1000, hits, slow=np.array(hits))
    found = of(part, runs)
    chances = [found.probability_below(factor, 0.5) for factor in (0.1, 0.75, 0.9, 1.0, 3.0)]
    assert chances == sorted(chances)
    assert 0 <= chances[0] <= chances[-1] <= 1


def compound(generator: np.random.Generator, mean: float, runs: int, cluster: float = 6.0) -> FloatArray:
    """503s of runs: a Poisson number of clusters, geometric sizes of the given mean."""
    clusters = generator.poisson(mean / cluster, runs)
    beyond_one_each = generator.negative_binomial(np.maximum(clusters, 1), 1 / cluster)
    return np.where(clusters > 0, clusters + beyond_one_each, 0).astype(np.float64)


def keeps(hits: FloatArray, n: float) -> float:
    found = of(FRACTION_PART, runs_of(n, hits))
    return found.probability_below(1.0, found.variance_per_run)


@pytest.mark.parametrize(("runs", "mean"), [(20, 3.0), (20, 12.0), (60, 3.0), (200, 1.0)])
def test_what_breaks_the_promise_by_a_tenth_is_seldom_taken_to_keep_it(runs: int, mean: float) -> None:
    """At the bound itself a probability of 95 % and more may come in 5 % of the experiments; few clusters, where the
    logarithm is skewed, double that. 10 % above the bound it is less. 1,000 experiments: a rate of 10 % shows as 13 %
    for one in 1,000 seeds."""
    generator = np.random.default_rng(7)
    n = mean / 0.01
    at_bound = np.mean([keeps(compound(generator, mean, runs), n) > 0.95 for _ in range(1000)])
    above = np.mean([keeps(compound(generator, 1.1 * mean, runs), n) > 0.95 for _ in range(1000)])
    assert 0.01 < at_bound < 0.13
    assert above <= at_bound


@pytest.mark.parametrize("runs", [20, 60, 200])
def test_what_keeps_it_well_is_found_to_keep_it(runs: int) -> None:
    """At half of the bound, one cluster of 6 a run expected: the error of 20 runs is some 31 %, and ln 2 is 2.2 of
    them, of 60 runs 3.9. Of 400 experiments some 78 % and 99 % say 95 % and more."""
    generator = np.random.default_rng(8)
    said = [keeps(compound(generator, 6.0, runs), 1200.0) for _ in range(400)]
    assert np.mean(np.array(said) > 0.95) > (0.7 if runs == 20 else 0.97)


def test_the_probabilities_mean_what_they_say() -> None:
    """Fractions drawn log-uniformly around the bound, 30 runs each: of the settings given some 30 % so many keep the
    promise. 6,000 settings, ten classes; each class is within 4 errors and 4 points."""
    generator = np.random.default_rng(9)
    n, pairs = 1000.0, []
    for _ in range(6000):
        mean = 10.0 * math.exp(generator.uniform(-1, 1))
        pairs.append((keeps(compound(generator, mean, 30), n), mean <= 10.0))
    said, kept = np.array(pairs).T
    for low in np.arange(0, 1, 0.1):
        inside = (said >= low) & (said < low + 0.1)
        expected = said[inside].mean()
        error = math.sqrt(expected * (1 - expected) / inside.sum())
        assert abs(kept[inside].mean() - expected) < 0.04 + 4 * error, low


def test_the_smooth_value_of_a_share_is_the_quantile_of_single_runs() -> None:
    """90 % of lognormal runs lie below it; the quantile of 4,000 runs is known to 4 %."""
    fractions = 0.004 * np.exp(0.8 * np.random.default_rng(3).standard_normal(4000))
    runs = runs_of(1e5, fractions * 1e5)
    assert math.exp(of(RUNS_PART, runs).smooth) * 0.01 == pytest.approx(np.quantile(fractions, 0.9), rel=0.04)
    assert of(FRACTION_PART, runs).smooth == of(FRACTION_PART, runs).log_value


# Cost


def test_the_cost_of_runs() -> None:
    cost = Cost.of(runs_of(10, 0, paid_s=[100.0, 110.0, 120.0]))
    assert (cost.mean_s, cost.error_s) == (110, pytest.approx(10 / math.sqrt(3)))
    assert Cost.of(runs_of(10, 0, paid_s=[90.0])).error_s == 0


@pytest.mark.parametrize(
    ("cost_s", "duration_s", "strictness", "bound_s"),
    [
        (10_200, 60, 1.0, 10_000),
        (600, 60, 1.0, 540),
        (10_050, 60, 0.25, 10_000),
        (600, 60, 0.25, 585),
        (60, 60, 1.0, 0),
    ],
)
def test_cheaper_is_more_than_the_tolerance(
    cost_s: float, duration_s: float, strictness: float, bound_s: float
) -> None:
    assert cheaper_bound_s(cost_s, duration_s, strictness) == pytest.approx(bound_s)


# All simulated settings


def test_an_assessment_is_of_all_parts() -> None:
    slo = Slo(max_fraction_503=0.05, p99_latency_s=1.5, min_fraction_of_runs=0.6)
    pool = Pool(scenario(steps((10.0, 3.0), (5.0, 12.0))), slo, SERIAL, lambda: None)
    pool.extend([(Setting(low, 9, 70), 30) for low in (2, 4, 6)])
    found = assess(pool, slo)
    assert list(found) == pool.settings
    commons = [common_variance(pool, part, slo) for part in parts_of(slo)]
    for setting, a in found.items():
        runs = pool.runs(setting)
        ratios = [ratio(part, runs, slo) for part in parts_of(slo)]
        assert a.ratios == tuple(ratios)
        each = [r.probability_below(1.0, v) for r, v in zip(ratios, commons, strict=True)]
        well = [r.probability_below(b, v) for r, v, b in zip(ratios, commons, (0.9, 0.9, 0.75), strict=True)]
        assert a.keeps == pytest.approx(math.prod(each))
        assert a.keeps_well == pytest.approx(min(well))
        assert a.errors == tuple(r.error(v) for r, v in zip(ratios, commons, strict=True))
        assert a.smooth_errors == (a.errors[0], a.errors[1], a.errors[0])
        assert a.cost == Cost.of(runs)
        chance = float(stats.norm(a.cost.mean_s, a.cost.error_s).cdf(a.cost.mean_s * 1.01))
        assert a.cheaper_than(a.cost.mean_s * 1.01) == pytest.approx(chance)


def test_a_constant_cost_is_cheaper_or_not() -> None:
    a = assessed(Setting(1, 1, 70), (of(FRACTION_PART, runs_of(100, [0.0, 1.0])),), Cost(mean_s=60, error_s=0), [1.0])
    assert [a.cheaper_than(bound_s) for bound_s in (59.0, 60.0, 61.0)] == [0, 0, 1]


# By intervals


@pytest.mark.parametrize(
    ("fraction", "slow", "broken", "word"),
    [
        (0.005, 0.005, 0.0, VerdictWord.PASS),
        (0.02, 0.005, 0.0, VerdictWord.FAIL),
        (0.005, 0.02, 0.0, VerdictWord.FAIL),
        (0.005, 0.005, 0.3, VerdictWord.FAIL),
        (0.0099, 0.005, 0.0, VerdictWord.UNDECIDED),
        (0.005, 0.0099, 0.0, VerdictWord.UNDECIDED),
        (0.005, 0.005, 0.1, VerdictWord.UNDECIDED),
        (0.02, 0.0099, 0.1, VerdictWord.FAIL),
    ],
)
def test_the_verdict_of_runs(fraction: float, slow: float, broken: float, word: VerdictWord) -> None:
    n = 10_000.0
    spread = np.resize([0.9, 1.1], 100)
    hits = fraction * n * spread
    count = round(broken * 100)
    if broken:
        hits = np.where(np.arange(100) < count, 0.011 * n, 0.004 * n) if fraction < 0.01 else hits
    runs = runs_of(n, hits, answers=np.full(100, n), slow=slow * n * spread)
    slo = SLO if broken or fraction < 0.009 else Slo(max_fraction_503=0.01, p99_latency_s=1.0)
    verdict = judge_runs(slo, runs)
    assert verdict.word is word
    assert len(verdict.reasons) == 3 - (slo.min_fraction_of_runs is None)
    assert all(any(c.isdigit() for c in reason) for reason in verdict.reasons)


def test_no_answer_at_all_is_no_latency() -> None:
    verdict = judge_runs(SLO, runs_of(100, 0.0, answers=np.zeros(100)))
    assert verdict.word is VerdictWord.FAIL
    assert verdict.reasons[-1] == "p99 latency: there was no 200 answer at all"
