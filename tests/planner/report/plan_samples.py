"""Plans to report on: documents as `surgeproof plan` writes them, with numbers made up by simple laws."""

from __future__ import annotations

import math
from typing import Any

from planner.documents import provenance, scenario_document, settings_document
from planner.model import Autoscaler, Estimate
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.scenario_file import load

Document = dict[str, Any]

TARGETS, MINIMA = list(range(50, 101, 5)), list(range(1, 25))
SLO, LARGEST, PRICE = 0.001, 28, 0.096
CHOSEN = Setting(17, LARGEST, 80)


def estimate(value: float, spread: float = 0.1, *, resolved: bool = True) -> Document:
    low, high = (value * (1 - spread), value * (1 + spread)) if resolved else (0.0, max(value * 3, 1e-5))
    made = Estimate(value=value, low=low, high=high, confidence=0.95, replications=400, resolved=resolved)
    return {name: getattr(made, name) for name in ("value", "low", "high", "confidence", "replications", "resolved")}


def fraction_of(setting: Setting) -> float:
    """Fewer 503s with every replica that is always there, and with every percent of headroom."""
    return 0.05 * math.exp(-0.22 * setting.min_replicas - 0.02 * (100 - setting.target_percent))


def hours_of(setting: Setting) -> float:
    return 4.9 + 0.13 * setting.min_replicas + 0.004 * (100 - setting.target_percent)


def entry(
    setting: Setting, reason: str, *, fresh: bool = False, priced: bool = True, hours_in_run: float = 1 / 3
) -> Document:
    fraction, hours = fraction_of(setting), hours_of(setting)
    verdict = "pass" if 1.1 * fraction <= SLO else "fail" if 0.9 * fraction > SLO else "undecided"
    return {
        "autoscale_min_replicas": setting.min_replicas,
        "autoscale_max_replicas": setting.max_replicas,
        "autoscale_target_utilization": setting.target_percent,
        "replica_max_concurrent_requests": setting.max_concurrent,
        "worker_count": setting.worker_count,
        "fraction_503": estimate(fraction),
        "fraction_of_runs_within_slo": estimate(0.97, 0.01),
        "latency_p99_s": estimate(0.72, 0.02),
        "mean_replicas": estimate(hours / hours_in_run, 0.01),
        "replica_hours": estimate(hours, 0.004),
        "cost_per_hour": estimate(hours / hours_in_run * PRICE, 0.004) if priced else None,
        "cost": estimate(hours * PRICE, 0.004) if priced else None,
        "replications": 400,
        "verdict": verdict,
        "reason": reason,
        "is_fresh": fresh,
    }


def plan_of(scenario: Scenario, **changes: Any) -> Document:
    """A feasible plan for a scenario with an autoscaler."""
    recommended = entry(CHOSEN, "the cheapest that keeps it", fresh=True)
    recommended["settings"] = settings_document(scenario.deployment)
    document = {
        "command": "plan",
        "scenario": scenario_document(scenario),
        "slo": {"max_fraction_503": SLO, "p99_latency_s": 2.0, "min_fraction_of_runs": 0.95, "is_assumed": False},
        "verdict": "feasible",
        "reasons": ["fraction of 503s 0.0796 % (0.0716 % to 0.0876 %), promised at most 0.1 %: kept"],
        "binding_limit": None,
        "recommended": recommended,
        "probability_near_cheapest": 0.97,
        "neighbours": [
            entry(Setting(16, LARGEST, 80), "not surely kept"),
            entry(Setting(18, LARGEST, 80), "kept, but 1.8 % dearer"),
            entry(Setting(17, LARGEST, 75), "kept, but 0.3 % dearer"),
            entry(Setting(17, LARGEST, 85), "fraction of 503s 0.088 %: kept, but not surely"),
        ],
        "alternatives": [entry(Setting(low, LARGEST, 80), "keeps more than was promised") for low in (18, 20, 22)],
        "frontier": [entry(Setting(low, LARGEST, 80), "cheapest at its fraction") for low in range(4, 24)],
        "rejected": rejected(8),
        "map": {
            "autoscale_max_replicas": LARGEST,
            "autoscale_min_replicas": MINIMA,
            "autoscale_target_utilization": TARGETS,
            "fraction_503": [[fraction_of(Setting(low, LARGEST, t)) for t in TARGETS] for low in MINIMA],
            "simulated": [[(7 * low + t) % 15 == 0 for t in TARGETS] for low in MINIMA],
        },
        "search": {
            "settings": 3214,
            "simulated": 61,
            "replications": 4210,
            "requests": 81_234_567,
            "exhaustive_requests": 2.1e9,
            "fresh_replications": 400,
            "seconds": 21.3,
            "stopped_by": "decided",
            "best_after": [],
        },
        "cost": {"price_per_replica_hour": PRICE, "currency_note": None},
        "published_rule": rule(),
        "questions": None,
        "robust": None,
        "workers_lost": None,
        "interrupted": False,
        "warnings": [],
        "provenance": provenance(scenario.seed),
    }
    return document | changes


