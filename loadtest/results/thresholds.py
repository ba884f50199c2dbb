"""Failure conditions that a user puts on a run (`--fail-if 'fraction_503 > 0.1%'`), and how a run does by them.

A threshold judges this one run. A run that is valid and meets a failure condition ends with exit code 1. A threshold on
nothing (a latency without a single 200 answer) is not kept and not broken: exit code 3.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.replay.merge import Observed
from loadtest.results.metrics import METRICS, Measured, Metric, Unit
from planner import units
from planner.documents import estimate_document
from planner.errors import InputError
from planner.model import Estimate
from planner.percent import percent
from planner.scenario import Scenario

EXIT_FAILED, EXIT_NO_VERDICT = 1, 3

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_TEXT = re.compile(r"\s*([A-Za-z][\w.]*)\s*(>=|<=|>|<)\s*([^<>=\s](?:.*\S)?)\s*", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,18}")
_REAL = re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+)(e[-+]?\d{1,3})?", re.IGNORECASE)

_READERS: dict[Unit, Callable[[object], float]] = {
    Unit.FRACTION: units.fraction,
    Unit.SECONDS: units.seconds,
    Unit.COUNT: units.count(least=0),
}
_FORMS = {Unit.FRACTION: "0.001 or 0.1%", Unit.SECONDS: "2s or 500ms", Unit.COUNT: "1000"}


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A failure condition: the run fails if the metric is on that side of the bound (SI units)."""

    text: str
    metric: Metric
    operator: str
    bound: float

    def is_failed_by(self, value: float) -> bool:
        return OPERATORS[self.operator](value, self.bound)


@dataclass(frozen=True, kw_only=True)
class PredictedShare:
    """The share of simulated runs that would fail, or why there is none; `why` beside a share limits what it says."""

    share: Estimate | None
    why: str | None = None


NOT_SIMULATED = PredictedShare(share=None, why="no run was simulated")


@dataclass(frozen=True, kw_only=True)
class JudgedThreshold:
    """value and failed are None where there was nothing to judge, and `undefined` says why."""

    threshold: Threshold
    value: float | None
    failed: bool | None
    undefined: str | None
    predicted: PredictedShare


def parse_threshold(text: str, option: str = "--fail-if") -> Threshold:
    """Read `METRIC OPERATOR VALUE`, a failure condition. InputError with the bound that was broken."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InputError(
            f"{option} {text!r}: must be METRIC, one of > >= < <=, VALUE, for example 'fraction_503 > 0.1%' "
            "(the condition under which the run fails)"
        )
    name, sign, value = match.groups()
    metric = _metric(name, f"{option} {text!r}")
    try:
        bound = _READERS[metric.unit](_scalar(value))
    except ValueError as error:
        raise InputError(
            f"{option} {text!r}: {name} is a {metric.unit}, such as {_FORMS[metric.unit]}; {value} {error}"
        ) from None
    if problem := _vacuous(metric, sign, bound):
        raise InputError(f"{option} {text!r}: {problem}")
    return Threshold(text=f"{metric.name} {sign} {value}", metric=metric, operator=sign, bound=bound)


def _metric(name: str, where: str) -> Metric:
    known = re.sub(r"p99\.9$", "p999", name)
    if known not in METRICS:
        near = difflib.get_close_matches(known, METRICS, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise InputError(f"{where}: {name} is an unknown metric{hint} There are {', '.join(METRICS)}.")
    return METRICS[known]


def _scalar(text: str) -> object:
    """Text as a scenario file would read the word: a number where it is one."""
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text


def _vacuous(metric: Metric, sign: str, bound: float) -> str | None:
    """Why the condition would hold for every run or for none: a slip that would pass unseen in CI."""
    if (sign, bound) == ("<", 0):
        return f"{metric.name} is never below 0, so no run could fail"
    if (sign, bound) == (">=", 0):
        return f"{metric.name} is never below 0, so every run would fail"
    if metric.unit is Unit.FRACTION and bound == 1:
        if sign == ">":
            return f"{metric.name} is never above 100%, so no run could fail; did you mean 1%?"
        if sign == "<=":
            return f"{metric.name} is never above 100%, so every run would fail; did you mean 1%?"
    return None


def judge(
    thresholds: Sequence[Threshold],
    run: Observed,
    scenario: Scenario,
    predicted: Sequence[PredictedShare] | None = None,
) -> list[JudgedThreshold]:
    """Hold one run against each threshold. predicted: of `predict_shares`, in the same order."""
    measured = Measured.of(run.log, scenario)
    shares = [NOT_SIMULATED] * len(thresholds) if predicted is None else predicted
    judged = []
    for threshold, share in zip(thresholds, shares, strict=True):
        value = measured.value(threshold.metric)
        judged.append(
            JudgedThreshold(
                threshold=threshold,
                value=value,
                failed=None if value is None else threshold.is_failed_by(value),
                undefined=None if value is not None else measured.nothing(threshold.metric),
                predicted=share,
            )
        )
    return judged


def exit_code(judged: Sequence[JudgedThreshold], so_far: int) -> int:
    """The command's exit code: thresholds count only where the run itself ended well (so_far = 0)."""
    if so_far != 0:
        return so_far
    if any(j.failed for j in judged):
        return EXIT_FAILED
    return EXIT_NO_VERDICT if any(j.undefined for j in judged) else 0


def thresholds_document(judged: Sequence[JudgedThreshold]) -> list[dict[str, Any]]:
    return [
        {
            "threshold": j.threshold.text,
            "metric": j.threshold.metric.name,
            "operator": j.threshold.operator,
            "bound": j.threshold.bound,
            "value": j.value,
            "failed": j.failed,
            "undefined": j.undefined,
            "predicted_share_failing": estimate_document(j.predicted.share),
            "why": j.predicted.why,
        }
        for j in judged
    ]


def sentence(judged: JudgedThreshold) -> str:
    """`fraction_503 was 0.4 %, fails if > 0.1%: failed. 12 % of simulated runs would fail (95 % interval …).`"""
    return f"{result_sentence(judged)} {share_sentence(judged.predicted)}"


def result_sentence(judged: JudgedThreshold) -> str:
    threshold = judged.threshold
    bound = f"{threshold.operator} {form(threshold.metric, threshold.bound)}"
    if judged.value is None:
        return f"{threshold.metric.name} cannot be judged, fails if {bound}: {judged.undefined}."
    word = "failed" if judged.failed else "kept"
    return f"{threshold.metric.name} was {form(threshold.metric, judged.value)}, fails if {bound}: {word}."


def share_sentence(predicted: PredictedShare) -> str:
    share = predicted.share
    if share is None:
        return f"No predicted share of runs: {predicted.why}."
    limit = f"; {predicted.why}" if predicted.why else ""
    if share.exact:
        return f"{percent(share.value)} of simulated runs would fail (exactly: every run is the same{limit})."
    return (
        f"{percent(share.value)} of simulated runs would fail ({share.confidence:.0%} interval "
        f"{percent(share.low)} to {percent(share.high)}, {share.replications} runs{limit})."
    )


def form(metric: Metric, value: float) -> str:
    """A metric's value with its unit."""
    if metric.unit is Unit.FRACTION:
        return percent(value)
    if metric.unit is Unit.COUNT:
        return f"{value:.0f}"
    return f"{value:.4g} s" if value >= 1 else f"{value * 1e3:.4g} ms"
