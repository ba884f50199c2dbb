"""From a search to a plan: the recommended setting, its neighbours, the frontier, and why nothing else was taken."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.measures import fraction, mean, share_of_runs
from planner.model import Estimate, Slo, Verdict, VerdictWord
from planner.percent import percent
from planner.plan.assessment import cheaper_bound_s
from planner.plan.confirmation import Confirmation
from planner.plan.judgement import judge_runs, worst_reason
from planner.plan.neighbours import Neighbours
from planner.plan.search import Found, Stopped, least_cost_s
from planner.plan.settings import Setting
from planner.plan.tally import Runs
from planner.promise import Failure, main_bound, runs_within


class PlanWord(StrEnum):
    """feasible: the recommended setting keeps the promise. infeasible: nothing searched does. undecided: neither."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNDECIDED = "undecided"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One simulated setting as a plan shows it. Cost in replica-hours of one run."""

    setting: Setting
    fraction_503: Estimate
    fraction_504: Estimate
    fraction_failed: Estimate
    fraction_of_runs: Estimate | None
    latency_p99_s: Estimate | None
    latency_p99_with_504_s: Estimate | None
    mean_replicas: Estimate | None
    replica_hours: Estimate
    verdict: Verdict
    reason: str
    is_fresh: bool

    @property
    def replications(self) -> int:
        return self.fraction_503.replications


@dataclass(frozen=True, kw_only=True)
class Rejected:
    setting: Setting
    by: str
    reason: str


def recommended(found: Found) -> tuple[PlanWord, Entry | None]:
    """The setting to apply, by its fresh runs; None where nothing keeps the promise or nobody knows."""
    if found.best is None:
        close = [c for c in found.confirmations if c.verdict.word is VerdictWord.UNDECIDED]
        if close:
            return PlanWord.UNDECIDED, _confirmed(found, min(close, key=lambda c: c.measures.replica_hours.value))
        return (PlanWord.INFEASIBLE if found.is_hopeless else PlanWord.UNDECIDED), None
    last = found.confirmations[-1] if found.confirmations else None
    if last is None or last.setting != found.best:
        return PlanWord.UNDECIDED, entry(found, found.best)
    word = PlanWord.FEASIBLE if last.holds else PlanWord.UNDECIDED
    return word, _confirmed(found, last)


def _confirmed(found: Found, confirmation: Confirmation) -> Entry:
    measures = confirmation.measures
    return Entry(
        setting=_least_max(found, confirmation),
        fraction_503=measures.fraction_503,
        fraction_504=measures.fraction_504,
        fraction_failed=measures.fraction_failed,
        fraction_of_runs=measures.fraction_of_runs_within_slo,
        latency_p99_s=measures.latency_p99_s,
        latency_p99_with_504_s=measures.latency_p99_with_504_s,
        mean_replicas=measures.mean_replicas,
        replica_hours=measures.replica_hours,
        verdict=confirmation.verdict,
        reason="; ".join(confirmation.verdict.reasons),
        is_fresh=True,
    )


def _least_max(found: Found, confirmation: Confirmation) -> Setting:
    """Of all max_replicas with exactly these runs the lowest: it reserves the least."""
    setting = confirmation.setting
    peak = max(confirmation.peak_unclamped, int(found.pool.runs(setting).peak_unclamped.max()))
    same = [
        s
        for s in found.space.settings
        if dataclasses.replace(s, max_replicas=setting.max_replicas) == setting
        and max(peak, s.min_replicas) <= s.max_replicas <= setting.max_replicas
        and s.min_replicas < s.max_replicas
    ]
    return min(same, key=lambda s: s.max_replicas, default=setting)


def entry(found: Found, setting: Setting, reason: str | None = None) -> Entry:
    """A setting by the runs of the search."""
    runs = found.pool.runs(setting)
    slo, exact = found.slo, runs.exact
    verdict = judge_runs(slo, runs)
    return Entry(
        setting=setting,
        fraction_503=fraction(runs.n_503, runs.n, exact=exact),
        fraction_504=fraction(runs.n_504, runs.n, exact=exact),
        fraction_failed=fraction(runs.n_503 + runs.n_504, runs.n, exact=exact),
        fraction_of_runs=share_of_runs(runs_within(slo, runs), exact=exact),
        latency_p99_s=None,
        latency_p99_with_504_s=None,
        mean_replicas=None,
        replica_hours=mean(runs.paid_s / 3600, exact=exact),
        verdict=verdict,
        reason=reason or "; ".join(verdict.reasons),
        is_fresh=False,
    )


