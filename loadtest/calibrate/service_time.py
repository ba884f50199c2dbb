"""The service time: mean, CV and distribution of the times in the worker that the answers 200 tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from loadtest.calibrate.evidence import Evidence
from loadtest.calibrate.families import choose, family_of, kept_values, made
from loadtest.calibrate.finding import Finding, Part, unknown
from loadtest.validate.comparison import SERVICE_TIME_RESOLUTION
from loadtest.validate.resampling import Interval, mean_and_cv, ratio
from planner.model import FloatArray, IntArray, Outcome
from planner.percent import percent
from planner.scenario import Scenario
from planner.scenario_file.retiming import duration_text
from planner.service import Distribution, FromTrace, ServiceTime

FEWEST = 30
"""Answers that an interval needs."""

MOST_CENSORED = 0.01
"""Of the requests that ran: with more cut off by the scoring timeout, the mean of the others is too low to be used."""

SOURCE = "x-ms-run-fn-exec-ms of the answers 200"
VALUES_COLUMN = "service_time_s"


def measure(evidence: Evidence, values_file: str) -> Part:
    """values_file: where measured times would go, as the new scenario file names it."""
    before = evidence.scenario.service_time
    answered = evidence.answered
    if answered.sum() < FEWEST:
        why = f"{int(answered.sum())} answers tell their time in the worker, an interval needs {FEWEST}."
        return Part(name="service_time", findings=_unknown(before, why, int(answered.sum())))
    order = np.argsort(evidence.log.sent_s[answered], kind="stable")
    times_s = evidence.log.service_time_s[answered][order]
    if isinstance(before, FromTrace):
        return _of_a_trace(evidence, before, times_s, np.flatnonzero(answered)[order])
    mean, cv = mean_and_cv(times_s)
    cut_off, why = _censored(evidence, len(times_s), mean.value)
    if cut_off > MOST_CENSORED:
        return Part(name="service_time", findings=_unknown(before, why, len(times_s)), warnings=(why,))
    findings = _findings(evidence, before, times_s, mean, cv, why)
    warnings = (why,) if cut_off else ()
    if not any(finding.changed for finding in findings):
        return Part(name="service_time", findings=findings, warnings=warnings)
    new_mean, new_cv, family = (finding.after for finding in findings)
    return _changed(findings, float(new_mean or 0), float(new_cv or 0), str(family), times_s, values_file, warnings)


def _findings(
    evidence: Evidence, before: Distribution, times_s: FloatArray, mean: Interval, cv: Interval, why: str
) -> tuple[Finding, ...]:
    """Mean, CV and distribution, in this order."""
    fit, fits = choose(times_s, cv.low <= 1 <= cv.high, before)
    same_family = fit.family == family_of(before)
    new_mean = before.mean_s if same_family and _close(mean, before.mean_s) else mean.value
    new_cv = before.cv if same_family and (cv.holds(before.cv) or before.cv == 0) else cv.value
    if fit.family in ("deterministic", "exponential"):
        new_cv = 0.0 if fit.family == "deterministic" else 1.0
    shapes = ", ".join(f"{f.family} p = {f.p_value:.3g}" for f in fits) or f"its CV is {cv.value:.3g}"
    return (
        _finding("service_time.mean", before.mean_s, new_mean, mean, "s", len(times_s), why),
        _finding("service_time.cv", before.cv, new_cv, cv, None, len(times_s), _selection(evidence)),
        Finding(
            setting="service_time.distribution",
            before=family_of(before),
            after=fit.family,
            unit=None,
            identified=True,
            n=len(times_s),
            measured_from=SOURCE,
            why=f"Kolmogorov-Smirnov, parameters fitted: {shapes}; rejected below p = 0.01.",
        ),
    )


def _changed(
    findings: tuple[Finding, ...],
    new_mean: float,
    new_cv: float,
    family: str,
    times_s: FloatArray,
    values_file: str,
    warnings: tuple[str, ...],
) -> Part:
    values_s = kept_values(times_s) if family == "empirical" else ()
    if family == "empirical":
        override: dict[str, Any] = {"distribution": "empirical", "file": values_file, "column": VALUES_COLUMN}
    else:
        override = {"distribution": family, "mean": duration_text(new_mean)}
        override |= {"cv": round(new_cv, 6)} if family in ("lognormal", "gamma") else {}
        new_mean, new_cv = round(new_mean, 9), round(new_cv, 6)
    distribution = made(family, new_mean, new_cv, values_s)
    return Part(
        name="service_time",
        findings=findings,
        overrides={"service_time": override},
        apply=lambda scenario: replace(scenario, service_time=distribution),
        values_s=values_s,
        warnings=warnings,
    )


def _finding(setting: str, before: float, after: float, seen: Interval, unit: str | None, n: int, why: str) -> Finding:
    return Finding(
        setting=setting,
        before=before,
        after=after,
        low=seen.low,
        high=seen.high,
        unit=unit,
        identified=True,
        n=n,
        measured_from=SOURCE,
        why=why,
    )


def _close(seen: Interval, before_s: float) -> bool:
    """Inside the interval, or nearer than times can be measured."""
    return seen.holds(before_s) or abs(seen.value - before_s) <= SERVICE_TIME_RESOLUTION * before_s


def _unknown(before: ServiceTime, why: str, n: int) -> tuple[Finding, ...]:
    if isinstance(before, FromTrace):
        return (unknown("service_time.factor", 1.0, None, SOURCE, why, n),)
    return (
        unknown("service_time.mean", before.mean_s, "s", SOURCE, why, n),
        unknown("service_time.cv", before.cv, None, SOURCE, why, n),
        unknown("service_time.distribution", family_of(before), None, SOURCE, why, n),
    )


def _censored(evidence: Evidence, n: int, mean_s: float) -> tuple[float, str]:
    """The share of the requests that ran whose time was cut off, and what it means for the mean."""
    outcome = evidence.log.outcome
    n_504 = int(np.sum(outcome == Outcome.STATUS_504))
    at_stop = int(np.sum((outcome == Outcome.IN_FLIGHT_AT_STOP) | (outcome == Outcome.UNRESOLVED)))
    if not n_504 and not at_stop:
        return 0.0, "No answer was cut off."
    deployment = evidence.scenario.deployment
    share = (n_504 + at_stop) / (n + n_504 + at_stop)
    sentence = f"{n_504} of {n + n_504 + at_stop} were cut off by the scoring timeout, {at_stop} by the end"
    if n_504 and deployment.max_concurrent_requests <= deployment.worker_count:
        longer_s = deployment.scoring_timeout_s - deployment.router_overhead_s
        least_s = ((n + at_stop) * mean_s + n_504 * longer_s) / (n + n_504 + at_stop)
        sentence += f"; a 504 ran for more than {longer_s:.3g} s, so the mean is at least {least_s:.3g} s"
    if share > MOST_CENSORED:
        sentence += f"; more than {percent(MOST_CENSORED)} were, so the times of the others are too short to be used"
    return share, sentence + "."


def _selection(evidence: Evidence) -> str:
    n_503 = int(np.sum(evidence.log.outcome == Outcome.STATUS_503))
    if not n_503:
        return "Every request ran."
    return f"{n_503} requests got 503 and never ran; who gets one does not depend on its service time."


def _of_a_trace(evidence: Evidence, before: FromTrace, times_s: FloatArray, rows: IntArray) -> Part:
    """One factor for all times of the trace: what it says of each request is kept."""
    if len(before.times_s) <= rows.max():
        why = f"The trace has {len(before.times_s)} requests, the run at least {int(rows.max()) + 1}."
        return Part(name="service_time", findings=_unknown(before, why, len(times_s)))
    if not before.times_s[rows].any():
        why = "The trace's own times are 0 s for every answer, and no factor changes that."
        return Part(name="service_time", findings=_unknown(before, why, len(times_s)))
    seen = ratio(times_s, before.times_s[rows])
    seen = replace(seen, low=max(0.0, seen.low))
    cut_off, why = _censored(evidence, len(times_s), float(times_s.mean()))
    tokens = (evidence.document.get("service_time") or {}) if before.source == "tokens" else {}
    can_scale = isinstance(tokens, dict) and "tokens" in tokens
    if cut_off > MOST_CENSORED or _close(seen, 1.0):
        factor = 1.0
    elif not can_scale:
        factor = 1.0
        why = f"Kept: the trace's own times, which no key can scale; the run's are {seen.value:.3f} times as long."
    else:
        factor = round(seen.value, 6)
    finding = _finding("service_time.factor", 1.0, factor, seen, None, len(times_s), why)
    warnings = (why,) if cut_off or why.startswith("Kept") else ()
    if cut_off > MOST_CENSORED:
        finding = replace(finding, identified=False, low=None, high=None)
    if factor == 1.0:
        return Part(name="service_time", findings=(finding,), warnings=warnings)
    from planner import units

    scaled = {name: duration_text(units.seconds(value) * factor) for name, value in tokens["tokens"].items()}

    def apply(scenario: Scenario) -> Scenario:
        assert isinstance(scenario.service_time, FromTrace)
        times = scenario.service_time.times_s * factor
        return replace(scenario, service_time=FromTrace(times, scenario.service_time.source))

    return Part(
        name="service_time",
        findings=(finding,),
        overrides={"service_time": {"tokens": scaled}},
        apply=apply,
        warnings=warnings,
    )
