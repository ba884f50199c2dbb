"""Columns of a table as floats. Text for a number is an error that names file, line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.traces.tables.number_forms import number, number_reader
from planner.traces.tables.time_forms import DateOrder, time_form
from planner.units import not_too_long

_LOCAL = re.compile(r"[(\[][^)\]]*\blocal\b", re.IGNORECASE)
"""`timestamp [Local Time]`, as the Azure portal exports it."""

ObjectArray = np.ndarray[Any, np.dtype[np.object_]]


@dataclass(frozen=True)
class StampColumn:
    """A column of times. stamp_s: seconds since 2020 (UTC), shape (n,); utc_offset_s: of the first row."""

    stamp_s: FloatArray
    utc_offset_s: float
    note: str = ""


@dataclass(frozen=True)
class Columns:
    """Some columns of a file: raw values, and where each row stands."""

    path: Path
    found: tuple[str, ...]
    values: Mapping[str, Sequence[Any]]
    lines: Sequence[int] | None
    """Line of each row; None for a file without lines."""
    offsets_s: dict[str, float] = field(default_factory=dict)
    """UTC offset of the first time in each column of times that has a zone of its own."""
    delimiter: str = ","
    """Of a CSV: with a semicolon a comma may be a decimal one."""

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __len__(self) -> int:
        return len(next(iter(self.values.values()), ()))

    def rows(self, chosen: Sequence[int]) -> Columns:
        """Some of the rows."""
        values = {name: [column[i] for i in chosen] for name, column in self.values.items()}
        return replace(self, values=values, lines=None if self.lines is None else [self.lines[i] for i in chosen])

    def floats(self, name: str, parse: Callable[[Any], float]) -> FloatArray:
        raw = self.values[name]
        result = np.empty(len(raw))
        for i, value in enumerate(raw):
            try:
                result[i] = parse(value)
            except ValueError as bound:
                raise self.refused(i, name, str(bound)) from None
        return result

    def numbers(self, name: str, check: Callable[[Any], float], *, whole: bool = False) -> FloatArray:
        """A column of numbers in the form that the column shows. check: their bound; whole: none has a fraction."""
        read = number_reader(self.values[name], delimiter=self.delimiter, whole=whole)
        return self.floats(name, lambda value: check(read(value)))

    def stamps(self, name: str, order: DateOrder | None = None) -> StampColumn:
        """A column of times in the form that the column shows. order: of days and months, where no row shows it."""
        form = time_form(self.values[name], order)
        stamp_s = self.floats(name, lambda value: form.read(value)[0])
        offset_s = self.offsets_s.get(name, form.read(self.values[name][0])[1] if len(stamp_s) else 0.0)
        note = f"{_shown(name)} {form.note}" if form.note else ""
        if name not in self.offsets_s and offset_s == 0 and _LOCAL.search(name):
            note = f"{note}; " if note else ""
            note += (
                f"{_shown(name)} does not say its offset and is taken as UTC: `from` and hours of the day are so too"
            )
        return StampColumn(stamp_s, offset_s, note)

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
        return InputError(f"{self.path}: {place}, column {_shown(name)} = {_shown(self.values[name][i])}, {bound}")


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
    if not 0 <= result <= LARGEST_COUNT:
        raise ValueError(f"must be a whole number of requests, from 0 to {LARGEST_COUNT:,}")
    if result != int(result):
        bound = f"must be a whole number of requests, from 0 to {LARGEST_COUNT:,}"
        raise ValueError(f"{bound}; a fraction is an average or a rate, so name its column requests/s or requests/min")
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


def milliseconds_taken(value: Any) -> float:
    """Seconds of milliseconds that something takes."""
    return seconds_taken(not_negative(value) / 1000)


def _shown(value: Any) -> str:
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(value)[:200].split()))
    return (text or "(blank)") if len(text) <= 40 else text[:37] + "..."
