"""Rows of a table of estimates that `simulate` and `plan` share: how requests end, and how long answers take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from planner.percent import percent

Row = tuple[str, str, Callable[[Any], str]]
"""Name, key in the document, form of a value."""

FAILED: tuple[Row, ...] = (
    ("requests that get 504", "fraction_504", percent),
    ("requests that fail (not answered 200)", "fraction_failed", percent),
)

_BOUNDS = {"max_fraction_503": "max_503", "max_fraction_failed": "max_failed", "max_fraction_504": "max_504"}


def runs_within(slo: Mapping[str, Any] | None) -> Row:
    """slo: as a document has it."""
    given = [name for key, name in _BOUNDS.items() if slo and slo.get(key) is not None]
    return f"runs within {' and '.join(given)}", "fraction_of_runs_within_slo", percent


def latencies(document: Mapping[str, Any], *quantiles: str) -> list[Row]:
    """Of the 200 answers, and where there are 504s also of both."""
    rows: list[Row] = [(f"latency {q} of 200 answers", f"latency_{q}_s", seconds) for q in quantiles]
    if (document.get("fraction_504") or {}).get("value", 0) > 0:
        rows.append(("latency p99 of 200s and 504s", "latency_p99_with_504_s", seconds))
    return rows


def seconds(value: float | None) -> str:
    """None: it lies among the requests that timed out."""
    return "timed out" if value is None else f"{value:.3f} s"
