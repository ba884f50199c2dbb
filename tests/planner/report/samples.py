"""Runs to report on, made by the simulator: the logs of one replicate and the documents of the commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtest.replay.books import balance
from loadtest.replay.statistics import generator, observed
from loadtest.schedule import Schedule
from planner.arrivals import Renewal
from planner.model import Deployment, Outcome, ReplicaLog, RequestLog, Slo
from planner.rates import RateProfile
from planner.report.data import RunReport
from planner.scenario import Scenario
from planner.service import Deterministic, Lognormal
from planner.sim.engine import ReplicateResult, simulate_replicate, simulate_requests
from planner.workload import cold_starts
from tests.loadtest.observed_log import observed_log

REPLICATES = 40
SEND_ERROR_S = 0.0004


def burst(**changes: Any) -> Scenario:
    """Half a minute with a burst that two replicas cannot serve."""
    scenario = Scenario(
        name="burst",
        shows="A burst that arrives faster than replicas can start.",
        duration_s=30.0,
        arrivals=Renewal(
            RateProfile(np.array([0.0, 8.0, 20.0, 30.0]), np.array([2.0, 25.0, 2.0]), np.array([2.0, 25.0, 2.0]))
        ),
        service_time=Lognormal(0.25, 0.5),
        deployment=Deployment(min_replicas=2, max_replicas=8),
        cold_start=Deterministic(4.0),
        slo=Slo(max_fraction_503=0.01, p99_latency_s=2.0, min_fraction_of_runs=0.95),
        seed=7,
    )
    return dataclasses.replace(scenario, **changes)


def calm() -> Scenario:
    return burst(name="calm", arrivals=Renewal(RateProfile.constant(2.0, 30.0)), service_time=Deterministic(0.1))


def sample_report(scenario: Scenario, verdict: str = "pass", *, replicas: bool = True, lost: int = 0) -> RunReport:
    """A run as the simulator would have it. lost: how many 200 answers become connection errors."""
    run = simulate_replicate(scenario, 0, with_log=True)
    assert run.requests is not None
    log = _as_sent(run.requests, lost)
    summary = summary_document(scenario, log, seen_replicas=replicas)
    return RunReport(
        scenario=scenario,
        summary=summary,
        validation=validation_document(scenario, log, summary, verdict),
        requests=log,
        replicas=run.replicas if replicas else None,
    )


def _as_sent(log: RequestLog, lost: int) -> RequestLog:
    outcome = log.outcome.copy()
    outcome[np.flatnonzero(outcome == Outcome.OK)[:lost]] = Outcome.CONNECTION_ERROR
    no_cause = np.full(len(log), -1, dtype=np.int64)
    return dataclasses.replace(log, sent_s=log.scheduled_s + SEND_ERROR_S, outcome=outcome, cause=no_cause)


def schedule_of(scenario: Scenario, log: RequestLog) -> Schedule:
    return Schedule(
        offset_ns=np.floor(log.scheduled_s * 1e9).astype(np.int64),
        service_time_s=log.service_time_s.copy(),
        duration_ns=round(scenario.duration_s * 1e9),
    )


def summary_document(scenario: Scenario, log: RequestLog, *, seen_replicas: bool = True) -> dict[str, Any]:
    """What a replay would have written; counts and latencies come from the replay's own functions."""
    schedule = schedule_of(scenario, log)
    seen = observed_log(log, planned_service_time_s=schedule.service_time_s)
    lab = {"observed": True, "source": "/lab/log and /lab/state"}
    return {
        "command": "replay",
        "scenario": scenario.name,
        "url": "http://127.0.0.1:5001/score",
        "ended": "complete",
        "message": None,
        "started_at": "2026-11-22T10:15:00.000+00:00",
        "books": balance(schedule, log),
        "observed": observed(seen, warm_up_s=scenario.warm_up_s, duration_s=scenario.duration_s),
        "generator": generator(log),
        "warnings": [],
        "replicas": lab if seen_replicas else {"observed": False, "why": "the endpoint shows no replicas"},
        "schedule_sha256": schedule.sha256,
        "provenance": {
            "surgeproof": "0.1.0",
            "seed": scenario.seed,
            "python": "3.11.7",
            "platform": "Linux",
            "packages": {"numpy": "2.4.6", "locust": None},
            "written_at": "2026-11-22T10:16:00+00:00",
        },
    }


