"""Columns of CSV and Parquet files as floats. Text for a number is an error that names file, line and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray


@dataclass(frozen=True)
class Columns:
    """The wanted columns of a file: raw values, and where each row stands."""

    path: Path
    found: tuple[str, ...]
    values: dict[str, Sequence[Any]]
    lines: Sequence[int] | None
    """Line of each row; None for a file without lines."""

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def floats(self, name: str, parse: Callable[[Any], float]) -> FloatArray:
        raw = self.values[name]
        result = np.empty(len(raw))
        for i, value in enumerate(raw):
            try:
                result[i] = parse(value)
            except ValueError as bound:
                place = f"row {i + 1}" if self.lines is None else f"line {self.lines[i]}"
                raise InputError(f"{self.path}: {place}, column {name} = {_shown(value)}, {bound}") from None
        return result


def read_columns(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    try:
        return _parquet(path, wanted) if path.suffix.lower() in (".parquet", ".pq") else _csv(path, wanted)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _csv(path: Path, wanted: list[tuple[str, ...]] | None) -> Columns:
    with path.open(encoding="utf-8-sig", newline="") as file:
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
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        raise InputError(f"{path}: not a Parquet file") from None
    header = tuple(table.column_names)
    keep = _kept(path, header, wanted)
    return Columns(path, header, {name: table.column(i).to_pylist() for name, i in keep.items()}, None)


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


_REFERENCE = datetime(2020, 1, 1, tzinfo=UTC)
"""Near enough to today's traces that a float of seconds still holds 100 ns."""


def timestamp(value: Any) -> float:
    """Seconds since 2020 of an ISO 8601 time; without an offset it is taken as UTC. Digits below 1 us are kept."""
    if isinstance(value, datetime):
        moment, below_us = value, getattr(value, "nanosecond", 0) * 1e-9
    else:
        text = str(value).strip()
        digits = text.partition(".")[2]
        fraction = digits[: len(digits) - len(digits.lstrip("0123456789"))]
        below_us = float(f"0.000000{fraction[6:]}") if len(fraction) > 6 else 0.0
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("must be an ISO 8601 time, for example 2023-11-16 18:17:03.98") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _REFERENCE).total_seconds() + below_us


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
