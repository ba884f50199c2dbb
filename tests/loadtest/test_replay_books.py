"""Segment, merge, books: what the worker wrote becomes one row per planned request, and the books balance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.books import BooksError, balance, check
from loadtest.replay.merge import merge
from loadtest.replay.segment import RECORD, EndReason, Kind, SegmentReader, SegmentWriter, read_segment
from loadtest.schedule import Schedule
from planner.errors import InputError
from planner.model import Outcome

SHA = "ab" * 32


def make_schedule(n: int, seconds: int = 10) -> Schedule:
    offsets = np.linspace(0, seconds * 1e9 - 1, n).astype(np.int64)
    return Schedule(offset_ns=offsets, service_time_s=np.full(n, 0.1), duration_ns=seconds * 10**9)


def test_records_come_back_as_written(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s", SHA)
    writer.sent(3, 1_000)
    writer.resolved(3, Outcome.STATUS_503, sent_ns=1_000, finish_ns=5_000, status=503, flagged=True, replica=2)
    reader = SegmentReader(tmp_path / "s", SHA)
    assert len(reader.read_new()) == 0, "nothing is written before a flush"
    writer.flush()
    first = reader.read_new()
    writer.close(EndReason.COMPLETE)
    assert [int(k) for k in first["kind"]] == [Kind.SENT, Kind.RESOLVED]
    assert [int(k) for k in reader.read_new()["kind"]] == [Kind.END]
    row = first[1]
    assert (row["index"], row["status"], row["flagged"], row["replica"], row["finish_ns"]) == (3, 503, 1, 2, 5_000)


def test_a_torn_record_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "s"
    writer = SegmentWriter(path, SHA)
    writer.sent(0, 1)
    writer.sent(1, 2)
    writer.flush()
    path.write_bytes(path.read_bytes()[:-7])
    assert list(read_segment(path, SHA)["index"]) == [0]


def test_a_segment_of_another_schedule_is_refused(tmp_path: Path) -> None:
    SegmentWriter(tmp_path / "s", SHA).close(EndReason.COMPLETE)
    with pytest.raises(InputError, match="another schedule"):
        read_segment(tmp_path / "s", "cd" * 32)
    (tmp_path / "t").write_bytes(b"x" * 200)
    with pytest.raises(InputError, match="not a segment"):
        read_segment(tmp_path / "t", SHA)
    with pytest.raises(InputError, match="cannot be written"):
        SegmentWriter(tmp_path / "s", SHA)


def records(tmp_path: Path, end: EndReason | None) -> np.ndarray:
    """Requests 0 and 1 were sent, 0 was answered, 2 was skipped; 3 has no record."""
    writer = SegmentWriter(tmp_path / "s", SHA)
    writer.sent(0, 10)
    writer.sent(1, 20)
    writer.resolved(0, Outcome.OK, sent_ns=10, finish_ns=2_000_000_010, exec_ms=12.5, dispatch_s=101.5, replica=4)
    writer.resolved(2, Outcome.SKIPPED_LATE)
    if end is None:
        writer.flush()
    else:
        writer.close(end)
    return read_segment(tmp_path / "s", SHA)


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (None, Outcome.UNACCOUNTED),
        (EndReason.STOPPED, Outcome.NOT_REACHED),
        (EndReason.MAX_REQUESTS, Outcome.NOT_REACHED),
        (EndReason.LOG_UNWRITABLE, Outcome.UNACCOUNTED),
        (EndReason.COMPLETE, Outcome.UNACCOUNTED),  # a worker that says it is through but is not
    ],
)
def test_what_has_no_record_depends_on_how_the_worker_ended(
    tmp_path: Path, end: EndReason | None, last: Outcome
) -> None:
    seen = merge(make_schedule(4), records(tmp_path, end), 100.0)
    assert list(seen.log.outcome) == [Outcome.OK, Outcome.UNRESOLVED, Outcome.SKIPPED_LATE, last]
    assert seen.ended == end
    assert seen.log.start_s[0] == 1.5
    assert seen.log.service_time_s[0] == 0.0125
    assert seen.log.finish_s[0] - seen.log.sent_s[0] == 2.0
    assert np.isnan(seen.log.sent_s[2:]).all()
    books = balance(make_schedule(4), seen.log)
    assert (books["planned"], books["sent"], books["unresolved"]) == (4, 2, 1)


def test_two_outcomes_for_one_request_are_a_defect(tmp_path: Path) -> None:
    twice = records(tmp_path, None)
    twice = np.concatenate([twice, twice[twice["kind"] == Kind.RESOLVED]])
    with pytest.raises(AssertionError, match="request 0 has two outcomes"):
        merge(make_schedule(4), twice, 0.0)
    with pytest.raises(AssertionError, match="the schedule has 2"):
        merge(make_schedule(2), twice, 0.0)


@given(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=60), st.integers(0, 2**32))
def test_books_balance_for_any_outcomes(outcomes: list[Outcome], seed: int) -> None:
    schedule = make_schedule(len(outcomes))
    rows = np.zeros(len(outcomes), RECORD)
    rows["cause"] = -1
    rows["kind"], rows["outcome"], rows["index"] = Kind.RESOLVED, outcomes, np.arange(len(outcomes))
    rows["sent_ns"] = [schedule.offset_ns[i] if o.was_sent else -1 for i, o in enumerate(outcomes)]
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]  # the worker writes them in order of resolution
    books = balance(schedule, merge(schedule, rows, 0.0).log)
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
    by_outcome[0, Outcome.OK] = 1
    with pytest.raises(BooksError, match="second 0: 2 sent, but 1 outcomes"):
        check(planned, sent, by_outcome)


def test_a_send_without_a_time_is_noticed(tmp_path: Path) -> None:
    rows = np.zeros(1, RECORD)
    rows["kind"], rows["outcome"], rows["sent_ns"] = Kind.RESOLVED, Outcome.OK, -1
    with pytest.raises(BooksError):
        balance(make_schedule(1), merge(make_schedule(1), rows, 0.0).log)