def validation_document(
    scenario: Scenario, log: RequestLog, summary: dict[str, Any], verdict: str = "pass"
) -> dict[str, Any]:
    """What `validate` would have written, from few replicates; the verdict is given, not found."""
    counted = (log.scheduled_s >= scenario.warm_up_s) & (log.scheduled_s < scenario.duration_s)
    is_503 = counted & (log.outcome == Outcome.STATUS_503)
    document = {
        "command": "validate",
        "verdict": verdict,
        "reasons": [f"A reason why this run is called {verdict}."],
        "observed": {
            "fraction_503": float(is_503.sum() / counted.sum()),
            "requests": int(counted.sum()),
            "answers_503": int(is_503.sum()),
            "service_times": "measured in the scoring server",
        },
        "predicted": {"fraction_503": None},
        "cannot_tell_apart": [],
        "explanations": [],
        "statistics": [],
        "generator": summary["generator"],
        "books": summary["books"],
    }
    return document if verdict == "invalid" else document | _predicted(scenario, log, is_503, verdict)


def _predicted(scenario: Scenario, log: RequestLog, is_503: Any, verdict: str) -> dict[str, Any]:
    runs = [
        simulate_requests(scenario, [log.scheduled_s], iter([log.service_time_s]), cold_starts(scenario, i))
        for i in range(1, REPLICATES + 1)
    ]
    fractions = np.array([run.n_503 / run.n for run in runs])
    causes = np.sum([run.causes for run in runs], axis=0)
    fails = verdict == "fail"
    low, high = float(fractions.min()), float(fractions.max())
    value = float(is_503.sum() / runs[0].n)
    change = {"setting": "cold_start", "change": "x 0.5 (3 s)", "fraction_503": low / 2}
    names = ("no_ready_replica", "replica_lost", "waiting_for_node", "scale_up_lag", "at_max_replicas")
    total = max(1, causes.sum())
    return {
        "predicted": {
            "fraction_503": {
                "value": float(fractions.mean()),
                "low": low,
                "high": high,
                "confidence": 0.95,
                "replications": REPLICATES,
                "resolved": True,
                "prediction_low": low,
                "prediction_high": high,
            },
            "prediction_confidence": 1 - 0.01 / 3,
            "causes_503": {
                name: float(causes[i] / total) if causes.sum() else None
                for i, name in enumerate((*names, "headroom_too_small"))
            },
        },
        "statistics": [
            _statistic("fraction_503", value, min(low, value / 4), value / 2 if fails else max(high, value)),
            _statistic("largest_distance_of_cumulative_503s", 1.4, 0.0, 12.8),
            _statistic("mean_distance_of_ready_replicas", 0.0152, 0.0, 0.0809),
        ],
        "cannot_tell_apart": [] if fails else [change],
        "explanations": [change] if fails else [],
        "told_apart": [{"setting": "autoscale_min_replicas", "change": "1", "fraction_503": high * 1.2}],
        "over_time": _over_time(log.sent_s[is_503], runs),
    }


def _statistic(name: str, value: float, low: float, high: float) -> dict[str, Any]:
    inside = low <= value <= high
    p_value = 0.5 if inside else 0.002
    return {"name": name, "value": value, "low": low, "high": high, "p_value": p_value, "inside": inside}


def _over_time(sent_s: Any, runs: Sequence[ReplicateResult]) -> dict[str, Any]:
    cumulative = np.cumsum([run.bin_503 for run in runs], axis=1)
    ready = np.array([run.bin_ready for run in runs])
    bins = cumulative.shape[1]
    return {
        "bin_s": 1.0,
        "band": 0.95,
        "observed_cumulative_503": np.cumsum(np.bincount(sent_s.astype(int), minlength=bins)[:bins]).tolist(),
        "observed_ready": ready[0].tolist(),
        "predicted_cumulative_503": _band(cumulative),
        "predicted_ready": _band(ready),
        "predicted_desired": {"mean": ready.mean(axis=0).tolist()},
    }


def _band(curves: Any) -> dict[str, list[float]]:
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)
    return {"mean": curves.mean(axis=0).tolist(), "low": low.tolist(), "high": high.tolist()}


def replica_log(time_s: Sequence[float], desired: Sequence[int], ready: Sequence[int]) -> ReplicaLog:
    unknown = np.full(len(time_s), -1)
    columns = {"desired": np.array(desired), "ready": np.array(ready)}
    return ReplicaLog(time_s=np.array(time_s), starting=unknown, busy=unknown, queued=unknown, **columns)
