"""WORKER_COUNT: how many of a replica's requests are worked on at once, told by what waits inside the pods."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np

from loadtest.calibrate.evidence import CLOCK, POLICY, Evidence
from loadtest.calibrate.finding import CONFIDENCE, Finding, Part, unknown
from loadtest.calibrate.overhead import quiet_overheads
from loadtest.validate.observed import Observation
from loadtest.validate.pods import pods
from loadtest.validate.prediction import simulated
from planner.model import FloatArray
from planner.scenario import Scenario
from planner.sim.replications import Executor

MOST_WORKERS = 64
"""Numbers of workers that are tried."""

FEWEST_TELLING = 10
"""Requests whose wait in the pod differs between two numbers of workers."""

TELLING_S = 0.010
"""By how much it must differ at least to be seen through the noise of timers."""

EXCESS_REPLICATES = 199
EXCESS_RESOLUTION_S = 0.010
"""Of the time a request spends outside its worker, as a mean over a run: the client's timers, the network."""


def worker_count(evidence: Evidence, scenario: Scenario, executor: Executor) -> Part:
    """The numbers of workers, 1 to K, that the run does not reject. scenario: with the service time as measured."""
    deployment = scenario.deployment
    most = min(deployment.max_concurrent_requests, MOST_WORKERS)
    setting = "deployment.worker_count"
    if deployment.max_concurrent_requests == 1:
        why = "A replica holds one request at a time: more workers than one would have nothing to do."
        return _kept(unknown(setting, deployment.worker_count, None, "latencies", why))
    if CLOCK in evidence.unfit:
        return _kept(unknown(setting, deployment.worker_count, None, "latencies", evidence.unfit[CLOCK]))
    if np.isfinite(evidence.log.start_s).any():
        best, possible, telling = _from_dispatches(evidence, most)
        source = "waits in the pods, rebuilt from dispatch times and replica numbers"
    elif POLICY in evidence.unfit:
        why = evidence.unfit[POLICY]
        return _kept(unknown(setting, deployment.worker_count, None, "latencies", why))
    else:
        best, possible, telling = _from_latencies(evidence, scenario, most, executor)
        source = "latencies less the times in the worker, against simulations of the same requests"
    return _workers(scenario, most, best, possible, source, telling)


def _workers(scenario: Scenario, most: int, best: int, possible: list[int], source: str, telling: int) -> Part:
    setting, before = "deployment.worker_count", scenario.deployment.worker_count
    if not possible:
        why = f"The latencies fit no number of workers from 1 to {most}: something else makes requests wait."
        return _kept(unknown(setting, before, None, source, why, telling))
    kept = min(before, most) in possible
    after = before if kept else best
    among = ", ".join(map(str, possible))
    identified = len(possible) == 1
    why = f"Not rejected: {among} of 1 to {most}."
    if not identified:
        why += " Too few requests waited in a pod to tell these apart."
    finding = Finding(
        setting=setting,
        before=before,
        after=after,
        low=min(possible),
        high=None if most in possible and not identified else max(possible),
        unit=None,
        identified=identified,
        n=telling,
        measured_from=source,
        why=why,
    )
    if kept:
        return _kept(finding)
    return Part(
        name="worker_count",
        findings=(finding,),
        overrides={setting: after},
        apply=lambda s: _with_deployment(s, worker_count=after),
    )


def _from_dispatches(evidence: Evidence, most: int) -> tuple[int, list[int], int]:
    """The number of workers whose waits fit best, those that fit no worse, and how many answers were compared."""
    found = pods(evidence.log, most)
    if not len(found.in_pod_s):
        return 1, list(range(1, most + 1)), 0
    alone = found.in_pod_s[found.others == 0]
    overhead_s = float(np.median(alone)) if len(alone) else evidence.scenario.deployment.router_overhead_s
    errors_s = np.abs(found.in_pod_s[:, None] - overhead_s - found.free_s)
    best = int(errors_s.sum(axis=0).argmin())
    possible = [w + 1 for w in range(most) if w == best or not _is_worse(w, best, found.free_s, errors_s)]
    return best + 1, possible, int(np.sum(found.others > 0))


def _is_worse(w: int, best: int, free_s: FloatArray, errors_s: FloatArray) -> bool:
    """A sign test over the requests that tell the two apart: is w the nearer one too seldom for chance?"""
    from scipy.stats import binom

    telling = np.abs(free_s[:, w] - free_s[:, best]) > TELLING_S
    n = int(telling.sum())
    if n < FEWEST_TELLING:
        return False
    nearer = int(np.sum(errors_s[telling, w] < errors_s[telling, best]))
    return bool(binom.cdf(nearer, n, 0.5) < (1 - CONFIDENCE) / free_s.shape[1])


def _from_latencies(
    evidence: Evidence, scenario: Scenario, most: int, executor: Executor
) -> tuple[int, list[int], int]:
    """Simulate the run with each number of workers; compare the mean and the 90 % quantile of the time outside them."""
    log = evidence.log
    outside_s = (log.finish_s - log.sent_s - log.service_time_s)[evidence.answered]
    if not len(outside_s):
        return 1, list(range(1, most + 1)), 0
    seen = _excess(outside_s)
    quiet_s, _ = quiet_overheads(evidence)
    seen -= float(np.median(quiet_s)) if len(quiet_s) else 0.0
    p_values = []
    for w in range(1, most + 1):
        candidate = _with_deployment(scenario, worker_count=w)
        make = partial(_simulated_excess, candidate, evidence.seen)
        others = np.array(list(executor.in_order(make, range(EXCESS_REPLICATES))))
        p_values.append(min(_p_value(seen[k], others[:, k]) for k in range(len(seen))))
    possible = [w + 1 for w, p in enumerate(p_values) if p >= (1 - CONFIDENCE) / len(seen)]
    return int(np.argmax(p_values)) + 1, possible, len(outside_s)


def _simulated_excess(scenario: Scenario, seen: Observation, replicate: int) -> FloatArray:
    result, _ = simulated(scenario, seen, replicate, with_log=True)
    assert result.requests is not None
    log = result.requests
    outside_s = log.finish_s - log.scheduled_s - log.service_time_s - scenario.deployment.router_overhead_s
    return _excess(outside_s[log.outcome == 0])


def _excess(outside_s: FloatArray) -> FloatArray:
    if not len(outside_s):
        return np.zeros(2)
    return np.array([outside_s.mean(), np.quantile(outside_s, 0.9)])


def _p_value(value: float, others: FloatArray) -> float:
    above = int(np.sum(others >= value - EXCESS_RESOLUTION_S))
    below = int(np.sum(others <= value + EXCESS_RESOLUTION_S))
    return min(1.0, 2 * (1 + min(above, below)) / (len(others) + 1))


def _kept(finding: Finding) -> Part:
    return Part(name=finding.setting.removeprefix("deployment."), findings=(finding,))


def _with_deployment(scenario: Scenario, **settings: object) -> Scenario:
    deployment = dataclasses.replace(scenario.deployment, **settings)  # type: ignore[arg-type]
    return dataclasses.replace(scenario, deployment=deployment)
