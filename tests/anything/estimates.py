"""What holds of every estimate in a JSON document, whatever it is of."""

from __future__ import annotations

import math
from typing import Any


def check_estimates(document: Any) -> None:
    """Every estimate lies in its interval, which is a point where it is exact."""
    if isinstance(document, list):
        for inside in document:
            check_estimates(inside)
    elif isinstance(document, dict):
        if {"value", "low", "high", "replications"} <= document.keys():
            assert document["low"] <= document["value"] <= document["high"], document
            assert all(math.isfinite(document[end]) for end in ("low", "value", "high"))
            assert not document.get("exact") or document["low"] == document["high"]
        for name, inside in document.items():
            if name.startswith("fraction_") and isinstance(inside, dict) and "value" in inside:
                assert 0 <= inside["low"] <= inside["high"] <= 1, (name, inside)
            check_estimates(inside)
