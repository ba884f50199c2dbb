"""Merging: what any number of workers wrote, however each of them ended, becomes one row per planned request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.books import balance
from loadtest.replay.merge import merge
from loadtest.replay.segment import (
    UNKNOWN_NS,
    Broken,
    EndReason,
    Kind,
    Note,
    Records,
    Segment,
    SegmentWriter,
    read_segment,
)
from loadtest.schedule import Schedule
from planner.errors import InputError
from planner.model import Outcome
from tests.loadtest.observed_log import observed_log
from tests.loadtest.test_replay_books import make_schedule

ANSWERED = [outcome for outcome in Outcome if outcome.was_sent and outcome is not Outcome.UNRESOLVED]


@dataclass(frozen=True)
class Fate:
    """What a worker's records say of one request of its share. outcome None: sent, and nothing came after it."""

    outcome: Outcome | None
    retried: bool


fates = st.lists(
    st.one_of(
        st.none(),
        st.builds(Fate, st.sampled_from([*ANSWERED, Outcome.SKIPPED_LATE, None]), st.booleans()),
    ),
    max_size=40,
)
"""None: no record at all."""

worker_ends = st.lists(st.sampled_from([*EndReason, None, "no segment"]), min_size=1, max_size=5)


def write(path: Path, schedule: Schedule, worker: int, workers: int, plan: list[Fate | None], end: object) -> None:
    writer = SegmentWriter(path, schedule.sha256, worker, workers)
    for index in range(worker, len(schedule), workers):
        fate = plan[index]
        if fate is None:
            continue
        sent_ns = int(schedule.offset_ns[index]) + 1
        if fate.outcome is not Outcome.SKIPPED_LATE:
            writer.sent(index, sent_ns)
        if fate.outcome is not None:
            was_sent = fate.outcome.was_sent
            writer.resolved(index, fate.outcome, sent_ns=sent_ns if was_sent else UNKNOWN_NS, finish_ns=sent_ns + 5)
            if fate.retried and was_sent:
                writer.sent(index, sent_ns + 10, attempt=1)
                writer.resolved(index, Outcome.OK, sent_ns=sent_ns + 10, finish_ns=sent_ns + 20, attempt=1)
    if isinstance(end, EndReason):
        writer.close(end)
    else:
        writer.flush()


@given(plan=fates, ends=worker_ends, told=st.booleans())
def test_books_balance_whatever_became_of_the_workers(
    tmp_path_factory: pytest.TempPathFactory, plan: list[Fate | None], ends: list[object], told: bool
) -> None:
    """told: the journal says how the workers without an end mark ended."""
    folder, schedule, workers = tmp_path_factory.mktemp("merge"), make_schedule(len(plan)), len(ends)
    segments = []
    for worker, end in enumerate(ends):
        if end != "no segment":
            write(folder / str(worker), schedule, worker, workers, plan, end)
            segments.append(read_segment(folder / str(worker), schedule.sha256))
    journal = dict.fromkeys(range(workers), EndReason.STOPPED) if told else None
    seen = merge(schedule, segments, workers, without_end_mark=journal)
    books = balance(schedule, seen.log, seen.worker)

    has_record = [fate is not None and ends[i % workers] != "no segment" for i, fate in enumerate(plan)]
    sent = [
        i for i, fate in enumerate(plan) if has_record[i] and fate is not None and fate.outcome != Outcome.SKIPPED_LATE
    ]
    assert books["planned"] == len(plan)
    assert books["sent"] == len(sent)
    assert books["unaccounted"] + books["not_reached"] == len(plan) - sum(has_record)
    assert list(seen.worker) == [i % workers for i in range(len(plan))]
    for i, fate in enumerate(plan):
        got = Outcome(int(seen.log.outcome[i]))
        if has_record[i] and fate is not None:
            assert got == (Outcome.UNRESOLVED if fate.outcome is None else fate.outcome)
        else:
            end = ends[i % workers]
            known = end if isinstance(end, EndReason) else EndReason.STOPPED if told else None
            orderly = known not in (None, EndReason.COMPLETE, EndReason.LOG_UNWRITABLE)
            assert got == (Outcome.NOT_REACHED if orderly else Outcome.UNACCOUNTED)
    if workers > 1 and len(plan) > 1:
        assert np.array_equal(np.sum([books["per_worker"]["planned"]], axis=1), [len(plan)])


