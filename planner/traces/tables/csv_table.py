"""CSV in the dialects that people have: comma, semicolon, tab or bar, with a line `sep=;` in front."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from planner.errors import InputError
from planner.reading import opened, reading
from planner.traces.columns import Columns
from planner.traces.tables.names import shown
from planner.traces.tables.table import Table

UTF_8 = "utf-8-sig"
DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)
_START_CHARACTERS = 65_536


@dataclass(frozen=True)
class TableStart:
    """The first rows of a CSV: its delimiter, the line on which its header stands (from 1), header and some rows."""

    delimiter: str
    header_line: int
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def start_of(text: str) -> TableStart:
    """What the start of a text shows if it is a CSV. Raises csv.Error where it is none."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    before = 0
    while before < len(lines) and not lines[before].strip():
        before += 1
    separator = _SEPARATOR_LINE.fullmatch(lines[before].rstrip("\r\n")) if before < len(lines) else None
    before += 1 if separator else 0
    body = lines[before : before + 40]
    delimiter = separator[1] if separator else _delimiter(body)
    rows = [tuple(cell.strip() for cell in row) for row in csv.reader(body, delimiter=delimiter)]
    header = rows[0] if rows else ()
    return TableStart(delimiter, before + 1, header, tuple(rows[1:]))


def _delimiter(lines: list[str]) -> str:
    """What cuts the header into most cells; of two the one that cuts the rows into as many."""

    def fit(delimiter: str) -> tuple[int, int]:
        rows = list(csv.reader(lines, delimiter=delimiter))
        cells = len(rows[0]) if rows else 0
        return cells, sum(len(row) == cells for row in rows)

    return max(DELIMITERS, key=fit)


def csv_table(path: Path) -> Table:
    """The table of a CSV file. Raises InputError where it is none."""
    with reading(path, str(path)):
        encoding = _encoding(path)
        with _text(path, encoding) as file:
            text = file.read(_START_CHARACTERS)
    try:
        start = start_of(text)
    except csv.Error as error:
        raise InputError(f"{path}: is not CSV ({error})") from None

    def read(wanted: Sequence[str]) -> Columns:
        with reading(path, str(path)):
            return _columns(path, start, wanted, encoding)

    notes = () if encoding == UTF_8 else ("the file is no UTF-8 and is read as Windows-1252",)
    return Table(path, start.header, read, start.rows, notes)


def _encoding(path: Path) -> str:
    """UTF-8, or else the Windows-1252 that Excel and older programs write. Raises InputError for binary data."""
    decoder = codecs.getincrementaldecoder(UTF_8)()
    found = UTF_8
    with opened(path) as file:
        while piece := file.read(1 << 20):
            if b"\0" in piece:
                raise InputError(f"{path}: not a text file")
            if found == UTF_8:
                try:
                    decoder.decode(piece)
                except UnicodeDecodeError:
                    found = "cp1252"
    return found


def _text(path: Path, encoding: str) -> TextIO:
    return io.TextIOWrapper(opened(path), encoding=encoding, newline="")


def _columns(path: Path, start: TableStart, wanted: Sequence[str], encoding: str) -> Columns:
    header = start.header
    if (twice := next((name for name in wanted if header.count(name) > 1), None)) is not None:
        raise InputError(f"{path}: the header has the column {shown([twice])} twice")
    keep = {name: header.index(name) for name in wanted}
    values: dict[str, list[str]] = {name: [] for name in keep}
    lines: list[int] = []
    with _text(path, encoding) as file:
        for _ in range(start.header_line - 1):
            file.readline()
        reader = csv.reader(file, delimiter=start.delimiter)
        try:
            next(reader, None)
            for line, cells in _rows(reader):
                if len(cells) != len(header) and not _ends_blank(cells, len(header)):
                    line += start.header_line - 1
                    raise InputError(f"{path}: line {line} has {len(cells)} columns, the header {len(header)}")
                lines.append(line + start.header_line - 1)
                for name, i in keep.items():
                    values[name].append(cells[i])
        except csv.Error as error:
            line = reader.line_num + start.header_line - 1
            raise InputError(f"{path}: line {line} is not CSV ({error})") from None
    return Columns(path, header, dict(values), lines, delimiter=start.delimiter)


def _ends_blank(cells: list[str], wanted: int) -> bool:
    return len(cells) > wanted and not any(cell.strip() for cell in cells[wanted:])


def _rows(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line on which it starts."""
    before = reader.line_num
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield before + 1, cells
        before = reader.line_num