def rejected(number: int) -> list[Document]:
    """Discarded settings, three of each four by screening."""
    return [
        {
            "autoscale_min_replicas": 1 + i % 24,
            "autoscale_max_replicas": LARGEST + i,
            "autoscale_target_utilization": 60,
            "replica_max_concurrent_requests": 1,
            "by": "bound" if i % 4 == 0 else "screening",
            "reason": f"predicted 503s {3 + i / 10:.1f} %",
        }
        for i in range(number)
    ]


def rule(**changes: Any) -> Document:
    made = {
        "rate": "busiest",
        "replicas": 24,
        "target_rps": 140.0,
        "request_time_s": 0.12,
        "target_utilization": 0.7,
        "max_concurrent": 1,
        "fraction_503": estimate(0.0, resolved=False),
        "method": "simulated in this scenario with that many fixed replicas",
        "fraction_503_steady_state": 2.7e-7,
        "steady_state_method": "exact: M/M/c+D in steady state",
        "replica_hours": estimate(8.0, 0.0),
        "cost_per_hour": 2.3,
        "cost": 0.77,
        "replicas_for": [
            {"max_fraction_503": bound, "replicas": count, "method": "exact: M/M/c+D in steady state", "reason": None}
            for bound, count in ((0.01, 18), (0.001, 20), (0.0001, 21))
        ],
        "reason": None,
        "sentence": "The published rule, 140 rps x 0.12 s / 0.7 / 1, gives 24 replicas",
        "at_mean_rate": None,
    }
    return made | changes


def questions(**changes: Any) -> Document:
    """Answers, one of each kind; a remedy that could not be moved is among them."""
    remedy = {
        "setting": "autoscale_min_replicas",
        "from": 17,
        "to": 18,
        "also": {},
        "fraction_503": estimate(0.0006),
        "difference": estimate(-0.0002),
        "replica_hours": estimate(7.3, 0.004),
        "replica_hours_difference": estimate(0.13),
        "verdict": "pass",
        "reason": None,
        "sentence": "raising autoscale_min_replicas from 17 to 18 takes the 503s from 0.08 % to 0.06 %",
    }
    stuck = "autoscale_target_utilization cannot be lower than 1 %"
    unmoved = {"to": None, "fraction_503": None, "difference": None, "replica_hours": None, "verdict": None}
    made = {
        "deployment": {},
        "own_traffic": {},
        "highest_rate": {
            "survives": {},
            "fails": {},
            "base_rps": None,
            "tried": 8,
            "reason": None,
            "sentence": "These settings keep the promise up to 1.31 times the traffic",
            "caveat": "Under an autoscaler more traffic is not always worse.",
        },
        "highest_spike": {
            "survives": None,
            "fails": None,
            "reason": None,
            "sentence": "There is no spike.",
            "caveat": None,
        },
        "remedies": [
            remedy,
            remedy
            | unmoved
            | {"setting": "autoscale_target_utilization", "from": 1, "reason": stuck, "sentence": stuck},
        ],
        "lose_one_replica": {
            "sentence": "With one replica lost for the whole run the promise is broken",
            "reason": None,
        },
    }
    return made | changes


def robust(**changes: Any) -> Document:
    """Two uncertain inputs and three worlds, one of which does not count."""
    world = {
        "positions": {"cold_start": -1.0, "rate": 0.3},
        "counts": True,
        "verdict": "feasible",
        "best": _named(Setting(11, LARGEST, 80)) | {"replica_hours": 5.9},
        "kept": True,
        "fraction_503": estimate(0.0006),
        "replica_hours": estimate(7.2, 0.004),
    }
    made = {
        "criterion": "kept",
        "kept_in": 0.9,
        "worlds": [
            world
            | {"positions": {"cold_start": 1.0}, "counts": False, "verdict": "infeasible", "best": None, "kept": False},
            world,
            world | {"positions": {}},
        ],
        "inputs": [_input("cold_start", 20.0, 35.0, 60.0, "s"), _input("rate", 0.8, 1.0, 1.25, None, high=None)],
        "matters_most": "cold_start",
        "candidates": [
            _named(CHOSEN) | _over_worlds(1.0, 1.2, is_recommended=True, reason="kept in every world"),
            _named(Setting(16, LARGEST, 80)) | _over_worlds(0.5, None, is_recommended=False, reason="kept in too few"),
        ],
        "sentence": "the promise is kept in 2 of 2 worlds",
    }
    return made | changes


