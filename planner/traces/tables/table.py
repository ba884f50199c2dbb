"""A table whose header is read and whose columns are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.traces.columns import Columns
from planner.traces.tables import names


@dataclass(frozen=True)
class Table:
    """path: of the file; header: its names; read: the named columns (exact names), each row of them.

    first_rows: some rows, each as long as the header at most, where they are at hand. notes: sentences about the file
    that the user must read.
    """

    path: Path
    header: tuple[str, ...]
    read: Callable[[Sequence[str]], Columns]
    first_rows: tuple[Sequence[Any], ...] = ()
    notes: tuple[str, ...] = ()

    def find(self, *aliases: str) -> str | None:
        """The column with one of some names (`planner.traces.tables.names.find`). InputError where several could be."""
        try:
            return names.find(self.header, aliases)
        except ValueError as bound:
            raise InputError(f"{self.path}: {bound}") from None


def of_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table whose rows are at hand, each as long as the header."""

    def read(wanted: Sequence[str]) -> Columns:
        places = {name: header.index(name) for name in wanted}
        return Columns(path, tuple(header), {name: [row[i] for row in rows] for name, i in places.items()}, None)

    return Table(path, tuple(header), read, tuple(rows[:40]))