def records(tmp_path: Path, end: EndReason | None) -> Segment:
    """Requests 0 and 1 were sent, 0 was answered, 2 was skipped; 3 has no record."""
    schedule = make_schedule(4)
    writer = SegmentWriter(tmp_path / "s", schedule.sha256)
    writer.sent(0, 10)
    writer.sent(1, 20)
    writer.resolved(
        0, Outcome.OK, sent_ns=10, finish_ns=2_000_000_010, exec_ms=12.5, dispatch_ns=1_500_000_000, replica=4
    )
    writer.resolved(2, Outcome.SKIPPED_LATE)
    if end is None:
        writer.flush()
    else:
        writer.close(end)
    return read_segment(tmp_path / "s", schedule.sha256)


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (None, Outcome.UNACCOUNTED),
        (EndReason.STOPPED, Outcome.NOT_REACHED),
        (EndReason.MAX_REQUESTS, Outcome.NOT_REACHED),
        (EndReason.ERROR_RATE, Outcome.NOT_REACHED),
        (EndReason.LOG_UNWRITABLE, Outcome.UNACCOUNTED),
        (EndReason.CRASHED, Outcome.NOT_REACHED),  # it says so after the last record, which is written
        (EndReason.COMPLETE, Outcome.UNACCOUNTED),  # a worker that says it is through but is not
    ],
)
def test_what_has_no_record_depends_on_how_the_worker_ended(
    tmp_path: Path, end: EndReason | None, last: Outcome
) -> None:
    seen = merge(make_schedule(4), [records(tmp_path, end)], 1)
    assert list(seen.log.outcome) == [Outcome.OK, Outcome.UNRESOLVED, Outcome.SKIPPED_LATE, last]
    assert seen.ended == end
    assert seen.log.start_s[0] == 1.5
    assert seen.log.service_time_s[0] == 0.0125
    assert seen.log.finish_s[0] - seen.log.sent_s[0] == 2.0
    assert np.isnan(seen.log.sent_s[2:]).all()
    books = balance(make_schedule(4), seen.log)
    assert (books["planned"], books["sent"], books["unresolved"]) == (4, 2, 1)


def test_the_end_mark_of_the_records_counts_for_more_than_the_journal(tmp_path: Path) -> None:
    segment = records(tmp_path, EndReason.LOG_UNWRITABLE)
    seen = merge(make_schedule(4), [segment], 1, without_end_mark={0: EndReason.COMPLETE})
    assert seen.ends == {0: EndReason.LOG_UNWRITABLE}


@pytest.mark.parametrize(
    ("ends", "whole"),
    [
        ((EndReason.COMPLETE, EndReason.COMPLETE), EndReason.COMPLETE),
        ((EndReason.COMPLETE, EndReason.STOPPED), EndReason.STOPPED),
        ((EndReason.STOPPED, EndReason.UNAUTHORIZED), EndReason.UNAUTHORIZED),
        ((EndReason.MAX_REQUESTS, EndReason.COMPLETE), EndReason.MAX_REQUESTS),
        ((EndReason.ENDPOINT_LOST, None), None),
    ],
)
def test_how_a_run_of_two_ended(ends: tuple[EndReason | None, ...], whole: EndReason | None) -> None:
    log = merge(make_schedule(0), [], 1).log
    assert observed_log(log, ends=dict(enumerate(ends))).ended is whole


def repeated(segment: Segment, kind: Kind) -> Segment:
    rows: Records = segment.records
    return Segment(segment.worker, segment.workers, np.concatenate([rows, rows[rows["kind"] == kind]]))


def test_two_outcomes_for_one_request_are_a_defect(tmp_path: Path) -> None:
    twice = repeated(records(tmp_path, None), Kind.RESOLVED)
    with pytest.raises(AssertionError, match="request 0 has two outcomes"):
        merge(make_schedule(4), [twice], 1)
    with pytest.raises(AssertionError, match="the schedule has 2"):
        merge(make_schedule(2), [twice], 1)


def test_a_record_of_another_share_is_a_defect(tmp_path: Path) -> None:
    alone = records(tmp_path, None)
    with pytest.raises(AssertionError, match="records of worker 0 of 2 name request 1"):
        merge(make_schedule(4), [Segment(0, 2, alone.records)], 2)


def test_segments_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    one = records(tmp_path, None)
    none = Segment(0, 2, one.records[:0])
    for segments, workers in ([one], 2), ([none, none], 2), ([none], 1):
        with pytest.raises(InputError, match=f"do not belong to a run of {workers}"):
            merge(make_schedule(4), segments, workers)


def test_retries_and_notes_are_kept_beside_the_plan(tmp_path: Path) -> None:
    schedule = make_schedule(2)
    writer = SegmentWriter(tmp_path / "s", schedule.sha256, 1, 2)
    writer.sent(1, 10)
    writer.resolved(1, Outcome.STATUS_503, sent_ns=10, finish_ns=20, status=503)
    writer.sent(1, 30, attempt=1)
    writer.resolved(1, Outcome.CONNECTION_ERROR, sent_ns=30, finish_ns=40, status=-Broken.REFUSED, attempt=1)
    writer.note(Note.STALL, 5_000_000_000, 2_000_000_000)
    writer.close(EndReason.COMPLETE)
    seen = merge(schedule, [read_segment(tmp_path / "s", schedule.sha256)], 2)
    assert list(seen.log.outcome) == [Outcome.UNACCOUNTED, Outcome.STATUS_503]
    assert seen.log.finish_s[1] == 20e-9, "of the first attempt"
    assert list(seen.retries["attempt"]) == [1]
    (note,) = seen.notes
    assert (note.worker, note.note, note.at_s, note.amount_s) == (1, Note.STALL, 5.0, 2.0)


def test_a_broken_connection_is_no_status() -> None:
    log = merge(make_schedule(3), [], 1).log
    seen = observed_log(log, status=np.array([503, 0, -Broken.RESET]))
    columns = seen.extra_columns()
    assert list(columns["status"]) == [503, 0, 0]
    assert list(columns["broken"]) == [0, 0, Broken.RESET]
