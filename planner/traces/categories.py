"""Texts of requests as numbers: a table repeats a few of them in every row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from planner.traces.records import Categories


def categories(texts: Sequence[str]) -> Categories | None:
    """Of a text for each request, empty where the file says nothing; None where no request has one."""
    numbers: dict[str, int] = {}
    codes = np.array([numbers.setdefault(text, len(numbers)) if text else -1 for text in texts], dtype=np.int64)
    return Categories(codes, tuple(numbers)) if numbers else None
