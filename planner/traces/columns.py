"""Columns of CSV and Parquet files as floats. Text for a number is an error that names file, line and column."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from planner.clock import REFERENCE
from planner.errors import InputError
from planner.model import FloatArray
from planner.reading import opened, reading
from planner.units import not_too_long


@dataclass(frozen=True)
class Columns:
    """The wanted columns of a file: raw values, and where each row stands."""

    path: Path
    found: tuple[str, ...]
    values: dict[str, Sequence[Any]]
    lines: Sequence[int] | None
    """Line of each row; None for a file without lines."""
    offsets_s: dict[str, float] = field(default_factory=dict)
    """UTC offset of the first time in each column of times that has a zone of its own."""

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def floats(self, name: str, parse: Callable[[Any], float]) -> FloatArray:
        raw = self.values[name]
        result = np.empty(len(raw))
        for i, value in enumerate(raw):
            try:
                result[i] = parse(value)
            except ValueError as bound:
                raise self.refused(i, name, str(bound)) from None
        return result

    def texts(self, name: str) -> ObjectArray:
        raw = self.values[name]
        result = np.empty(len(raw), dtype=object)
        for i, value in enumerate(raw):
            if not isinstance(value, str):
                raise self.refused(i, name, "must be text")
            result[i] = value
        return result

    def refused(self, i: int, name: str, bound: str) -> InputError:
        """The error of one cell, which breaks a bound."""
        place = f"row {i + 1}" if self.lines is None else f"line {self.lines[i]}"
        return InputError(f"{self.path}: {place}, column {name} = {_shown(self.values[name][i])}, {bound}")


ObjectArray = np.ndarray[Any, np.dtype[np.object_]]


def read_columns(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    """The wanted columns of a CSV or Parquet file, told apart by content; None: all of them."""
    with reading(path, str(path)):
        with opened(path) as file:
            is_parquet = file.read(4) == b"PAR1"
        return _parquet(path, wanted) if is_parquet else _csv(path, wanted)


def csv_columns(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    """The same of a CSV file."""
    with reading(path, str(path)):
        return _csv(path, wanted)


def parquet_columns(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    """The same of a Parquet file."""
    with reading(path, str(path)):
        return _parquet(path, wanted)


def _csv(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    with opened(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            header = tuple(name.strip() for name in next(reader, ()))
            keep = _kept(path, header, wanted)
            values: dict[str, list[str]] = {name: [] for name in keep}
            lines: list[int] = []
            for line, cells in _rows(reader):
                if len(cells) != len(header):
                    raise InputError(f"{path}: line {line} has {len(cells)} columns, the header {len(header)}")
                lines.append(line)
                for name, i in keep.items():
                    values[name].append(cells[i])
        except csv.Error as error:
            raise InputError(f"{path}: line {reader.line_num} is not CSV ({error})") from None
    return Columns(path, header, dict(values), lines)


def _rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it starts."""
    before = reader.line_num
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield before + 1, cells
        before = reader.line_num


def _parquet(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except pa.ArrowInvalid:
        raise InputError(f"{path}: not a Parquet file") from None
    header = tuple(file.schema_arrow.names)
    table = file.read(columns=list(_kept(path, header, wanted)))
    cells: dict[str, Sequence[Any]] = {name: _cells(path, name, table.column(name)) for name in table.column_names}
    offsets_s = {name: _offset_s(table.column(name)) for name in table.column_names}
    return Columns(path, header, cells, None, {name: s for name, s in offsets_s.items() if s is not None})


class Nanoseconds(int):
    """A time since 1970, as Arrow counts it."""


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


def _kept(path: Path, header: tuple[str, ...], wanted: list[tuple[str, ...]] | None) -> dict[str, int]:
    """Wanted names that the header has -> their position."""
    names = header if wanted is None else [name for group in wanted for name in group if name in header]
    twice = next((name for name in names if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: the header has the column {twice} twice")
    return {name: header.index(name) for name in names}


def number(value: Any) -> float:
    if value is None or isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number") from None
    if not math.isfinite(result):
        raise ValueError("must be a finite number")
    return result


def not_negative(value: Any) -> float:
    result = number(value)
    if result < 0:
        raise ValueError("must be at least 0")
    return result


LARGEST_COUNT = 1_000_000_000
"""Of requests in one bin."""


def whole_count(value: Any) -> float:
    """Requests in a bin."""
    result = number(value)
    if not 0 <= result <= LARGEST_COUNT or result != int(result):
        raise ValueError(f"must be a whole number of requests, from 0 to {LARGEST_COUNT:,}")
    return result


def seconds_from_zero(value: Any) -> float:
    """Seconds from any zero."""
    result = number(value)
    if abs(result) > LARGEST_TIME_S:
        raise ValueError(f"must be seconds, from {-LARGEST_TIME_S:g} to {LARGEST_TIME_S:g}")
    return result


LARGEST_TIME_S = 1e12
"""A float of more seconds is coarser than 0.1 ms; what is larger counts milliseconds or less."""


def seconds_taken(value: Any) -> float:
    """Seconds that something takes."""
    return not_too_long(not_negative(value))


_REFERENCE_NS = int(REFERENCE.timestamp()) * 10**9


def timestamp(value: Any) -> float:
    """Seconds since 2020 of an ISO 8601 time; without an offset it is taken as UTC. Digits below 1 us are kept."""
    if isinstance(value, Nanoseconds):
        return (value - _REFERENCE_NS) / 1e9
    text = str(value).strip()
    digits = text.partition(".")[2]
    fraction = digits[: len(digits) - len(digits.lstrip("0123456789"))]
    below_us = float(f"0.000000{fraction[6:]}") if len(fraction) > 6 else 0.0
    moment = _moment(text)
    return (moment - REFERENCE).total_seconds() + below_us


def utc_offset_s(value: Any) -> float:
    """Of a value that `timestamp` reads."""
    offset = None if isinstance(value, Nanoseconds) else _moment(str(value).strip()).utcoffset()
    return offset.total_seconds() if offset else 0.0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("must be an ISO 8601 time, for example 2023-11-16 18:17:03.98") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:37] + "..."
