"""The run over time: requests, 503s, their causes and replicas, in bins."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from planner.model import Deployment
from planner.report.data import RunReport
from planner.report.timeline import (
    bin_edges,
    counts,
    cumulative_503,
    largest_in_bins,
    observed_causes,
    short_spans,
    timeline,
)
from planner.service import Lognormal
from planner.sim.engine import simulate_replicate

from .samples import burst, replica_log, sample_report


def test_bins_hold_every_request_and_are_never_too_many() -> None:
    for duration_s in (0.4, 60.0, 61.5, 1200.0, 7200.0, 1e7):
        edges = bin_edges(duration_s)
        assert edges[0] == 0
        assert edges[-1] == duration_s
        assert np.all(np.diff(edges) > 0)
        assert len(edges) - 1 <= 241
    assert counts(np.array([0.0, 1.0, 59.9, 60.2, np.nan]), bin_edges(60.0)).sum() == 4


def test_timeline_counts_what_the_log_and_the_document_hold(passing: RunReport) -> None:
    run_over_time = timeline(passing)
    assert run_over_time.sent.sum() == passing.validation["books"]["sent"]
    assert run_over_time.planned.sum() == passing.validation["books"]["planned"]
    assert run_over_time.observed_503.sum() == passing.validation["observed"]["answers_503"]
    assert run_over_time.predicted_503 is not None
    expected = passing.validation["over_time"]["predicted_cumulative_503"]["mean"][-1]
    assert run_over_time.predicted_503.sum() == pytest.approx(expected)


def test_503s_over_time_of_an_invalid_run_come_from_its_log() -> None:
    report = sample_report(burst(warm_up_s=10.0), "invalid")
    assert cumulative_503(report)[1][-1] == report.validation["observed"]["answers_503"]
    assert timeline(report).predicted_503 is None


def test_observed_causes_are_those_that_the_simulator_has_logged() -> None:
    # Times are drawn, so that no 503 falls on a tick; there the order of two logs of one instant decides.
    scenario = burst(deployment=Deployment(min_replicas=2, max_replicas=5), cold_start=Lognormal(4.0, 0.3))
    report = sample_report(scenario)
    truth = simulate_replicate(scenario, 0, with_log=True).requests
    assert truth is not None
    logged = observed_causes(dataclasses.replace(report, requests=truth))
    assert observed_causes(report) == logged
    assert logged is not None
    assert sum(count > 0 for count in logged.values()) >= 2
    assert observed_causes(dataclasses.replace(report, replicas=None)) is None


def test_short_spans_are_the_times_with_fewer_ready_than_desired() -> None:
    log = replica_log([0, 1, 2, 3, 5, 8], desired=[2, 4, 4, 2, 6, -1], ready=[2, 2, 3, 3, 2, 2])
    assert short_spans(log, 10.0) == [(1.0, 3.0), (5.0, 8.0)]
    assert short_spans(replica_log([0, 4], [2, 3], [2, 2]), 10.0) == [(4.0, 10.0)]
    assert short_spans(None, 10.0) == []


def test_largest_in_bins_is_that_of_a_fine_grid() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        times = np.append(0.0, np.sort(generator.integers(0, 64, 20)) / 4)
        values = generator.integers(0, 9, 21).astype(float)
        edges = np.arange(0.0, 17.0, 2.0)
        grid = np.arange(0, 16, 0.25)
        held = values[np.searchsorted(times, grid, side="right") - 1]
        # a value that is replaced at the very instant it appears holds for no time, but it was there
        largest = largest_in_bins(times, values, edges)
        assert np.all(largest >= [held[(grid >= a) & (grid < a + 2)].max() for a in edges[:-1]])
        assert set(largest) <= set(values)
