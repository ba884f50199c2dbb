"""The reference simulator against cases worked out on paper (on_paper.py): scaling down."""

from __future__ import annotations

from typing import Any

import pytest

from planner.model import NO_REPLICA, Api, Cause

from .on_paper import STATUS_503, counts, run


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
