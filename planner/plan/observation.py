"""What one run of one setting says of cost and promise: little, so that hundreds of thousands can be kept."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from planner.measures import bucket_value_s
from planner.model import Outcome, Slo
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult, simulate_replicate
from planner.sim.layout import LATENCY_BUCKETS


class Observed(NamedTuple):
    """Counts over requests that arrive in [warm_up, duration); paid time in replica-seconds from 0 on."""

    n: int
    n_503: int
    answers: int
    """200s and 504s."""
    slow: int
    """Of these the ones that took longer than the promised p99 latency, and all 504s."""
    paid_s: float
    peak_unclamped: int
    n_504: int = 0
    repeats: bool = False
    """Every other run of the setting is this one."""


def observe(scenario: Scenario, slo: Slo, task: tuple[Setting, int]) -> Observed:
    """One replicate of the scenario with other settings. task: the settings, the number of the replicate."""
    setting, replicate = task
    # One bin: what is counted over time is not asked for.
    seen = observed(simulate_replicate(with_setting(scenario, setting), replicate, bin_s=scenario.duration_s), slo)
    # No more replicas start than may exist: a max_replicas below the initial ones changes the run, too.
    return seen._replace(peak_unclamped=max(seen.peak_unclamped, scenario.deployment.initial_replicas or 0))


def observed(result: ReplicateResult, slo: Slo) -> Observed:
    slow = 0
    if slo.p99_latency_s is not None:
        slow = int(result.latency_count[result.latency_bucket >= _first_bucket_above(slo.p99_latency_s)].sum())
        slow += result.n_504
    answers = int(result.outcomes[Outcome.OK]) + result.n_504
    return Observed(
        result.n, result.n_503, answers, slow, result.paid_s, result.peak_unclamped, result.n_504, result.repeats
    )


def with_setting(scenario: Scenario, setting: Setting) -> Scenario:
    return dataclasses.replace(scenario, deployment=setting.applied_to(scenario.deployment))


@lru_cache
def _first_bucket_above(latency_s: float) -> int:
    return bisect_right(range(LATENCY_BUCKETS), latency_s, key=bucket_value_s)
