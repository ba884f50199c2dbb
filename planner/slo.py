"""Is the promise kept? Decided by intervals, never by point estimates."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from planner.measures import Measures
from planner.model import Estimate, Slo, Verdict, VerdictWord
from planner.percent import percent


def judge(slo: Slo, measures: Measures) -> Verdict:
    """pass: every part of the promise holds over its whole interval; fail: one is broken over its whole interval."""
    parts = [at_most("fraction of 503s", measures.fraction_503, slo.max_fraction_503, percent)]
    if slo.min_fraction_of_runs is not None and measures.fraction_of_runs_within_slo is not None:
        share = measures.fraction_of_runs_within_slo
        parts.append(at_least("share of runs that keep it", share, slo.min_fraction_of_runs))
    if slo.p99_latency_s is not None:
        parts.append(_latency(measures.latency_p99_s, slo.p99_latency_s))
    return together(parts)


def together(parts: Sequence[tuple[VerdictWord, str]]) -> Verdict:
    """The verdict on a promise of several parts: the worst of theirs, with all their reasons."""
    words = [word for word, _ in parts]
    worst = next(w for w in (VerdictWord.FAIL, VerdictWord.UNDECIDED, VerdictWord.PASS) if w in words)
    return Verdict(word=worst, reasons=tuple(reason for _, reason in parts))


def at_most(name: str, estimate: Estimate, bound: float, form: Callable[[float], str]) -> tuple[VerdictWord, str]:
    """One part: an estimate that must not exceed its bound; its word and the sentence that carries it."""
    word = _word(estimate.high <= bound, estimate.low > bound)
    return word, _sentence(name, estimate, f"at most {form(bound)}", form, word)


def at_least(name: str, estimate: Estimate, bound: float) -> tuple[VerdictWord, str]:
    """One part: a share that must not fall below its bound."""
    word = _word(estimate.low >= bound, estimate.high < bound)
    return word, _sentence(name, estimate, f"at least {percent(bound)}", percent, word)


def _latency(estimate: Estimate | None, bound_s: float) -> tuple[VerdictWord, str]:
    if estimate is None:
        return VerdictWord.FAIL, "p99 latency: there was no 200 answer at all"
    return at_most("p99 latency", estimate, bound_s, "{:.3f} s".format)


def _word(kept: bool, broken: bool) -> VerdictWord:
    if kept:
        return VerdictWord.PASS
    return VerdictWord.FAIL if broken else VerdictWord.UNDECIDED


def _sentence(name: str, estimate: Estimate, bound: str, form: Callable[[float], str], word: VerdictWord) -> str:
    said = {VerdictWord.PASS: "kept", VerdictWord.FAIL: "broken", VerdictWord.UNDECIDED: "undecided"}[word]
    value, low, high = (form(x) for x in (estimate.value, estimate.low, estimate.high))
    return f"{name} {value} ({low} to {high}), promised {bound}: {said}"
