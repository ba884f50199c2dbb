"""The numbers of a run that a threshold can name, each told once: unit, how it is observed, whether it is predicted.

`fraction_…` and `latency_…` are over requests scheduled in [warm_up, duration), as in `observed`; a fraction is of
those whose answer is known. What the generator did is over the whole run, as in `generator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from loadtest.replay.statistics import KNOWN_TO_THE_MODEL, LATE_S, quantile, send_errors
from planner.model import ENDED, FloatArray, IntArray, Outcome, RequestLog
from planner.scenario import Scenario


class Unit(StrEnum):
    FRACTION = "fraction"
    SECONDS = "duration"
    COUNT = "count"


class Source(StrEnum):
    """Which part of the log a metric is a number of."""

    OUTCOMES = "outcomes"
    FROM_SEND = "from_send"
    FROM_SCHEDULE = "from_schedule"
    GENERATOR = "generator"
    COUNT = "count"


NO_GENERATOR = "the model has no generator: it sends every request at its time"
ONLY_KNOWN = "the model knows no answers but 200, 503 and 504"
PLANNED = "how many requests there are is part of the plan"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """outcomes: those that a fraction counts. level: of a quantile (1: the largest).

    not_predicted: why the model has no such number. limited: what its number leaves out.
    """

    name: str
    unit: Unit
    source: Source
    means: str
    outcomes: tuple[Outcome, ...] = ()
    level: float | None = None
    not_predicted: str | None = None
    limited: str | None = None


ERRORS = tuple(outcome for outcome in ENDED if outcome not in (Outcome.OK, Outcome.STATUS_503))
LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "max": 1.0}


def _fraction(name: str, means: str, *outcomes: Outcome) -> Metric:
    known = [outcome for outcome in outcomes if outcome in KNOWN_TO_THE_MODEL]
    return Metric(
        name=name,
        unit=Unit.FRACTION,
        source=Source.OUTCOMES,
        means=means,
        outcomes=outcomes,
        not_predicted=None if known else ONLY_KNOWN,
        limited=ONLY_KNOWN if known and len(known) < len(outcomes) else None,
    )


def _latency(prefix: str, source: Source, means: str, limited: str | None = None) -> list[Metric]:
    return [
        Metric(
            name=f"{prefix}_{word}",
            unit=Unit.SECONDS,
            source=source,
            means=f"{word} {means}",
            level=level,
            limited=limited,
        )
        for word, level in LEVELS.items()
    ]


def _own(name: str, unit: Unit, source: Source, means: str, why: str, level: float | None = None) -> Metric:
    return Metric(name=name, unit=unit, source=source, means=means, level=level, not_predicted=why)


METRICS = {
    metric.name: metric
    for metric in (
        _fraction("fraction_503", "answered 503", Outcome.STATUS_503),
        _fraction("fraction_504", "answered 504", Outcome.STATUS_504),
        _fraction("fraction_429", "answered 429", Outcome.STATUS_429),
        _fraction("fraction_bad_response", "answered 200 with a body that a check refused", Outcome.BAD_RESPONSE),
        _fraction("fraction_failed", "ended in any way but a good 200", Outcome.STATUS_503, *ERRORS),
        _fraction("fraction_errors", "ended in any way but a good 200 or a 503", *ERRORS),
        *_latency("latency", Source.FROM_SEND, "of the 200 answers, from the actual send"),
        *_latency("latency_from_schedule", Source.FROM_SCHEDULE, "of the 200 answers, from the plan", NO_GENERATOR),
        _own("requests", Unit.COUNT, Source.COUNT, "requests whose answer is known", PLANNED),
        _own("achieved_fraction", Unit.FRACTION, Source.GENERATOR, "sent of planned", NO_GENERATOR),
        _own("late_fraction", Unit.FRACTION, Source.GENERATOR, "sent more than 50 ms late", NO_GENERATOR),
        *(
            _own(f"send_error_{word}", Unit.SECONDS, Source.GENERATOR, f"{word} of send - plan", NO_GENERATOR, level)
            for word, level in LEVELS.items()
            if word in ("p50", "p99", "max")
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A log and the window whose requests count."""

    log: RequestLog
    window: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, log: RequestLog, scenario: Scenario) -> Measured:
        window = (log.scheduled_s >= scenario.warm_up_s) & (log.scheduled_s < scenario.duration_s)
        return cls(log=log, window=window)

    @cached_property
    def counts(self) -> IntArray:
        """Requests of the window by `Outcome`."""
        return np.bincount(self.log.outcome[self.window], minlength=len(Outcome))

    @cached_property
    def answered(self) -> int:
        """Requests of the window whose answer is known: what fractions are of."""
        return int(self.counts[list(ENDED)].sum())

    def latencies(self, source: Source) -> FloatArray:
        """Of the 200 answers of the window, seconds."""
        ok = self.window & (self.log.outcome == Outcome.OK)
        began = self.log.sent_s if source is Source.FROM_SEND else self.log.scheduled_s
        return np.asarray(self.log.finish_s[ok] - began[ok])

    def value(self, metric: Metric) -> float | None:
        """The metric of this log, None where there is nothing that it could be a number of."""
        if metric.source is Source.OUTCOMES:
            return float(self.counts[list(metric.outcomes)].sum() / self.answered) if self.answered else None
        if metric.source is Source.COUNT:
            return float(self.answered)
        if metric.source is Source.GENERATOR:
            return self._generator(metric)
        assert metric.level is not None
        return quantile(self.latencies(metric.source), metric.level)

    def _generator(self, metric: Metric) -> float | None:
        errors_s = send_errors(self.log)
        if metric.level is not None:
            return quantile(errors_s, metric.level)
        if metric.name == "achieved_fraction":
            return len(errors_s) / len(self.log) if len(self.log) else None
        return float(np.mean(errors_s > LATE_S)) if len(errors_s) else None

    def nothing(self, metric: Metric) -> str:
        """Why the metric has no value."""
        if metric.source in (Source.FROM_SEND, Source.FROM_SCHEDULE):
            return "no request that counts was answered 200"
        return "no request was sent" if metric.source is Source.GENERATOR else "no request that counts has an answer"
