"""Plans over worlds: which worlds are drawn, and how one setting is chosen for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from planner.model import Slo
from planner.plan.exhaustive import exhaustive
from planner.plan.robust import (
    MOST_CANDIDATES,
    Candidate,
    Criterion,
    Planned,
    World,
    candidates,
    choose,
    plan_worlds,
    simulate_candidates,
    with_choice,
    worlds_of,
)
from planner.plan.robust_document import robust_document
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.plan.space import Ranges
from planner.sim.replications import SERIAL
from planner.uncertain import UncertainInput
from tests.planner.plan.plan_cases import fixed, space

RATE = UncertainInput(name="rate", low=4.0, mid=6.0, high=9.0, unit="requests per second", paths=())
COLD = UncertainInput(name="cold_start", low=1.0, mid=3.0, high=9.0, unit="s", paths=())
INPUTS = [RATE, COLD]
SLO = Slo(max_fraction_503=0.05)


# Worlds


@pytest.mark.parametrize("count", [1, 2, 12, 50])
@pytest.mark.parametrize("seed", [0, 7])
def test_a_latin_hypercube_has_each_stratum_once(count: int, seed: int) -> None:
    worlds = worlds_of(INPUTS, count, seed)
    drawn = [w.positions for w in worlds[5:]]
    assert len(drawn) == count
    for name in ("rate", "cold_start"):
        shares = stats.triang(c=0.5, loc=-1, scale=2).cdf([w[name] for w in drawn])
        assert sorted(np.floor(shares * count).astype(int)) == list(range(count))


def test_the_mid_world_comes_first_and_then_the_ends_of_each_input() -> None:
    worlds = worlds_of(INPUTS, 3, 1)
    ends: list[dict[str, float]] = [{"rate": -1}, {"rate": 1}, {"cold_start": -1}, {"cold_start": 1}]
    assert [dict(w.positions) for w in worlds[:5]] == [{}, *ends]
    assert [w.counts for w in worlds] == [True] + [False] * 4 + [True] * 3
    assert all(-1 < p < 1 for w in worlds[5:] for p in w.positions.values())


def test_worlds_follow_from_the_seed() -> None:
    assert worlds_of(INPUTS, 6, 3) == worlds_of(INPUTS, 6, 3)
    assert worlds_of(INPUTS, 6, 3) != worlds_of(INPUTS, 6, 4)
    first, second = ([w.positions[name] for w in worlds_of(INPUTS, 40, 3)[5:]] for name in ("rate", "cold_start"))
    assert abs(stats.spearmanr(first, second).statistic) < 0.5  # 40 independent pairs: one in 700


# The choice


def candidate(count: int, kept_share: float, mean_hours: float, regret_hours: float) -> Candidate:
    return Candidate(
        setting=Setting(count, count, 70),
        kept=(True,),
        hours=(mean_hours,),
        kept_share=kept_share,
        mean_hours=mean_hours,
        largest_regret_hours=regret_hours,
    )


HAND = [
    candidate(5, 1.0, 5.0, 1.5),
    candidate(4, 0.9, 4.0, 2.0),
    candidate(3, 0.5, 3.0, 9.0),
    candidate(2, 0.0, 2.0, 9.0),
]


@pytest.mark.parametrize(("kept_in", "count"), [(1.0, 5), (0.95, 5), (0.9, 4), (0.6, 4), (0.5, 3), (0.01, 3)])
def test_the_cheapest_that_keeps_the_promise_in_enough_worlds(kept_in: float, count: int) -> None:
    for order in (HAND, HAND[::-1]):
        chosen = choose(order, Criterion.KEPT, kept_in)
        assert chosen is not None
        assert chosen.setting.min_replicas == count


def test_least_regret_asks_for_no_share_of_worlds() -> None:
    chosen = choose(HAND, Criterion.LEAST_REGRET, 1.0)
    assert chosen == HAND[0]
    assert choose(HAND[2:], Criterion.LEAST_REGRET, 1.0) == HAND[3]  # the same regret: the cheaper one
    assert choose(HAND[1:], Criterion.KEPT, 0.95) is None
    assert choose([], Criterion.KEPT, 0.5) is choose([], Criterion.LEAST_REGRET, 0.5) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.floats(1, 9), st.floats(0, 9)), min_size=1, max_size=8))
def test_no_other_would_have_been_better(rows: list[tuple[float, float, float]]) -> None:
    found = [candidate(i + 1, *row) for i, row in enumerate(rows)]
    chosen = choose(found, Criterion.KEPT, 0.5)
    enough = [c.mean_hours for c in found if c.kept_share >= 0.5]
    assert (chosen is None) == (not enough)
    assert chosen is None or (chosen.kept_share >= 0.5 and chosen.mean_hours == min(enough))
    least = choose(found, Criterion.LEAST_REGRET, 0.5)
    assert least is not None
    assert least.largest_regret_hours == min(c.largest_regret_hours for c in found)


# Candidates in all worlds


@pytest.fixture(scope="module")
def planned() -> list[Planned]:
    """Fixed counts at three rates, every setting 40 times; the hardest world has no plan."""

    def plan(world: World, number: int, of: int) -> Found:
        assert (of, 1 <= number <= of) == (6, True)
        rps = {1: 6.0, 2: 4.0, 3: 9.0}.get(number, 60.0 if number == 4 else 6.0 + number / 10)
        made = fixed(rps=rps, duration_s=30.0)
        return exhaustive(made, SLO, space(made, SLO, RANGES), SERIAL, 40)

    return plan_worlds([RATE], 3, 1, plan)


RANGES = Ranges(max_replicas=(2, 3, 4, 5, 6))


def test_each_world_is_planned_for_itself(planned: list[Planned]) -> None:
    best = [each.found.best.min_replicas if each.found.best else None for each in planned]
    assert best[1] is not None
    assert best[0] is not None
    assert best[2] is not None
    assert best[1] <= best[0] < best[2]
    assert best[3] is None
    assert planned[3].best_hours is None
    assert planned[0].best_hours == pytest.approx(best[0] * 30 / 3600)


def test_candidates_are_the_best_and_what_is_safe_in_two() -> None:
    class Stub:
        def __init__(self, best: Setting | None) -> None:
            self.best = best

    bests = [Setting(3, 9, 60), Setting(5, 7, 80), None, Setting(3, 9, 60)]
    made: Any = [Planned(world=World(positions={}, counts=True), found=Stub(b)) for b in bests]
    assert candidates(made) == [Setting(3, 9, 60), Setting(5, 7, 80), Setting(5, 9, 60)]
    many: Any = [
        Planned(world=World(positions={}, counts=True), found=Stub(Setting(i, 60 - i, 40 + i))) for i in range(1, 20)
    ]
    found = candidates(many)
    assert len(found) == len(set(found)) == MOST_CANDIDATES
    assert found[:19] == sorted(each.found.best for each in many)


def test_a_candidate_is_judged_in_every_world(planned: list[Planned]) -> None:
    settings_of = [Setting(count, count, 70) for count in (3, 4, 6)]
    found = simulate_candidates(settings_of, planned, fixed(), SLO)
    assert [c.setting for c in found] == settings_of
    least = [each.best_hours for each in planned]
    dearest = max(hours for hours in least if hours is not None)
    counted = [0, 3, 4, 5]
    assert [i for i, each in enumerate(planned) if each.world.counts] == [0, 3, 4, 5]
    for c in found:
        assert c.hours == pytest.approx([c.setting.min_replicas * 30 / 3600] * 6)
        assert c.mean_hours == pytest.approx(c.hours[0])
        for each, kept in zip(planned, c.kept, strict=True):
            runs = each.found.pool.runs(c.setting)
            assert len(runs) == 100
            if kept:
                assert runs.n_503.sum() / runs.n.sum() <= 0.055
            else:
                assert runs.n_503.sum() / runs.n.sum() > 0.045
        assert c.kept_share == sum(c.kept[i] for i in counted) / 4
        regrets = [
            c.hours[i] - (dearest if least[i] is None else least[i] or 0.0) if c.kept[i] else dearest for i in counted
        ]
        assert c.largest_regret_hours == pytest.approx(max(0.0, *regrets))
    assert [a.kept_share <= b.kept_share for a, b in pairwise(found)] == [True, True]  # fixed: more replicas keep more
    assert not found[0].kept[3]


def test_the_choice_takes_the_place_of_the_mid_worlds_own(planned: list[Planned]) -> None:
    setting = Setting(6, 6, 70)
    found = with_choice(planned[0].found, setting)
    assert (found.best, found.probability) == (setting, None)
    assert setting in found.assessed


def test_the_document_says_which_input_matters_most(planned: list[Planned]) -> None:
    found = simulate_candidates([Setting(6, 6, 70), Setting(4, 4, 70)], planned, fixed(), SLO)
    chosen = choose(found, Criterion.KEPT, 0.75)
    assert chosen is not None
    said = robust_document([RATE], planned, found, chosen, Criterion.KEPT, 0.75)
    assert said["matters_most"] == "rate"
    (rate,) = said["inputs"]
    assert rate["replicas_low"] <= rate["replicas_mid"] < rate["replicas_high"]
    more = rate["replicas_high"] - rate["replicas_mid"]
    assert f"3 requests per second more costs {more} replica" in rate["sentence"]
    assert [w["counts"] for w in said["worlds"]] == [each.world.counts for each in planned]
    assert [w["kept"] for w in said["worlds"]] == list(chosen.kept)
    assert said["worlds"][3]["verdict"] == "infeasible"
    assert said["worlds"][3]["best"] is None
    assert sum(c["is_recommended"] for c in said["candidates"]) == 1
    kept = sum(chosen.kept[i] for i in (0, 3, 4, 5))
    assert said["sentence"].startswith(f"The recommended setting keeps the promise in {kept} of 4 worlds (wanted 75 %)")
    none = robust_document([RATE], planned, found, None, Criterion.KEPT, 1.0)
    assert none["sentence"].startswith("No setting keeps the promise in 100 % of the 4 worlds")
    assert all(w["kept"] is None for w in none["worlds"])
