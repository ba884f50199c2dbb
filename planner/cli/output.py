"""What a command writes: one JSON document or a table on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    console: Console
    """Writes to stderr: progress and messages."""


def __getattr__(name: str) -> Any:
    # rich costs 0.1 s, which a command that only answers a formula should not pay.
    if name != "console":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rich.console import Console

    globals()["console"] = Console(stderr=True, highlight=False)
    return globals()["console"]


EXIT_READER_GONE = 141
"""What a shell reports for a process ended by SIGPIPE (128 + 13)."""


def silence_stdout() -> None:
    """Drop what is left to write: the reader has gone, and the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def emit_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout. Numpy values and paths are converted; NaN and infinity are refused."""
    print(json.dumps(document, indent=2, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
    """Write a table to stdout; columns of numbers stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    texts = [[str(cell) for cell in row] for row in rows]
    for i, column in enumerate(columns):
        numbers = all(_starts_like_a_number(row[i]) for row in texts)
        table.add_column(column, justify="right" if numbers else "left")
    for row in texts:
        table.add_row(*row)
    # A pipe has no width: wrapping at 80 columns would only break the rows for whoever reads them.
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, markup=False, width=width).print(table)


def print_indented(text: str) -> None:
    """Write a sentence to stdout, two spaces in; a terminal's lines break between words."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    filled = textwrap.fill(
        text, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    print(filled)


def _starts_like_a_number(text: str) -> bool:
    return text[:1].isdecimal() or text[:1] in "-+<>≤≥–"
