"""How figures look: colours that colour-blind readers and grey printers can tell apart, and a frame with little ink."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

# Okabe & Ito, Color Universal Design (2008)
BLUE, VERMILLION, ORANGE, GREEN, SKY, PURPLE = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#56B4E9", "#AA4499"
INK, GREY, PALE = "#222222", "#767676", "#E8E8E8"

WIDTH_IN = 9.4
LEFT_IN, RIGHT_IN = 0.75, 0.15
"""The same for all figures over time, so that their time axes stand above each other."""

LABELS_IN = 2.55
"""Left margin where rows carry words."""

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": PALE,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "surgeproof",
    "axes.unicode_minus": False,
}


@contextmanager
def styled() -> Iterator[None]:
    with mpl.rc_context(_SETTINGS):
        yield


def panels(
    heights_in: Sequence[float], *, share_x: bool = False, left_in: float = LEFT_IN
) -> tuple[Figure, list[Axes]]:
    """A figure of panels above each other, each with room for a legend above it."""
    gap_in, top_in, bottom_in = 0.42 if share_x else 0.75, 0.36, 0.55
    total = sum(heights_in) + gap_in * (len(heights_in) - 1) + top_in + bottom_in
    figure = Figure(figsize=(WIDTH_IN, total))
    grid = figure.add_gridspec(
        len(heights_in),
        1,
        height_ratios=list(heights_in),
        left=left_in / WIDTH_IN,
        right=1 - RIGHT_IN / WIDTH_IN,
        top=1 - top_in / total,
        bottom=bottom_in / total,
        hspace=gap_in * len(heights_in) / sum(heights_in),
    )
    axes: list[Axes] = []
    for i in range(len(heights_in)):
        axes.append(figure.add_subplot(grid[i, 0], sharex=axes[0] if share_x and axes else None))
        if share_x and i < len(heights_in) - 1:
            axes[i].tick_params(labelbottom=False)
    return figure, axes


def legend_above(ax: Axes, *, left_in: float = LEFT_IN) -> None:
    """A legend in one row above the panel, where it covers nothing, from left_in of the figure on."""
    handles, _ = ax.get_legend_handles_labels()
    figure = ax.get_figure(root=True)
    if handles and figure is not None:
        ax.legend(
            loc="lower left",
            bbox_to_anchor=(left_in / WIDTH_IN - 0.004, 1.0),
            bbox_transform=blended_transform_factory(figure.transFigure, ax.transAxes),
            ncols=len(handles),
            borderaxespad=0.2,
            borderpad=0.2,
        )


def data_uri(figure: Figure) -> str:
    """The figure as an SVG image that stands inside the page; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=150)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
