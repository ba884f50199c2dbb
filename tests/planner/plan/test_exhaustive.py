"""Every setting as often as every other: its choice rests on the same runs whatever is promised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.measures import fraction, share_of_runs
from planner.model import Slo
from planner.plan.exhaustive import cheapest, exhaustive
from planner.plan.pool import Pool
from planner.plan.search import Found, Progress, Stopped
from planner.plan.space import Ranges
from planner.sim.replications import SERIAL
from tests.planner.plan.plan_cases import counts, fixed, scenario, space, steps

SLO = Slo(max_fraction_503=0.03)
OF = scenario(steps((8.0, 2.0), (6.0, 10.0), (8.0, 2.0)))
RANGES = Ranges(min_replicas=(1, 2, 4, 6), max_replicas=(4, 8), target_percent=(50, 100))


def never(progress: Progress) -> None:
    pass


def run(slo: Slo = SLO, replications: int = 40, watch: Callable[[Progress], None] = never) -> Found:
    return exhaustive(OF, slo, space(OF, slo, RANGES), SERIAL, replications, watch=watch)


@pytest.fixture(scope="module")
def found() -> Found:
    return run()


def test_every_setting_is_simulated_equally_often(found: Found) -> None:
    assert found.pool.settings == list(found.space.settings)
    assert {found.pool.count(s) for s in found.space.settings} == {40}
    assert (found.guesses, found.stopped, found.ended_by) == (None, Stopped.DECIDED, None)
    assert set(found.assessed) == set(found.space.settings)


def test_its_choice_is_the_cheapest_whose_interval_keeps_the_promise(found: Found) -> None:
    rows = {s: found.pool.runs(s) for s in found.space.settings}
    kept = [s for s, r in rows.items() if fraction(r.n_503, r.n).high <= 0.03]
    assert 2 <= len(kept) < len(rows)
    assert found.best == min(kept, key=lambda s: (rows[s].paid_s.mean(), s))
    assert [c.setting for c in found.confirmations] == [found.best]
    assert found.probability is not None
    assert 0 < found.probability <= found.confirmations[0].keeps


def test_nothing_keeps_an_impossible_promise() -> None:
    found = run(Slo(max_fraction_503=1e-7), 5)
    assert (found.best, found.probability, found.confirmations) == (None, None, ())


@pytest.fixture(scope="module")
def pool(found: Found) -> Pool:
    return found.pool


@settings(max_examples=300, deadline=None)
@given(st.floats(0.001, 0.5), st.floats(1.0, 5.0), st.none() | st.floats(0.05, 0.99), st.floats(0.0, 1.0))
def test_a_looser_promise_never_costs_more(
    pool: Pool, bound: float, looser: float, runs: float | None, share: float
) -> None:
    """A larger fraction of 503s, of fewer runs: never a dearer choice, and one wherever there was one."""
    strict = Slo(max_fraction_503=bound, min_fraction_of_runs=runs)
    lax = Slo(
        max_fraction_503=min(0.99, bound * looser),
        min_fraction_of_runs=None if runs is None else max(0.01, runs * share),
    )
    chosen, other = cheapest(pool, strict), cheapest(pool, lax)
    if chosen is not None:
        assert other is not None
        assert pool.runs(other).paid_s.mean() <= pool.runs(chosen).paid_s.mean()
    without = cheapest(pool, dataclasses.replace(strict, min_fraction_of_runs=None))
    if chosen is not None:
        assert without is not None
        assert pool.runs(without).paid_s.mean() <= pool.runs(chosen).paid_s.mean()


def test_a_share_of_runs_is_promised_by_its_exact_interval(found: Found) -> None:
    slo = Slo(max_fraction_503=0.2, min_fraction_of_runs=0.8)
    best = cheapest(found.pool, slo)
    assert best is not None
    for setting in found.space.settings:
        runs = found.pool.runs(setting)
        if runs.paid_s.mean() < found.pool.runs(best).paid_s.mean():
            total = fraction(runs.n_503, runs.n).high <= 0.2
            assert not (total and share_of_runs(runs.n_503 <= 0.2 * runs.n).low >= 0.8)


def test_under_fixed_it_takes_the_fewest() -> None:
    of = fixed(duration_s=20.0)
    made = exhaustive(of, SLO, space(of, SLO, Ranges(max_replicas=tuple(range(2, 9)))), SERIAL, 60)
    assert made.best in counts(3, 4, 5)
    worst = [s for s in made.space.settings if s.min_replicas < made.best.min_replicas]
    assert all(fraction(made.pool.runs(s).n_503, made.pool.runs(s).n).high > 0.03 for s in worst)


@pytest.mark.parametrize("more", [-20, 10, 10**6])
def test_an_interruption_keeps_what_is_known(found: Found, more: int) -> None:
    """Batches of 50 settings: the first is all of them here, and nothing is known before it is done."""
    calls, when = [0], found.pool.replications + more

    def watch(progress: Progress) -> None:
        calls[0] += 1
        if calls[0] == when:
            raise KeyboardInterrupt

    if more < 0:
        with pytest.raises(KeyboardInterrupt):
            run(watch=watch)
        return
    made = run(watch=watch)
    assert made.best == found.best
    is_interrupted = more == 10
    assert isinstance(made.ended_by, KeyboardInterrupt) is is_interrupted
    assert made.stopped is (Stopped.INTERRUPT if is_interrupted else Stopped.DECIDED)
    assert len(made.confirmations) == (0 if is_interrupted else 1)
