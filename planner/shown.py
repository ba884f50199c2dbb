"""A value in a message: as a person would write it, cut to fit a line, secrets left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from planner.request import looks_secret


def shown(value: Any) -> str:
    """A value as a person would write it, cut to 60 characters."""
    if value is None:
        return "(empty)"
    if isinstance(value, str):
        text = value if value.strip() == value != "" else json.dumps(value)
    else:
        text = json.dumps(_masked(value), default=str)
    text = " ".join(text.split()) or text
    return text if len(text) <= 60 else text[:57] + "..."


def _masked(value: Any) -> Any:
    """A value without the texts in it whose names tell of secrets."""
    if isinstance(value, Mapping):
        return {
            key: "***" if isinstance(inner, str) and looks_secret(str(key)) else _masked(inner)
            for key, inner in value.items()
        }
    return [_masked(inner) for inner in value] if isinstance(value, list) else value
