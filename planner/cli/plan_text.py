"""Lines of a plan in a terminal: sentences, columns with notes below them, and estimates that fit into one cell."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from planner.cli.estimates import cells
from planner.report import numbers

CHART_COLUMNS = 80
"""Width of a chart where the terminal does not say its own, or is wider."""


def plain(value: float) -> str:
    """Three digits."""
    return numbers.plain(value).replace("\u00a0", " ")


def chart_width() -> int:
    return min(CHART_COLUMNS, shutil.get_terminal_size().columns) if sys.stdout.isatty() else CHART_COLUMNS


def say(text: str, *, indent: int = 0) -> None:
    """Write a sentence; a terminal's lines break between words, a pipe's do not."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    lines = textwrap.wrap(
        text.replace(" %", "\u00a0%"),
        width,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 if indent else 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
    print("\n".join(lines).replace("\u00a0", " "))


def in_one_cell(estimate: dict[str, Any], form: Callable[[float], str]) -> str:
    """0.071 % (0.064 to 0.078 %); or 0 (at most 0.0075 %) where too few runs saw one."""
    if estimate.get("exact") or not estimate["resolved"]:
        value, ends, _ = cells(estimate, form)
        return f"{value} ({ends})"
    value, low, high = (form(estimate[key]).replace(" %", "\u00a0%") for key in ("value", "low", "high"))
    return f"{value} ({numbers.interval(low, high)})".replace("\u00a0", " ")


def columns(names: Sequence[str], rows: Sequence[Sequence[str]], *, notes: Sequence[str], n_right: int) -> None:
    """Rows in columns, the first n_right to the right; below each row its note, indented."""
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    print(_plain_spaces(_padded(names, widths, n_right)))
    indent = sum(widths[:n_right]) + 2 * n_right
    for row, note in zip(rows, notes, strict=True):
        print(_plain_spaces(_padded(row, widths, n_right)))
        if note:
            say(note, indent=indent)


def _plain_spaces(cells: Sequence[str]) -> str:
    return "  ".join(cells).rstrip().replace("\u00a0", " ")


def _padded(row: Sequence[str], widths: Sequence[int], n_right: int) -> list[str]:
    cells_and_widths = enumerate(zip(row, widths, strict=True))
    return [cell.rjust(width) if i < n_right else cell.ljust(width) for i, (cell, width) in cells_and_widths]
