"""The figures of a plan hold its data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from planner.report.figures import plan_pictures
from planner.report.figures import planning as planning_module
from planner.report.figures.planning import MapData, Point, kept_border

from . import plan_samples as samples

planning: Any = planning_module


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


def point(hours: float, fraction: float, *, resolved: bool = True) -> Point:
    return Point(f"{hours:g}", hours, fraction, fraction * 0.9 if resolved else 0.0, fraction * 1.1 + 1e-6, resolved)


def labelled(ax: Axes, label: str) -> Any:
    handles, labels = ax.get_legend_handles_labels()
    return handles[labels.index(label)]


def test_frontier_shows_cost_and_503s_with_the_promise_and_the_name(ax: Axes) -> None:
    frontier, chosen = [point(5, 0.02), point(6, 0.004)], point(7, 0.0008)
    planning.draw_frontier(ax, frontier, [point(8, 0.001)], chosen, slo=0.001)
    marks = labelled(ax, "frontier")
    assert marks.lines[0].get_xydata().tolist() == [[5, 0.02], [6, 0.004]]
    (bars,) = marks.lines[2]
    assert np.allclose(bars.get_segments()[1], [[6, 0.0036], [6, 0.0044 + 1e-6]])
    assert labelled(ax, "promised: 0.1\u00a0%").get_ydata()[0] == 0.001
    assert labelled(ax, "recommended").get_xydata().tolist() == [[7, 0.0008]]
    assert [text.get_text() for text in ax.texts] == ["7"]
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert low < 0.00072
    assert high > 0.022


def test_unresolved_settings_stand_at_their_upper_end(ax: Axes) -> None:
    nothing = point(6, 0.0, resolved=False)
    planning.draw_frontier(ax, [point(5, 0.02), nothing], [], None, slo=0.001)
    assert labelled(ax, "at most (too few 503s seen)").get_xydata().tolist() == [[6, nothing.high]]
    assert labelled(ax, "frontier").lines[0].get_xdata().tolist() == [5]
    assert ax.get_ylim()[0] < nothing.high


def test_map_shows_every_cell_what_was_simulated_and_the_chosen_one(ax: Axes) -> None:
    fractions = np.array([[0.05, 0.2, np.nan], [1e-9, 0.0009, 0.0011]])
    simulated = np.array([[True, False, False], [False, True, False]])
    planning.draw_map(ax, MapData([3, 5], [50, 60, 70], fractions, simulated, (1, 1)), slo=0.001)
    cells = ax.images[0].get_array()
    assert cells is not None
    assert np.array_equal(np.ma.getmaskarray(cells), np.isnan(fractions))
    assert cells[0, 1] == 0.2
    assert labelled(ax, "simulated").get_xydata().tolist() == [[0, 0], [1, 1]]
    assert labelled(ax, "recommended").get_xydata().tolist() == [[1, 1]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["3", "5"]


def test_colours_part_kept_from_broken_at_the_promise(ax: Axes) -> None:
    data = MapData([1], [50, 60, 70], np.array([[1e-5, 0.001, 0.1]]), np.zeros((1, 3), dtype=bool), None)
    image = planning.draw_map(ax, data, slo=0.001)[0]
    kept, at, broken = image.cmap(image.norm(image.get_array()))[0, :, :3]
    assert kept[2] > kept[0] + 0.3  # blue
    assert broken[0] > broken[2] + 0.3  # vermillion
    assert min(at) > 0.9


def test_border_lies_between_kept_and_broken_cells() -> None:
    fractions = np.array([[0.1, 0.1], [0.0001, 0.1], [np.nan, 0.0001]])
    assert sorted(kept_border(fractions, 0.001)) == [
        [(-0.5, 0.5), (0.5, 0.5)],
        [(0.5, 0.5), (0.5, 1.5)],
        [(0.5, 1.5), (1.5, 1.5)],
    ]


def test_every_kind_of_plan_has_the_figures_it_has_data_for() -> None:
    spike = samples.shipped_spike()
    fixed = samples.fixed_scenario()
    assert set(plan_pictures(samples.plan_of(spike))) == {"frontier", "map"}
    assert set(plan_pictures(samples.fixed(fixed))) == {"frontier"}
    assert set(plan_pictures(samples.plan_of(spike, frontier=[]))) == {"map"}
    assert "The star" not in plan_pictures(samples.infeasible(spike))["frontier"].how_to_read
