"""Cells of a table that show an estimate: value, interval, and what else has to be said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Cells = tuple[str, str, str]


def cells(estimate: dict[str, Any], form: Callable[[float], str]) -> Cells:
    value, low, high = (form(estimate[key]) for key in ("value", "low", "high"))
    if estimate.get("exact"):
        return value, "exact", "the same in every run of this seed"
    if estimate["resolved"]:
        return value, f"{low} to {high}", ""
    if estimate["value"] == 0:
        return "0", f"at most {high}", f"none in {estimate['replications']} runs"
    return value, f"at most {high}", "not resolved: too few runs saw one"


def interval_cell(estimate: dict[str, Any], form: Callable[[float], str]) -> str:
    """Only the interval."""
    return "exact" if estimate.get("exact") else f"{form(estimate['low'])} to {form(estimate['high'])}"


def difference_cells(estimate: dict[str, Any]) -> Cells:
    """A difference of two fractions in percentage points."""
    value, low, high = (f"{100 * estimate[key]:+.3g}" for key in ("value", "low", "high"))
    if estimate.get("exact"):
        return value if estimate["value"] else "0", "exact", ""
    if estimate["resolved"]:
        return value, f"{low} to {high}", ""
    if estimate["value"] == 0:
        return "0", f"{low} to {high}", f"the same in {estimate['replications']} runs"
    return value, f"{low} to {high}", "not resolved: too few runs differ"
