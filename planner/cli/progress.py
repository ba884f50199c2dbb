"""A progress bar on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from planner.cli.output import console


class Advance(Protocol):
    def __call__(self, label: str | None = None, steps: int = 1) -> None:
        """So many pieces more are done; label: what the bar says from now on."""


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:
    """A progress bar that appears only on a terminal; total None: nobody knows how many pieces there will be."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda label=None, steps=1: bar.update(task, advance=steps, description=label)
