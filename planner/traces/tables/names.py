"""Names of columns, whoever wrote the header: `timestamp [UTC]` is `timestamp`, `RequestsPerMinute (Sum)` is a sum."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")


def plain(name: str) -> str:
    """A name in small letters, without a unit, zone or aggregate in brackets behind it."""
    return _BRACKETS.sub("", name.strip()).casefold()


def find(header: Sequence[str], aliases: Iterable[str]) -> str | None:
    """The column with one of some names: spelled so, or else whatever its case and what stands in brackets behind it.

    Raises ValueError where several columns could be meant.
    """
    aliases = tuple(aliases)
    exact = [name for alias in aliases for name in header if name == alias]
    if exact:
        return exact[0]
    known = {alias.casefold() for alias in aliases}
    near = [name for name in header if plain(name) in known]
    if len(set(near)) > 1:
        raise ValueError(f"the columns {shown(near)} could each be the {aliases[0]}: keep one, or make them one")
    return near[0] if near else None


def shown(names: Iterable[str], most: int = 120) -> str:
    """Names in a message, cut to `most` characters."""
    text = ", ".join(" ".join("".join(c if c.isprintable() else "?" for c in n).split()) for n in names)
    return text if len(text) <= most else text[: most - 3] + "..."


class Role(StrEnum):
    """What the numbers of a column are, told by its name."""

    COUNT = "count"
    RATE = "rate"
    STATISTIC = "statistic"
    """An average, a maximum or a quantile: no count, and no rate of all requests."""


@dataclass(frozen=True)
class Measure:
    """per_s: of a rate, by what its numbers are multiplied to be requests per second; of the first cell if in_cells.

    in_cells: the name says no unit, so each cell says its own.
    """

    role: Role
    per_s: float = 1.0
    in_cells: bool = False


_SUMS = {"sum", "total", "count", "sum total"}
_STATISTICS = {"avg", "average", "mean", "min", "max", "minimum", "maximum", "median", "last"}
_SUBJECT = r"(?:https?)?(?:total)?(?:req|reqs|request|requests|queries|hits|calls)"
_COUNTS = re.compile(
    rf"(?:count|counts|sumitemcount|(?:number|count|sum)of{_SUBJECT}|{_SUBJECT}(?:count|counts|total)"
    r"|(?:http)?(?:total)?(?:requests|hits|calls|queries))"
)
_SECONDS = re.compile(rf"(?:rps|qps|reqps|(?:{_SUBJECT}|rate)?(?:/|per)(?:s|sec|second))")
_MINUTES = re.compile(rf"(?:rpm|reqpm|(?:{_SUBJECT}|rate)?(?:/|per)(?:m|min|minute))")


def measure(name: str) -> Measure | None:
    """What a column's name says of its numbers; None where it tells nothing of requests."""
    brackets = _BRACKETS.search(name)
    base = re.sub(r"[\s_\-]+", "", plain(name))
    aggregate = brackets[1].strip().casefold() if brackets else ""
    per_s = _per_s(base) or (_per_s(re.sub(r"\s+", "", aggregate)) if _is_subject(base) or base == "rate" else None)
    if per_s is not None:
        if aggregate in _SUMS:
            return Measure(Role.COUNT)
        return Measure(Role.STATISTIC if aggregate in _STATISTICS and per_s != 1 else Role.RATE, per_s)
    if _COUNTS.fullmatch(base):
        return Measure(Role.STATISTIC if aggregate in _STATISTICS else Role.COUNT)
    return None


_COUNTER = re.compile(r"(?i:[a-z0-9_:]+_total)(?:\s*\{.*\})?", re.ASCII)


def is_counter(name: str) -> bool:
    """A name that Prometheus gives to what only rises: http_requests_total, also with labels behind it."""
    return _COUNTER.fullmatch(name.strip()) is not None


def _is_subject(base: str) -> bool:
    return re.fullmatch(_SUBJECT, base) is not None


def _per_s(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return 1.0
    return 1 / 60 if _MINUTES.fullmatch(text) else None


@dataclass(frozen=True)
class Quantity:
    """A cell as its number (text), by what its scale multiplies it, and per_s of its rate's unit; None: no unit."""

    number: str
    scale: float = 1.0
    per_s: float | None = None


_CELL = re.compile(r"(?P<number>[-+]?[\d.,'\u2019\s]*\d)\s*(?P<words>[^\d\s.,'\u2019].*)")
_PLAIN_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_SCALES = {"K": 1e3, "k": 1e3, "M": 1e6, "Mil": 1e6, "G": 1e9, "B": 1e9, "Bil": 1e9}


def quantity(cell: str) -> Quantity:
    """A cell of a rate as Grafana writes it: 5.25 req/s, 1.2 K req/s, 1.5 K, 2 Mil, 1.2 kreq/s.

    Raises ValueError with the bound where scale or unit are not known. 5m could be 0.005, 5 million, or 5 minutes.
    """
    cell = cell.strip()
    found = None if _PLAIN_NUMBER.fullmatch(cell) else _CELL.fullmatch(cell)
    if found is None:
        return Quantity(cell)
    number, words = found["number"].strip(), found["words"].strip()
    if words in _SCALES:
        return Quantity(number, _SCALES[words])
    if (per_s := _per_s(_squeezed(words))) is not None:
        return Quantity(number, 1.0, per_s)
    for scale, factor in _SCALES.items():
        if words.startswith(scale) and (per_s := _per_s(_squeezed(words[len(scale) :]))) is not None:
            return Quantity(number, factor, per_s)
    known = "req/s and req/min, with K, Mil or Bil before them"
    raise ValueError(f"has the unit {shown([words], 30)}, which is not known ({known}, are)")


def _squeezed(words: str) -> str:
    return re.sub(r"\s+", "", words).casefold()


def unit_of(cells: Iterable[object]) -> Measure | None:
    """What the first unit of a rate in some cells says; None where none has one."""
    for cell in cells:
        try:
            found = quantity(str(cell))
        except ValueError:
            continue
        if found.per_s is not None:
            return Measure(Role.RATE, found.per_s, in_cells=True)
    return None


def per_words(per_s: float) -> str:
    """What numbers count whose multiplication by per_s gives requests per second."""
    return "per second" if per_s == 1 else "per minute"
