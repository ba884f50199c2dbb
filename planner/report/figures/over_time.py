"""Figures over time: traffic, replicas, 503s and latency on one time axis in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from planner.model import CLUSTER_COLUMNS, FloatArray, Outcome
from planner.rates import RateProfile
from planner.report.data import RunReport
from planner.report.figures.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, PURPLE, SKY, VERMILLION
from planner.report.numbers import bound, time
from planner.report.timeline import Timeline, cumulative_503, largest_in_bins, predicted_curve

MOST_POINTS = 3000
"""More requests than this would be a cloud: then quantiles are drawn."""

MOST_STEPS = 400
"""A line of more steps than this would be a smear: then its largest value in each bin is drawn."""

_TICKS_S = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_AXIS_UNITS = ((1.0, "seconds", 240.0), (60.0, "minutes", 7200.0), (3600.0, "hours", float("inf")))
"""Seconds in a unit, its name, and the longest run that is shown in it."""


def time_axis(ax: Axes, duration_s: float, warm_up_s: float = 0.0, *, label: bool = True) -> None:
    """The axis of time from 0 to the end, in seconds or in minutes and hours; the warm-up is marked."""
    ax.set_xlim(0, duration_s)
    step = next((step for step in _TICKS_S if duration_s / step <= 12), duration_s / 10)
    ax.xaxis.set_major_locator(MultipleLocator(step))
    divisor, unit = next((divisor, unit) for divisor, unit, most_s in _AXIS_UNITS if duration_s <= most_s)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / divisor:g}"))
    if label:
        ax.set_xlabel(f"{unit} since the start of the run")
    if warm_up_s > 0:
        ax.axvspan(0, warm_up_s, facecolor="none", edgecolor=GREY, hatch="///", linewidth=0, alpha=0.35)


def mark_early_end(ax: Axes, report: RunReport) -> None:
    """Cross out the time that a replay which ended early did not see."""
    if report.seen_until_s < report.scenario.duration_s:
        span = (report.seen_until_s, report.scenario.duration_s)
        ax.axvspan(*span, facecolor="none", edgecolor=GREY, hatch="xx", linewidth=0, alpha=0.35)
        ax.axvline(report.seen_until_s, color=GREY, linewidth=1)


def shade(ax: Axes, spans: Sequence[tuple[float, float]], label: str | None = None) -> list[Artist]:
    """Grey over the times at which fewer replicas were ready than desired."""
    return [
        ax.axvspan(start, end, color=PALE, linewidth=0, zorder=0, label=label if i == 0 else None)
        for i, (start, end) in enumerate(spans)
    ]


def draw_traffic(ax: Axes, run: Timeline, profile: RateProfile | None) -> list[Artist]:
    """Requests per second: sent as an area, planned as dots on its edge, the scenario's rate as a line."""
    sent = ax.stairs(run.sent / run.widths_s, run.edges_s, fill=True, color=SKY, alpha=0.75, label="sent")
    planned = ax.stairs(
        run.planned / run.widths_s, run.edges_s, color=BLUE, linewidth=1.1, linestyle=(0, (1, 1)), label="planned"
    )
    artists: list[Artist] = [sent, planned]
    if profile is not None:
        times = np.repeat(profile.time_s, 2)[1:-1]
        rates = np.column_stack((profile.left_rps, profile.right_rps)).ravel()
        artists += ax.plot(times, rates, color=INK, linewidth=1.3, label="rate in the scenario")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("requests per second")
    return artists


def draw_replicas(ax: Axes, report: RunReport, edges_s: FloatArray) -> list[Artist]:
    """Observed replicas as steps; the predicted ready replicas as their mean within the band of single runs."""
    artists: list[Artist] = []
    if report.over_time is not None:
        times, mean = predicted_curve(report, "predicted_ready", "mean")
        low, high = (predicted_curve(report, "predicted_ready", which)[1] for which in ("low", "high"))
        middle = times - report.over_time["bin_s"] / 2
        name = f"ready, predicted ({band_name(report)})"
        artists.append(ax.fill_between(middle, low, high, color=SKY, alpha=0.45, linewidth=0, label=name))
        artists += ax.plot(middle, mean, color=INK, linewidth=1, linestyle=":", label="its mean")
    if report.replicas is not None:
        for column, style in _REPLICA_STYLES.items():
            if column in CLUSTER_COLUMNS and not (getattr(report.replicas, column) > 0).any():
                continue
            artists += _draw_steps(ax, report, column, edges_s, style)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.set_ylabel("replicas")
    return artists


_REPLICA_STYLES: dict[str, dict[str, Any]] = {
    "terminating": {"color": GREY, "linestyle": "-", "linewidth": 0.9},
    "lost": {"color": VERMILLION, "linestyle": "-", "linewidth": 1.4},
    "pending": {"color": PURPLE, "linestyle": "-", "linewidth": 1.2},
    "starting": {"color": GREEN, "linestyle": "-", "linewidth": 1.0},
    "desired": {"color": ORANGE, "linestyle": (0, (4, 1.5)), "linewidth": 1.8},
    "ready": {"color": BLUE, "linestyle": "-", "linewidth": 2.0},
}