NEIGHBOUR_RUNS = 100
NEIGHBOUR_REQUESTS = 3e7
"""Runs of each neighbour, or as many as make so many requests together: a reader asks first why not one less."""


def look_at_neighbours(found: Found) -> None:
    """Simulate the neighbours of the recommended setting often enough to say what they are worth."""
    _, best = recommended(found)
    if best is None:
        return
    near = Neighbours(found.space.settings).of(best.setting)
    affordable = NEIGHBOUR_REQUESTS / max(1.0, len(near) * found.scenario.arrivals.expected_count)
    runs = int(min(NEIGHBOUR_RUNS, max(2.0, affordable)))
    found.pool.extend([(setting, max(runs, found.pool.count(setting))) for setting in near])


def neighbours(found: Found, best: Entry) -> list[Entry]:
    """The settings one step away that were simulated, each with why it was not taken."""
    near = Neighbours(found.space.settings).of(best.setting)
    return [compared(found, setting, best) for setting in near if setting in found.pool and setting != found.best]


def compared(found: Found, setting: Setting, best: Entry | None) -> Entry:
    """A simulated setting, and why not it."""
    made = entry(found, setting)
    if best is None:
        return made
    return dataclasses.replace(made, reason=why_not(found, made, best))


def why_not(found: Found, other: Entry, best: Entry) -> str:
    """One sentence with the numbers."""
    here, there = best.replica_hours.value, other.replica_hours.value
    more = "more" if there > here else "less"
    by = percent(abs(there / here - 1)) if here > 0 else f"{there:.4g} replica-hours"
    price = f"costs {by} {more} ({there:.4g} against {here:.4g} replica-hours)"
    if other.verdict.word is VerdictWord.PASS:
        if there > here:
            return f"keeps the promise, but {price}"
        if found.over_worlds:
            return f"keeps the promise with every input at its mid and {price}; the plan is for all worlds"
        within = there >= cheaper_bound_s(here, found.scenario.duration_s / 3600)
        return f"keeps the promise in the runs of the search and {price}" + (
            ", which is within the tolerance" if within else ""
        )
    return f"{worst_reason(found.slo, found.pool.runs(other.setting))}; {price}"


def frontier(found: Found) -> list[Setting]:
    """Simulated settings to which none is both cheaper and better by the main bound, the cheapest first."""
    rows = []
    for setting in found.pool.settings:
        runs = found.pool.runs(setting)
        rows.append((float(runs.paid_s.mean()), _main_fraction(found.slo, runs), setting))
    chosen: list[Setting] = []
    least = math.inf
    for _, value, setting in sorted(rows):
        if value < least:
            least = value
            chosen.append(setting)
    return chosen


def _main_fraction(slo: Slo, runs: Runs) -> float:
    """Of the requests that fail as the promise's main bound counts them, in one setting's runs."""
    return float(main_bound(slo).simulated_hits(runs).sum() / max(runs.n.sum(), 1.0))


def rejected(found: Found, best: Entry | None) -> Iterator[Rejected]:
    """Every setting that was searched and not taken, with its reason."""
    same = found.pool.same_runs(found.space.settings)
    autoscaler = found.scenario.deployment.autoscaler
    screened = _screened(found, best)
    for setting in found.space.settings:
        if best is not None and setting == best.setting:
            continue
        if best is not None and setting == found.best:  # the same but for a max_replicas that is never reached
            reason = f"its runs are those of {best.setting.text(autoscaler)}: no tick wanted more replicas"
            yield Rejected(setting=setting, by="same_runs", reason=reason)
        elif setting in found.pool:
            yield Rejected(setting=setting, by="simulation", reason=compared(found, setting, best).reason)
        elif setting in same:
            reason = f"its runs are those of {same[setting].text(autoscaler)}: no tick wanted more replicas"
            yield Rejected(setting=setting, by="same_runs", reason=reason)
        elif setting in screened:
            yield screened[setting]
        else:
            yield _too_dear(found, setting, best)


