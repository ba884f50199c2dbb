"""What must hold of the reference simulator in any case."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from planner.model import NO_CAUSE, NO_REPLICA, Autoscaler, Cause, ScaleStep, ScoringTimeoutFrom, WhenNoReplica

from .cases import Case, cases
from .decision import overlap_s
from .on_paper import OK, STATUS_503, STATUS_504, counts
from .records import ReferenceResult
from .simulator import simulate


def slot_and_work_ends(case: Case, result: ReferenceResult, i: int) -> tuple[float, float]:
    """When request i, which was dispatched, leaves its slot and its worker, derived from the answers alone."""
    deployment = case.deployment
    if result.outcome[i] is OK:
        return result.finish_s[i], result.finish_s[i]
    timeout_s = result.finish_s[i]
    if not deployment.worker_busy_after_504:
        return timeout_s, timeout_s
    finish_s = result.start_work_s[i] + (deployment.router_overhead_s + case.service_times_s[i])
    return (finish_s if deployment.slot_busy_after_504 else timeout_s), finish_s


def check_answers(case: Case, result: ReferenceResult) -> None:
    deployment = case.deployment
    for i, (arrival_s, outcome) in enumerate(zip(case.arrivals_s, result.outcome, strict=True)):
        dispatch_s, start_s, finish_s = result.dispatch_s[i], result.start_work_s[i], result.finish_s[i]
        was_dispatched = outcome is not STATUS_503
        assert was_dispatched == (not math.isnan(dispatch_s)) == (result.replica[i] != NO_REPLICA)
        assert was_dispatched == (result.cause[i] == NO_CAUSE)
        deadline_s = arrival_s + deployment.max_request_wait_s
        from_arrival = deployment.scoring_timeout_from is ScoringTimeoutFrom.ARRIVAL
        timeout_s = (arrival_s if from_arrival else dispatch_s) + deployment.scoring_timeout_s
        if outcome is OK:
            work_s = deployment.router_overhead_s + case.service_times_s[i]
            assert finish_s == start_s + work_s <= timeout_s
        elif outcome is STATUS_504:
            assert finish_s == timeout_s
        elif deployment.when_no_replica_is_ready is WhenNoReplica.REJECT and finish_s == arrival_s:
            assert result.cause[i] == Cause.NO_READY_REPLICA or deadline_s == arrival_s
        else:
            assert outcome is STATUS_503
            assert finish_s == deadline_s
        if was_dispatched:
            assert arrival_s <= dispatch_s <= deadline_s
            assert math.isnan(start_s) or start_s >= dispatch_s


def check_order_and_capacity(case: Case, result: ReferenceResult) -> None:
    """Dispatch is FIFO; no replica holds more than K requests or works on more than W at a time."""
    deployment = case.deployment
    dispatched = [i for i, outcome in enumerate(result.outcome) if outcome is not STATUS_503]
    dispatches_s = [result.dispatch_s[i] for i in dispatched]
    assert dispatches_s == sorted(dispatches_s)
    for replica in set(result.replica) - {NO_REPLICA}:
        mine = [i for i in dispatched if result.replica[i] == replica]
        held = [(result.dispatch_s[i], slot_and_work_ends(case, result, i)[0]) for i in mine]
        worked = [(result.start_work_s[i], slot_and_work_ends(case, result, i)[1]) for i in mine]
        for intervals, limit in ((held, deployment.max_concurrent_requests), (worked, deployment.worker_count)):
            assert all(sum(begin <= at < end for begin, end in intervals) <= limit for at, _ in intervals)


def check_replicas(case: Case, result: ReferenceResult) -> None:
    deployment = case.deployment
    assert [tick.time_s for tick in result.ticks] == [
        k * deployment.refresh_period_s for k in range(1, len(result.ticks) + 1)
    ]
    for tick in result.ticks:
        assert deployment.min_replicas <= tick.desired <= deployment.max_replicas
    if deployment.scale_step is ScaleStep.ONE and deployment.autoscaler is not Autoscaler.FIXED:
        sizes = [deployment.initial_count, *counts(result)]
        assert all(abs(after - before) <= 1 for before, after in pairwise(sizes))
    times_s = [row.time_s for row in result.replica_rows]
    assert times_s[0] == 0
    assert all(a < b for a, b in pairwise(times_s))
    for row in result.replica_rows:
        so_far = [tick for tick in result.ticks if tick.time_s <= row.time_s]
        current = so_far[-1].current_after if so_far else deployment.initial_count
        assert row.ready + row.starting == current
        assert row.desired == (so_far[-1].desired if so_far else deployment.initial_count)
        assert row.busy <= row.ready * deployment.max_concurrent_requests
        assert row.queued == 0 or row.busy == row.ready * deployment.max_concurrent_requests
    assert result.ready_s == pytest.approx(integral_of_rows(case, result, case.warm_up_s, ready_only=True))
    assert result.paid_s >= integral_of_rows(case, result, 0.0) - 1e-9


def integral_of_rows(case: Case, result: ReferenceResult, from_s: float, ready_only: bool = False) -> float:
    ends_s = [row.time_s for row in result.replica_rows[1:]] + [math.inf]
    return sum(
        (row.ready + (0 if ready_only else row.starting)) * overlap_s(row.time_s, end_s, from_s, case.duration_s)
        for row, end_s in zip(result.replica_rows, ends_s, strict=True)
    )


def features(case: Case, result: ReferenceResult) -> set[str]:
    sizes = [case.deployment.initial_count, *counts(result)]
    changes = {after - before for before, after in pairwise(sizes)}
    return {
        *(outcome.name for outcome in result.outcome),
        *(Cause(cause).name for cause in result.cause if cause != NO_CAUSE),
        *(["up"] if max(changes, default=0) > 0 else []),
        *(["down"] if min(changes, default=0) < 0 else []),
        *(["drain"] if result.paid_s > integral_of_rows(case, result, 0.0) + 1e-9 else []),
    }


@pytest.mark.parametrize("lattice", [True, False])
def test_random_cases_keep_the_invariants_and_are_worth_running(lattice: bool) -> None:
    """The 150 cases are the same in every run, so that the shares at the end can be asserted."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=150,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(lattice))
    def check(case: Case) -> None:
        result = simulate(case.deployment, **case.arguments)
        check_answers(case, result)
        check_order_and_capacity(case, result)
        check_replicas(case, result)
        seen.update(features(case, result))

    check()
    assert min(seen[name] for name in ("STATUS_503", "STATUS_504", "up", "down")) >= 10
    causes = {Cause.NO_READY_REPLICA, Cause.SCALE_UP_LAG, Cause.AT_MAX_REPLICAS, Cause.HEADROOM_TOO_SMALL}
    assert min(seen[name] for name in ("drain", *(cause.name for cause in causes))) >= 2
