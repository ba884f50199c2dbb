"""The document of a plan says what the search has found, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from planner.documents import settings_document
from planner.measures import fraction, mean
from planner.model import Slo
from planner.plan.answer import Entry, frontier, look_at_neighbours, recommended
from planner.plan.confirmation import confirm
from planner.plan.document import entry_document, plan_document, scaled
from planner.plan.neighbours import Neighbours
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.plan.space import Ranges
from planner.service import Deterministic
from planner.sim.replications import SERIAL
from tests.planner.plan.plan_cases import LOOSE, fixed, scenario, search, space, steps

ESTIMATE = {"value", "low", "high", "confidence", "replications", "resolved"}
OF = dataclasses.replace(scenario(), slo=LOOSE)


@pytest.fixture(scope="module")
def found() -> Found:
    made = search(OF)
    look_at_neighbours(made)
    return made


@pytest.fixture(scope="module")
def plan(found: Found) -> dict[str, Any]:
    return document(found, 0.36)


def document(found: Found, price: float | None = None) -> dict[str, Any]:
    made = plan_document(found, None, price_per_replica_hour=price, slo_is_assumed=False)
    json.dumps(made, allow_nan=False)
    return made


def setting_of(row: dict[str, Any]) -> Setting:
    return Setting(
        row["autoscale_min_replicas"],
        row["autoscale_max_replicas"],
        row["autoscale_target_utilization"],
        row["replica_max_concurrent_requests"],
    )


def test_the_recommended_setting_is_told_by_its_fresh_runs(found: Found, plan: dict[str, Any]) -> None:
    said, last = plan["recommended"], found.confirmations[-1]
    assert plan["verdict"] == "feasible"
    assert said["is_fresh"] is True
    assert said["fraction_503"]["value"] == last.measures.fraction_503.value
    assert said["replications"] == last.measures.replications
    assert said["fraction_503"]["high"] <= LOOSE.max_fraction_503
    assert plan["reasons"] == list(last.verdict.reasons)
    assert plan["probability_near_cheapest"] == found.probability
    for name in ("fraction_503", "latency_p99_s", "mean_replicas", "replica_hours", "cost", "cost_per_hour"):
        assert set(said[name]) >= ESTIMATE
    assert said["settings"] == settings_document(setting_of(said).applied_to(OF.deployment))
    assert said["settings"]["autoscale_min_replicas"] == said["autoscale_min_replicas"]


def test_money_is_hours_times_the_price(plan: dict[str, Any]) -> None:
    for row in [plan["recommended"], *plan["frontier"], *plan["neighbours"]]:
        for end in ("value", "low", "high"):
            hours = row["replica_hours"][end]
            assert row["cost"][end] == pytest.approx(hours * 0.36)
            assert row["cost_per_hour"][end] == pytest.approx(hours * 0.36 / (40 / 3600))


def test_without_a_price_there_is_no_money(found: Found) -> None:
    said = document(found)
    assert said["cost"]["price_per_replica_hour"] is None
    for row in [said["recommended"], *said["frontier"], *said["neighbours"]]:
        assert (row["cost"], row["cost_per_hour"]) == (None, None)


def test_others_are_told_by_the_runs_of_the_search(found: Found, plan: dict[str, Any]) -> None:
    for row in plan["frontier"] + plan["neighbours"] + plan["alternatives"]:
        runs = found.pool.runs(setting_of(row))
        assert row["is_fresh"] is False
        assert row["fraction_503"]["value"] == fraction(runs.n_503, runs.n).value
        assert row["replica_hours"]["value"] == mean(runs.paid_s / 3600).value
        assert row["replications"] == len(runs)
        assert any(c.isdigit() for c in row["reason"])


def test_the_frontier_is_of_all_that_was_simulated(found: Found, plan: dict[str, Any]) -> None:
    points = {
        s: (float(r.paid_s.mean()), float(r.n_503.sum() / r.n.sum()))
        for s, r in ((s, found.pool.runs(s)) for s in found.pool.settings)
    }

    def is_dominated(s: Setting) -> bool:
        cost, bad = points[s]
        return any(c <= cost and b <= bad and (c, b) != (cost, bad) for c, b in points.values())

    edge = [setting_of(row) for row in plan["frontier"]]
    assert edge == frontier(found)
    assert len(edge) >= 3
    assert {points[s] for s in edge} == {points[s] for s in points if not is_dominated(s)}
    for a, b in pairwise(edge):
        assert points[a][0] <= points[b][0]
        assert points[a][1] > points[b][1]


def test_neighbours_are_one_step_away_and_say_why_not(found: Found, plan: dict[str, Any]) -> None:
    best = setting_of(plan["recommended"])
    near = Neighbours(found.space.settings).of(best)
    assert {setting_of(row) for row in plan["neighbours"]} == set(near) - {found.best}
    hours = plan["recommended"]["replica_hours"]["value"]
    for row in plan["neighbours"]:
        reason, there = row["reason"], row["replica_hours"]["value"]
        assert f"({there:.4g} against {hours:.4g} replica-hours)" in reason
        assert (" more (" in reason) is (there > hours)
        assert (row["verdict"] == "pass") is reason.startswith("keeps the promise")


def test_alternatives_are_of_the_frontier(plan: dict[str, Any]) -> None:
    frontier_settings = [setting_of(row) for row in plan["frontier"]]
    others = [setting_of(row) for row in plan["alternatives"]]
    assert set(others) <= set(frontier_settings)
    assert setting_of(plan["recommended"]) not in others
    assert 0 < len(others) <= 10


def test_the_search_counts_what_it_did(found: Found, plan: dict[str, Any]) -> None:
    said = plan["search"]
    fresh = sum(c.measures.replications for c in found.confirmations)
    assert said["settings"] == len(found.space.settings) == 31
    assert said["simulated"] == len(found.pool.settings)
    assert said["fresh_replications"] == fresh
    assert said["requests"] == found.pool.requests + sum(c.measures.requests for c in found.confirmations)
    per_run = OF.arrivals.expected_count
    most = max(
        max(found.pool.count(s) for s in found.pool.settings), *(c.measures.replications for c in found.confirmations)
    )
    assert said["exhaustive_requests"] == pytest.approx(31 * most * per_run, rel=0.02)


def test_the_map_is_of_what_was_simulated_or_guessed(found: Found, plan: dict[str, Any]) -> None:
    said = plan["map"]
    top = said["autoscale_max_replicas"]
    assert found.best is not None
    assert top >= found.best.max_replicas
    for i, low in enumerate(said["autoscale_min_replicas"]):
        for j, target in enumerate(said["autoscale_target_utilization"]):
            value, setting = said["fraction_503"][i][j], Setting(low, top, target)
            assert (value is None) is (setting not in found.space.settings)
            if setting in found.pool:
                runs = found.pool.runs(setting)
                assert said["simulated"][i][j] is True
                assert value == runs.n_503.sum() / runs.n.sum()
            elif not said["simulated"][i][j] and value is not None:
                assert 0 <= value <= 1
    assert np.shape(said["fraction_503"]) == np.shape(said["simulated"])


def test_under_fixed_there_is_no_map() -> None:
    said = document(search(fixed(duration_s=20.0), LOOSE, Ranges(max_replicas=tuple(range(2, 9)))))
    assert said["map"] is None
    assert said["recommended"]["autoscale_min_replicas"] == said["recommended"]["autoscale_max_replicas"]


# Which of many maxima


def test_the_choice_itself_is_rejected_for_a_lower_maximum_with_the_same_runs() -> None:
    ranges = Ranges(min_replicas=(4,), max_replicas=(60,), target_percent=(70,))
    of = scenario(max_replicas=60)
    found = search(of, Slo(max_fraction_503=0.2), ranges)
    chosen = Setting(4, 60, 70)
    assert found.best == chosen
    peak = max(found.confirmations[-1].peak_unclamped, int(found.pool.runs(chosen).peak_unclamped.max()))
    maxima = (peak - 1, peak, peak + 1, 60)
    wider = space(of, LOOSE, Ranges(min_replicas=(4,), max_replicas=maxima, target_percent=(70,)))
    found = dataclasses.replace(
        found, space=wider, guesses=None, coordinates=dict.fromkeys(wider.settings, np.zeros(4))
    )
    word, best = recommended(found)
    assert best is not None
    assert (str(word), best.setting) == ("feasible", Setting(4, peak, 70))
    said = document(found)
    rows = {setting_of(row): row for row in said["rejected"]}
    assert sorted(s.max_replicas for s in rows) == [peak - 1, peak + 1, 60]
    for high in (peak + 1, 60):
        assert rows[Setting(4, high, 70)]["by"] == "same_runs"
    assert f"max {peak}, target 70 %" in rows[chosen]["reason"]


def test_what_was_not_confirmed_is_not_called_feasible(found: Found) -> None:
    unconfirmed = document(dataclasses.replace(found, confirmations=()))
    assert unconfirmed["verdict"] == "undecided"
    assert unconfirmed["recommended"]["is_fresh"] is False
    assert unconfirmed["probability_near_cheapest"] is None
    assert found.best is not None
    broken = confirm(OF, Slo(max_fraction_503=1e-6), found.best, SERIAL, attempt=9, advance=lambda: None)
    assert document(dataclasses.replace(found, confirmations=(broken,)))["verdict"] == "undecided"
    nothing = document(dataclasses.replace(found, best=None, confirmations=()))
    assert (nothing["verdict"], nothing["recommended"], nothing["neighbours"]) == ("undecided", None, [])
    assert f"{len(found.pool.settings)} of 31" in nothing["reasons"][0]


def test_a_setting_without_any_answer_has_a_reason() -> None:
    """One replica holds 400 requests and works at one: all time out as 504s, so that there is no latency at all."""
    of = fixed(
        rps=4.0,
        duration_s=60.0,
        warm_up_s=40.0,
        max_concurrent_requests=400,
        scoring_timeout_s=3.0,
        service_time=Deterministic(0.5),
    )
    of = dataclasses.replace(of, deployment=dataclasses.replace(of.deployment, worker_count=1))
    slo = Slo(max_fraction_503=0.5, p99_latency_s=2.0)
    found = search(of, slo, Ranges(max_replicas=(1, 3, 5)))
    runs = found.pool.runs(next(s for s in found.pool.settings if s.min_replicas == 1))
    assert runs.answers.sum() == runs.slow.sum() == runs.n_504.sum() == runs.n.sum()
    said = document(found)
    assert said["recommended"]["autoscale_min_replicas"] in (3, 5)
    (row,) = (r for r in said["rejected"] if r["autoscale_min_replicas"] == 1)
    assert row["reason"].startswith("fraction of 504s 100 % (98.3 % to 100 %), not bounded by the slo, so held to ")
    ignoring = dataclasses.replace(slo, ignores_504=True)
    said = document(search(of, ignoring, Ranges(max_replicas=(1, 3, 5))))
    (row,) = (r for r in said["rejected"] if r["autoscale_min_replicas"] == 1)
    assert row["reason"].startswith("p99 latency: there was no 200 answer at all; costs ")


def test_an_entry_scales_its_whole_interval(found: Found) -> None:
    word, best = recommended(found)
    assert str(word) == "feasible"
    assert isinstance(best, Entry)
    double = scaled(best.replica_hours, 2.0)
    assert (double.value, double.low) == (2 * best.replica_hours.value, 2 * best.replica_hours.low)
    assert entry_document(best, OF, 2.0)["cost"]["high"] == scaled(best.replica_hours, 2.0).high
    assert entry_document(best, dataclasses.replace(OF, duration_s=80.0), 2.0)["cost_per_hour"][
        "value"
    ] == pytest.approx(2.0 * best.replica_hours.value * 45)


def test_a_bound_is_a_bound() -> None:
    """Minima that alone cost as much as the choice are never simulated; the sentence has both numbers."""
    of = scenario(steps((20.0, 3.0)), max_replicas=300)
    ranges = Ranges(min_replicas=tuple(range(1, 100)), max_replicas=(60, 300), target_percent=(70,))
    found = search(of, LOOSE, ranges)
    said = document(found)
    rows = [row for row in said["rejected"] if row["by"] == "bound"]
    assert len(rows) > 50
    hours = said["recommended"]["replica_hours"]["value"]
    for row in rows:
        least = row["autoscale_min_replicas"] * 20 / 3600
        assert f"alone costs {least:.4g} replica-hours" in row["reason"]
        assert least > 0.95 * hours
