"""The reference simulator against cases worked out on paper (on_paper.py): queue, dispatch, 504."""

from __future__ import annotations

from typing import Any

import pytest

from planner.model import NO_CAUSE, NO_REPLICA, Api, Cause, DispatchRule, Outcome, ScoringTimeoutFrom, WhenNoReplica

from .on_paper import NAN, OK, STATUS_503, STATUS_504, counts, equal, run

# --- queue and dispatch


def test_requests_wait_in_order_of_arrival() -> None:
    """Work of 1 s each: r0 0-1, r1 1-2, r2 2-3. r2 waits 1.5 s, less than the 2 s allowed."""
    result = run([0, 0.25, 0.5], [1, 1, 1], max_request_wait_s=2.0)
    assert result.dispatch_s == [0, 1, 2]
    assert result.start_work_s == [0, 1, 2]
    assert result.finish_s == [1, 2, 3]
    assert result.outcome == [OK] * 3
    assert result.replica == [0, 0, 0]


def test_a_slot_that_is_free_exactly_at_the_deadline_serves() -> None:
    """r1 and r2 have the deadline 1, the instant at which r0 ends: the slot goes to r1, then r2 expires."""
    result = run([0, 0, 0], [1, 1, 1])
    assert result.outcome == [OK, OK, STATUS_503]
    assert equal(result.dispatch_s, [0, 1, NAN])
    assert result.finish_s == [1, 2, 1]
    assert result.cause == [NO_CAUSE, NO_CAUSE, Cause.AT_MAX_REPLICAS]
    assert result.replica == [0, 0, NO_REPLICA]
    assert result.fraction_503 == 1 / 3


def test_the_head_goes_to_the_replica_with_the_fewest_requests_then_to_the_lowest_id() -> None:
    """R0 and R1, two slots each: r0 to R0 (tie), r1 to R1, r2 to R0 (tie), r3 to R1. At 0.5 r2 leaves R0: r4 to R0."""
    result = run(
        [0, 0, 0, 0, 0.75], [3, 3, 0.5, 3, 1], min_replicas=2, max_replicas=2, max_concurrent_requests=2, worker_count=2
    )
    assert result.replica == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("rule", "replicas"),
    [
        (DispatchRule.FEWEST_REQUESTS, [0, 0, 0, 1, 1, 1, 2, 0, 1]),
        (DispatchRule.ROUND_ROBIN, [0, 1, 2, 0, 1, 2, 0, 1, 0]),  # r8 passes over R2, which holds r2 and r5
        (DispatchRule.LOWEST_ID, [0, 0, 0, 0, 0, 0, 1, 1, 2]),
    ],
)
def test_the_dispatch_rule_chooses_among_the_replicas_with_a_free_slot(rule: DispatchRule, replicas: list[int]) -> None:
    """R0, R1 and R2, two slots each. r2 stays from 1 to 3; r0, r1, r3 and r4 are gone when the next comes; r5 to r8
    come at 2.
    """
    three: dict[str, Any] = {"min_replicas": 3, "max_replicas": 3, "max_concurrent_requests": 2, "worker_count": 2}
    result = run([0, 0.5, 1, 1.25, 1.5, 2, 2, 2, 2], [0.25, 0.25, 2, 0.125, 0.25, 1, 1, 1, 1], dispatch=rule, **three)
    assert result.replica == replicas


def test_round_robin_goes_on_after_a_replica_that_is_gone() -> None:
    """r0 on R0 to 2.25, r1 on R1 to 0.25. Tick 1 (v2): x = 1, R1 goes. r2 waits from 1.5 to 2.125, so that tick 2
    creates R2, ready at 2.5. r3 finds R0 and R2 empty: after R1 comes R2.
    """
    result = run(
        [0, 0, 1.5, 2.75],
        [2.25, 0.25, 1, 1],
        cold=[0.5],
        api=Api.V2,
        max_replicas=2,
        initial_replicas=2,
        scale_down_delay_s=1.0,
        max_request_wait_s=0.625,
        dispatch=DispatchRule.ROUND_ROBIN,
    )
    assert result.replica == [0, 1, NO_REPLICA, 2]


def test_a_finish_dispatches_before_the_next_finish_of_the_same_instant() -> None:
    """r0 on R0 0-0.5, r1 on R1 0-1, r2 on R0 0.5-1; r3 and r4 wait. At 1 r1 ends first (lower index) and R1 takes r3,
    then r2 ends and R0 takes r4. If both ended first, r3 would go to R0.
    """
    result = run([0, 0, 0.5, 0.75, 0.75], [0.5, 1, 0.5, 1, 1], min_replicas=2, max_replicas=2)
    assert result.replica == [0, 1, 0, 1, 0]
    assert result.dispatch_s == [0, 0, 0.5, 1, 1]


