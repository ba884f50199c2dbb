"""Numbers as a column of text writes them: 1,234.5 and 1.234,5 and 1 234. What has two readings is refused with both.

A column is read as a whole: one cell such as 5,25 shows what the comma of all others means.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

_SPACES = str.maketrans("", "", " \u00a0\u202f'\u2019")
_SPACED = re.compile(r"[-+]?\d{1,3}(?:[ \u00a0\u202f'\u2019]\d{3})+(?:[.,]\d+)?")
_ONE_GROUP = {mark: re.compile(rf"[-+]?[1-9]\d{{0,2}}\{mark}\d{{3}}") for mark in ",."}
_GROUPS = {mark: re.compile(rf"[-+]?\d{{1,3}}(?:\{mark}\d{{3}})+(?:\{other}\d+)?") for mark, other in (",.", ".,")}
_DECIMAL = {mark: re.compile(rf"[-+]?\d*\{mark}\d+") for mark in ",."}

Reader = Callable[[Any], float]


def number(value: Any) -> float:
    """A number that is one already, or plain text of one. Raises ValueError with the bound."""
    if value is None or isinstance(value, bool):
        raise ValueError("must be a number")
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ValueError("must be a number") from None
    if not math.isfinite(result):
        raise ValueError("must be a finite number")
    return result


def number_reader(cells: Sequence[Any], *, delimiter: str = ",", whole: bool = False) -> Reader:
    """What reads the cells of one column. delimiter: of their file; whole: no fraction makes sense in this column."""
    texts = [_without_spaces(cell) for cell in cells if isinstance(cell, str)]
    commas = [text for text in texts if "," in text]
    dots = [text for text in texts if "." in text]
    if not commas:
        if any(text.count(".") > 1 for text in dots):
            return _grouped(".")
        if not dots or delimiter != ";" or not all(_ONE_GROUP["."].fullmatch(text) for text in dots):
            return _plain
        return _grouped(".") if whole and not _all_thousands(dots) else _with_two_readings(".")
    decimal = any(_shows_decimal(text) for text in commas)
    thousands = any(_shows_thousands(text) for text in commas) or any(_shows_decimal_point(text) for text in dots)
    if decimal and thousands:
        return _refusing("has a comma for thousands in some rows and for fractions in others: write 1234.5")
    if decimal:
        return _grouped(".")
    if thousands or (whole and not _all_thousands(commas)):
        return _grouped(",")
    return _with_two_readings(",")


def _all_thousands(texts: list[str]) -> bool:
    """Each would be whole as a fraction too: 60,000 is 60000 or 60.000."""
    return all(text.endswith("000") for text in texts)


def _without_spaces(text: str) -> str:
    text = text.strip()
    if text.isascii() and " " not in text and "'" not in text:
        return text
    return text.translate(_SPACES) if _SPACED.fullmatch(text) else text


def _shows_decimal(text: str) -> bool:
    """5,25 and 0,125 and 1.234,5"""
    one = text.count(",") == 1 and not _ONE_GROUP[","].fullmatch(text)
    return one and bool(_DECIMAL[","].fullmatch(text) or _GROUPS["."].fullmatch(text))


def _shows_thousands(text: str) -> bool:
    """1,234,567 and 1,234.5"""
    return bool(_GROUPS[","].fullmatch(text)) and (text.count(",") > 1 or "." in text)


def _shows_decimal_point(text: str) -> bool:
    """999.5 in a column with commas"""
    return "," not in text and bool(_DECIMAL["."].fullmatch(text)) and not _ONE_GROUP["."].fullmatch(text)


def _plain(value: Any) -> float:
    return number(_without_spaces(value) if isinstance(value, str) else value)


def _grouped(mark: str) -> Reader:
    """Reads 1,234.5 where mark is a comma, 1.234,5 where it is a dot."""
    other = "," if mark == "." else "."

    def read(value: Any) -> float:
        if not isinstance(value, str):
            return number(value)
        text = _without_spaces(value)
        if _GROUPS[mark].fullmatch(text):
            text = text.replace(mark, "")
        elif mark in text:
            raise ValueError(
                f"must be a number, as the others of its column: {other} for fractions, {mark} for thousands"
            )
        return number(text.replace(other, "."))

    return read


def _with_two_readings(mark: str) -> Reader:
    name = "comma" if mark == "," else "point"

    def read(value: Any) -> float:
        text = _without_spaces(value) if isinstance(value, str) else ""
        if _ONE_GROUP[mark].fullmatch(text):
            both = (
                f"{text.replace(mark, '')} ({name} for thousands) or {text.replace(mark, '.')} ({name} for fractions)"
            )
            raise ValueError(f"may be {both}, and no other row tells: write it without the {name}")
        return _plain(value)

    return read


def _refusing(bound: str) -> Reader:
    def read(value: Any) -> float:
        if isinstance(value, str) and "," in value:
            raise ValueError(bound)
        return _plain(value)

    return read
