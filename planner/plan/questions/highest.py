"""How much burst fits: the highest multiple of the traffic, or of its spike, at which the promise is still kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from planner.arrivals import Recorded
from planner.errors import InputError, NoVerdictError
from planner.model import Autoscaler
from planner.plan.questions.bench import FEWEST_RUNS, MOST_REQUESTS, Bench, Trial
from planner.plan.questions.scaled import Scale, base_rps, scaled_spike, scaled_traffic
from planner.plan.questions.words import failures, times
from planner.rates import LARGEST_RATE_RPS
from planner.scenario import Scenario

PRECISION = 1.02
"""Ratio of the two ends of the bracket."""

LARGEST_FACTOR, SMALLEST_FACTOR = 1000.0, 1e-3

ALWAYS_TRIED = 4.0
"""However many requests that makes."""

TYPICAL_TRIALS = 10


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """A way to make more of a scenario's traffic. what: `the traffic` or `the spike`."""

    what: str
    scaled: Callable[[float], Scenario]
    limit: float


@dataclass(kw_only=True)
class Bracket:
    """reason: why one of its ends is missing. stopped: why its two ends are far apart."""

    survives: Trial | None = None
    fails: Trial | None = None
    tried: int = 1
    reason: str | None = None
    stopped: str | None = None

    def add(self, trial: Trial) -> None:
        if trial.kept:
            self.survives = trial
        else:
            self.fails = trial


def highest_rate(own: Trial, scenario: Scenario, bench: Bench, scale: Scale) -> dict[str, Any]:
    """For the whole traffic. own: the scenario's own."""
    limit = _limit(scenario, 0.0, own)
    scaling = Scaling(what="the traffic", scaled=lambda f: scaled_traffic(scenario, f, scale), limit=limit)
    return _document(_bracket(own, scaling, scenario, bench), scaling, scenario)


def highest_spike(own: Trial, scenario: Scenario, bench: Bench) -> dict[str, Any]:
    """For what lies above the base rate alone."""
    base = base_rps(scenario)
    if base is None:
        return unanswered("A recorded trace has no rate that its spike could be told from.")
    if not scaled_spike(scenario, 2.0).arrivals.expected_count > scenario.arrivals.expected_count:
        return unanswered(f"There is no spike: never more than {_short(base)} requests per second.", base)
    unscaled = scaled_spike(scenario, 0.0).arrivals.expected_count if base > 0 else 0.0
    limit = _limit(scenario, unscaled, own)
    what = f"the spike above {_short(base)} requests per second"
    scaling = Scaling(what=what, scaled=lambda f: scaled_spike(scenario, f), limit=limit)
    return _document(_bracket(own, scaling, scenario, bench), scaling, scenario, base)


def unanswered(reason: str, base: float | None = None) -> dict[str, Any]:
    return {
        "survives": None,
        "fails": None,
        "base_rps": base,
        "tried": 0,
        "reason": reason,
        "sentence": reason,
        "caveat": None,
    }


def _limit(scenario: Scenario, unscaled: float, own: Trial) -> float:
    """The largest factor worth a try: of bounded work, and a rate that is supported. unscaled: requests that stay."""
    scaled = max(scenario.arrivals.expected_count - unscaled, 1e-9)
    affordable = (MOST_REQUESTS / FEWEST_RUNS - unscaled) / scaled
    rate = math.inf if isinstance(scenario.arrivals, Recorded) else LARGEST_RATE_RPS / own.peak_rps
    return max(1.0, min(LARGEST_FACTOR, rate, max(affordable, ALWAYS_TRIED)))


def _bracket(own: Trial, scaling: Scaling, scenario: Scenario, bench: Bench) -> Bracket:
    """Doubled or halved until the promise turns, then bisected on the logarithm."""
    found = Bracket()
    found.add(own)

    def tried(factor: float) -> Trial:
        made = scaling.scaled(factor)
        runs = bench.affordable(made, TYPICAL_TRIALS)
        trial = bench.judged(made, runs, f"{scaling.what.split(' above ')[0]} {times(factor)}", factor)
        found.tried += 1
        found.add(trial)
        return trial

    step, end = (2.0, scaling.limit) if own.kept else (0.5, SMALLEST_FACTOR)
    edge = own
    while edge.kept == own.kept:
        if edge.factor == end:
            found.reason = _unbounded(edge, scaling)
            return found
        try:
            edge = tried(min(edge.factor * step, end) if own.kept else max(edge.factor * step, end))
        except (InputError, NoVerdictError) as stopped:
            found.reason = f"{_unbounded(edge, scaling)} No further: {stopped}."
            return found
    assert found.survives is not None
    assert found.fails is not None
    while found.fails.factor > PRECISION * found.survives.factor:
        factor = _round(math.sqrt(found.survives.factor * found.fails.factor))
        try:
            tried(factor)
        except (InputError, NoVerdictError) as stopped:
            found.stopped = f"Between the two nothing could be told: {times(factor)} {scaling.what} gives {stopped}."
            return found
    return found


def _round(factor: float) -> float:
    return float(f"{factor:.4g}")


def _unbounded(edge: Trial, scaling: Scaling) -> str:
    if edge.kept:
        return f"Nothing fails up to {_said(edge, scaling.what)}."
    return f"The promise is broken even at {_said(edge, scaling.what)}: {edge.broken}."


def _document(found: Bracket, scaling: Scaling, scenario: Scenario, base: float | None = None) -> dict[str, Any]:
    return {
        "survives": None if found.survives is None else found.survives.document(),
        "fails": None if found.fails is None else found.fails.document(),
        "base_rps": base,
        "tried": found.tried,
        "reason": found.reason,
        "sentence": found.reason or _sentence(found, scaling.what),
        "caveat": _caveat(found, scenario),
    }


def _sentence(found: Bracket, what: str) -> str:
    survives, fails = found.survives, found.fails
    assert survives is not None
    assert fails is not None
    start = "These settings keep the promise up to"
    if fails.factor <= 1:
        start = "These settings break the promise at the scenario's own traffic already; they keep it up to"
    return (
        f"{start} {_said(survives, what)}, with {failures(survives.measures)}; at "
        f"{times(fails.factor)} ({_short(fails.peak_rps)}) no longer: {fails.broken}."
    )


def _said(trial: Trial, what: str) -> str:
    return f"{times(trial.factor)} {what} ({_short(trial.peak_rps)} requests per second at the busiest)"


def _short(rate_rps: float) -> str:
    """Four digits, and no exponent."""
    return np.format_float_positional(rate_rps, precision=4, fractional=False, trim="-")


def _caveat(found: Bracket, scenario: Scenario) -> str | None:
    sentences = [] if found.stopped is None else [found.stopped]
    uncertain = [t for t in (found.survives, found.fails) if t is not None and not t.is_certain]
    if uncertain:
        factors = " and ".join(times(trial.factor) for trial in uncertain)
        sentences.append(f"At {factors} the interval holds the promised value, and the estimate decides.")
    deployment = scenario.deployment
    scales = deployment.autoscaler is not Autoscaler.FIXED and deployment.min_replicas < deployment.max_replicas
    if scales and found.survives is not None and found.fails is not None:
        sentences.append(
            "Under an autoscaler more traffic may also do less harm (it scales up in advance): this is the first "
            "failure found above a factor that is kept; others may be kept or broken in between or beyond."
        )
    return " ".join(sentences) or None
