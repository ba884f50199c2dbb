"""What the formats in CSV have in common: recognised by their header, read as a table."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.records import Recorded, Stamps
from planner.traces.tables.csv_table import TableStart, csv_table, start_of
from planner.traces.tables.names import plain
from planner.traces.tables.table import Table

_START_BYTES = 32_768
"""Of a sample: enough for a header and some rows, and little where the file is no table."""


@lru_cache(maxsize=8)
def _start(data: bytes) -> TableStart | None:
    try:
        return start_of(data.decode("utf-8", "replace"))
    except csv.Error:
        return None


def csv_format(
    *,
    name: str,
    title: str,
    sample: str,
    taken: str,
    left: str,
    stamps: Stamps | None,
    matches: Callable[[TableStart], bool],
    recorded: Callable[[Table, ReadOptions], Recorded],
) -> Format:
    """A format in CSV. matches: whether the start of a table looks so; recorded: reads it."""

    def recognises(start: Sample) -> bool:
        found = _start(start.start[:_START_BYTES])
        return found is not None and matches(found)

    def read(path: Path, options: ReadOptions) -> Recorded:
        table = csv_table(path)
        held = recorded(table, options)
        return replace(held, notes=(*table.notes, *held.notes))

    return Format(
        name=name, title=title, sample=sample, taken=taken, left=left, stamps=stamps, recognises=recognises, read=read
    )


def has(start: TableStart, *names: str) -> bool:
    """Every name stands in the header, whatever its case and what stands in brackets behind it."""
    return set(names) <= {plain(name) for name in start.header}
