"""Whether a deployment survives the loss of one replica."""

from __future__ import annotations

import dataclasses
from typing import Any

from planner.documents import estimate_document
from planner.model import Autoscaler, Deployment
from planner.percent import percent
from planner.plan.questions.bench import Bench, Trial
from planner.plan.questions.paired import difference_503, difference_failed
from planner.plan.questions.words import effect, share
from planner.scenario import Scenario


def lose_one_replica(own: Trial, scenario: Scenario, bench: Bench) -> dict[str, Any]:
    """One replica fewer for the whole run, never replaced: the pessimistic reading. own: with all of them."""
    if scenario.deployment.max_replicas == 1:
        return unanswered("There is one replica: when it is lost, none is left.")
    lost = without_one(scenario.deployment)
    changed = dataclasses.replace(scenario, deployment=lost)
    results = bench.run(changed, bench.own_runs(scenario), "one replica lost")
    trial = Trial.of(changed, results)
    change = difference_503(own.results, results)
    without, with_all = trial.measures.fraction_503, own.measures.fraction_503
    took = f"{share(without)} of requests get 503, against {percent(with_all.value)} ({effect(change)})"
    if own.measures.has_504 or trial.measures.has_504:
        took += f" and {share(trial.measures.fraction_504)} 504, against {percent(own.measures.fraction_504.value)}"
    kept = "kept" if trial.kept else f"broken ({trial.broken})"
    certainty = "" if trial.is_certain else " by the estimate, though its interval holds the promised value"
    return {
        "autoscale_min_replicas": lost.min_replicas,
        "autoscale_max_replicas": lost.max_replicas,
        "initial_replicas": lost.initial_count,
        "difference": estimate_document(change),
        "difference_failed": estimate_document(difference_failed(own.results, results)),
        **trial.judgement(),
        "reason": None,
        "sentence": f"{_reading(scenario.deployment, lost)}, {took}: the promise is {kept}{certainty}.",
    }


def without_one(deployment: Deployment) -> Deployment:
    """One replica fewer at any time. Where azureml-fe keeps one, it starts with none and has to make that one."""
    least = max(1, deployment.min_replicas - 1)
    initial = deployment.initial_replicas
    keeps_one = deployment.autoscaler is not Autoscaler.FIXED and least == deployment.min_replicas
    if initial is not None or keeps_one:
        initial = max(0, deployment.initial_count - 1)
    return dataclasses.replace(
        deployment, min_replicas=least, max_replicas=deployment.max_replicas - 1, initial_replicas=initial
    )


def unanswered(reason: str) -> dict[str, Any]:
    names = (
        "autoscale_min_replicas",
        "autoscale_max_replicas",
        "initial_replicas",
        "fraction_503",
        "fraction_504",
        "fraction_failed",
        "difference",
        "difference_failed",
        "fraction_of_runs_within_slo",
        "latency_p99_s",
        "kept",
        "decided_by",
        "verdict",
    )
    return {**dict.fromkeys(names), "reasons": [], "reason": reason, "sentence": reason}


def _reading(deployment: Deployment, lost: Deployment) -> str:
    if deployment.autoscaler is Autoscaler.FIXED:
        return f"With one of {deployment.max_replicas} replicas lost for the whole run and never replaced"
    if lost.initial_count == 0:
        return (
            f"With its only replica lost at the start, at most {lost.max_replicas} and cold starts before any is ready"
        )
    return (
        "With one replica lost for the whole run and never replaced (the pessimistic reading: "
        f"min {lost.min_replicas}, max {lost.max_replicas})"
    )
