"""Is the promise kept in a setting's runs of the search? By intervals, as `planner.slo` judges a simulation."""

from __future__ import annotations

from planner.measures import fraction, share_of_runs
from planner.model import Slo, Verdict, VerdictWord
from planner.percent import percent
from planner.plan.tally import SLOW_SHARE, Runs
from planner.slo import at_least, at_most, together


def judge_runs(slo: Slo, runs: Runs) -> Verdict:
    """The promise by intervals, as `planner.slo.judge`; the latency as the share of answers that are slower."""
    parts = [at_most("fraction of 503s", fraction(runs.n_503, runs.n), slo.max_fraction_503, percent)]
    if slo.min_fraction_of_runs is not None:
        kept = share_of_runs(runs.n_503 <= slo.max_fraction_503 * runs.n)
        parts.append(at_least("share of runs that keep it", kept, slo.min_fraction_of_runs))
    if slo.p99_latency_s is not None:
        if runs.answers.sum() == 0:
            parts.append((VerdictWord.FAIL, "p99 latency: there was no 200 answer at all"))
        else:
            slow = fraction(runs.slow, runs.answers)
            parts.append(
                at_most(f"share of answers after more than {slo.p99_latency_s:g} s", slow, SLOW_SHARE, percent)
            )
    return together(parts)