def _draw_steps(ax: Axes, report: RunReport, column: str, edges_s: FloatArray, style: dict[str, Any]) -> list[Artist]:
    """One column of the log as steps; where these are too many, its largest value in each bin. Nothing if unknown."""
    log = report.replicas
    assert log is not None
    values = getattr(log, column).astype(np.float64)
    values[values < 0] = np.nan
    if np.isnan(values).all():
        return []
    changed = np.concatenate(([True], np.diff(values) != 0))
    times, values = log.time_s[changed], values[changed]
    if len(times) > MOST_STEPS and column != "ready":
        largest = largest_in_bins(times, values, edges_s)
        label = f"{column}, most in {time(edges_s[1] - edges_s[0])}"
        return [ax.stairs(largest, edges_s, baseline=None, label=label, **style | {"linewidth": 1.0})]
    end = max(report.seen_until_s, float(log.time_s[-1]))
    return [*ax.step(np.append(times, end), np.append(values, values[-1]), where="post", label=column, **style)]


def draw_503s(ax: Axes, run: Timeline) -> list[Artist]:
    """503s per second by the second of their send, observed as an area, the predicted mean as a line."""
    observed = run.observed_503 / run.widths_s
    artists: list[Artist] = [
        ax.stairs(observed, run.edges_s, fill=True, color=VERMILLION, alpha=0.8, label="503s observed")
    ]
    top = float(np.max(observed))
    if run.predicted_503 is not None:
        predicted = run.predicted_503 / run.widths_s
        artists.append(ax.stairs(predicted, run.edges_s, color=INK, linewidth=1.2, label="predicted mean"))
        top = max(top, float(np.max(predicted)))
    ax.set_ylim(0, 1.15 * top or 1.0)
    ax.set_ylabel("503s per second")
    return artists


def draw_latency(ax: Axes, report: RunReport, edges_s: FloatArray) -> list[Artist]:
    """Time from the planned send to the answer, by the planned send: of every request, or in bins if they are many."""
    many = len(report.requests) > MOST_POINTS
    artists = _latency_quantiles(ax, report, edges_s) if many else _latency_points(ax, report)
    slo = report.scenario.slo
    if slo is not None and slo.p99_latency_s is not None and artists:
        artists.append(
            ax.axhline(slo.p99_latency_s, color=INK, linewidth=1.1, linestyle=(0, (5, 3)), label="promised p99 of 200s")
        )
    ax.set_ylim(bottom=0)
    ax.set_ylabel("seconds to the answer")
    return artists


def _latency_points(ax: Axes, report: RunReport) -> list[Artist]:
    log = report.requests
    latency_s = log.finish_s - log.scheduled_s
    is_ok, is_503 = log.outcome == Outcome.OK, log.outcome == Outcome.STATUS_503
    artists: list[Artist] = []
    for chosen, color, marker, size, line, label in (
        (is_ok, BLUE, "o", 9, 0.0, "answer 200"),
        (is_503, VERMILLION, "x", 16, 1.0, "answer 503"),
        (~is_ok & ~is_503, PURPLE, "^", 22, 0.0, "anything else"),
    ):
        shown = chosen & np.isfinite(latency_s)
        if shown.any():
            x, y = log.scheduled_s[shown], latency_s[shown]
            artists.append(ax.scatter(x, y, s=size, c=color, marker=marker, linewidths=line, alpha=0.7, label=label))
    return artists


def _latency_quantiles(ax: Axes, report: RunReport, edges_s: FloatArray) -> list[Artist]:
    """p50 and p99 of the 200 answers in each bin; a gap where there were none."""
    log = report.requests
    ok = (log.outcome == Outcome.OK) & np.isfinite(log.finish_s)
    latency_s, place = (log.finish_s - log.scheduled_s)[ok], np.digitize(log.scheduled_s[ok], edges_s) - 1
    quantiles = np.full((2, len(edges_s) - 1), np.nan)
    for i in np.unique(np.clip(place, 0, len(edges_s) - 2)):
        quantiles[:, i] = np.quantile(latency_s[place == i], [0.5, 0.99], method="inverted_cdf")
    return [
        ax.stairs(values, edges_s, baseline=None, color=color, linewidth=width, label=label)
        for values, color, width, label in zip(
            quantiles, (BLUE, VERMILLION), (1.6, 1.2), ("p50 of 200 answers", "p99 of 200 answers"), strict=True
        )
    ]


def draw_cumulative(ax: Axes, report: RunReport) -> list[Artist]:
    """503s so far, observed, over the predicted mean and the band of single runs."""
    artists: list[Artist] = []
    if report.over_time is not None:
        name = "predicted_cumulative_503"
        times, mean = predicted_curve(report, name, "mean")
        low, high = (predicted_curve(report, name, which)[1] for which in ("low", "high"))
        times = np.append(0.0, times)
        low, mean, high = (np.append(0.0, values) for values in (low, mean, high))
        artists.append(
            ax.fill_between(
                times, low, high, color=SKY, alpha=0.45, linewidth=0, label=f"predicted ({band_name(report)})"
            )
        )
        artists += ax.plot(times, mean, color=INK, linewidth=1, linestyle=":", label="its mean")
    artists += ax.plot(*cumulative_503(report), color=VERMILLION, linewidth=2, label="observed")
    ax.set_ylim(0, max(1.0, _top(artists)) * 1.08)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.set_ylabel("503s so far")
    return artists


def band_name(report: RunReport) -> str:
    assert report.over_time is not None
    return f"{bound(report.over_time['band'])} of simulated runs"


def _top(artists: Sequence[Artist]) -> float:
    """The largest value among lines and bands."""
    values: list[FloatArray] = []
    for artist in artists:
        if hasattr(artist, "get_ydata"):
            values.append(np.asarray(artist.get_ydata()))
        elif hasattr(artist, "get_paths"):
            values.append(artist.get_paths()[0].vertices[:, 1])
    return float(max(np.max(v) for v in values))
