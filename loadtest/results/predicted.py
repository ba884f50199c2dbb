"""Which share of single runs of a scenario would meet a failure condition: simulated, with its exact interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from loadtest.results.metrics import Metric, Source
from loadtest.results.thresholds import PredictedShare, Threshold
from planner.measures import bucket_value_s, share_of_runs
from planner.model import FloatArray, Outcome
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult, simulate_replicate
from planner.sim.replications import SERIAL, Executor

REPLICATIONS = 200
"""An interval of the share at most 14 points wide."""

LONGEST_S = 30.0
"""After a replay nobody waits longer: what is simulated until then is used. A guess."""


def predict_shares(
    scenario: Scenario,
    thresholds: Sequence[Threshold],
    executor: Executor = SERIAL,
    on_done: Callable[[], object] = lambda: None,
    *,
    replications: int = REPLICATIONS,
    longest_s: float = LONGEST_S,
) -> list[PredictedShare]:
    """For each threshold the share of simulated runs that would fail, or why the model cannot say.

    As in `fraction_of_runs_within_slo` each run draws its own arrivals. Ends early, with what is done, after longest_s,
    or after the first run where every other one is the same.
    """
    metrics = [t.metric for t in thresholds if t.metric.not_predicted is None]
    values: list[FloatArray] = []
    exact = False
    if metrics:
        ends = time.monotonic() + longest_s
        for row, exact in executor.in_order(partial(_values, scenario, metrics), range(replications)):
            values.append(row)
            on_done()
            if exact or time.monotonic() > ends:
                break
    columns = iter(np.array(values).T)
    return [
        PredictedShare(share=None, why=t.metric.not_predicted)
        if t.metric.not_predicted
        else _share(t, next(columns), exact)
        for t in thresholds
    ]


def _values(scenario: Scenario, metrics: Sequence[Metric], replicate: int) -> tuple[FloatArray, bool]:
    """Each metric of one replicate, NaN where it has none, and whether every other replicate is the same."""
    result = simulate_replicate(scenario, replicate)
    return np.array([_value(metric, result) for metric in metrics]), result.repeats


def _value(metric: Metric, result: ReplicateResult) -> float:
    if metric.source is Source.OUTCOMES:
        known = [o for o in metric.outcomes if o <= Outcome.STATUS_504]
        return float(result.outcomes[known].sum() / result.n) if result.n else np.nan
    assert metric.level is not None
    return latency_of_replicate(result, metric.level)


def latency_of_replicate(result: ReplicateResult, level: float) -> float:
    """A quantile of the 200 answers of one replicate, seconds (level 1: the largest); NaN without any."""
    cumulative = np.cumsum(result.latency_count)
    if not len(cumulative):
        return np.nan
    return bucket_value_s(int(result.latency_bucket[np.searchsorted(cumulative, level * cumulative[-1])]))


def _share(threshold: Threshold, values: FloatArray, exact: bool) -> PredictedShare:
    defined = values[np.isfinite(values)]
    missing = len(values) - len(defined)
    if not len(defined):
        return PredictedShare(share=None, why=f"none of {missing} simulated runs had anything to judge")
    failing = np.array([threshold.is_failed_by(value) for value in defined.tolist()])
    limits = [f"{missing} more had nothing to judge"] if missing else []
    if threshold.metric.limited is not None:
        limits.append(threshold.metric.limited)
    return PredictedShare(share=share_of_runs(failing, exact=exact), why="; ".join(limits) or None)
