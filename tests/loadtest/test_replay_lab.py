"""Observing the lab: rows become a log of changes, ticks become a start, a lab of another scenario is noticed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from loadtest.replay.observe_lab import aligned_start_s, build_replica_log, lab_differences
from planner.model import Deployment


def test_the_parent_imports_neither_locust_nor_gevent() -> None:
    """Both patch the standard library under everything else; they belong to the worker's process."""
    code = "import sys, loadtest.replay.run; print(sorted({'gevent', 'locust'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def row(at_s: float, desired: int, ready: int, queued: int = 0) -> tuple[float, ...]:
    return (at_s, desired, ready, 0, 0, queued)


def test_the_log_starts_at_0_and_keeps_changes() -> None:
    rows = [row(103.5, 3, 3), row(98.0, 1, 1), row(99.0, 2, 2), row(100.5, 2, 2), row(101.0, 3, 2), row(104.0, 3, 3, 5)]
    log = build_replica_log(rows, 100.0)
    assert log is not None
    assert list(log.time_s) == [0.0, 1.0, 3.5, 4.0]
    assert list(log.desired) == [2, 3, 3, 3]
    assert list(log.ready) == [2, 2, 3, 3]
    assert list(log.queued) == [0, 0, 0, 5]


def test_a_lab_first_seen_after_the_start() -> None:
    log = build_replica_log([row(100.2, 2, 2)], 100.0)
    assert log is not None
    assert np.allclose(log.time_s, [0.2])
    assert build_replica_log([], 100.0) is None


@pytest.mark.parametrize(
    ("tick_s", "period_s", "earliest_s", "expected"),
    [(10.0, 1.0, 9.5, 10.0), (10.0, 1.0, 10.0, 10.0), (10.0, 1.0, 10.25, 11.0), (10.0, 0.5, 12.1, 12.5)],
)
def test_the_start_is_the_next_tick(tick_s: float, period_s: float, earliest_s: float, expected: float) -> None:
    state = {"next_tick_monotonic_s": tick_s, "refresh_period_s": period_s}
    assert aligned_start_s([state], earliest_s) == expected


def test_a_lab_without_ticks_aligns_nothing() -> None:
    assert aligned_start_s([], 1.0) is None
    assert aligned_start_s([{"next_tick_monotonic_s": None, "refresh_period_s": 1.0}], 1.0) is None


def test_a_lab_of_another_scenario_is_noticed() -> None:
    deployment = Deployment(min_replicas=2, max_replicas=8)
    assert lab_differences(deployment, 2, {"settings": {"autoscale_max_replicas": 8}}) == []
    assert lab_differences(deployment, 4, {"settings": {"autoscale_max_replicas": 9}}) == [
        "the lab had 4 ready replicas at the start, the scenario says 2",
        "the lab runs with autoscale_max_replicas = 9, the scenario says 8",
    ]