def _too_dear(found: Found, setting: Setting, best: Entry | None) -> Rejected:
    least = least_cost_s(setting, found.scenario) / 3600
    than = (
        ""
        if best is None or found.over_worlds
        else f", no less than the {best.replica_hours.value:.4g} of the recommended setting"
    )
    count = setting.min_replicas
    return Rejected(
        setting=setting,
        by="bound",
        reason=f"its minimum of {count} alone costs {least:.4g} replica-hours{than}",
    )


def _chance(probability: float) -> str:
    return f"a chance of {percent(probability)}" if probability >= 1e-4 else "a chance below 0.01 %"


def _screened(found: Found, best: Entry | None) -> dict[Setting, Rejected]:
    """What the surrogate says of each setting that nobody has simulated."""
    guesses = found.guesses
    if guesses is None:
        return {}
    fraction_of, log_cost = guesses.parts[0], guesses.log_cost
    spread = np.array([-1.96, 0.0, 1.96])[:, None]
    main = main_bound(found.slo)
    what = "503s" if main.failure is Failure.STATUS_503 else "failed requests"
    fractions = main.largest * np.exp(fraction_of.mean + spread * fraction_of.sd)
    hours = np.exp(log_cost.mean + spread * log_cost.sd) / 3600
    limit_s = math.inf
    if best is not None:
        limit_s = cheaper_bound_s(best.replica_hours.value * 3600, found.scenario.duration_s)
    aim = "keeps the promise" if best is None else "keeps the promise and is cheaper by more than the tolerance"
    is_done = found.stopped is Stopped.DECIDED
    rows = zip(guesses.settings, np.minimum(fractions, 1.0).T, hours.T, guesses.likely(limit_s), strict=True)
    return {
        setting: Rejected(
            setting=setting,
            by="screening" if is_done else "budget",
            reason=(
                f"guessed from {len(found.pool.settings)} simulated settings: {what} {percent(float(f[1]))} "
                f"({percent(float(f[0]))} to {percent(float(f[2]))}), {h[1]:.4g} replica-hours ({h[0]:.4g} to "
                f"{h[2]:.4g}); {_chance(float(chance))} that it {aim}"
                f"{'' if is_done else ', not looked into before the search ended'}"
            ),
        )
        for setting, f, h, chance in rows
    }


@dataclass(frozen=True, kw_only=True)
class Map:
    """The fraction of the promise's main bound over min and target at one max_replicas, simulated or guessed; rows by
    min."""

    max_replicas: int
    min_replicas: list[int]
    target_percent: list[int]
    failure: Failure
    fractions: list[list[float | None]]
    simulated: list[list[bool]]


def heat_map(found: Found, center: Setting) -> Map | None:
    """At its max_replicas, or the next that is searched with more than one min. None without guesses, under `fixed`."""
    alike = [
        s
        for s in found.space.settings
        if (s.max_concurrent, s.worker_count) == (center.max_concurrent, center.worker_count)
        and s.min_replicas < s.max_replicas
    ]
    if found.guesses is None or not alike:
        return None
    maxima = sorted({s.max_replicas for s in alike})
    at = next((m for m in maxima if m >= center.max_replicas), maxima[-1])
    cut = [s for s in alike if s.max_replicas == at]
    minima, targets = sorted({s.min_replicas for s in cut}), sorted({s.target_percent for s in cut})
    guess = found.guesses.surrogates[0].guess(np.array([found.coordinates[s] for s in cut]))
    values: dict[tuple[int, int], tuple[float, bool]] = {}
    same = found.pool.same_runs(cut)
    for i, s in enumerate(cut):
        known = s if s in found.pool else same.get(s)
        if known is None:
            values[s.min_replicas, s.target_percent] = (
                min(1.0, main_bound(found.slo).largest * math.exp(float(guess.mean[i]))),
                False,
            )
        else:
            runs = found.pool.runs(known)
            values[s.min_replicas, s.target_percent] = _main_fraction(found.slo, runs), True
    return Map(
        max_replicas=at,
        min_replicas=minima,
        target_percent=targets,
        failure=main_bound(found.slo).failure,
        fractions=[[values.get((m, t), (None, False))[0] for t in targets] for m in minima],
        simulated=[[values.get((m, t), (None, False))[1] for t in targets] for m in minima],
    )
