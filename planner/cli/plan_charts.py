"""A plan's two figures in characters: the frontier, and the map of the failures over minimum and target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from planner.cli.plan_text import chart_width, plain, say
from planner.percent import percent
from planner.report.plan import words

MOST_ROWS = 24
"""Rows of a chart; of more, some are left out evenly."""

_LONG = {"503s": "503s", "failed": "failed requests"}
_DECADE = 10.0
_LIGHTEST = 1e-6
"""Where the frontier's axis begins at the latest: smaller fractions stand at its end."""


def show_frontier(document: dict[str, Any]) -> None:
    """One row for each setting, cheapest first: its cost, and its failures with their interval on a log axis."""
    frontier, (key, name, slo) = words.frontier(document), words.main_failure(document)
    if not frontier:
        return
    rows = _thinned(frontier, [words.is_recommended(document, entry) for entry in frontier])
    sizes = words.has_other_sizes(document)
    names = words.setting_columns(document, with_sizes=sizes)
    texts = [
        (
            ">" if words.is_recommended(document, entry) else "",
            *words.setting_cells(document, entry, with_sizes=sizes),
            _hours(entry["replica_hours"]),
            _fraction(entry[key]),
        )
        for entry in rows
    ]
    head = ("", *names, "replica-hours", name)
    widths = [max(len(cell) for cell in column) for column in zip(head, *texts, strict=True)]
    axis = _Axis.around([entry[key] for entry in rows], slo, chart_width() - sum(widths) - 2 * len(widths))
    print()
    say(f"Frontier: nothing that was tried is both cheaper and better. {_left_out(len(frontier), len(rows))}".rstrip())
    print(_line(head, widths) + axis.scale())
    for text, entry in zip(texts, rows, strict=True):
        print((_line(text, widths) + axis.drawn(entry[key])).rstrip())
    say(f"o the share of {_LONG[name]}, --- its 95 % interval, < at most, | the promise")


def _hours(estimate: dict[str, Any]) -> str:
    """7.10 ±0.03."""
    half = max(estimate["high"] - estimate["value"], estimate["value"] - estimate["low"])
    half = 0.0 if half < 1e-9 * abs(estimate["value"]) else half  # what floats leave of sums that are equal
    return f"{plain(estimate['value'])} ±{half:.1g}"


def _fraction(estimate: dict[str, Any]) -> str:
    return percent(estimate["value"]) if estimate["resolved"] else f"< {percent(estimate['high'])}"


