"""Figures that compare: prediction intervals, what the run could tell apart, causes, and the tail of latency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from planner.model import FloatArray
from planner.report.figures.style import BLUE, GREY, INK, SKY, VERMILLION


def draw_interval(
    ax: Axes, statistic: Mapping[str, Any], *, mean: float | None, scale: float, label: str
) -> list[Artist]:
    """One statistic: its prediction interval as a bar, the predicted mean as a tick, the observed value as a diamond.

    scale: what values are multiplied by (100 for percent). label: what the axis shows, with its unit.
    """
    low, high, value = (statistic[key] * scale for key in ("low", "high", "value"))
    bar = ax.barh([0], [high - low], left=low, height=0.5, color=SKY, alpha=0.6, label="prediction interval")[0]
    artists: list[Artist] = [bar]
    if mean is not None:
        artists += ax.plot(
            [mean * scale] * 2, [-0.25, 0.25], color=INK, linewidth=1.5, linestyle=":", label="predicted mean"
        )
    color = BLUE if statistic["inside"] else VERMILLION
    where = "inside" if statistic["inside"] else "outside"
    artists += ax.plot([value], [0], marker="D", markersize=9, color=color, linestyle="", label=f"observed ({where})")
    left, right = min(low, value), max(high, value)
    room = 0.08 * (right - left) or 1.0
    ax.set_xlim(0 if low == 0 else max(0.0, left - room), right + room)
    ax.set_ylim(-0.6, 0.6)
    ax.set_yticks([])
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(label)
    return artists


def draw_alternatives(
    ax: Axes, changes: Sequence[tuple[str, float, bool]], *, interval: tuple[float, float], observed: float
) -> list[Artist]:
    """What each one-setting change would have predicted. changes: (name, fraction of 503s, would have passed)."""
    rows = np.arange(len(changes))[::-1]
    low, high = (100 * end for end in interval)
    artists: list[Artist] = [
        ax.axvspan(low, high, color=SKY, alpha=0.35, linewidth=0, label="interval of the unchanged scenario")
    ]
    artists.append(ax.axvline(100 * observed, color=VERMILLION, linewidth=1.5, label="observed"))
    for passes, color, marker, label in (
        (False, BLUE, "o", "changed: would have failed"),
        (True, "white", "o", "changed: would have passed"),
    ):
        chosen = [i for i, change in enumerate(changes) if change[2] is passes]
        if chosen:
            artists += ax.plot(
                [100 * changes[i][1] for i in chosen],
                rows[chosen],
                marker=marker,
                markersize=7.5,
                color=color,
                markeredgecolor=BLUE,
                markeredgewidth=1.5,
                linestyle="",
                label=label,
            )
    ax.set_yticks(rows, [change[0] for change in changes])
    ax.set_ylim(-0.6, len(changes) - 0.4)
    ax.set_xlim(left=0)
    ax.set_xlabel("predicted 503s, percent of requests")
    return artists


def draw_causes(ax: Axes, causes: Sequence[tuple[str, float | None, float | None]]) -> list[Artist]:
    """Shares of the 503s. causes: (words, predicted share, observed share); None: unknown."""
    rows = np.arange(len(causes))[::-1].astype(np.float64)
    artists: list[Artist] = []
    columns = [("predicted", SKY, 1), ("observed", VERMILLION, 2)]
    known = [column for column in columns if any(cause[column[2]] is not None for cause in causes)]
    for place, (label, color, index) in enumerate(known):
        shares = np.array([100 * (cause[index] or 0.0) for cause in causes])
        height = 0.7 / len(known)
        bars = ax.barh(rows + 0.35 - height * (place + 0.5), shares, height=height * 0.92, color=color, label=label)
        artists += list(bars)
        ax.bar_label(bars, [_share(share) for share in shares], padding=4, fontsize=9, color=INK)
    ax.set_yticks(rows, [cause[0] for cause in causes])
    ax.set_xlim(0, 112)
    ax.set_xticks([0, 20, 40, 60, 80, 100])
    ax.grid(False)
    ax.set_xlabel("percent of the 503s")
    return artists


def draw_latency_tail(
    ax: Axes, latencies: Sequence[tuple[str, FloatArray]], promised_p99_s: float | None
) -> list[Artist]:
    """The share of 200 answers that took longer than x, on a logarithmic scale. latencies: (label, seconds)."""
    artists: list[Artist] = []
    styles = ((BLUE, "-", 2.0), (INK, (0, (2, 1.5)), 1.3))
    fewest = 1.0
    for (label, seconds), (color, style, width) in zip(latencies, styles, strict=True):
        ordered = np.sort(seconds)
        n = len(ordered)
        slower = 100 * (1 - np.arange(n) / n)
        artists += ax.step(ordered, slower, where="pre", color=color, linestyle=style, linewidth=width, label=label)
        fewest = min(fewest, 100 / n)
    for share, name in ((50, "p50"), (10, "p90"), (1, "p99")):
        ax.axhline(share, color=GREY, linewidth=0.7, zorder=0)
        ax.annotate(
            name, (1, share), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8.5, color=GREY
        )
    if promised_p99_s is not None:
        artists += ax.plot(
            [promised_p99_s], [1], marker="v", markersize=9, color=VERMILLION, linestyle="", label="promised p99"
        )
    ax.set_yscale("log")
    ax.set_ylim(fewest * 0.8, 130)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    ax.xaxis.set_major_locator(MaxNLocator(10))
    ax.set_xlim(left=0)
    ax.grid(axis="x", which="major")
    ax.grid(False, axis="y")
    ax.set_xlabel("seconds from the send to the 200 answer")
    ax.set_ylabel("answers slower than that")
    return artists


def _share(percent: float) -> str:
    return "none" if percent == 0 else "below 0.1 %" if percent < 0.1 else f"{percent:.1f} %"
