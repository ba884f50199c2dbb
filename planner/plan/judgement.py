"""Is the promise kept in a setting's runs of the search? By intervals, as `planner.slo` judges a simulation."""

from __future__ import annotations

from planner.measures import fraction, share_of_runs
from planner.model import Slo, Verdict
from planner.percent import percent
from planner.plan.tally import SLOW_SHARE, Runs
from planner.promise import runs_within, simulated_bounds
from planner.slo import JudgedPart, NoAnswer, at_least, at_most, judged_bound, together


def judge_runs(slo: Slo, runs: Runs) -> Verdict:
    """The promise by intervals, as `planner.slo.judge`; the latency as the share of answers that are slower."""
    return together(judged_parts_of_runs(slo, runs))


def worst_reason(slo: Slo, runs: Runs) -> str:
    """What the first broken part says, else the first undecided one, else the first."""
    parts = judged_parts_of_runs(slo, runs)
    worst = together(parts).word
    return next(part.reason for part in parts if part.word is worst)


def judged_parts_of_runs(slo: Slo, runs: Runs) -> list[JudgedPart]:
    """Every part: the failed requests, the single runs, the latency."""
    has_504, exact = bool(runs.n_504.any()), runs.exact
    bounds = simulated_bounds(slo, has_504)
    parts = [judged_bound(b, fraction(b.simulated_hits(runs), runs.n, exact=exact)) for b in bounds]
    if slo.min_fraction_of_runs is not None:
        kept = share_of_runs(runs_within(slo, runs), exact=exact)
        parts.append(at_least("share of runs that keep it", kept, slo.min_fraction_of_runs))
    if slo.p99_latency_s is not None:
        if runs.answers.sum() == runs.n_504.sum():
            parts.append(NoAnswer())
        else:
            slow = fraction(runs.slow, runs.answers, exact=exact)
            name = f"share of answers after more than {slo.p99_latency_s:g} s{', 504s among them' if has_504 else ''}"
            parts.append(at_most(name, slow, SLOW_SHARE, percent))
    return parts
