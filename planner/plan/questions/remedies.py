"""What each documented remedy does to the 503s: a lower target, more replicas at least, more replicas at most."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from planner.azureml import shown_name
from planner.documents import estimate_document
from planner.model import MOST_REPLICAS, Autoscaler, Deployment, Estimate
from planner.percent import percent
from planner.plan.questions.bench import Bench, Trial
from planner.plan.questions.paired import difference_503, difference_failed, difference_in_hours, n_503
from planner.plan.questions.words import effect, hours
from planner.scenario import Scenario

TARGET, MIN, MAX, COUNT = (
    "autoscale_target_utilization",
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "num_replicas",
)

TARGET_STEP_PERCENT, LOWEST_TARGET_PERCENT = 20, 10


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """One setting moved. also: what had to move with it, under Azure's names."""

    setting: str
    before: int
    after: int
    deployment: Deployment
    also: dict[str, int] = field(default_factory=dict)

    @property
    def can_move(self) -> bool:
        return self.after != self.before


def remedies(own: Trial, scenario: Scenario, bench: Bench) -> list[dict[str, Any]]:
    """Each against the deployment as it is, `own`, on the same random numbers."""
    return [
        _effect(remedy, own, scenario, bench) if remedy.can_move else _stuck(remedy)
        for remedy in documented(scenario.deployment)
    ]


def unanswered(deployment: Deployment, reason: str) -> list[dict[str, Any]]:
    return [_unknown(remedy, remedy.after if remedy.can_move else None, reason) for remedy in documented(deployment)]


def documented(deployment: Deployment) -> list[Remedy]:
    """The remedies of Azure's troubleshooting pages, in its order; under `fixed` more replicas."""
    if deployment.autoscaler is Autoscaler.FIXED:
        before = deployment.max_replicas
        counts = sorted({min(before + 1, MOST_REPLICAS), _quarter_more(before)})
        return [_more_fixed(deployment, count) for count in counts]
    target = deployment.target_utilization_percent
    lower = min(target, max(LOWEST_TARGET_PERCENT, target - TARGET_STEP_PERCENT))
    return [
        Remedy(
            setting=TARGET,
            before=target,
            after=lower,
            deployment=dataclasses.replace(deployment, target_utilization_percent=lower),
        ),
        _more_at_least(deployment),
        Remedy(
            setting=MAX,
            before=deployment.max_replicas,
            after=_quarter_more(deployment.max_replicas),
            deployment=dataclasses.replace(deployment, max_replicas=_quarter_more(deployment.max_replicas)),
        ),
    ]


def _more_fixed(deployment: Deployment, count: int) -> Remedy:
    changed = dataclasses.replace(deployment, min_replicas=count, max_replicas=count)
    return Remedy(setting=COUNT, before=deployment.max_replicas, after=count, deployment=changed)


def _more_at_least(deployment: Deployment) -> Remedy:
    """The maximum moves with the minimum where it would be below it."""
    after = _quarter_more(deployment.min_replicas)
    most = max(after, deployment.max_replicas)
    return Remedy(
        setting=MIN,
        before=deployment.min_replicas,
        after=after,
        deployment=dataclasses.replace(deployment, min_replicas=after, max_replicas=most),
        also={MAX: most} if most > deployment.max_replicas else {},
    )


def _quarter_more(count: int) -> int:
    """A quarter more, at least one."""
    return min(count + math.ceil(count / 4), MOST_REPLICAS)


def _effect(remedy: Remedy, own: Trial, scenario: Scenario, bench: Bench) -> dict[str, Any]:
    changed = dataclasses.replace(scenario, deployment=remedy.deployment)
    results = bench.run(changed, bench.own_runs(scenario), f"{remedy.setting} {remedy.after}")
    trial = Trial.of(changed, results)
    change, paid = difference_503(own.results, results), difference_in_hours(own.results, results)
    is_same = bool((n_503(own.results) == n_503(results)).all())
    fractions = own.measures.fraction_503.value, trial.measures.fraction_503.value
    return {
        **_named(remedy, remedy.after),
        "fraction_503": estimate_document(trial.measures.fraction_503),
        "fraction_504": estimate_document(trial.measures.fraction_504),
        "fraction_failed": estimate_document(trial.measures.fraction_failed),
        "difference": estimate_document(change),
        "difference_failed": estimate_document(difference_failed(own.results, results)),
        "replica_hours": estimate_document(trial.measures.replica_hours),
        "replica_hours_difference": estimate_document(paid),
        "verdict": str(trial.verdict.word),
        "reason": None,
        "sentence": _sentence(remedy, fractions, change, paid, is_same=is_same) + _timed_out(own, trial),
    }


def _sentence(
    remedy: Remedy, fractions: tuple[float, float], change: Estimate, paid: Estimate, *, is_same: bool
) -> str:
    unit = " %" if remedy.setting == TARGET else ""
    verb = "lowering" if remedy.after < remedy.before else "raising"
    names = remedy.deployment.names
    also = "".join(f" (and {shown_name(name, names)} to {value})" for name, value in remedy.also.items())
    start = f"{verb} {shown_name(remedy.setting, names)} from {remedy.before}{unit} to {remedy.after}{unit}{also}"
    if is_same:
        return f"{start} changes the 503s of no run: {percent(fractions[0])} as before, {hours(paid)}"
    before, after = (percent(fraction) for fraction in fractions)
    few = "" if change.resolved else ", a bound, for few runs differ"
    return f"{start} takes the 503s from {before} to {after} ({effect(change)}{few}) {hours(paid)}"


def _timed_out(own: Trial, trial: Trial) -> str:
    """What becomes of the 504s, where there are any."""
    if not (own.measures.has_504 or trial.measures.has_504):
        return ""
    before, after = (percent(t.measures.fraction_504.value) for t in (own, trial))
    change = difference_failed(own.results, trial.results)
    return f"; the 504s go from {before} to {after}, all failed requests change by {effect(change)}"


def _stuck(remedy: Remedy) -> dict[str, Any]:
    bound = "low as" if remedy.setting == TARGET else "high as"
    return _unknown(
        remedy,
        None,
        f"{shown_name(remedy.setting, remedy.deployment.names)} = {remedy.before} is as {bound} it is tried",
    )


def _unknown(remedy: Remedy, after: int | None, reason: str) -> dict[str, Any]:
    return {
        **_named(remedy, after),
        "fraction_503": None,
        "fraction_504": None,
        "fraction_failed": None,
        "difference": None,
        "difference_failed": None,
        "replica_hours": None,
        "replica_hours_difference": None,
        "verdict": None,
        "reason": reason,
        "sentence": reason,
    }


def _named(remedy: Remedy, after: int | None) -> dict[str, Any]:
    return {
        "setting": remedy.setting,
        "from": remedy.before,
        "to": after,
        "also": {} if after is None else dict(remedy.also),
    }