def show_map(document: dict[str, Any]) -> None:
    """The 503s over minimum and target, as one sign for each class of them relative to the promise."""
    grid = document["map"]
    if grid is None:
        return
    (failure, name, slo), chosen = words.main_failure(document), document["recommended"]
    minima, targets = grid["autoscale_min_replicas"], grid["autoscale_target_utilization"]
    at_min = [chosen is not None and value == chosen["autoscale_min_replicas"] for value in minima]
    at_target = [chosen is not None and value == chosen["autoscale_target_utilization"] for value in targets]
    is_here = chosen is not None and chosen["autoscale_max_replicas"] == grid["autoscale_max_replicas"]
    rows = _thinned(range(len(minima)), at_min)
    shown = _thinned(range(len(targets)), at_target, most=(chart_width() - 7) // 5)
    print()
    left_out = _left_out(len(minima) * len(targets), len(rows) * len(shown))
    where = f"minimum (down) and target in percent (across) at max {grid['autoscale_max_replicas']}"
    say(f"{_LONG[name].capitalize()} over {where}. {left_out}")
    print("  min  " + "".join(f"{targets[j]:^5}" for j in shown).rstrip())
    for i in rows:
        cells = [
            _cell(
                _sign(grid[failure][i][j], slo),
                is_simulated=grid["simulated"][i][j],
                is_chosen=is_here and at_min[i] and at_target[j],
            )
            for j in shown
        ]
        print(f"{minima[i]:>5}  {''.join(cells)}".rstrip())
    _show_key(slo, _LONG[name])
    if any(grid[failure][i][j] is None for i in rows for j in shown):
        say("blank: unknown", indent=2)


_SIGNS = ((0.1, "."), (1.0, ":"), (10.0, "x"), (math.inf, "#"))
"""Largest fraction of a class, relative to the promise, and its sign: light where the promise is kept."""


def _sign(fraction: float | None, slo: float) -> str:
    if fraction is None:
        return " "
    return next(sign for most, sign in _SIGNS if fraction <= most * slo)


def _cell(sign: str, *, is_simulated: bool, is_chosen: bool) -> str:
    text = sign + ("'" if is_simulated else " ")
    return f" [{text}]" if is_chosen else f"  {text} "


def _show_key(slo: float, what: str) -> None:
    """what: the failures that the map shows; other parts of the promise are not in it."""
    (first, second, third), signs = (percent(most * slo) for most, _ in _SIGNS[:-1]), [sign for _, sign in _SIGNS]
    say(
        f"the bound on {what} kept: {signs[0]} up to {first}, {signs[1]} up to {second}; broken: {signs[2]} up to "
        f"{third}, {signs[3]} more",
        indent=2,
    )
    say("[ ] recommended; ' simulated, the others predicted from them: only to look at, no promise", indent=2)


class _Axis:
    """A logarithmic axis of fractions in characters."""

    def __init__(self, low: float, high: float, slo: float, width: int) -> None:
        self._first, self._last = (
            math.floor(math.log10(low)),
            max(math.ceil(math.log10(high)), math.floor(math.log10(low)) + 1),
        )
        self._slo, self._width = slo, max(20, width)

    @classmethod
    def around(cls, estimates: Sequence[dict[str, Any]], slo: float, width: int) -> _Axis:
        ends = [
            e[key]
            for e in estimates
            for key in ("value", "low", "high")
            if e[key] > 0 and (e["resolved"] or key == "high")
        ]
        return cls(max(_LIGHTEST, min([slo, *ends])), max([slo, *ends]), slo, width)

    def _place(self, fraction: float) -> int:
        if fraction <= 0:
            return 0
        share = (math.log10(fraction) - self._first) / (self._last - self._first)
        return min(self._width - 1, max(0, round(share * (self._width - 1))))

    def scale(self) -> str:
        """The decades, as far as their names fit."""
        line = [" "] * (self._width + 8)
        free = 0
        for exponent in range(self._first, self._last + 1):
            name, at = percent(_DECADE**exponent), self._place(_DECADE**exponent)
            start = max(0, min(self._width, at + len(name) // 2 + 1) - len(name))
            if start >= free:
                line[start : start + len(name)] = name
                free = start + len(name) + 1
        return "".join(line).rstrip()

    def drawn(self, estimate: dict[str, Any]) -> str:
        """The interval, the promise and the value; of an unresolved estimate its upper end."""
        line = [" "] * self._width
        high = self._place(estimate["high"])
        if estimate["resolved"]:
            low = self._place(estimate["low"])
            line[low : high + 1] = "-" * (high + 1 - low)
        line[self._place(self._slo)] = "|"
        line[self._place(estimate["value"]) if estimate["resolved"] else high] = "o" if estimate["resolved"] else "<"
        return "".join(line)


def _thinned(items: Sequence[Any], kept: Sequence[bool], *, most: int = MOST_ROWS) -> list[Any]:
    """At most so many of them, evenly, the first and the last and those to be kept among them."""
    if len(items) <= most:
        return list(items)
    must = {i for i, keep in enumerate(kept) if keep}
    room = max(2, most - len(must))
    evenly = {round(i * (len(items) - 1) / (room - 1)) for i in range(room)}
    return [items[i] for i in sorted(must | evenly)]


def _left_out(all_of_them: int, shown: int) -> str:
    return f"(Shown: {shown:,} of {all_of_them:,}.)" if shown < all_of_them else ""


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True)) + "  "