def _named(setting: Setting) -> Document:
    return {
        "autoscale_min_replicas": setting.min_replicas,
        "autoscale_max_replicas": setting.max_replicas,
        "autoscale_target_utilization": setting.target_percent,
        "replica_max_concurrent_requests": setting.max_concurrent,
    }


def _input(name: str, low: float, mid: float, top: float, unit: str | None, high: float | None = 9.4) -> Document:
    hours = {"replica_hours_low": 5.9, "replica_hours_mid": 7.1, "replica_hours_high": high}
    counts = {"replicas_low": 11, "replicas_mid": 17, "replicas_high": 22}
    sentence = f"{name}: less of it saves 6 replicas"
    return {"name": name, "low": low, "mid": mid, "high": top, "unit": unit, "sentence": sentence} | hours | counts


def _over_worlds(kept: float, regret: float | None, **rest: Any) -> Document:
    return {"kept_share": kept, "mean_replica_hours": 7.4, "largest_regret_replica_hours": regret} | rest


def infeasible(scenario: Scenario, limit: str = "max_replicas") -> Document:
    plan = plan_of(scenario)
    return plan | {
        "verdict": "infeasible",
        "reasons": ["with 28 replicas ready from the start, fraction of 503s 0.4 % (0.38 % to 0.42 %)"],
        "binding_limit": limit,
        "recommended": None,
        "probability_near_cheapest": None,
        "neighbours": [],
        "alternatives": plan["frontier"][:3],
        "frontier": plan["frontier"][:8],
    }


def undecided(scenario: Scenario) -> Document:
    plan = plan_of(scenario)
    return plan | {
        "verdict": "undecided",
        "recommended": plan["recommended"] | {"verdict": "undecided", "is_fresh": False},
        "probability_near_cheapest": 0.61,
        "search": plan["search"] | {"stopped_by": "budget", "fresh_replications": 0, "exhaustive_requests": None},
    }


def without_slo(scenario: Scenario) -> Document:
    plan = plan_of(scenario)
    slo = {"max_fraction_503": SLO, "p99_latency_s": None, "min_fraction_of_runs": None, "is_assumed": True}
    unpriced = {"cost_per_hour": None, "cost": None, "fraction_of_runs_within_slo": None}
    bare = {name: [row | unpriced for row in plan[name]] for name in ("neighbours", "alternatives", "frontier")}
    return (
        plan
        | bare
        | {
            "scenario": plan["scenario"] | {"slo": None},
            "slo": slo,
            "recommended": plan["recommended"] | unpriced,
            "cost": {"price_per_replica_hour": None, "currency_note": None},
            "published_rule": rule(cost_per_hour=None, cost=None),
        }
    )


def unresolved(scenario: Scenario) -> Document:
    """So few 503s that no fraction is resolved, and a map that knows nothing of some cells."""
    plan = plan_of(scenario)
    nothing = {"fraction_503": estimate(0.0, resolved=False)}
    grid = plan["map"]
    rows = [[None if i < 3 else 0.0 for _ in TARGETS] for i in range(len(MINIMA))]
    parts = {name: [row | nothing for row in plan[name]] for name in ("neighbours", "alternatives", "frontier")}
    return plan | parts | {"recommended": plan["recommended"] | nothing, "map": grid | {"fraction_503": rows}}


def fixed_scenario() -> Scenario:
    scenario = load("steady-poisson")
    assert scenario.deployment.autoscaler is Autoscaler.FIXED
    return scenario


def fixed(scenario: Scenario) -> Document:
    """Under `fixed` a setting is a number of replicas, and there is no map."""
    target = scenario.deployment.target_utilization_percent
    counts = [Setting(n, n, target) for n in range(10, 24)]
    plan = plan_of(scenario)
    rows = [entry(setting, "cheapest at its fraction") for setting in counts]
    best = next(row for row in rows if row["verdict"] == "pass")
    at = rows.index(best)
    return plan | {
        "recommended": best | {"settings": settings_document(scenario.deployment), "is_fresh": True},
        "neighbours": [rows[at - 1], rows[at + 1]],
        "alternatives": rows[at + 1 : at + 3],
        "frontier": rows,
        "rejected": [],
        "map": None,
    }


def shipped_spike() -> Scenario:
    return load("launch-spike")
