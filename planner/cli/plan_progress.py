"""How a search shows that it goes on: settled settings of all, and the best one known, with its interval."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

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
        seen = _estimates(progress, setting)
        late = f", 504s {_interval(seen.fraction_504)}" if seen.fraction_504.value > 0 else ""
        failures = f"503s {_interval(seen.fraction_503)}{late}"
        return f"{setting.text(self._autoscaler)}: {failures}, {seen.hours.value:.4g} replica-hours"

    def _say_best(self, progress: Progress) -> None:
        """The best known, or where none is known to keep the promise the one with the fewest failures."""
        setting = _fewest_failures(progress) if progress.best is None else progress.best.setting
        seen = _estimates(progress, setting)
        self.best_after.append(
            {
                "seconds": self.seconds,
                "requests": progress.requests,
                "keeps_promise": progress.best is not None,
                "autoscale_min_replicas": setting.min_replicas,
                "autoscale_max_replicas": setting.max_replicas,
                "autoscale_target_utilization": setting.target_percent,
                "fraction_503": estimate_document(seen.fraction_503),
                "fraction_504": estimate_document(seen.fraction_504),
                "replica_hours": estimate_document(seen.hours),
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


class _Seen(NamedTuple):
    fraction_503: Estimate
    fraction_504: Estimate
    hours: Estimate


def _fewest_failures(progress: Progress) -> Setting:
    def failed(setting: Setting) -> float:
        seen = _estimates(progress, setting)
        return seen.fraction_503.value + seen.fraction_504.value

    return min(progress.pool.settings, key=failed)


def _estimates(progress: Progress, setting: Setting) -> _Seen:
    runs = progress.pool.runs(setting)
    exact = runs.exact
    return _Seen(
        fraction(runs.n_503, runs.n, exact=exact),
        fraction(runs.n_504, runs.n, exact=exact),
        mean(runs.paid_s / 3600, exact=exact),
    )


def _interval(estimate: Estimate) -> str:
    if estimate.exact:
        return f"{percent(estimate.value)} (exactly)"
    if not estimate.resolved:
        return f"at most {percent(estimate.high)}"
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"
