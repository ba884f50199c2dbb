"""A plan as the JSON document of `surgeproof plan`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from planner.documents import estimate_document, latency_document, provenance, scenario_document, settings_document
from planner.errors import WorkersLostError
from planner.model import Estimate, VerdictWord
from planner.plan.answer import (
    Entry,
    Map,
    PlanWord,
    compared,
    frontier,
    heat_map,
    neighbours,
    recommended,
    rejected,
)
from planner.plan.limits import Binding
from planner.plan.observation import with_setting
from planner.plan.search import Found
from planner.plan.settings import Setting
from planner.sameness import sameness
from planner.scenario import Scenario

MISSES = 5
"""Settings shown that are cheaper than the recommended one and break the promise, the dearest of them."""


def plan_document(
    found: Found, binding: Binding | None, *, price_per_replica_hour: float | None, slo_is_assumed: bool
) -> dict[str, Any]:
    """Everything but what is asked beside the search: the published rule, the questions, the worlds."""
    word, best = recommended(found)
    scenario = found.scenario

    def shown(made: Entry) -> dict[str, Any]:
        return entry_document(made, scenario, price_per_replica_hour)

    near = [] if best is None else neighbours(found, best)
    edge = [compared(found, setting, best) for setting in frontier(found)]
    return {
        "command": "plan",
        "scenario": scenario_document(scenario),
        "slo": dataclasses.asdict(found.slo) | {"is_assumed": slo_is_assumed},
        "verdict": str(word),
        "reasons": _reasons(found, word, best, binding),
        "binding_limit": None if binding is None or binding.limit is None else str(binding.limit),
        "recommended": None if best is None else shown(best) | {"settings": _settings(scenario, best.setting)},
        "same_in_every_run": _same_in_every_run(scenario, best),
        "probability_near_cheapest": found.probability if word is PlanWord.FEASIBLE else None,
        "neighbours": [shown(made) for made in near],
        "alternatives": [shown(made) for made in _alternatives(edge, best)],
        "frontier": [shown(made) for made in edge],
        "rejected": [setting_document(r.setting) | {"by": r.by, "reason": r.reason} for r in rejected(found, best)],
        "map": _map_document(found, best, edge),
        "limits": _limits_document(found),
        "search": _search_document(found),
        "cost": {"price_per_replica_hour": price_per_replica_hour},
        "published_rule": None,
        "questions": None,
        "robust": None,
        "workers_lost": str(found.ended_by) if isinstance(found.ended_by, WorkersLostError) else None,
        "interrupted": found.ended_by is not None,
        "warnings": list(scenario.warnings),
        "provenance": provenance(scenario.seed),
    }


def entry_document(made: Entry, scenario: Scenario, price: float | None) -> dict[str, Any]:
    """One setting under Azure's names, with its estimates."""
    hours = scenario.duration_s / 3600
    return setting_document(made.setting) | {
        "worker_count": made.setting.worker_count,
        "fraction_503": estimate_document(made.fraction_503),
        "fraction_504": estimate_document(made.fraction_504),
        "fraction_failed": estimate_document(made.fraction_failed),
        "fraction_of_runs_within_slo": estimate_document(made.fraction_of_runs),
        "latency_p99_s": estimate_document(made.latency_p99_s),
        "latency_p99_with_504_s": latency_document(made.latency_p99_with_504_s),
        "mean_replicas": estimate_document(made.mean_replicas),
        "replica_hours": estimate_document(made.replica_hours),
        "cost_per_hour": None if price is None else estimate_document(scaled(made.replica_hours, price / hours)),
        "cost": None if price is None else estimate_document(scaled(made.replica_hours, price)),
        "replications": made.replications,
        "verdict": str(made.verdict.word),
        "reason": made.reason,
        "is_fresh": made.is_fresh,
    }


def scaled(estimate: Estimate, factor: float) -> Estimate:
    return dataclasses.replace(
        estimate, value=estimate.value * factor, low=estimate.low * factor, high=estimate.high * factor
    )


def setting_document(setting: Setting) -> dict[str, Any]:
    """A setting under Azure's names."""
    return {
        "autoscale_min_replicas": setting.min_replicas,
        "autoscale_max_replicas": setting.max_replicas,
        "autoscale_target_utilization": setting.target_percent,
        "replica_max_concurrent_requests": setting.max_concurrent,
    }


def _settings(scenario: Scenario, setting: Setting) -> dict[str, Any]:
    return settings_document(setting.applied_to(scenario.deployment))


def _same_in_every_run(scenario: Scenario, best: Entry | None) -> str | None:
    """Why the recommended setting needed one run only, if it did."""
    if best is None or not best.fraction_503.exact:
        return None
    return sameness(with_setting(scenario, best.setting))


def _reasons(found: Found, word: PlanWord, best: Entry | None, binding: Binding | None) -> list[str]:
    if word is PlanWord.INFEASIBLE:
        assert binding is not None
        return list(binding.reasons)
    if best is None:
        return [
            f"no setting was found that keeps the promise, and {len(found.pool.settings)} of "
            f"{len(found.space.settings)} simulated do not prove that there is none"
        ]
    return list(best.verdict.reasons)


def _alternatives(edge: list[Entry], best: Entry | None) -> list[Entry]:
    """Of the frontier: the nearest misses, then what is better and dearer."""
    if best is None:
        return edge[-MISSES:]
    others = [made for made in edge if made.setting != best.setting]
    cost = best.replica_hours.value
    misses = [m for m in others if m.replica_hours.value < cost and m.verdict.word is not VerdictWord.PASS]
    better = [m for m in others if m not in misses]
    return misses[-MISSES:] + better[:MISSES]


def _map_document(found: Found, best: Entry | None, edge: list[Entry]) -> dict[str, Any] | None:
    if best is None and not edge:
        return None
    center = found.best or edge[-1].setting
    made: Map | None = heat_map(found, center)
    if made is None:
        return None
    return {
        "autoscale_max_replicas": made.max_replicas,
        "autoscale_min_replicas": made.min_replicas,
        "autoscale_target_utilization": made.target_percent,
        str(made.failure): made.fractions,
        "simulated": made.simulated,
    }


def _limits_document(found: Found) -> list[dict[str, Any]]:
    """Limits of the scenario file that the search met, or that a range took the place of."""
    limit, space = found.scenario.replica_limit, found.space
    if limit is None or (space.file_limit is None and space.most_replicas <= limit):
        return []
    is_kept = space.file_limit is not None
    return [{"setting": "autoscale_max_replicas", "value": limit, "is_kept": is_kept}]


def _search_document(found: Found) -> dict[str, Any]:
    pool = found.pool
    fresh = [c.measures for c in found.confirmations]
    counts = Counter({setting: pool.count(setting) for setting in pool.settings})
    most = max([*counts.values(), *(m.replications for m in fresh)], default=0)
    per_run = pool.requests / max(1, pool.replications)
    return {
        "settings": len(found.space.settings),
        "simulated": len(pool.settings),
        "replications": pool.replications,
        "requests": pool.requests + sum(m.requests for m in fresh),
        "fresh_replications": sum(m.replications for m in fresh),
        # As often as the setting that took the most runs to decide: nobody knows beforehand which one that is.
        "exhaustive_requests": len(found.space.settings) * most * per_run,
        "stopped_by": str(found.stopped),
    }
