"""Reading a log of requests line by line: what the lines of any format have in common."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.reading import opened, reading
from planner.traces.records import Categories, Requests, Skipped, Stamps

LONGEST_LINE = 65_536
"""Bytes. Servers refuse requests that could fill more."""

NOT_SAID = math.nan


class Entry(NamedTuple):
    """One line. stamp_s: seconds since 2020 (UTC); an empty text: the line does not say."""

    stamp_s: float
    utc_offset_s: float
    has_fraction: bool
    method: bytes = b""
    path: bytes = b""
    status: bytes = b""
    agent: bytes = b""
    duration_s: float = NOT_SAID
    service_time_s: float = NOT_SAID


@dataclass(frozen=True, kw_only=True)
class LogForm:
    """How the lines of one format are read. name: in words, for messages. parse: a line, or None for no request."""

    name: str
    parse: Callable[[bytes], Entry | None]
    stamps: Stamps | None
    service_time_of: str = ""


def read_lines(path: Path, form: LogForm) -> Requests:
    """Every request of a log."""
    reader = _Reader(form)
    with reading(path, str(path)), opened(path) as file:
        while line := file.readline(LONGEST_LINE + 1):
            reader.take(line)
    reader.check(path)
    return reader.requests()


@dataclass
class _Interned:
    """Texts as numbers: a log repeats a few of them in every line."""

    codes: array[int] = field(default_factory=lambda: array("q"))
    numbers: dict[bytes, int] = field(default_factory=lambda: {b"": -1})

    def add(self, text: bytes) -> None:
        number = self.numbers.get(text)
        if number is None:
            number = self.numbers[text] = len(self.numbers) - 1
        self.codes.append(number)

    def categories(self) -> Categories | None:
        """None where no line says anything."""
        if len(self.numbers) == 1:
            return None
        names = tuple(name.decode("utf-8", "replace") for name in self.numbers if name)
        return Categories(np.array(self.codes, dtype=np.int64), names)


class _Reader:
    """What has been read so far; a line at a time, because logs are large."""

    def __init__(self, form: LogForm) -> None:
        self.form = form
        self.stamps_s, self.offsets_s = array("d"), array("d")
        self.durations_s, self.service_times_s = array("d"), array("d")
        self.methods, self.paths, self.statuses, self.agents = (_Interned() for _ in range(4))
        self.has_fractions = False
        self.number = self.lines = self.foreign = 0
        self.first_foreign = (0, b"")

    def take(self, line: bytes) -> None:
        self.number += 1
        entry = self.form.parse(line) if len(line) <= LONGEST_LINE else None
        if entry is None:
            if line.strip():
                self.lines += 1
                self.first_foreign = self.first_foreign if self.foreign else (self.number, line)
                self.foreign += 1
            return
        self.lines += 1
        self.stamps_s.append(entry.stamp_s)
        self.offsets_s.append(entry.utc_offset_s)
        self.has_fractions |= entry.has_fraction
        self.methods.add(entry.method)
        self.paths.add(entry.path)
        self.statuses.add(entry.status)
        self.agents.add(entry.agent)
        self.durations_s.append(entry.duration_s)
        self.service_times_s.append(entry.service_time_s)

    def check(self, path: Path) -> None:
        if self.foreign:
            number, line = self.first_foreign
            raise InputError(
                f"{path}: line {number} is not in the {self.form.name} ({line_text(line)}); "
                f"{self.foreign} of {self.lines} lines are not (if it is a table, say `format: csv`)"
            )
        if not self.lines:
            raise InputError(f"{path}: no request in the log")

    def requests(self) -> Requests:
        stamp_s = np.array(self.stamps_s)
        number, line = self.first_foreign
        text = line_text(line)
        return Requests(
            stamp_s=stamp_s,
            utc_offset_s=self.offsets_s[int(np.argmin(stamp_s))],
            resolution_s=0.0 if self.has_fractions else 1.0,
            stamps=self.form.stamps,
            duration_s=_said(self.durations_s),
            service_time_s=_said(self.service_times_s),
            service_time_of=self.form.service_time_of,
            method=self.methods.categories(),
            path=self.paths.categories(),
            status=self.statuses.categories(),
            agent=self.agents.categories(),
            skipped=Skipped(lines=self.foreign, of_lines=self.lines, first_line=number, first_text=text)
            if self.foreign
            else None,
        )


def _said(values: array[float]) -> FloatArray | None:
    column = np.array(values)
    return None if np.isnan(column).all() else column


def line_text(line: bytes) -> str:
    """A line as a message shows it, cut to 60 characters."""
    text = " ".join(line[:200].decode("utf-8", "replace").split())
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else text[:57] + "..."
