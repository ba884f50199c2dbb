"""The books: whatever became of the requests, both identities hold in total, per second and per worker."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.books import BooksError, balance, check
from loadtest.replay.merge import merge
from loadtest.replay.segment import RECORD, UNKNOWN_NS, Kind, Segment
from loadtest.schedule import Schedule
from planner.model import Outcome


def make_schedule(n: int, seconds: int = 10) -> Schedule:
    offsets = np.linspace(0, seconds * 1e9 - 1, n).astype(np.int64)
    return Schedule(offset_ns=offsets, service_time_s=np.full(n, 0.1), duration_ns=seconds * 10**9)


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=60), st.integers(0, 2**32))
def test_books_balance_for_any_outcomes(outcomes: list[Outcome], seed: int) -> None:
    schedule = make_schedule(len(outcomes))
    rows = np.zeros(len(outcomes), RECORD)
    rows["cause"] = -1
    rows["kind"], rows["outcome"], rows["index"] = Kind.RESOLVED, outcomes, np.arange(len(outcomes))
    rows["sent_ns"] = [schedule.offset_ns[i] if o.was_sent else UNKNOWN_NS for i, o in enumerate(outcomes)]
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]  # the worker writes them in order of resolution
    books = balance(schedule, merge(schedule, [Segment(0, 1, rows)], 1).log)
    assert books["planned"] == len(outcomes)
    assert books["sent"] == sum(o.was_sent for o in outcomes)
    assert sum(books[o.name.lower()] for o in Outcome) == len(outcomes)
    assert sum(books["per_second"]["planned"]) == len(outcomes)


def test_books_that_do_not_balance_are_refused() -> None:
    planned, sent = np.array([2, 3]), np.array([2, 2])
    by_outcome = np.zeros((2, len(Outcome)), dtype=np.int64)
    by_outcome[0, Outcome.OK], by_outcome[1, Outcome.OK], by_outcome[1, Outcome.SKIPPED_LATE] = 2, 2, 1
    check(planned, sent, by_outcome)
    with pytest.raises(BooksError, match="second 1: 3 planned, but 2 sent and 0 never sent"):
        check(planned, sent, np.delete(by_outcome, [], axis=0) * (np.arange(len(Outcome)) < Outcome.SKIPPED_LATE))
    with pytest.raises(BooksError, match="worker 1: 3 planned, but 2 sent and 0 never sent"):
        check(planned, sent, by_outcome * (np.arange(len(Outcome)) < Outcome.SKIPPED_LATE), "worker")
    by_outcome[0, Outcome.OK] = 1
    with pytest.raises(BooksError, match="second 0: 2 sent, but 1 outcomes"):
        check(planned, sent, by_outcome)


def test_a_send_without_a_time_is_noticed() -> None:
    rows = np.zeros(1, RECORD)
    rows["kind"], rows["outcome"], rows["sent_ns"] = Kind.RESOLVED, Outcome.OK, UNKNOWN_NS
    with pytest.raises(BooksError):
        balance(make_schedule(1), merge(make_schedule(1), [Segment(0, 1, rows)], 1).log)


def test_a_send_of_a_microsecond_before_the_start_is_a_send() -> None:
    """An alarm may be early by the clock's grain; -1 ns once meant `unknown` and lost the request."""
    rows = np.zeros(1, RECORD)
    rows["kind"], rows["outcome"], rows["sent_ns"], rows["finish_ns"] = Kind.RESOLVED, Outcome.OK, -1, 5
    log = merge(make_schedule(1), [Segment(0, 1, rows)], 1).log
    assert log.sent_s[0] == -1e-9
    assert balance(make_schedule(1), log)["sent"] == 1


def test_books_per_worker_show_whose_share_is_short() -> None:
    schedule = make_schedule(6)
    rows = np.zeros(3, RECORD)
    rows["kind"], rows["outcome"], rows["index"] = Kind.RESOLVED, Outcome.OK, [0, 2, 4]
    seen = merge(schedule, [Segment(0, 2, rows)], 2)
    books = balance(schedule, seen.log, seen.worker)
    assert books["per_worker"] == {"planned": [3, 3], "sent": [3, 0], "ok": [3, 0], "unaccounted": [0, 3]}
    assert "per_worker" not in balance(schedule, seen.log)
