"""How much a replay may send."""

from __future__ import annotations

from pathlib import Path

from planner.errors import InputError

LARGEST_TOTAL_BYTES = 500_000_000
"""All bodies together: each worker holds them in memory."""


def check_total(source: Path, total: int) -> None:
    """Raises InputError where the bodies of a source have more bytes together."""
    if total > LARGEST_TOTAL_BYTES:
        raise InputError(f"{source}: {total:,} bytes of payloads, at most {LARGEST_TOTAL_BYTES:,} are supported")
