"""Ranges of settings that a search may choose from: 4, 4..40, 50..90:5 or 1,2,4."""

from __future__ import annotations

import re

from planner.errors import InputError

MOST_VALUES = 10_000

_RANGE = re.compile(r"([0-9]{1,6})(?:\.\.([0-9]{1,6})(?::([0-9]{1,6}))?)?")


def read_range(option: str, text: str | None, least: int, most: int) -> tuple[int, ...] | None:
    """The values, increasing; None without a text. All must lie within [least, most]."""
    if text is None:
        return None
    values: set[int] = set()
    for word in text.split(","):
        match = _RANGE.fullmatch(word.strip())
        if match is None:
            raise InputError(f"--{option} = {text}, must be a number, a range or a list: 4, 4..40, 50..90:5 or 1,2,4")
        low, high, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if low > high or step < 1:
            what = f"ends at {high}, below its start" if low > high else "has a step of 0"
            raise InputError(f"--{option} = {text}, {word.strip()} {what}")
        if not least <= low <= high <= most:
            raise InputError(f"--{option} = {text}, must be from {least:,} to {most:,}")
        if (high - low) // step >= MOST_VALUES:
            raise InputError(
                f"--{option} = {text}, holds more than {MOST_VALUES:,} values; give it a step (1..90000:100)"
            )
        values.update(range(low, high + 1, step))
    return tuple(sorted(values))