def test_more_slots_than_workers_hide_a_queue_in_the_pod() -> None:
    """Three slots, one worker, 0.5 s overhead: all are dispatched at 0, so that a wait limit of 0.25 s never bites."""
    pod: dict[str, Any] = {"max_concurrent_requests": 3, "router_overhead_s": 0.5, "max_request_wait_s": 0.25}
    result = run([0, 0, 0], [1, 1, 1], **pod)
    assert result.dispatch_s == [0, 0, 0]
    assert result.start_work_s == [0, 1.5, 3]
    assert result.finish_s == [1.5, 3, 4.5]
    assert run([0, 0, 0], [1, 1, 1], worker_count=2, **pod).start_work_s == [0, 0, 1.5]


def test_service_times_and_waits_of_zero() -> None:
    """A request that takes no time leaves its slot before the next one of the same instant arrives; one that takes 1 s
    does not, and with a wait of 0 the next expires on arrival. A slot free at the instant of arrival is free.
    """
    result = run([0, 0, 0], [0, 0, 0], max_request_wait_s=0.0)
    assert result.outcome == [OK] * 3
    assert result.dispatch_s == result.finish_s == [0, 0, 0]
    result = run([0, 0, 1], [1, 0, 0], max_request_wait_s=0.0)
    assert result.outcome == [OK, STATUS_503, OK]
    assert equal(result.dispatch_s, [0, NAN, 1])
    assert result.finish_s == [1, 0, 1]


def test_without_a_ready_replica_requests_wait_or_are_rejected() -> None:
    """None at the start: tick 1 creates R0 (min = 1), ready at 1.5. r0 comes at 0, r1 at 1.25, r2 at 1.5."""
    arrivals_s, service_times_s = [0, 1.25, 1.5], [0.125, 0.125, 0.125]
    wait = run(arrivals_s, service_times_s, cold=[0.5], initial_replicas=0, max_request_wait_s=0.5)
    assert wait.outcome == [STATUS_503, OK, OK]
    assert wait.finish_s == [0.5, 1.625, 1.75]
    assert wait.cause[0] == Cause.NO_READY_REPLICA
    reject = run(
        arrivals_s,
        service_times_s,
        cold=[0.5],
        initial_replicas=0,
        max_request_wait_s=0.5,
        when_no_replica_is_ready=WhenNoReplica.REJECT,
    )
    assert reject.outcome == [STATUS_503, STATUS_503, OK]
    assert reject.finish_s == [0, 1.25, 1.625]
    assert reject.cause == [Cause.NO_READY_REPLICA, Cause.NO_READY_REPLICA, NO_CAUSE]


# --- 504


@pytest.mark.parametrize(
    ("slot_busy", "worker_busy", "dispatch_s", "start_s", "finish_s"),
    [
        (True, True, 3, 3, 3.25),  # the slot is r0's until its work ends
        (False, True, 2, 3, 3.25),  # the slot is free at 2, the worker at 3
        (True, False, 2, 2, 2.25),  # the work is dropped at 2, and the slot with it
        (False, False, 2, 2, 2.25),
    ],
)
def test_what_happens_to_slot_and_worker_after_a_504(
    slot_busy: bool, worker_busy: bool, dispatch_s: float, start_s: float, finish_s: float
) -> None:
    """r0 needs 3 s, the timeout is 2 s: 504 at 2. r1 has waited since 0.5 and needs 0.25 s."""
    result = run(
        [0, 0.5],
        [3, 0.25],
        max_request_wait_s=5.0,
        scoring_timeout_s=2.0,
        slot_busy_after_504=slot_busy,
        worker_busy_after_504=worker_busy,
    )
    assert result.outcome == [STATUS_504, OK]
    assert result.finish_s == [2, finish_s]
    assert result.dispatch_s == [0, dispatch_s]
    assert result.start_work_s == [0, start_s]


def test_an_answer_exactly_at_the_timeout_is_an_answer() -> None:
    result = run([0], [2], scoring_timeout_s=2.0)
    assert (result.outcome, result.finish_s) == ([OK], [2])


