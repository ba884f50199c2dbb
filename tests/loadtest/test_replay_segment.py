"""A worker's record file: what was written comes back, what is torn or foreign does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.segment import (
    RECORD,
    UNKNOWN_NS,
    Broken,
    EndReason,
    Kind,
    Note,
    SegmentReader,
    SegmentWriter,
    header,
    read_segment,
)
from planner.errors import InputError
from planner.model import NO_CAUSE, NO_REPLICA, Cause, Outcome

SHA = "ab" * 32


def written(path: Path, sends: int) -> bytes:
    writer = SegmentWriter(path, SHA)
    for index in range(sends):
        writer.sent(index, 10 * index)
    writer.flush()
    return path.read_bytes()


def test_records_come_back_as_written(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s", SHA, 1, 3)
    writer.sent(4, 1_000, attempt=2)
    writer.resolved(
        4,
        Outcome.STATUS_503,
        sent_ns=1_000,
        finish_ns=5_000,
        status=503,
        flagged=True,
        exec_ms=12.5,
        dispatch_ns=2_000,
        replica=2,
        cause=Cause.AT_MAX_REPLICAS,
        attempt=2,
    )
    reader = SegmentReader(tmp_path / "s", SHA)
    assert len(reader.read_new()) == 0, "nothing is written before a flush"
    writer.flush()
    first = reader.read_new()
    assert (reader.worker, reader.workers) == (1, 3)
    writer.note(Note.CLOCK_STEP, 7_000, -3)
    writer.resolved(7, Outcome.CONNECTION_ERROR, sent_ns=-50, status=-Broken.RESET)
    writer.close(EndReason.ERROR_RATE)
    assert [int(k) for k in first["kind"]] == [Kind.SENT, Kind.RESOLVED]
    row = first[1]
    assert (row["index"], row["status"], row["flagged"], row["replica"], row["finish_ns"]) == (4, 503, 1, 2, 5_000)
    assert (row["exec_ms"], row["dispatch_ns"], row["cause"], row["attempt"]) == (12.5, 2_000, Cause.AT_MAX_REPLICAS, 2)
    note, early, end = reader.read_new()
    assert (note["kind"], note["index"], note["sent_ns"], note["finish_ns"]) == (Kind.NOTE, Note.CLOCK_STEP, 7_000, -3)
    assert (early["sent_ns"], early["status"]) == (-50, -Broken.RESET)
    assert (early["finish_ns"], early["replica"], early["cause"]) == (UNKNOWN_NS, NO_REPLICA, NO_CAUSE)
    assert np.isnan(early["exec_ms"])
    assert (end["kind"], end["index"]) == (Kind.END, EndReason.ERROR_RATE)
    assert len(reader.read_new()) == 0


def test_what_a_flush_hands_over_is_what_the_file_has(tmp_path: Path) -> None:
    """A worker elsewhere streams it, and the master's file must be the same."""
    writer = SegmentWriter(tmp_path / "s", SHA)
    writer.sent(0, 1)
    streamed = writer.flush()
    assert streamed.startswith(header(SHA, 0, 1))
    assert writer.flush() == b""
    writer.sent(1, 2)
    streamed += writer.close(EndReason.COMPLETE)
    assert (tmp_path / "s").read_bytes() == streamed
    assert writer.close(EndReason.CRASHED) == b"", "the first end stands"
    writer.sent(2, 3)
    assert writer.flush() == b""
    assert (tmp_path / "s").read_bytes() == streamed


@given(cut=st.integers(0, 3 * RECORD.itemsize + len(header(SHA, 0, 1))))
def test_a_torn_record_is_dropped(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "s"
    data = written(path, 3)
    path.write_bytes(data[: len(data) - cut])
    whole = max(0, len(data) - cut - len(header(SHA, 0, 1))) // RECORD.itemsize
    assert list(read_segment(path, SHA).records["index"]) == list(range(whole))


def test_a_reader_takes_up_a_torn_record_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "s"
    data = written(path, 3)
    path.write_bytes(data[:-5])
    reader = SegmentReader(path, SHA)
    assert list(reader.read_new()["index"]) == [0, 1]
    path.write_bytes(data)
    assert list(reader.read_new()["index"]) == [2]


def test_a_segment_of_another_schedule_is_refused(tmp_path: Path) -> None:
    SegmentWriter(tmp_path / "s", SHA).close(EndReason.COMPLETE)
    with pytest.raises(InputError, match=r"/s: belongs to another schedule"):
        read_segment(tmp_path / "s", "cd" * 32)
    (tmp_path / "t").write_bytes(b"x" * 200)
    with pytest.raises(InputError, match=r"/t: not a segment"):
        read_segment(tmp_path / "t", SHA)
    with pytest.raises(InputError, match="cannot be written"):
        SegmentWriter(tmp_path / "s", SHA)


@pytest.mark.parametrize(("worker", "workers"), [(2, 2), (7, 3), (0, 0)])
def test_a_segment_of_a_worker_that_cannot_be_is_refused(tmp_path: Path, worker: int, workers: int) -> None:
    (tmp_path / "s").write_bytes(header(SHA, worker, workers))
    with pytest.raises(InputError, match=f"/s: names worker {worker} of {workers}"):
        read_segment(tmp_path / "s", SHA)


def test_a_segment_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    reader = SegmentReader(tmp_path / "s", SHA)
    assert len(reader.read_new()) == 0
    written(tmp_path / "s", 2)
    assert list(reader.read_new()["index"]) == [0, 1]


def test_what_is_to_blame_fits_into_the_status_and_has_words() -> None:
    assert len({why.words for why in Broken}) == len(Broken)
    assert all(0 < why < 100 for why in Broken), "its negative can be no HTTP status"
