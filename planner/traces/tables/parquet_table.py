"""Columns of Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.reading import reading
from planner.traces.columns import Columns
from planner.traces.tables.names import shown
from planner.traces.tables.table import Table
from planner.traces.tables.time_forms import Nanoseconds


def parquet_table(path: Path) -> Table:
    """The table of a Parquet file. Raises InputError where it is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(path, str(path)):
        try:
            file = pq.ParquetFile(path)
        except pa.ArrowInvalid:
            raise InputError(f"{path}: not a Parquet file") from None
        header = tuple(file.schema_arrow.names)

    def read(wanted: Sequence[str]) -> Columns:
        with reading(path, str(path)):
            return _columns(path, header, file, wanted)

    return Table(path, header, read)


def _columns(path: Path, header: tuple[str, ...], file: Any, wanted: Sequence[str]) -> Columns:
    if (twice := next((name for name in wanted if header.count(name) > 1), None)) is not None:
        raise InputError(f"{path}: the header has the column {shown([twice])} twice")
    table = file.read(columns=list(wanted))
    cells: dict[str, Sequence[Any]] = {name: _cells(path, name, table.column(name)) for name in table.column_names}
    offsets_s = {name: _offset_s(table.column(name)) for name in table.column_names}
    return Columns(path, header, cells, None, {name: s for name, s in offsets_s.items() if s is not None})


def _cells(path: Path, name: str, column: Any) -> list[Any]:
    import pyarrow as pa

    try:
        if not pa.types.is_timestamp(column.type):
            return list(column.to_pylist())
        counts = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
        return [None if count is None else Nanoseconds(count) for count in counts.to_pylist()]
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"{path}: column {name} cannot be read ({str(error).splitlines()[0]})") from None


def _offset_s(column: Any) -> float | None:
    """UTC offset of a column's first time; None where it has no zone, or one that this machine does not know."""
    import pyarrow as pa

    if not (pa.types.is_timestamp(column.type) and column.type.tz and len(column) > column.null_count):
        return None
    try:
        offset = column.drop_null()[0].cast(pa.timestamp("s", column.type.tz), safe=False).as_py().utcoffset()
    except (ValueError, KeyError, OverflowError, pa.ArrowException):
        return None
    return float(offset.total_seconds())
