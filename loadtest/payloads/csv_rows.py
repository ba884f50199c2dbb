"""A table whose rows are bodies: each row becomes a JSON object with a field for each column."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from loadtest.payloads.limits import check_total
from planner.errors import InputError
from planner.reading import reading
from planner.traces.tables.opening import table_of

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
"""As JSON writes a number: 007, +1, 1,5 and .5 stay text."""

MOST_DIGITS = 17
"""Characters of a number. A longer one would lose digits in a float, and may be an identifier."""

_WORDS = {"true": True, "false": False}
"""In lower case, upper case or with a capital."""


def read_csv_rows(path: Path) -> list[bytes]:
    """The rows of a CSV or Parquet file as JSON bodies. Raises InputError where it is none or holds no row.

    A cell of CSV that is a JSON number of at most MOST_DIGITS characters becomes a number, true or false a truth value,
    an empty one null; every other cell stays text.
    """
    with reading(path, str(path)):
        check_total(path, path.stat().st_size)
    table = table_of(path)
    blank = [i for i, name in enumerate(table.header, start=1) if not name]
    if blank:
        raise InputError(f"{path}: column {blank[0]} has no name in the header")
    columns = table.read(table.header)
    n = len(next(iter(columns.values.values()), ()))
    if n == 0:
        raise InputError(f"{path}: holds no row below its header")
    bodies, total = [], 0
    for i in range(n):
        row = {name: _value(cells[i]) for name, cells in columns.values.items()}
        try:
            body = json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError):
            raise InputError(f"{path}: row {i + 1} holds a value that JSON has no form for") from None
        check_total(path, total := total + len(body))
        bodies.append(body)
    return bodies


def _value(cell: Any) -> Any:
    """What a cell is in JSON."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if not text:
        return None
    if len(text) <= MOST_DIGITS and _NUMBER.fullmatch(text):
        number = json.loads(text)
        return number if math.isfinite(number) else cell
    return _WORDS.get(text.lower(), cell)
