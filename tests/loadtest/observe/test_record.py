"""What is made of an observer's lines."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loadtest.observe import record
from loadtest.observe.record import ClusterLog, cluster_document, gaps, read_lines, replica_rows
from planner.errors import InputError


@pytest.fixture
def log(tmp_path: Path) -> ClusterLog:
    log = ClusterLog(tmp_path)
    log.add(record.CLUSTER, 99.0, deployment="blue", namespace="ml")
    log.add(record.ROW, 99.5, desired=2, ready=2, starting=0, pending=0, terminating=0, lost=0)
    log.add(record.ROW, 104.0, desired=2, ready=1, starting=0, pending=0, terminating=1, lost=1)
    log.add(record.GAP, 110.0, resource="pods", from_s=106.0, to_s=110.0, why="refused")
    log.add(record.GAP, 109.0, resource="nodes", from_s=108.0, to_s=111.0, why="refused")
    log.add(record.GAP, 99.0, resource="pods", from_s=95.0, to_s=99.0, why="before the run")
    log.add(record.FINDINGS, 105.0, findings=[{"cause": "init_raised", "pods": ["a"]}])
    log.add(record.FINDINGS, 112.0, findings=[{"cause": "init_raised", "pods": ["a", "b"]}])
    log.add(record.EVENT, 105.0, type="Warning", reason="BackOff", object="Pod/a", message="", count=1)
    log.close()
    return log


def test_the_file_says_what_memory_says(log: ClusterLog, tmp_path: Path) -> None:
    assert read_lines(tmp_path) == log.lines


def test_rows_have_the_columns_of_a_replica_log_and_minus_one_for_what_a_cluster_does_not_tell(log: ClusterLog) -> None:
    assert replica_rows(log.lines) == [(99.5, 2, 2, 0, -1, -1, 0, 0, 0), (104.0, 2, 1, 0, -1, -1, 0, 1, 1)]


def test_gaps_that_overlap_are_one_and_those_before_the_run_are_none(log: ClusterLog) -> None:
    assert gaps(log.lines, 100.0) == [{"from_s": 6.0, "to_s": 11.0, "resources": ["pods", "nodes"], "why": "refused"}]
    assert [gap["to_s"] for gap in gaps(log.lines, 100.0, record.SEEN_OF_REPLICAS)] == [10.0]


def test_of_findings_the_newest_of_each_cause_counts(log: ClusterLog) -> None:
    document = cluster_document(log.lines, 100.0)
    assert document is not None
    assert [finding["pods"] for finding in document["findings"]] == [["a", "b"]]
    assert document["warning_events"] == {"BackOff": 1}


def test_a_torn_last_line_is_left_out_and_any_other_damage_named(log: ClusterLog, tmp_path: Path) -> None:
    path = tmp_path / record.FILE
    whole = path.read_text()
    path.write_text(whole + '{"kind": "row", "at_')
    assert read_lines(tmp_path) == log.lines
    path.write_text("no line\n" + whole)
    with pytest.raises(InputError, match="line 1 is no line of an observer"):
        read_lines(tmp_path)


def test_the_instant_in_utc_is_that_of_the_monotonic_clock(tmp_path: Path) -> None:
    from datetime import datetime

    log = ClusterLog(tmp_path)
    log.add(record.ROW, time.monotonic() - 3600.0)
    log.close()
    assert datetime.fromisoformat(log.lines[0]["at"]).timestamp() == pytest.approx(time.time() - 3600.0, abs=0.5)


def test_a_folder_without_a_cluster_has_no_document(tmp_path: Path) -> None:
    assert cluster_document(read_lines(tmp_path), 0.0) is None
