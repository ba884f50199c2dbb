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
    """per_s: of a rate, by what its numbers are multiplied to be requests per second."""

    role: Role
    per_s: float = 1.0


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


def _is_subject(base: str) -> bool:
    return re.fullmatch(_SUBJECT, base) is not None


def _per_s(text: str) -> float | None:
    if _SECONDS.fullmatch(text):
        return 1.0
    return 1 / 60 if _MINUTES.fullmatch(text) else None


_CELL = re.compile(r"(?P<number>[-+\d.,\s]*\d)\s*(?P<scale>[KM](?=\s))?\s*(?P<unit>[A-Za-z]+(?:/[a-z]+)?)")
_SCALES = {None: 1.0, "K": 1e3, "M": 1e6}


def unit_of(cell: str) -> Measure | None:
    """What the unit behind a number says, as Grafana writes it into every cell: 5.25 req/s, 1.2 K req/s."""
    found = _CELL.fullmatch(cell.strip())
    per_s = _per_s(found["unit"].casefold()) if found else None
    return None if per_s is None else Measure(Role.RATE, per_s)


def without_unit(cell: str) -> tuple[str, float]:
    """The number before a unit, and by what it is multiplied; a cell without a unit as it is."""
    found = _CELL.fullmatch(cell.strip())
    return (cell, 1.0) if found is None else (found["number"].strip(), _SCALES[found["scale"]])
