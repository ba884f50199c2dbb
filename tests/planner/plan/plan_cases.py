"""Small scenarios, spaces and runs that the tests of the search share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from planner.arrivals import Renewal
from planner.model import Autoscaler, Deployment, FloatArray, Slo
from planner.plan.search import Found, Progress, Search
from planner.plan.settings import Setting
from planner.plan.space import Ranges, Space, space_of
from planner.plan.tally import Runs
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential
from planner.sim.replications import SERIAL, Executor


def steps(*pieces: tuple[float, float]) -> Renewal:
    """Poisson arrivals with (seconds, requests per second) one after the other."""
    edges = np.concatenate(([0.0], np.cumsum([seconds for seconds, _ in pieces])))
    rates = np.array([rps for _, rps in pieces])
    return Renewal(RateProfile(edges, rates, rates))


def scenario(arrivals: Any = None, **changes: Any) -> Scenario:
    """A spike of 10 s in 40 s, 220 requests, autoscaled. Names of settings go to the deployment."""
    arrivals = arrivals or steps((15.0, 3.0), (10.0, 12.0), (15.0, 3.0))
    if isinstance(changes.get("deployment"), Deployment):
        given = {f.name: getattr(changes["deployment"], f.name) for f in dataclasses.fields(Deployment)}
        changes = given | {name: value for name, value in changes.items() if name != "deployment"}
    of_deployment = {f.name for f in dataclasses.fields(Deployment)}
    deployment = {name: changes.pop(name) for name in list(changes) if name in of_deployment}
    made = Scenario(
        name="tiny",
        shows="",
        duration_s=changes.pop("duration_s", None) or float(arrivals.profile.time_s[-1]),
        arrivals=arrivals,
        service_time=Exponential(0.4),
        deployment=Deployment(**{"max_replicas": 12, "max_request_wait_s": 1.0, **deployment}),
        cold_start=Deterministic(3.0),
        seed=5,
    )
    return dataclasses.replace(made, **changes)


def fixed(rps: float = 6.0, duration_s: float = 60.0, **changes: Any) -> Scenario:
    arrivals = steps((duration_s, rps))
    return scenario(arrivals, autoscaler=Autoscaler.FIXED, min_replicas=4, max_replicas=4, **changes)


LOOSE = Slo(max_fraction_503=0.03)

SMALL_RANGES = Ranges(min_replicas=(2, 3, 4, 5, 6, 8), max_replicas=(6, 9), target_percent=(40, 70, 100))


def space(of: Scenario, slo: Slo = LOOSE, ranges: Ranges = SMALL_RANGES) -> Space:
    return space_of(of, slo, ranges)


def search(
    of: Scenario,
    slo: Slo = LOOSE,
    ranges: Ranges = SMALL_RANGES,
    *,
    executor: Executor = SERIAL,
    watch: Callable[[Progress], None] = lambda progress: None,
    **more: Any,
) -> Found:
    return Search(of, slo, space_of(of, slo, ranges), executor, watch=watch, **more).run()


def runs_of(
    n: Any,
    n_503: Any,
    paid_s: Any = 100.0,
    answers: Any = None,
    slow: Any = 0.0,
    peak_unclamped: Any = 1.0,
    n_504: Any = 0.0,
) -> Runs:
    """Columns of runs; a number stands for all runs."""
    length = max(np.size(column) for column in (n, n_503, n_504, paid_s, slow, 0 if answers is None else answers))

    def column(values: Any) -> FloatArray:
        return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), length))

    counted = column(n) - column(n_503) if answers is None else column(answers)
    return Runs(column(n), column(n_503), counted, column(slow), column(paid_s), column(peak_unclamped), column(n_504))


def counts(*replicas: int) -> tuple[Setting, ...]:
    """Settings of a fixed number of replicas."""
    return tuple(Setting(count, count, 70) for count in replicas)
