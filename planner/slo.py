"""Is the promise kept? Decided by intervals, never by point estimates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from planner.measures import Measures
from planner.model import Estimate, Slo, Verdict, VerdictWord
from planner.percent import percent
from planner.promise import IGNORE, Failure, FailureBound, simulated_bounds

NAMES: Mapping[Failure, str] = {
    Failure.STATUS_503: "fraction of 503s",
    Failure.ANY: "fraction of failed requests (not answered 200)",
    Failure.STATUS_504: "fraction of 504s",
    Failure.NOT_503: "fraction of 504s",
}


@dataclass(frozen=True, kw_only=True)
class JudgedPart:
    """One part of a promise. says: the numbers, without the word. estimate_keeps: what the point estimate decides."""

    word: VerdictWord
    says: str
    estimate_keeps: bool

    @property
    def reason(self) -> str:
        return f"{self.says}: {_WORDS[self.word]}"


_WORDS = {VerdictWord.PASS: "kept", VerdictWord.FAIL: "broken", VerdictWord.UNDECIDED: "undecided"}


def judge(slo: Slo, measures: Measures) -> Verdict:
    """pass: every part of the promise holds over its whole interval; fail: one is broken over its whole interval."""
    return together(judged_parts(slo, measures))


def judged_parts(slo: Slo, measures: Measures) -> list[JudgedPart]:
    """Every part: the failed requests, the single runs, the latency."""
    parts = [judged_bound(b, measures.of(b.failure)) for b in simulated_bounds(slo, measures.has_504)]
    if slo.min_fraction_of_runs is not None and measures.fraction_of_runs_within_slo is not None:
        share = measures.fraction_of_runs_within_slo
        parts.append(at_least("share of runs that keep it", share, slo.min_fraction_of_runs))
    if slo.p99_latency_s is not None:
        parts.append(_latency(measures, slo.p99_latency_s))
    return parts


def together(parts: Sequence[JudgedPart]) -> Verdict:
    """The verdict on a promise of several parts: the worst of theirs, with all their reasons."""
    words = [part.word for part in parts]
    worst = next(w for w in (VerdictWord.FAIL, VerdictWord.UNDECIDED, VerdictWord.PASS) if w in words)
    return Verdict(word=worst, reasons=tuple(part.reason for part in parts))


def judged_bound(bound: FailureBound, estimate: Estimate) -> JudgedPart:
    """One bound on failed requests, held against the fraction that fails so."""
    if not bound.is_implied:
        return at_most(NAMES[bound.failure], estimate, bound.largest, percent)
    promised = f"not bounded by the slo, so held to its {percent(bound.largest)} for 503s ({IGNORE})"
    return at_most(NAMES[bound.failure], estimate, bound.largest, percent, promised)


def at_most(
    name: str, estimate: Estimate, bound: float, form: Callable[[float], str], promised: str | None = None
) -> JudgedPart:
    """One part: an estimate that must not exceed its bound. promised: the bound in words, if not the usual ones."""
    word = _word(estimate.high <= bound, estimate.low > bound)
    said = promised or f"promised at most {form(bound)}"
    return JudgedPart(word=word, says=_says(name, estimate, said, form), estimate_keeps=estimate.value <= bound)


def at_least(name: str, estimate: Estimate, bound: float) -> JudgedPart:
    """One part: a share that must not fall below its bound."""
    word = _word(estimate.low >= bound, estimate.high < bound)
    said = _says(name, estimate, f"promised at least {percent(bound)}", percent)
    return JudgedPart(word=word, says=said, estimate_keeps=estimate.value >= bound)


@dataclass(frozen=True, kw_only=True)
class NoAnswer(JudgedPart):
    """A promise on a latency that nothing has; its sentence needs no word."""

    word: VerdictWord = VerdictWord.FAIL
    says: str = "p99 latency: there was no 200 answer at all"
    estimate_keeps: bool = False

    @property
    def reason(self) -> str:
        return self.says


def _latency(measures: Measures, bound_s: float) -> JudgedPart:
    estimate = measures.latency_p99_with_504_s
    if estimate is None or measures.latency_p99_s is None:
        return NoAnswer()
    name = "p99 latency (a 504 is slower than any bound)" if measures.has_504 else "p99 latency"
    return at_most(name, estimate, bound_s, _seconds)


def _seconds(value_s: float) -> str:
    return f"{value_s:.3f} s" if math.isfinite(value_s) else "timed out"


def _word(kept: bool, broken: bool) -> VerdictWord:
    if kept:
        return VerdictWord.PASS
    return VerdictWord.FAIL if broken else VerdictWord.UNDECIDED


def _says(name: str, estimate: Estimate, promised: str, form: Callable[[float], str]) -> str:
    value, low, high = (form(x) for x in (estimate.value, estimate.low, estimate.high))
    known = "the same in every run of this seed" if estimate.exact else f"{low} to {high}"
    return f"{name} {value} ({known}), {promised}"
