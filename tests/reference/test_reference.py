"""The reference simulator against cases worked out on paper, then against what must hold in any case.

Unless a test says otherwise: v1, one replica with one slot and one worker (min = max = 1), target 100 %, ticks every
second, requests that wait at most 1 s. r0, r1, ... are the requests, R0, R1, ... the replicas.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from planner.model import (
    NO_CAUSE,
    NO_REPLICA,
    Api,
    Autoscaler,
    Cause,
    Deployment,
    Outcome,
    ScaleDownRule,
    ScaleStep,
    UtilizationOver,
    WhenNoReplica,
)

from .cases import Case, cases
from .decision import overlap_s, unclamped_count
from .records import ReferenceResult
from .simulator import simulate

NAN = math.nan
OK, STATUS_503, STATUS_504 = Outcome.OK, Outcome.STATUS_503, Outcome.STATUS_504


def run(
    arrivals_s: Sequence[float] = (),
    service_times_s: Sequence[float] = (),
    *,
    cold: Sequence[float] = (),
    duration: float = 5.0,
    warm_up: float = 0.0,
    **given_settings: Any,
) -> ReferenceResult:
    defaults: dict[str, Any] = {
        "api": Api.V1,
        "min_replicas": 1,
        "max_replicas": 1,
        "target_utilization_percent": 100,
        "refresh_period_s": 1.0,
        "max_request_wait_s": 1.0,
    }
    return simulate(
        Deployment(**(defaults | given_settings)),
        arrivals_s=arrivals_s,
        service_times_s=service_times_s,
        cold_starts_s=cold,
        duration_s=duration,
        warm_up_s=warm_up,
    )


def counts(result: ReferenceResult) -> list[int]:
    """Starting and ready replicas after each tick."""
    return [tick.current_after for tick in result.ticks]


def equal(actual: Sequence[float], expected: Sequence[float]) -> bool:
    """Equality in which NaN equals NaN."""
    return len(actual) == len(expected) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(actual, expected, strict=True)
    )


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


# --- scaling up


def test_v2_counts_the_queue_and_v1_does_not() -> None:
    """r0 works 0-5, r1 waits up to 1.5 s. Tick 1 in v2: x = 2, R1 is created and ready at 1.5, exactly r1's deadline.
    In v1: x = 1, nothing is created; at 1.5 one replica is ready, as many as desired and fewer than max = 2.
    """
    v2 = run([0, 0], [5, 1], cold=[0.5], api=Api.V2, max_replicas=2, max_request_wait_s=1.5)
    assert v2.outcome == [OK, OK]
    assert v2.dispatch_s == [0, 1.5]
    assert v2.replica == [0, 1]
    assert v2.ticks[0] == (1, 2, 2, 2, 2)
    v1 = run([0, 0], [5, 1], max_replicas=2, max_request_wait_s=1.5)
    assert v1.outcome == [OK, STATUS_503]
    assert v1.cause == [NO_CAUSE, Cause.HEADROOM_TOO_SMALL]
    assert v1.ticks[0] == (1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("cold_start_s", "outcome", "cause"), [(0.0, OK, NO_CAUSE), (0.25, STATUS_503, Cause.SCALE_UP_LAG)]
)
def test_a_tick_comes_before_an_expiry_of_the_same_instant(cold_start_s: float, outcome: Outcome, cause: int) -> None:
    """r1 expires at 1, the instant of tick 1, which makes desired 2. A cold start of 0 s is ready in between."""
    result = run([0, 0], [5, 1], cold=[cold_start_s], api=Api.V2, max_replicas=2)
    assert result.outcome == [OK, outcome]
    assert result.finish_s[1] == (2 if outcome is OK else 1)
    assert result.cause[1] == cause


def test_scale_up_takes_the_cold_starts_in_order_of_creation() -> None:
    """Four requests at 0, one works: tick 1 (v2) asks for 4 and creates R1, R2, R3, ready at 3, 1.5 and 2.
    The queue goes to R2 (r1), R3 (r2), R1 (r3). Tick 2 counts three held and one queued: still 4.
    """
    result = run(
        [0, 0, 0, 0],
        [10, 10, 10, 10],
        cold=[2, 0.5, 1],
        api=Api.V2,
        max_replicas=5,
        max_request_wait_s=5.0,
    )
    assert result.replica == [0, 2, 3, 1]
    assert result.dispatch_s == [0, 1.5, 2, 3]
    # time, desired, ready, starting, busy, queued
    assert result.replica_rows[:5] == [
        (0, 1, 1, 0, 1, 3),
        (1, 4, 1, 3, 1, 3),
        (1.5, 4, 2, 2, 2, 2),
        (2, 4, 3, 1, 3, 1),
        (3, 4, 4, 0, 4, 0),
    ]


def test_a_replica_that_becomes_ready_fills_up_before_the_next_one() -> None:
    """Two slots each. r0 and r1 on R0; tick 1: x = 5, ceil(5/2) = 3 replicas. R1 and R2 are ready at 1.5: R1 takes
    r2 and r3, then R2 takes r4.
    """
    result = run(
        [0] * 5, [9] * 5, cold=[0.5, 0.5], api=Api.V2, max_replicas=3, max_concurrent_requests=2, max_request_wait_s=2.0
    )
    assert result.replica == [0, 0, 1, 1, 2]


def test_a_finish_comes_before_a_replica_that_becomes_ready_and_that_before_a_tick() -> None:
    """Two wanted, one at the start: tick 1 creates R1. Ready at 1.5, when r0 leaves R0: r1 goes to R0, which is free
    first. Ready at 2, the instant of tick 2: it takes r1 first, so that v1, blind to the queue, counts two.
    """
    two: dict[str, Any] = {"min_replicas": 2, "max_replicas": 2, "initial_replicas": 1, "max_request_wait_s": 5.0}
    assert run([0, 0], [1.5, 1], cold=[0.5], **two).replica == [0, 0]
    late = run([0, 0], [9, 9], cold=[1], **two)
    assert late.replica == [0, 1]
    assert [tick.signal for tick in late.ticks[:2]] == [1, 2]


def test_too_few_cold_starts_are_an_error() -> None:
    with pytest.raises(ValueError, match="cold_starts_s has 1 draws, one more is needed at 1"):
        run([0, 0, 0], [5, 5, 5], cold=[0.5], api=Api.V2, max_replicas=3)


def test_the_ceiling_is_exact() -> None:
    """21 requests at 70 %: 2100 / 70 = 30, but 21 / 0.7 is 30.000000000000004 in floats and would give 31."""
    result = run([0] * 21, [2] * 21, cold=[9] * 40, api=Api.V2, max_replicas=40, target_utilization_percent=70)
    assert math.ceil(21 / 0.7) == 31
    assert result.ticks[0] == (1, 21, 30, 30, 30)
    for target in range(1, 101):
        for x in range(50):
            exact = math.ceil(Fraction(100 * x, 3 * target))
            assert exact == unclamped_count(
                x, current=7, ready=7, concurrency=3, target_percent=target, over=UtilizationOver.CURRENT
            )


def test_utilization_window() -> None:
    """Window 2 s, target 50 %. r0 works 0.5-1.5, r1 arrives at 0.5 and works 1.5-2.5.

    v1, held: 1 from 0.5 to 2.5. Ticks 1-4 average over [0,1), [0,2), [1,3), [2,4): 1/2, 3/4, 3/4, 1/4; twice that, up:
    1, 2, 2, 1. v2, with the queue: 2 from 0.5 to 1.5, then 1 to 2.5: 1, 5/4, 1, 1/4; 2, 3, 2, 1.
    """
    windowed: dict[str, Any] = {
        "utilization_window_s": 2.0,
        "target_utilization_percent": 50,
        "max_request_wait_s": 2.0,
    }
    v1 = run([0.5, 0.5], [1, 1], **windowed)
    assert [(tick.signal, tick.unclamped) for tick in v1.ticks] == [(0.5, 1), (0.75, 2), (0.75, 2), (0.25, 1)]
    v2 = run([0.5, 0.5], [1, 1], api=Api.V2, **windowed)
    assert [(tick.signal, tick.unclamped) for tick in v2.ticks] == [(1, 2), (1.25, 3), (1, 2), (0.25, 1)]


def test_the_ceiling_of_an_average_forgives_rounding() -> None:
    """7 at 70 % is 10; an average a little above 7 by rounding alone is still 10, 7.001 is not."""

    def unclamped(signal: float) -> int:
        return unclamped_count(
            signal, current=3, ready=3, concurrency=1, target_percent=70, over=UtilizationOver.CURRENT
        )

    assert [unclamped(x) for x in (0.0, 7.0, 7.0000000001, 7.001)] == [0, 10, 10, 11]


# --- scaling down


@pytest.mark.parametrize(
    ("api", "period_s", "delay_s", "first_tick_below"),
    [
        (Api.V2, 1.0, None, 20),  # exactly 20 ticks, the current one included: tick 19 still sees instant 0
        (Api.V2, 0.1, None, 20),
        (Api.V1, 1.0, None, 60),  # 60 * 1 < 60 is false
        (Api.V1, 1.0, 3.0, 3),
        (Api.V1, 1.0, 3.25, 4),
        (Api.V1, 0.1, 0.3, 3),  # 3 * 0.1 is 0.30000000000000004
        (Api.V1, 0.3, 0.9, 4),  # 3 * 0.3 is 0.8999999999999999, below 0.9
        (Api.V2, 0.3, 0.9, 4),
    ],
)
def test_the_initial_count_leaves_the_scale_down_window(
    api: Api, period_s: float, delay_s: float | None, first_tick_below: int
) -> None:
    """Three idle replicas, min 1: every tick desires 1, and the count drops when instant 0 is out of the window."""
    ticks = first_tick_below + 2
    result = run(
        duration=(ticks + 0.5) * period_s,
        api=api,
        max_replicas=3,
        initial_replicas=3,
        refresh_period_s=period_s,
        scale_down_delay_s=delay_s,
    )
    assert counts(result) == [3] * (first_tick_below - 1) + [1] * 3


def test_scale_down_waits_for_the_peak_to_leave_the_window_and_paid_time_counts_existence() -> None:
    """Window 2 s. Tick 1 (v2): x = 3, R1 and R2 are created, ready at 1.25, take r1 and r2 until 1.5, when r0 ends too.
    Tick 2: x = 0, desired 1, but tick 1 is in the window. Tick 3: (3 - 1) * 1 < 2 is false, so down to 1.

    Paid over [0, 4): R0 4, R1 and R2 from 1 to 3: 4 + 2 + 2 = 8. Ready: 4 + 2 (3 - 1.25) = 7.5; from 2 on: 2 + 2 = 4.
    """
    burst: dict[str, Any] = {
        "cold": [0.25, 0.25],
        "duration": 4.0,
        "api": Api.V2,
        "max_replicas": 3,
        "max_request_wait_s": 5.0,
        "scale_down_delay_s": 2.0,
    }
    result = run([0, 0, 0], [1.5, 0.25, 0.25], **burst)
    assert [tick.desired for tick in result.ticks] == [3, 1, 1]
    assert counts(result) == [3, 3, 1]
    assert result.paid_s == 8
    assert result.ready_s == 7.5
    assert run([0, 0, 0], [1.5, 0.25, 0.25], warm_up=2.0, **burst).ready_s == 4


def test_victims_are_the_starting_replicas_then_the_latest_ready() -> None:
    """Delay 1 s: only the current tick counts. Tick 1 (v2): x = 4, R1, R2, R3, ready at 1.75, 1.5 and 6.
    r0 on R0 to 10, r1 on R2 1.5-2.5, r2 on R1 1.75-5.75, r3 expires at 1.875, with 3 ready of 4 desired.
    Tick 2: x = 3, the victim is R3, which is starting and never becomes ready.
    Tick 3: x = 2, the victim is R1, ready last though its id is lower and it is busy; it drains to 5.75.
    Tick 4: x = 1 (R1 does not count), the victim is R2, idle. r0 keeps ticks going to 9; at 10 it ends first.

    Paid over [0, 8): 8 + (5.75 - 1) + (4 - 1) + (2 - 1) = 16.75. Ready: 8 + (3 - 1.75) + (4 - 1.5) = 11.75.
    """
    result = run(
        [0, 0, 0, 0],
        [10, 1, 4, 1],
        cold=[0.75, 0.5, 5],
        duration=8.0,
        api=Api.V2,
        max_replicas=4,
        max_request_wait_s=1.875,
        scale_down_delay_s=1.0,
    )
    assert result.replica == [0, 2, 1, NO_REPLICA]
    assert result.cause[3] == Cause.SCALE_UP_LAG
    assert result.finish_s == [10, 2.5, 5.75, 1.875]
    assert counts(result) == [4, 3, 2, 1, 1, 1, 1, 1, 1]
    assert result.replica_rows == [
        (0, 1, 1, 0, 1, 3),
        (1, 4, 1, 3, 1, 3),
        (1.5, 4, 2, 2, 2, 2),
        (1.75, 4, 3, 1, 3, 1),
        (2, 3, 3, 0, 3, 0),
        (3, 2, 2, 0, 1, 0),
        (4, 1, 1, 0, 1, 0),
    ]
    assert result.paid_s == 16.75
    assert result.ready_s == 11.75


def test_victims_that_are_starting_go_latest_created_first() -> None:
    """Delay 1 s. Tick 1 (v2): x = 3, R1 and R2, to be ready at 2.5 and 2.25. r1 and r2 expire at 1.5, r3 comes at 1.75.
    Tick 2: x = 2, the victim is R2, so that r3 waits for R1.
    """
    result = run(
        [0, 0, 0, 1.75],
        [9, 1, 1, 1],
        cold=[1.5, 1.25],
        api=Api.V2,
        max_replicas=3,
        max_request_wait_s=1.5,
        scale_down_delay_s=1.0,
    )
    assert counts(result)[:2] == [3, 2]
    assert (result.replica[3], result.dispatch_s[3]) == (1, 2.5)


def test_victims_ready_at_the_same_instant_go_by_highest_id() -> None:
    """Three ready at 0; r2 on R2 to 3. Tick 1: x = 1, victims R2 (busy, drains to 3) and R1. R0 takes r3.
    Paid over [0, 4): 4 + 1 + 3 = 8.
    """
    result = run(
        [0, 0, 0, 1.5],
        [0.5, 0.5, 3, 0.25],
        duration=4.0,
        max_replicas=3,
        initial_replicas=3,
        scale_down_delay_s=1.0,
    )
    assert result.replica == [0, 1, 2, 0]
    assert counts(result) == [1, 1, 1]
    assert result.paid_s == 8


@pytest.mark.parametrize("api", [Api.V1, Api.V2])
def test_a_draining_replica_takes_nothing_and_is_not_revived(api: Api) -> None:
    """Two slots each. r0 on R0 to 10, r1 on R1 to 3, r2 on R0 to 0.5. Tick 1: x = 2, one replica is enough, R1 drains.
    r3 fills R0, r4 (at 1.5) queues beside R1's free slot. v1, tick 2: x = 2; r4 expires at 2.5.
    v2, tick 2: x = 3, desired 2: not R1 but a new R2, ready at once, takes r4.
    """
    result = run(
        [0, 0, 0, 1.25, 1.5],
        [10, 3, 0.5, 9, 0.25],
        cold=[0.0],
        api=api,
        max_replicas=2,
        initial_replicas=2,
        max_concurrent_requests=2,
        worker_count=2,
        scale_down_delay_s=1.0,
    )
    assert result.replica[:4] == [0, 1, 0, 0]
    if api is Api.V1:
        assert (result.outcome[4], result.finish_s[4]) == (STATUS_503, 2.5)
        assert result.cause[4] == Cause.HEADROOM_TOO_SMALL
        assert result.paid_s == 5 + 3
        assert result.ready_s == 5 + 1
    else:
        assert (result.replica[4], result.dispatch_s[4], result.finish_s[4]) == (2, 2, 2.25)


# --- variants


def test_timer_then_jump() -> None:
    """Delay 2 s. Idle, 3 replicas: the timer is set at tick 1 and fires at tick 3. Two requests at tick 2 clear it: it
    is set again at tick 3 and fires at 5. With x = 2, 2, 1 it jumps to 1 at tick 3, where the window rule (down to 2
    at tick 2, when instant 0 has left the window) still sees the 2 of tick 2.
    """
    timer: dict[str, Any] = {"scale_down_rule": ScaleDownRule.TIMER_THEN_JUMP, "scale_down_delay_s": 2.0}
    assert counts(run(max_replicas=3, initial_replicas=3, **timer)) == [3, 3, 1, 1]
    cleared = run([1.5, 1.5], [1, 1], duration=6.0, max_replicas=2, initial_replicas=2, **timer)
    assert counts(cleared) == [2, 2, 2, 2, 1]
    assert counts(run([0, 0], [2.5, 4.5], max_replicas=3, initial_replicas=3, **timer)) == [3, 3, 1, 1]
    window = run([0, 0], [2.5, 4.5], max_replicas=3, initial_replicas=3, scale_down_delay_s=2.0)
    assert counts(window) == [3, 2, 2, 1]


def test_a_scale_up_clears_the_timer() -> None:
    """Delay 2 s, v2. Tick 1: x = 0, the timer is set. Tick 2: x = 3, a third replica. Tick 3: x = 0, the timer is set
    anew, so that the jump comes at tick 5, not 3.
    """
    result = run(
        [1.75] * 3,
        [0.5] * 3,
        cold=[0.5],
        duration=6.0,
        api=Api.V2,
        max_replicas=3,
        initial_replicas=2,
        scale_down_delay_s=2.0,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(result) == [2, 3, 3, 3, 1]


def test_timer_then_jump_in_v2_takes_20_ticks_by_default() -> None:
    """The timer is set at tick 1, and 21 - 1 >= 20, whatever 20 * 0.1 rounds to."""
    result = run(
        duration=2.25,
        api=Api.V2,
        max_replicas=3,
        initial_replicas=3,
        refresh_period_s=0.1,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(result) == [3] * 20 + [1] * 2


def test_steps_of_one() -> None:
    """Up: x = 4 at every tick (v2), 2, 3, 4 replicas. Down: 3, 2, 1. With the timer: fires at tick 3, is set anew at
    tick 4 and fires again at 6.
    """
    one = ScaleStep.ONE
    up = run([0] * 4, [9] * 4, cold=[0.5] * 3, api=Api.V2, max_replicas=4, max_request_wait_s=20.0, scale_step=one)
    assert counts(up)[:4] == [2, 3, 4, 4]
    assert [tick.desired for tick in up.ticks[:2]] == [4, 4]
    assert counts(run(max_replicas=3, initial_replicas=3, scale_down_delay_s=1.0, scale_step=one)) == [2, 1, 1, 1]
    timer = run(
        duration=7.0,
        max_replicas=3,
        initial_replicas=3,
        scale_down_delay_s=2.0,
        scale_step=one,
        scale_down_rule=ScaleDownRule.TIMER_THEN_JUMP,
    )
    assert counts(timer) == [3, 3, 2, 2, 2, 1]


def test_utilization_over_ready_replicas() -> None:
    """x = 3 (v2), one replica ready until 6. Tick 1: 3 * 1 / 1 = 3; tick 2: 3 * 3 / 1 = 9; tick 3: 3 * 9 / 1 = 27, cut
    to 10. Over current replicas it stays 3. With none ready the unclamped count is the current one: 0, then 1.
    """
    busy: dict[str, Any] = {"api": Api.V2, "max_replicas": 10, "max_request_wait_s": 20.0}
    ready = run([0] * 3, [9] * 3, cold=[5.0] * 9, utilization_over=UtilizationOver.READY, **busy)
    assert [(tick.unclamped, tick.current_after) for tick in ready.ticks[:3]] == [(3, 3), (9, 9), (27, 10)]
    current = run([0] * 3, [9] * 3, cold=[5.0] * 9, **busy)
    assert counts(current)[:3] == [3, 3, 3]
    none = run(cold=[9], initial_replicas=0, utilization_over=UtilizationOver.READY)
    assert [(tick.unclamped, tick.desired, tick.current_after) for tick in none.ticks[:2]] == [(0, 1, 1), (1, 1, 1)]


def test_fixed_desires_its_count_at_every_tick() -> None:
    """Two wanted, one at the start: tick 1 creates R1, ready at 1.5, which takes r1. Idle replicas stay."""
    result = run(
        [0, 0],
        [3, 1],
        cold=[0.5],
        autoscaler=Autoscaler.FIXED,
        min_replicas=2,
        max_replicas=2,
        initial_replicas=1,
        max_request_wait_s=2.0,
        scale_down_delay_s=1.0,
    )
    assert result.dispatch_s == [0, 1.5]
    assert [tick.desired for tick in result.ticks] == counts(result) == [2, 2, 2, 2]
    assert result.paid_s == 5 + 4


# --- the end, and what is measured


@pytest.mark.parametrize(
    ("arrivals_s", "service_times_s", "duration_s", "ticks"),
    [
        ([], [], 2.5, 2),
        ([], [], 2.0, 1),  # 2 * 1 < 2 is false
        ([0], [2.5], 1.0, 2),
        ([0], [3], 1.0, 2),  # the finish at 3 comes before the tick
        ([0, 2], [9, 1], 2.5, 5),  # r0 gets its 504 at 6, before the tick; r1 503 at 3
        ([0, 5], [9, 1], 5.5, 6),  # r1 expires at 6, after the tick
    ],
)
def test_ticks_go_on_until_the_last_request_is_resolved(
    arrivals_s: list[float], service_times_s: list[float], duration_s: float, ticks: int
) -> None:
    result = run(arrivals_s, service_times_s, duration=duration_s, scoring_timeout_s=6.0)
    assert [tick.time_s for tick in result.ticks] == [float(k) for k in range(1, ticks + 1)]


def test_the_fraction_leaves_the_warm_up_out() -> None:
    """r1 and r3 expire after 0.5 s; r4 does not. From 2 on (included) one of three, from 3 on none of one."""
    arrivals_s, service_times_s = [0, 0, 2, 2, 3.5], [1, 1, 1, 1, 1]

    def fraction(warm_up: float) -> float:
        return run(arrivals_s, service_times_s, warm_up=warm_up, max_request_wait_s=0.5).fraction_503

    assert [fraction(t) for t in (0, 2, 3)] == [2 / 5, 1 / 3, 0]
    assert math.isnan(fraction(4))


# --- what must hold in any case


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
        if outcome is OK:
            work_s = deployment.router_overhead_s + case.service_times_s[i]
            assert finish_s == start_s + work_s <= dispatch_s + deployment.scoring_timeout_s
        elif outcome is STATUS_504:
            assert finish_s == dispatch_s + deployment.scoring_timeout_s
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
    if deployment.scale_step is ScaleStep.ONE:
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
