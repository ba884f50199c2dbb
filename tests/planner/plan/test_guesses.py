"""What the surrogates say of settings that nobody has simulated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from planner.model import Slo
from planner.plan.assessment import Assessed, assessed
from planner.plan.guesses import APART, LOWEST, REFIT, Guesses, guess_all
from planner.plan.search import coordinates
from planner.plan.settings import Setting
from planner.plan.surrogate import Surrogate
from planner.plan.tally import Cost, parts_of, ratio
from tests.planner.plan.plan_cases import runs_of

SLO = Slo(max_fraction_503=0.01, min_fraction_of_runs=0.9)
SPACE = [Setting(low, 30, target) for low in range(1, 21) for target in range(40, 100, 10)]
X = dict(zip(SPACE, coordinates(SPACE), strict=True))
SIMULATED = SPACE[::7]


def fraction(setting: Setting) -> float:
    """At the bound for a minimum of 10 and a target of 70 %."""
    return 0.01 * math.exp((10 - setting.min_replicas) / 2 + (setting.target_percent - 70) / 20)


def cost_s(setting: Setting) -> float:
    return 100.0 * setting.min_replicas + 7000 / setting.target_percent


def simulated(settings: Sequence[Setting], runs: int = 20) -> dict[Setting, Assessed]:
    """Runs of 1,000 requests that scatter by a fifth around the truth."""
    spread = np.resize([0.8, 1.2], runs)
    found = {}
    for setting in settings:
        columns = runs_of(
            1e4, 1e4 * min(fraction(setting), 0.8) * spread, paid_s=cost_s(setting) * (1 + (spread - 1) / 10)
        )
        ratios = tuple(ratio(part, columns, SLO) for part in parts_of(SLO))
        found[setting] = assessed(setting, ratios, Cost.of(columns), [0.04, 1.0])
    return found


@pytest.fixture(scope="module")
def guesses() -> Guesses:
    return guess_all(X, simulated(SIMULATED), None, [s for s in SPACE if s not in SIMULATED])


def test_each_part_and_the_cost_are_guessed_near_the_truth(guesses: Guesses) -> None:
    assert len(guesses.parts) == 2
    assert len(guesses.surrogates) == 3
    for i, setting in enumerate(guesses.settings):
        truth = math.log(fraction(setting) / 0.01)
        if -2 < truth < 3:  # beyond, it is cut
            assert guesses.parts[0].mean[i] == pytest.approx(truth, abs=0.35)
        off = guesses.log_cost.mean[i] - math.log(cost_s(setting))
        assert abs(off) < max(0.02, 4 * guesses.log_cost.sd[i])
        assert abs(off) < 0.3
        assert guesses.cost_s(setting, X) == pytest.approx(math.exp(guesses.log_cost.mean[i]))
    assert guesses.cost_s(SIMULATED[3], X) == pytest.approx(cost_s(SIMULATED[3]), rel=0.01)


def test_what_is_far_below_the_bound_is_cut() -> None:
    few = [Setting(low, 30, 70) for low in (10, 19, 20)]
    known = simulated(few)
    made = guess_all(X, known, None, few)
    assert min(a.ratios[0].smooth for a in known.values()) < LOWEST - 1
    assert made.parts[0].mean[1:] == pytest.approx([LOWEST] * 2, abs=0.2)


def test_how_likely_each_is(guesses: Guesses) -> None:
    bound_s = 900.0
    normal = stats.norm.cdf
    keeps = [normal((math.log(0.9) - part.mean) / part.sd) for part in guesses.parts]
    cheaper = normal((math.log(bound_s) - guesses.log_cost.mean) / guesses.log_cost.sd)
    assert guesses.likely(bound_s) == pytest.approx(np.minimum(*keeps) * cheaper)
    assert guesses.likely(math.inf) == pytest.approx(np.minimum(*keeps))
    for nothing in (0.0, -5.0):
        assert not guesses.likely(nothing).any()
        assert guesses.most_likely(nothing, 5, 1e-9) == []
        assert guesses.any_likely(nothing) == 0


def test_the_most_likely_are_not_beside_each_other(guesses: Guesses) -> None:
    likely = dict(zip(guesses.settings, guesses.likely(1600.0), strict=True))
    chosen = guesses.most_likely(1600.0, 5, 0.01)
    assert 2 <= len(chosen) <= 5
    values = [likely[s] for s in chosen]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(likely.values())
    for i, a in enumerate(chosen):
        assert all(np.abs(X[a] - X[b]).max() >= APART for b in chosen[:i])
    passed_over = [s for s, p in likely.items() if p > values[-1] and s not in chosen]
    assert all(any(np.abs(X[s] - X[b]).max() < APART for b in chosen) for s in passed_over)
    assert len(guesses.most_likely(1600.0, 2, 0.01)) == 2
    least = values[1] * 1.0001
    assert all(likely[s] >= least for s in guesses.most_likely(1600.0, 5, least))


def test_any_of_them_is_at_least_as_likely_as_each(guesses: Guesses) -> None:
    """400 joint draws: 0.05 is more than two errors."""
    for bound_s in (700.0, 900.0, 1100.0, 1600.0):
        likely = guesses.likely(bound_s)
        both = likely * 0.7  # parts and cost are drawn apart, `likely` takes the least of the parts: an upper bound
        assert both.max() - 0.05 <= guesses.any_likely(bound_s) <= min(1.0, likely.sum() + 0.05)
    assert guesses.any_likely(300.0) < 0.05
    assert guesses.any_likely(1900.0) > 0.9


def test_nothing_left_is_nothing_likely() -> None:
    made = guess_all(X, simulated(SIMULATED), None, [])
    assert (made.settings, len(made.likely(900.0)), made.any_likely(900.0)) == ((), 0, 0)
    assert made.most_likely(900.0, 5, 0.01) == []


def test_hyperparameters_are_fitted_anew_only_when_much_is_new() -> None:
    first = guess_all(X, simulated(SPACE[:40:4]), None, SPACE)
    again = guess_all(X, simulated(SPACE[:44:4]), first, SPACE)
    assert [s.fit for s in again.surrogates] == [s.fit for s in first.surrogates]
    assert (first.fitted_at, again.fitted_at) == (10, 10)
    assert REFIT * 10 <= 13
    anew = guess_all(X, simulated(SPACE[:52:4]), again, SPACE)
    assert anew.fitted_at == 13
    assert all(a.fit is not b.fit for a, b in zip(anew.surrogates, again.surrogates, strict=True))


def test_it_is_the_surrogate_of_what_is_known() -> None:
    known = simulated(SIMULATED)
    made = guess_all(X, known, None, SPACE)
    x = np.array([X[s] for s in known])
    runs = np.full(len(known), 20.0)
    for part in (0, 1):
        y = np.maximum([a.ratios[part].smooth for a in known.values()], LOWEST)
        errors = np.array([a.smooth_errors[part] for a in known.values()])
        twin = Surrogate(x, y, errors, runs).guess(np.array([X[s] for s in SPACE]))
        assert made.parts[part].mean == pytest.approx(twin.mean)
        assert made.parts[part].sd == pytest.approx(twin.sd)
