"""The last word: runs on random numbers that no choice has seen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest

from planner.measures import fraction, measure
from planner.model import FloatArray, Slo, VerdictWord
from planner.plan import confirmation
from planner.plan.confirmation import BLOCK, FIRST_RUNS, FIRST_RUNS_FOR_SHARE, FRESH, confirm
from planner.plan.observation import observed
from planner.plan.pool import Pool
from planner.plan.settings import Setting
from planner.plan.tally import Runs, parts_of, ratio
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate
from planner.sim.replications import SERIAL
from planner.slo import judge
from tests.planner.plan.plan_cases import counts, fixed, scenario, search

Task = TypeVar("Task")
R = TypeVar("R")

THREE, EIGHT = counts(3, 8)
"""M/M/c+D: 3.3 % and hardly any 503s."""

SLO = Slo(max_fraction_503=0.01)


class Recording:
    workers = 1

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        for task in tasks:
            self.tasks.append(task)
            yield function(task)


def _confirm(setting: Setting, slo: Slo = SLO, **more: Any) -> confirmation.Confirmation:
    of = dataclasses.replace(fixed(duration_s=30.0), slo=slo)
    return confirm(of, slo, setting, more.pop("executor", SERIAL), attempt=0, advance=lambda: None, **more)


def test_it_is_a_simulation_of_fresh_replicates() -> None:
    executor, done = Recording(), []
    of = dataclasses.replace(scenario(), slo=SLO)
    setting = Setting(3, 9, 70)
    made = confirm(of, SLO, setting, executor, attempt=2, advance=lambda: done.append(1))
    assert executor.tasks == list(range(FRESH + 2 * BLOCK, FRESH + 2 * BLOCK + made.measures.replications))
    assert len(done) == len(executor.tasks)
    changed = dataclasses.replace(of, deployment=setting.applied_to(of.deployment))
    results = [simulate_replicate(changed, r) for r in executor.tasks]
    assert made.measures == measure(changed, results)
    assert made.verdict == judge(SLO, made.measures)
    assert made.peak_unclamped == max(r.peak_unclamped for r in results)
    part = ratio(parts_of(SLO)[0], Runs.of([observed(r, SLO) for r in results]), SLO)
    assert made.keeps == pytest.approx(part.probability_below(1.0, part.variance_per_run))


@pytest.mark.parametrize(("setting", "word"), [(THREE, VerdictWord.FAIL), (EIGHT, VerdictWord.PASS)])
def test_a_clear_case_is_decided_at_the_first_look(setting: Setting, word: VerdictWord) -> None:
    made = _confirm(setting)
    assert (made.verdict.word, made.holds) == (word, word is VerdictWord.PASS)
    assert made.measures.replications == FIRST_RUNS
    assert (made.keeps > 0.95) is made.holds


def test_a_promise_of_runs_is_looked_at_when_it_can_be_decided() -> None:
    slo = Slo(max_fraction_503=0.3, min_fraction_of_runs=0.95)
    made = _confirm(EIGHT, slo)
    assert (made.measures.replications, made.holds) == (FIRST_RUNS_FOR_SHARE, True)
    assert _confirm(EIGHT, slo, first_runs=FIRST_RUNS).measures.replications == FIRST_RUNS_FOR_SHARE


def test_a_doubtful_case_gets_more_runs_until_it_is_decided() -> None:
    first = _confirm(THREE)
    near = first.measures.fraction_503
    doubtful = _confirm(THREE, Slo(max_fraction_503=near.value * 1.03), first_runs=40)
    assert doubtful.measures.replications > 2 * FIRST_RUNS
    goals = [40]
    while goals[-1] < doubtful.measures.replications:
        goals.append(-int(-1.5 * goals[-1] // 1))
    assert goals[-1] == doubtful.measures.replications


def test_it_ends_undecided_after_the_most_runs() -> None:
    near = _confirm(THREE).measures.fraction_503.value
    made = _confirm(THREE, Slo(max_fraction_503=near * 1.001), most_runs=90)
    assert (made.verdict.word, made.measures.replications) == (VerdictWord.UNDECIDED, 90)
    assert 0.1 < made.keeps < 0.9
    assert not made.holds


def test_no_confirmation_uses_what_the_search_has_seen() -> None:
    """Each attempt and the search itself have replicates of their own, more than any of them can use."""
    executor = Recording()
    found = search(fixed(duration_s=30.0), SLO, executor=executor)
    fresh = [task for task in executor.tasks if not isinstance(task, tuple)]
    seen = [task[1] for task in executor.tasks if isinstance(task, tuple)]
    assert len(fresh) == sum(c.measures.replications for c in found.confirmations) > 0
    assert max(seen) < 20_000 < FRESH <= min(fresh)
    assert confirmation.MOST_RUNS < BLOCK
    assert len(set(fresh)) == len(fresh)


def test_the_estimate_of_a_choice_is_not_that_of_the_lucky_one() -> None:
    """Of ten settings that are all alike the best of 8 runs looks better than it is; fresh runs do not. 40 times: the
    mean of the fresh ones lies within three errors of the truth, that of the lucky ones is far below."""
    of, loose = fixed(duration_s=20.0), Slo(max_fraction_503=0.2)
    truth = fraction(*counted(of, seed=77, runs=1000))
    lucky, again = [], []
    for choice in range(40):
        seen = {seed: fraction(*counted(of, seed, runs=8)).value for seed in range(10 * choice, 10 * choice + 10)}
        best = min(seen, key=seen.__getitem__)
        lucky.append(seen[best])
        chosen = dataclasses.replace(of, seed=best)
        fresh = confirm(chosen, loose, THREE, SERIAL, attempt=0, advance=lambda: None, first_runs=20)
        assert fresh.measures.replications == 20
        again.append(fresh.measures.fraction_503.value)
    error = (truth.high - truth.low) / 4 * math.sqrt(1 + 1000 / 800)
    assert abs(np.mean(again) - truth.value) < 3 * error
    assert np.mean(lucky) < 0.7 * truth.value


def counted(of: Scenario, seed: int, runs: int) -> tuple[FloatArray, FloatArray]:
    """503s and requests of some runs."""
    pool = Pool(dataclasses.replace(of, seed=seed), SLO, SERIAL, lambda: None)
    pool.extend([(THREE, runs)])
    return pool.runs(THREE).n_503, pool.runs(THREE).n
