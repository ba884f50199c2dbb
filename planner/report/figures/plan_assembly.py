"""The figures of a plan, each as an image with its title and how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from planner.report.figures.assembly import Picture
from planner.report.figures.planning import MapData, Point, draw_frontier, draw_map, draw_map_key
from planner.report.figures.style import LEFT_IN, WIDTH_IN, data_uri, legend_above, panels, styled
from planner.report.plan import words

_LONG = {"503s": "503s", "failed": "failed requests"}
_ENDS = {"503s": "get 503", "failed": "fail"}

KEY_IN = 1.5
"""Room for the colours of the map, to its right."""


def plan_pictures(document: Mapping[str, Any]) -> dict[str, Picture]:
    """Every figure that this plan has data for, by key."""
    with styled():
        return {picture.key: picture for make in (_frontier, _map) for picture in make(document)}


def _frontier(document: words.Document) -> Iterator[Picture]:
    frontier = [_point(document, entry) for entry in document["frontier"]]
    _, name, slo = words.main_failure(document)
    if not frontier:
        return
    entries = [row.entry for row in words.compared(document)]
    own = {words.setting_of(entry) for entry in document["frontier"]}
    others = [_point(document, entry) for entry in entries if words.setting_of(entry) not in own]
    recommended = document["recommended"]
    chosen = None if recommended is None else _point(document, recommended)
    if chosen is not None:
        # the recommended one is drawn once, with its fresh estimate
        frontier = [point for point in frontier if point.name != chosen.name]
        others = [point for point in others if point.name != chosen.name]
    figure, (ax,) = panels([3.4], left_in=LEFT_IN + 0.15)
    draw_frontier(ax, frontier, others, chosen, slo=slo, what=_ENDS[name])
    legend_above(ax)
    star = " The star is the recommended setting, where its fresh estimate puts it." if chosen is not None else ""
    yield Picture(
        key="frontier",
        title=f"What fewer {_LONG[name]} cost",
        uri=data_uri(figure),
        how_to_read=f"Each dot is a setting: further left is cheaper, further down has fewer {_LONG[name]}, on a "
        f"logarithmic scale. Bars are intervals of the mean. A setting keeps the promise on {_LONG[name]} where its "
        f"whole bar is below the dashed line.{star}",
    )


def _point(document: words.Document, entry: words.Document) -> Point:
    e = entry[words.main_failure(document)[0]]
    name = words.setting_text(document, entry).replace(" %", "\u00a0%")
    return Point(name, entry["replica_hours"]["value"], e["value"], e["low"], e["high"], e["resolved"])


def _map(document: words.Document) -> Iterator[Picture]:
    grid = document["map"]
    if grid is None:
        return
    data, (_, name, slo) = _map_data(document), words.main_failure(document)
    height_in = float(np.clip(0.16 * len(data.minima) + 1.0, 2.2, 5.0))
    figure, (ax,) = panels([height_in])
    box = ax.get_position()
    ax.set_position((box.x0, box.y0, box.width - KEY_IN / WIDTH_IN, box.height))
    key = figure.add_axes((box.x1 - (KEY_IN - 0.2) / WIDTH_IN, box.y0, 0.16 / WIDTH_IN, box.height))
    draw_map(ax, data, slo=slo)
    draw_map_key(key, slo=slo)
    legend_above(ax)
    unknown = " Grey cells are unknown." if np.isnan(data.fractions).any() else ""
    yield Picture(
        key="map",
        title=f"{_LONG[name].capitalize()} over minimum and target, at a maximum of {grid['autoscale_max_replicas']}",
        uri=data_uri(figure),
        how_to_read=f"Each cell is a setting, blue where it keeps the promise on {_LONG[name]}, orange where it "
        "breaks it, pale close to the bound; the black line is the border. Only cells with a dot were simulated, the "
        f"others are predicted from them.{unknown}",
    )


def _map_data(document: words.Document) -> MapData:
    grid, entry = document["map"], document["recommended"]
    minima, targets = grid["autoscale_min_replicas"], grid["autoscale_target_utilization"]
    chosen = None
    if entry is not None and entry["autoscale_max_replicas"] == grid["autoscale_max_replicas"]:
        row, column = entry["autoscale_min_replicas"], entry["autoscale_target_utilization"]
        if row in minima and column in targets:
            chosen = (minima.index(row), targets.index(column))
    return MapData(
        minima=minima,
        targets=targets,
        fractions=np.array(grid[words.main_failure(document)[0]], dtype=np.float64).reshape(len(minima), len(targets)),
        simulated=np.array(grid["simulated"], dtype=np.bool_).reshape(len(minima), len(targets)),
        chosen=chosen,
    )