@pytest.mark.parametrize(
    ("start", "outcome", "finish_s"),
    [
        (ScoringTimeoutFrom.DISPATCH, [OK, OK, STATUS_503], [1, 2.25, 2.125]),
        (ScoringTimeoutFrom.ARRIVAL, [OK, STATUS_504, OK], [1, 2, 2.25]),  # the work is dropped, r2 takes its place
    ],
)
def test_the_timeout_may_count_the_time_in_the_queue(
    start: ScoringTimeoutFrom, outcome: list[Outcome], finish_s: list[float]
) -> None:
    """Timeout 1.5 s. r0 works 0-1. r1 waits from 0.5 to 1 and needs 1.25 s; r2 waits from 1.125, 1 s at most."""
    result = run(
        [0, 0.5, 1.125],
        [1, 1.25, 0.25],
        scoring_timeout_s=1.5,
        scoring_timeout_from=start,
        worker_busy_after_504=False,
    )
    assert result.outcome == outcome
    assert result.finish_s == finish_s


def test_a_timeout_that_ends_with_the_wait_leaves_no_time_to_work() -> None:
    """Both are 1 s, counted from the arrival. r0 is answered exactly then. r1 and r2 are dispatched at that instant,
    one after the other, and get 504 at once; r3, the last, needs no time.
    """
    result = run(
        [0, 0, 0, 0],
        [1, 1, 1, 0],
        scoring_timeout_s=1.0,
        scoring_timeout_from=ScoringTimeoutFrom.ARRIVAL,
        worker_busy_after_504=False,
    )
    assert result.outcome == [OK, STATUS_504, STATUS_504, OK]
    assert result.finish_s == [1, 1, 1, 1]
    assert equal(result.start_work_s, [0, NAN, NAN, 1])


def test_a_request_whose_504_comes_before_its_start() -> None:
    """Two slots, one worker, timeout 1: r0 and r1 (3 s each) are dispatched at 0, both get 504 at 1; r2 waits.

    Dropped work: r1 never starts, the worker is free at 1, r2 works 1-1.5. Slots free but work going on: r0 works 0-3,
    r1 3-6, r2 is dispatched at 1, would work 6-6.5 and gets 504 at 2.
    """
    pod: dict[str, Any] = {"max_concurrent_requests": 2, "scoring_timeout_s": 1.0, "max_request_wait_s": 5.0}
    dropped = run([0, 0, 0], [3, 3, 0.5], worker_busy_after_504=False, **pod)
    assert dropped.outcome == [STATUS_504, STATUS_504, OK]
    assert dropped.finish_s == [1, 1, 1.5]
    assert equal(dropped.start_work_s, [0, NAN, 1])
    working = run([0, 0, 0], [3, 3, 0.5], slot_busy_after_504=False, **pod)
    assert working.outcome == [STATUS_504, STATUS_504, STATUS_504]
    assert working.finish_s == [1, 1, 2]
    assert working.start_work_s == [0, 3, 6]


def test_a_request_that_lost_its_slot_no_longer_counts_for_the_dispatch() -> None:
    """r0 on R0 needs 3 s, gets 504 at 0.5, leaves its slot, not its worker. r1 at 1: both replicas hold nothing, R0."""
    result = run([0, 1], [3, 1], min_replicas=2, max_replicas=2, scoring_timeout_s=0.5, slot_busy_after_504=False)
    assert result.replica == [0, 0]
    assert result.start_work_s == [0, 3]


@pytest.mark.parametrize(
    ("timeout_s", "worker_busy", "paid_s"), [(0.5, True, 8), (0.5, False, 6), (1.5, True, 8), (1.5, False, 6.5)]
)
def test_a_victim_drains_while_a_worker_is_busy_even_if_its_slot_is_free(
    timeout_s: float, worker_busy: bool, paid_s: float
) -> None:
    """R0 and R1. r1 on R1 needs 3 s, gets 504 at 0.5 or 1.5; its slot is free then. At tick 1 one slot is held or none,
    so that R1 is the victim; R0 exists for 5 s, R1 counts as ready from 0 to 1: 5 + 1 = 6.

    The work goes on: R1 exists to 3. The work is dropped at 0.5: R1 goes at tick 1; at 1.5: R1 drains to 1.5.
    """
    result = run(
        [0, 0],
        [0.25, 3],
        max_replicas=2,
        initial_replicas=2,
        scoring_timeout_s=timeout_s,
        scale_down_delay_s=1.0,
        slot_busy_after_504=False,
        worker_busy_after_504=worker_busy,
    )
    assert counts(result) == [1, 1, 1, 1]
    assert result.paid_s == paid_s
    assert result.ready_s == 6
