"""Causes read off a replica log: the first that holds, and all of them sum to all 503s."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.causes import UNATTRIBUTED, cause_counts, causes_at
from planner.model import NO_CAUSE, Cause, ReplicaLog

MOST = 5


def log(**columns: list[int]) -> ReplicaLog:
    n = len(columns["ready"])
    filled = {name: columns.get(name, [0] * n) for name in ("desired", "starting", "busy", "queued")}
    rest = {name: np.array(values) for name, values in (filled | columns).items()}
    return ReplicaLog(time_s=np.arange(n, dtype=np.float64), **rest)


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ({"ready": 0, "desired": 2, "lost": 1, "pending": 1}, Cause.NO_READY_REPLICA),
        ({"ready": 1, "desired": 2, "lost": 1, "pending": 1}, Cause.REPLICA_LOST),
        ({"ready": 1, "desired": 2, "lost": 0, "pending": 1}, Cause.WAITING_FOR_NODE),
        ({"ready": 1, "desired": 2, "lost": 0, "pending": 0}, Cause.SCALE_UP_LAG),
        ({"ready": 5, "desired": 5, "lost": 0, "pending": 0}, Cause.AT_MAX_REPLICAS),
        ({"ready": 2, "desired": 2, "lost": 0, "pending": 0}, Cause.HEADROOM_TOO_SMALL),
        ({"ready": 2, "desired": 3, "lost": -1, "pending": -1}, Cause.SCALE_UP_LAG),
        ({"ready": -1, "desired": 3}, NO_CAUSE),
        ({"ready": 2, "desired": -1}, NO_CAUSE),
    ],
)
def test_the_first_that_holds(row: dict[str, int], cause: int) -> None:
    assert causes_at(log(**{name: [value] for name, value in row.items()}), np.array([0.5]), MOST)[0] == cause


def test_what_nobody_saw_has_no_cause() -> None:
    seen = log(ready=[2, 2, 2], desired=[3, 3, 3])
    times = np.array([-0.5, 0.5, 1.0, 1.99, 2.0, np.nan])
    causes = causes_at(seen, times, MOST, [(1.0, 2.0)])
    assert causes.tolist() == [NO_CAUSE, Cause.SCALE_UP_LAG, NO_CAUSE, NO_CAUSE, Cause.SCALE_UP_LAG, NO_CAUSE]
    assert cause_counts(causes)[UNATTRIBUTED] == 4
    assert (causes_at(log(ready=[], desired=[]), times, MOST) == NO_CAUSE).all()


COUNTS = st.integers(-1, 6)


@given(
    rows=st.lists(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS), min_size=1, max_size=6),
    times=st.lists(st.integers(-64, 8 * 64), max_size=20),
    gap=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_each_503_has_one_cause_as_a_reader_of_the_page_would_find_it(
    rows: list[tuple[int, int, int, int]], times: list[int], gap: tuple[int, int]
) -> None:
    ready, desired, lost, pending = (list(column) for column in zip(*rows, strict=True))
    seen = log(ready=ready, desired=desired, lost=lost, pending=pending)
    times_s = np.array(times, dtype=np.float64) / 64

    def by_hand(time_s: float) -> int:
        if time_s < 0 or gap[0] <= time_s < gap[1]:
            return NO_CAUSE
        r, d, gone, waiting = rows[min(int(time_s), len(rows) - 1)]
        if r < 0 or d < 0:
            return NO_CAUSE
        for holds, cause in (
            (r == 0, Cause.NO_READY_REPLICA),
            (gone > 0, Cause.REPLICA_LOST),
            (waiting > 0, Cause.WAITING_FOR_NODE),
            (r < d, Cause.SCALE_UP_LAG),
            (r >= MOST, Cause.AT_MAX_REPLICAS),
        ):
            if holds:
                return cause
        return Cause.HEADROOM_TOO_SMALL

    causes = causes_at(seen, times_s, MOST, [(float(gap[0]), float(gap[1]))])
    assert causes.tolist() == [by_hand(time_s) for time_s in times_s]
    assert sum(cause_counts(causes).values()) == len(times)
