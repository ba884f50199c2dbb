"""All questions about one deployment, one answer after the other."""

from __future__ import annotations

import dataclasses
from typing import Any

from planner.errors import NoVerdictError
from planner.model import Deployment
from planner.plan.questions import highest, loss, remedies
from planner.plan.questions.bench import Advance, Bench, Trial, silent
from planner.plan.questions.scaled import Scale
from planner.scenario import Scenario
from planner.sim.replications import DEFAULT_REPLICATIONS, Executor


def answer_questions(
    scenario: Scenario,
    deployment: Deployment,
    executor: Executor,
    *,
    replications: int = DEFAULT_REPLICATIONS,
    scale: Scale,
    advance: Advance = silent,
    first: int = 0,
    answers: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the deployment survives in a scenario that has an SLO, and what would help.

    scale: scales a recorded trace. first: the number of the first replicate, one that the search of the deployment has
    not seen. advance: called after each run. answers: filled one by one, so that what is done outlives an interruption.
    """
    answers = {} if answers is None else answers
    scenario = dataclasses.replace(scenario, deployment=deployment)
    bench = Bench(executor=executor, replications=replications, first=first, advance=advance)
    answers["deployment"] = _settings(deployment)
    base = bench.run(scenario, bench.own_runs(scenario), "these settings")
    try:
        own = Trial.of(scenario, base)
    except NoVerdictError as nothing:
        answers |= _unanswered(deployment, f"Not answered: {nothing}.")
        return answers
    answers["own_traffic"] = own.document()
    answers["remedies"] = remedies.remedies(own, scenario, bench)
    answers["lose_one_replica"] = loss.lose_one_replica(own, scenario, bench)
    answers["highest_rate"] = highest.highest_rate(own, scenario, bench, scale)
    answers["highest_spike"] = highest.highest_spike(own, scenario, bench)
    return answers


def _settings(deployment: Deployment) -> dict[str, Any]:
    return {
        "autoscaler": str(deployment.autoscaler),
        "autoscale_min_replicas": deployment.min_replicas,
        "autoscale_max_replicas": deployment.max_replicas,
        "autoscale_target_utilization": deployment.target_utilization_percent,
        "replica_max_concurrent_requests": deployment.max_concurrent_requests,
        "worker_count": deployment.worker_count,
    }


def _unanswered(deployment: Deployment, reason: str) -> dict[str, Any]:
    return {
        "own_traffic": None,
        "remedies": remedies.unanswered(deployment, reason),
        "lose_one_replica": loss.unanswered(reason),
        "highest_rate": highest.unanswered(reason),
        "highest_spike": highest.unanswered(reason),
    }
