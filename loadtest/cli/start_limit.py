"""`--start-limit`: how long `lab` and `run` wait for the first pods."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.errors import InputError
from planner.units import positive_seconds

StartLimitOption = Annotated[
    str | None,
    typer.Option(
        "--start-limit",
        metavar="TIME",
        help="For the first pods to become ready; a node may have to come first. Default: 5m.",
        rich_help_panel="Kubernetes",
    ),
]


def seconds_of(given: str | None) -> float | None:
    """Seconds; None where the option was not given."""
    try:
        return None if given is None else positive_seconds(given)
    except ValueError as bound:
        raise InputError(f"--start-limit {given}: {bound}") from None
