"""The table of a file, told by its content: CSV or Parquet."""

from __future__ import annotations

from pathlib import Path

from planner.reading import opened, reading
from planner.traces.tables.csv_table import csv_table
from planner.traces.tables.parquet_table import parquet_table
from planner.traces.tables.table import Table


def table_of(path: Path) -> Table:
    """Raises InputError where the file is none."""
    with reading(path, str(path)), opened(path) as file:
        is_parquet = file.read(4) == b"PAR1"
    return parquet_table(path) if is_parquet else csv_table(path)
