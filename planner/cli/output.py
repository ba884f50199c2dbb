"""What a command writes: one JSON document or a table on stdout, everything else on stderr."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

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


class StdoutLostError(Exception):
    """Stdout takes no more. Not an OSError: rich and click would end with 1, which says that a promise is not kept."""

    def __init__(self, why: OSError) -> None:
        super().__init__(f"stdout cannot be written ({why.strerror})")
        self.exit_code = EXIT_READER_GONE if isinstance(why, BrokenPipeError) else 2


class _Stdout(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutLostError(error) from None


class _Stderr(io.FileIO):
    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)  # nobody is left who could be told


def guard_streams() -> None:
    """Make stdout say that it is lost, stderr bear it, and neither stumble over a character that it cannot encode."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = _guarded(sys.stderr, _Stderr, "backslashreplace")
    if sys.stdout is not None:
        sys.stdout = _guarded(sys.stdout, _Stdout, "replace")


def _guarded(stream: TextIO, kind: type[io.FileIO], errors: str) -> TextIO:
    buffer = io.BufferedWriter(kind(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(buffer, stream.encoding, errors, line_buffering=stream.isatty() or kind is _Stderr)


def silence_stdout() -> None:
    """Drop what is left to write: the interpreter would complain at its end."""
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
    """Write a table to stdout; columns of numbers stand to the right, and a narrow terminal loses no letter."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    texts = [[str(cell) for cell in row] for row in rows]
    for i, column in enumerate(columns):
        numbers = all(_starts_like_a_number(row[i]) for row in texts)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in texts:
        table.add_row(*row)
    # A pipe has no width: wrapping at 80 columns would only break the rows for whoever reads them.
    width = None if sys.stdout.isatty() else 200
    Console(highlight=False, markup=False, width=width).print(table)


def print_indented(text: str) -> None:
    """Write a sentence to stdout, two spaces in; a terminal's lines break between words."""
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    filled = textwrap.fill(
        text, width, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    print(filled)


def _starts_like_a_number(text: str) -> bool:
    return text[:1].isdecimal() or text[:1] in "-+<>≤≥–"
