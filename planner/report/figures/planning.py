"""Figures of a plan: the frontier of cost against 503s, and their map over minimum and target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from planner.model import FloatArray
from planner.report.figures.style import BLUE, GREY, INK, PALE, SKY, VERMILLION
from planner.report.numbers import bound

KEPT_AND_BROKEN = LinearSegmentedColormap.from_list(
    "kept and broken", ["#00304f", BLUE, "#9fcbe6", "#fbfbfb", "#f2b285", VERMILLION, "#6b2f00"]
)
"""Blue where the promise is kept, vermillion where it is broken, pale at the bound; dark is far from it."""

MOST_DECADES = 3
"""Of the map's colours, on each side of the bound."""


class Point(NamedTuple):
    """One setting: its replica-hours and its fraction of 503s; only `high` means something of an unresolved one."""

    name: str
    hours: float
    fraction: float
    low: float
    high: float
    resolved: bool

    @property
    def shown(self) -> float:
        """Where the point stands: at its value, or at the upper end of what is not resolved; 0 where there are none."""
        return self.fraction if self.resolved and self.fraction > 0 else self.high


def draw_frontier(
    ax: Axes,
    frontier: Sequence[Point],
    others: Sequence[Point],
    chosen: Point | None,
    *,
    slo: float,
    what: str = "get 503",
) -> list[Artist]:
    """Cost against failures: the frontier as a line, the other settings pale, the bound, the chosen setting by name.

    what: how the requests fail.
    """
    artists: list[Artist] = []
    seen = [end for p in (*frontier, *others) for end in (p.low, p.high) if end > 0]
    frontier, others = ([_on_axis(p, min([slo, *seen]) / 3) for p in points] for points in (frontier, others))
    chosen = None if chosen is None else _on_axis(chosen, min([slo, *seen]) / 3)
    if others:
        artists += _points(ax, others, color="#b9c4cc", size=4.5, label="other settings")
    if frontier:
        line = [(point.hours, point.shown) for point in sorted(frontier, key=lambda point: point.hours)]
        artists += ax.plot(*zip(*line, strict=True), color=SKY, linewidth=1.2, zorder=2)
        artists += _points(ax, frontier, color=BLUE, size=5.5, label="frontier")
    artists.append(
        ax.axhline(slo, color=VERMILLION, linewidth=1.3, linestyle=(0, (5, 2)), label=f"promised: {bound(slo)}")
    )
    if chosen is not None:
        artists += _chosen(ax, chosen)
    every = [*frontier, *others, *([chosen] if chosen else [])]
    ends = [end for p in every for end in ((p.low, p.high) if p.resolved else (p.high,)) if end > 0]
    ax.set_yscale("log")
    low, high = min([slo, *ends]) / 2.2, min(1.5, max([slo, *ends]) * 1.8)
    ax.set_ylim(low, high)
    ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,), numticks=12))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: bound(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.margins(x=0.06)
    ax.set_xlabel("replica-hours (paid time of all replicas in one run)")
    ax.set_ylabel(f"requests that {what}")
    if chosen is not None:
        artists.append(_name(ax, chosen))
    return artists


def _on_axis(point: Point, floor: float) -> Point:
    """A logarithmic axis has no 0: a setting without any 503 stands at its foot."""
    return point if point.shown > 0 else point._replace(high=floor)


_AT_FOOT = {True: "none at all", False: "at most (too few 503s seen)"}
"""What a triangle means, by whether all of them are known for sure."""


def _points(ax: Axes, points: Sequence[Point], *, color: str, size: float, label: str) -> list[Artist]:
    """Values with their intervals; an unresolved one is a triangle at its upper end."""
    artists: list[Artist] = []
    known = [point for point in points if point.resolved and point.fraction > 0]
    if known:
        x, y = [p.hours for p in known], [p.fraction for p in known]
        ends = [[p.fraction - max(p.low, 1e-12) for p in known], [p.high - p.fraction for p in known]]
        artists += ax.errorbar(
            x,
            y,
            yerr=np.clip(ends, 0, None),
            fmt="o",
            color=color,
            markersize=size,
            elinewidth=1.3,
            label=label,
            zorder=3,
        ).get_children()
    unknown = [point for point in points if point.shown == point.high and point not in known]
    if unknown:
        artists += ax.plot(
            [p.hours for p in unknown],
            [p.high for p in unknown],
            marker="v",
            markersize=size + 1,
            markerfacecolor="white",
            markeredgecolor=color,
            linestyle="",
            label=_AT_FOOT[all(p.resolved for p in unknown)] if color == BLUE else None,
            zorder=3,
        )
    return artists


def _chosen(ax: Axes, point: Point) -> list[Artist]:
    """The chosen setting: a ring around its point, its interval, and its name beside it."""
    low = point.low if point.resolved and point.low > 0 else point.shown
    artists: list[Artist] = [*ax.plot([point.hours] * 2, [low, point.high], color=INK, linewidth=1.6, zorder=4)]
    artists += ax.plot(
        [point.hours],
        [point.shown],
        marker="*",
        markersize=17,
        color=INK,
        markeredgecolor="white",
        linestyle="",
        zorder=5,
        label="recommended",
    )
    return artists


def _name(ax: Axes, point: Point) -> Artist:
    """The name of the chosen setting, below it on the left, where by its nature no other stands, if there is room."""
    on_the_left = (
        ax.transAxes.inverted().transform(ax.transData.transform((point.hours, point.shown)))[0] > _ROOM_FOR_NAME
    )
    return ax.annotate(
        point.name,
        (point.hours, point.low if point.resolved and point.low > 0 else point.shown),
        xytext=(-8 if on_the_left else 8, -8),
        textcoords="offset points",
        ha="right" if on_the_left else "left",
        va="top",
        fontweight="bold",
        color=INK,
        zorder=6,
        path_effects=[withStroke(linewidth=3, foreground="white")],
    )


_ROOM_FOR_NAME = 0.35


class MapData(NamedTuple):
    """503 fractions over minimum (rows) and target (columns), NaN where unknown. chosen: row and column, or None."""

    minima: Sequence[int]
    targets: Sequence[int]
    fractions: FloatArray
    simulated: npt.NDArray[np.bool_]
    chosen: tuple[int, int] | None


def draw_map(ax: Axes, data: MapData, *, slo: float) -> list[Artist]:
    """The map, the border between kept and broken, dots where it was simulated, a star at the chosen setting."""
    norm = LogNorm(slo / 10**MOST_DECADES, slo * 10**MOST_DECADES, clip=True)
    shown = np.ma.masked_invalid(np.maximum(data.fractions, slo / 10**MOST_DECADES))
    rows, columns = data.fractions.shape
    ax.set_facecolor(PALE)
    artists: list[Artist] = [
        ax.imshow(shown, cmap=KEPT_AND_BROKEN, norm=norm, origin="lower", aspect="auto", interpolation="nearest")
    ]
    if sides := kept_border(data.fractions, slo):
        border = LineCollection(sides, colors=INK, linewidths=1.8, label=f"border of {bound(slo)}")
        artists.append(ax.add_collection(border))
    y, x = np.nonzero(data.simulated)
    if len(x):
        artists += ax.plot(
            x,
            y,
            marker="o",
            markersize=4,
            color=INK,
            markeredgecolor="white",
            markeredgewidth=0.8,
            linestyle="",
            label="simulated",
        )
    if data.chosen is not None:
        row, column = data.chosen
        artists += ax.plot(
            [column],
            [row],
            marker="*",
            markersize=19,
            color="white",
            markeredgecolor=INK,
            markeredgewidth=1.4,
            linestyle="",
            label="recommended",
            zorder=5,
        )
    _index_axis(ax.xaxis, data.targets, 20)
    _index_axis(ax.yaxis, data.minima, 14)
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(-0.5, rows - 0.5)
    ax.grid(False)
    ax.set_xlabel("target utilization, percent")
    ax.set_ylabel("minimum replicas")
    return artists


def draw_map_key(ax: Axes, *, slo: float) -> None:
    """The colours of `draw_map`, in `ax`."""
    norm = LogNorm(slo / 10**MOST_DECADES, slo * 10**MOST_DECADES)
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(norm, KEPT_AND_BROKEN), cax=ax)
    decades = [slo * 10.0**k for k in range(-MOST_DECADES, MOST_DECADES + 1)]
    known = [value for value in decades if value <= 1]
    bar.ax.yaxis.set_major_locator(FixedLocator(known))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    names = {value: bound(value) for value in known}
    names[known[0]] = f"≤ {names[known[0]]}"
    if known[-1] == decades[-1]:
        names[known[-1]] = f"≥ {names[known[-1]]}"
    names[slo] = f"{names[slo]}, promised"
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, i: list(names.values())[i]))
    bar.ax.set_ylim(decades[0], min(1.0, decades[-1]))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, color=GREY)


def kept_border(fractions: FloatArray, slo: float) -> list[list[tuple[float, float]]]:
    """The sides of cells that part kept from broken, cell (i, j) centred at x = j, y = i; unknown cells have none."""
    kept, known = fractions <= slo, np.isfinite(fractions)
    differs = (kept[:, 1:] != kept[:, :-1]) & known[:, 1:] & known[:, :-1]
    sides = [[(j + 0.5, i - 0.5), (j + 0.5, i + 0.5)] for i, j in np.argwhere(differs).tolist()]
    differs = (kept[1:] != kept[:-1]) & known[1:] & known[:-1]
    return sides + [[(j - 0.5, i + 0.5), (j + 0.5, i + 0.5)] for i, j in np.argwhere(differs).tolist()]


def _index_axis(axis: Any, values: Sequence[int], most: int) -> None:
    """Name every so many of the cells by its value."""
    step = -(-len(values) // most)
    places = range(0, len(values), step)
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FuncFormatter(lambda place, _: str(values[round(place)])))
