"""The report's figures hold the data."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from planner.model import Outcome
from planner.report.data import RunReport
from planner.report.figures import comparison as comparison_module
from planner.report.figures import over_time as over_time_module
from planner.report.timeline import bin_edges, rate_profile, timeline

from .samples import replica_log

# The artists that come back are asked for their data: more than the type Artist promises.
comparison: Any = comparison_module
over_time: Any = over_time_module


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def test_traffic_shows_requests_per_second(ax: Axes, passing: RunReport) -> None:
    run_over_time = timeline(passing)
    sent, planned, rate = over_time.draw_traffic(ax, run_over_time, rate_profile(passing.scenario))
    values, edges, _ = sent.get_data()
    assert np.sum(values * np.diff(edges)) == len(passing.requests)
    assert np.array_equal(planned.get_data()[0], run_over_time.planned)
    assert rate.get_ydata().max() == 25


def test_replicas_are_steps_of_the_log(ax: Axes, passing: RunReport) -> None:
    over_time.draw_replicas(ax, passing, bin_edges(30.0))
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"its mean", "starting", "desired", "ready"}
    assert passing.replicas is not None
    for name in ("starting", "desired", "ready"):
        x, y = (np.asarray(values) for values in lines[name].get_data())
        at = np.searchsorted(x, passing.replicas.time_s, side="right") - 1
        assert np.array_equal(y[at], getattr(passing.replicas, name))
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
    assert np.max(band) == max(passing.validation["over_time"]["predicted_ready"]["high"])


def test_unknown_replica_columns_are_not_drawn(ax: Axes, passing: RunReport) -> None:
    log = replica_log([0, 5], desired=[-1, -1], ready=[2, 3])
    over_time.draw_replicas(ax, dataclasses.replace(passing, replicas=log), bin_edges(30.0))
    assert {line.get_label() for line in ax.lines} == {"its mean", "ready"}


def test_long_logs_are_drawn_as_the_largest_value_in_each_bin(ax: Axes, passing: RunReport) -> None:
    times = np.arange(0.0, 30.0, 0.01)
    desired = np.where(np.arange(len(times)) % 2, 3, 7)
    log = replica_log(times.tolist(), desired=desired.tolist(), ready=np.full(len(times), 2).tolist())
    artists = over_time.draw_replicas(ax, dataclasses.replace(passing, replicas=log), bin_edges(30.0))
    (stairs,) = [artist for artist in artists if str(artist.get_label()).startswith("desired, most in")]
    assert np.array_equal(stairs.get_data()[0], np.full(30, 7.0))


def test_503s_are_drawn_observed_and_predicted(ax: Axes, passing: RunReport) -> None:
    run_over_time = timeline(passing)
    observed, predicted = over_time.draw_503s(ax, run_over_time)
    assert np.array_equal(observed.get_data()[0], run_over_time.observed_503)
    assert predicted.get_data()[0].tolist() == np.asarray(run_over_time.predicted_503).tolist()
    assert ax.get_ylim()[1] > max(run_over_time.observed_503)


def test_cumulative_503s_end_at_their_number_within_the_axis(ax: Axes, passing: RunReport) -> None:
    *_, line = over_time.draw_cumulative(ax, passing)
    high = passing.validation["over_time"]["predicted_cumulative_503"]["high"][-1]
    assert line.get_ydata()[-1] == passing.validation["observed"]["answers_503"]
    assert ax.get_ylim()[1] > high


def test_latency_shows_every_answer_or_quantiles_of_many(
    ax: Axes, passing: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, edges = passing.requests, bin_edges(30.0)
    over_time.draw_latency(ax, passing, edges)
    ok, status_503 = (np.asarray(collection.get_offsets()) for collection in ax.collections)
    assert len(ok) == np.sum(log.outcome == Outcome.OK)
    assert len(status_503) == np.sum(log.outcome == Outcome.STATUS_503)
    assert status_503[:, 1] == pytest.approx(0.5)
    monkeypatch.setattr(over_time, "MOST_POINTS", 10)
    p50, p99, *_ = over_time.draw_latency(Figure().add_subplot(), passing, edges)
    inside = (log.outcome == Outcome.OK) & (log.scheduled_s >= 12) & (log.scheduled_s < 13)
    latency = np.sort((log.finish_s - log.scheduled_s)[inside])
    assert p50.get_data()[0][12] == latency[int(np.ceil(0.5 * len(latency))) - 1]
    assert p99.get_data()[0][12] == latency[int(np.ceil(0.99 * len(latency))) - 1]


def test_interval_marks_the_observed_value_and_what_is_outside(ax: Axes) -> None:
    statistic = {"low": 0.1, "high": 0.2, "value": 0.3, "inside": False}
    bar, mean, observed = comparison.draw_interval(ax, statistic, mean=0.15, scale=100.0, label="percent")
    assert (bar.get_x(), bar.get_width()) == pytest.approx((10, 10))
    assert mean.get_xdata() == pytest.approx([15, 15])
    assert observed.get_xdata() == pytest.approx([30])
    assert observed.get_label() == "observed (outside)"
    assert ax.get_xlim()[1] > 30


def test_alternatives_are_one_dot_each(ax: Axes) -> None:
    changes = [("a", 0.1, True), ("b", 0.3, False), ("c", 0.2, False)]
    _, _, failed, passed = comparison.draw_alternatives(ax, changes, interval=(0.05, 0.15), observed=0.1)
    assert passed.get_xydata().tolist() == [[10.0, 2.0]]
    assert failed.get_xydata().tolist() == [[30.0, 1.0], [20.0, 0.0]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_causes_are_bars_of_their_shares(ax: Axes) -> None:
    bars = comparison.draw_causes(ax, [("starting", 0.9, 0.8), ("busy", 0.1, 0.2)])
    assert [bar.get_width() for bar in bars] == pytest.approx([90, 10, 80, 20])
    assert len(comparison.draw_causes(Figure().add_subplot(), [("starting", 1.0, None)])) == 1


def test_latency_tail_is_the_share_of_slower_answers(ax: Axes) -> None:
    seconds = np.arange(1, 101) / 100
    line, _, promised = comparison.draw_latency_tail(ax, [("a", seconds), ("b", seconds)], 2.0)
    assert line.get_ydata()[99] == pytest.approx(1)
    assert line.get_xdata()[99] == 1.0
    assert promised.get_xydata().tolist() == [[2.0, 1.0]]
