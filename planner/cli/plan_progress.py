"""How a search shows that it goes on: settled settings of all, and the best one known, with its interval."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from planner.cli.output import console
from planner.documents import estimate_document
from planner.measures import fraction, mean
from planner.model import Autoscaler, Estimate
from planner.percent import percent
from planner.plan.search import Progress
from planner.plan.settings import Setting

EVERY_S = 0.2
ANSWER_AFTER_S = 30.0
"""Then the best known answer is said, also where no terminal shows a bar."""


class Watch:
    """Called after each run."""

    def __init__(self, autoscaler: Autoscaler, bar: Any, task: Any) -> None:
        self._autoscaler, self._bar, self._task = autoscaler, bar, task
        self._started_s = time.monotonic()
        self._shown_s = 0.0
        self.best_after: list[dict[str, Any]] = []
        self.label = ""
        """What comes before the rest, where there is more than one search."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started_s

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._shown_s >= EVERY_S:
            self._shown_s = now_s
            self._bar.update(
                self._task, completed=progress.settled, total=progress.settings, description=self._text(progress)
            )
        if self.seconds >= ANSWER_AFTER_S and not self.best_after and progress.pool.settings:
            self._say_best(progress)

    def _text(self, progress: Progress) -> str:
        done = f"{self.label}{progress.simulated} settings simulated, {progress.requests / 1e6:,.0f} M requests"
        return done if progress.best is None else f"{done}; best so far {self._said(progress, progress.best.setting)}"

    def _said(self, progress: Progress, setting: Setting) -> str:
        fraction_503, hours = _estimates(progress, setting)
        return f"{setting.text(self._autoscaler)}: 503s {_interval(fraction_503)}, {hours.value:.4g} replica-hours"

    def _say_best(self, progress: Progress) -> None:
        """The best known, or where none is known to keep the promise the one with the fewest 503s."""
        setting = _fewest_503s(progress) if progress.best is None else progress.best.setting
        fraction_503, hours = _estimates(progress, setting)
        self.best_after.append(
            {
                "seconds": self.seconds,
                "requests": progress.requests,
                "keeps_promise": progress.best is not None,
                "autoscale_min_replicas": setting.min_replicas,
                "autoscale_max_replicas": setting.max_replicas,
                "autoscale_target_utilization": setting.target_percent,
                "fraction_503": estimate_document(fraction_503),
                "replica_hours": estimate_document(hours),
            }
        )
        what = "none is known to keep the promise yet; the nearest" if progress.best is None else "the best known"
        said = f"After {self.seconds:.0f} s {what}: {self._said(progress, setting)}. The search goes on."
        console.print(said, markup=False, soft_wrap=True)


@contextmanager
def watching(autoscaler: Autoscaler) -> Iterator[Watch]:
    """A bar of the settings that are settled, discarded or simulated, of all that are searched."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield Watch(autoscaler, bar, bar.add_task("planning", total=None))


def _fewest_503s(progress: Progress) -> Setting:
    return min(progress.pool.settings, key=lambda setting: _estimates(progress, setting)[0].value)


def _estimates(progress: Progress, setting: Setting) -> tuple[Estimate, Estimate]:
    runs = progress.pool.runs(setting)
    return fraction(runs.n_503, runs.n), mean(runs.paid_s / 3600)


def _interval(estimate: Estimate) -> str:
    if not estimate.resolved:
        return f"at most {percent(estimate.high)}"
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"
