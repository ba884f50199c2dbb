"""The whole lab, on virtual time, against the reference simulator: the same requests must meet the same fate.

Both are written from docs/model.md and share nothing but the plain data types, so a rule read differently shows here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from loadtest.lab.event_log import Event, EventLog
from loadtest.lab.fleet import Fleet, Traffic
from loadtest.lab.http_client import Answer
from loadtest.lab.lab import Lab
from loadtest.lab.scoring import SimulatedServer
from planner.arrivals import Recorded
from planner.model import Autoscaler, Cause, Deployment, DispatchRule, Outcome, ScoringTimeoutFrom
from planner.scenario import Scenario
from planner.service import Deterministic
from tests.reference.cases import Case, cases
from tests.reference.records import ReplicaRow, TickRow
from tests.reference.simulator import simulate

from .virtual_time import run_in_virtual_time

TOLERANCE_S = 1e-8
STATUS = {Outcome.OK: 200, Outcome.STATUS_503: 503, Outcome.STATUS_504: 504}


@dataclass(frozen=True)
class LabRun:
    answers: list[Answer]
    events: list[Event]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(lattice=False))
def test_the_lab_does_what_the_reference_does(case: Case) -> None:
    compare(without_ties(case))


def compare(case: Case) -> None:
    expected = simulate(case.deployment, **case.arguments)
    end_s = expected.ticks[-1].time_s if expected.ticks else 0.0
    run = run_in_virtual_time(lab_run(case, end_s))
    assert [answer.status for answer in run.answers] == [STATUS[outcome] for outcome in expected.outcome]
    requests = sorted(run.of_kind("request"), key=lambda event: int(event["client_request_id"]))
    assert [-1 if event["replica"] is None else event["replica"] for event in requests] == expected.replica
    causes = [Cause[event["cause"].upper()].value if event["cause"] else -1 for event in requests]
    assert causes == expected.cause
    same_times([event["dispatch_s"] for event in requests], expected.dispatch_s)
    same_times([event["finish_s"] for event in requests], expected.finish_s)
    compare_ticks(run, expected.ticks, case.deployment)
    compare_states(run, expected.replica_rows, end_s)


@pytest.mark.parametrize("timeout_from", ScoringTimeoutFrom)
@pytest.mark.parametrize("dispatch", DispatchRule)
def test_the_lab_chooses_replicas_and_counts_the_timeout_as_the_reference_does(
    dispatch: DispatchRule, timeout_from: ScoringTimeoutFrom
) -> None:
    """On a burst in which each rule sends requests elsewhere and each timeout answers others with 504."""
    deployment = Deployment(
        dispatch=dispatch,
        scoring_timeout_from=timeout_from,
        scoring_timeout_s=1.0,
        max_request_wait_s=0.75,
        min_replicas=2,
        max_replicas=4,
        max_concurrent_requests=2,
        worker_count=2,
        refresh_period_s=0.5,
        scale_down_delay_s=1.0,
    )
    case = Case(
        deployment=deployment,
        arrivals_s=tuple(0.25 * i for i in range(8)) + (2.0,) * 12 + tuple(4.0 + 0.25 * i for i in range(8)),
        service_times_s=(0.3, 0.9, 0.1, 0.7) * 7,
        cold_start_pattern_s=(0.6, 0.2),
        duration_s=7.0,
        warm_up_s=0.0,
    )
    compare(without_ties(case))
    assert len({fate(case, rule, timeout_from)[0] for rule in DispatchRule}) == len(DispatchRule)
    assert len({fate(case, dispatch, start)[1] for start in ScoringTimeoutFrom}) == len(ScoringTimeoutFrom)


def fate(case: Case, dispatch: DispatchRule, timeout_from: ScoringTimeoutFrom) -> tuple[Sequence[int], Sequence[int]]:
    """The replica and the outcome of each request under other settings."""
    deployment = replace(case.deployment, dispatch=dispatch, scoring_timeout_from=timeout_from)
    result = simulate(deployment, **case.arguments)
    return tuple(result.replica), tuple(result.outcome)


def without_ties(case: Case) -> Case:
    """The case with every time nudged by its own small amount: asyncio has no order of its own for one instant."""
    deployment = replace(
        case.deployment,
        max_request_wait_s=case.deployment.max_request_wait_s + 3.1e-6,
        scoring_timeout_s=case.deployment.scoring_timeout_s + 5.3e-6,
        router_overhead_s=case.deployment.router_overhead_s + 7.7e-6,
    )
    return replace(
        case,
        deployment=deployment,
        arrivals_s=tuple(t + 1.01e-4 * (i + 1) for i, t in enumerate(case.arrivals_s)),
        service_times_s=tuple(t + 1.37e-5 * (i + 1) ** 1.5 for i, t in enumerate(case.service_times_s)),
        cold_start_pattern_s=tuple(t + 2.93e-5 * (i + 1) ** 0.5 for i, t in enumerate(case.cold_starts_s[:100])),
        duration_s=case.duration_s + 1.0,
    )


async def lab_run(case: Case, end_s: float) -> LabRun:
    """Every request sent at its arrival; the lab stopped just after end_s, or when the last request is answered."""
    loop = asyncio.get_running_loop()
    failed: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: failed.append(context.get("exception") or AssertionError(context)))
    log = EventLog(loop.time)
    scenario = Scenario(
        name="agreement",
        shows="",
        duration_s=case.duration_s,
        arrivals=Recorded(np.array([0.0])),
        service_time=Deterministic(1.0),
        deployment=case.deployment,
        cold_start=Deterministic(1.0),
    )

    def make_fleet(traffic: Traffic, on_change: Callable[[], None]) -> Fleet:
        servers = lambda _: SimulatedServer(case.deployment)  # noqa: E731
        return Fleet(servers, cycle(case.cold_start_pattern_s), traffic, log, on_change, failed.append)

    lab = Lab(scenario, make_fleet, log)
    await lab.start(lambda: None)
    lab.begin(0.0)

    async def client(i: int) -> Answer:
        await asyncio.sleep(case.arrivals_s[i])
        body = json.dumps({"request": i, "service_time_s": case.service_times_s[i]}).encode()
        return await lab.score(body, {"x-ms-client-request-id": str(i)})

    answers = await asyncio.gather(*(client(i) for i in range(len(case.arrivals_s))))
    await asyncio.sleep(end_s - loop.time())
    await lab.stop()
    if failed:
        raise failed[0]
    return LabRun(answers, log.after(0))


def same_times(seen: Sequence[float | None], expected: Sequence[float]) -> None:
    np.testing.assert_allclose(np.array(seen, dtype=np.float64), expected, atol=TOLERANCE_S, rtol=0)


def compare_ticks(run: LabRun, expected: list[TickRow], deployment: Deployment) -> None:
    ticks = run.of_kind("tick")[: len(expected)]
    assert [(tick["desired"], tick["replicas"]) for tick in ticks] == [(t.desired, t.current_after) for t in expected]
    same_times([tick["at_s"] for tick in ticks], [tick.time_s for tick in expected])
    np.testing.assert_allclose([tick["signal"] for tick in ticks], [tick.signal for tick in expected], atol=1e-6)
    if deployment.autoscaler is not Autoscaler.FIXED:
        assert [tick["unclamped"] for tick in ticks] == [tick.unclamped for tick in expected]


def compare_states(run: LabRun, expected: list[ReplicaRow], end_s: float) -> None:
    """The same (desired, ready, starting) at the same instants; what lies between two is of no length."""
    instants: dict[float, tuple[int, int, int]] = {}
    for event in run.of_kind("state"):
        if event["monotonic_s"] < end_s - TOLERANCE_S:
            instants[round(event["monotonic_s"], 7)] = (event["desired"], event["ready"], event["starting"])
    changes = [(0.0, (expected[0].desired, expected[0].ready, expected[0].starting))]
    for time_s, state in sorted(instants.items()):
        if state != changes[-1][1]:
            changes.append((time_s, state))
    wanted = [row for row in expected if row.time_s < end_s - TOLERANCE_S or row is expected[0]]
    assert [state for _, state in changes] == [(row.desired, row.ready, row.starting) for row in wanted]
    np.testing.assert_allclose([t for t, _ in changes], [row.time_s for row in wanted], atol=1e-6)


def test_a_lab_that_reads_a_rule_differently_is_found_out() -> None:
    """The comparison can fail: one setting changed on one side only."""
    deployment = Deployment(min_replicas=1, max_replicas=1, max_request_wait_s=0.5)
    case = Case(
        deployment=deployment,
        arrivals_s=(0.1, 0.2),
        service_times_s=(1.0, 1.0),
        cold_start_pattern_s=(1.0,),
        duration_s=3.0,
        warm_up_s=0.0,
    )
    run = run_in_virtual_time(lab_run(case, 3.0))
    expected = simulate(replace(deployment, max_request_wait_s=0.4), **case.arguments)
    with pytest.raises(AssertionError):
        same_times([event["finish_s"] for event in run.of_kind("request")], expected.finish_s)
