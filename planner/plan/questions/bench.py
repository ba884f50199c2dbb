"""Runs of a scenario and its variants on the same random numbers, judged against the promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from planner.documents import estimate_document
from planner.measures import Measures, are_exact, measure
from planner.model import Verdict, VerdictWord
from planner.plan.space import busiest_rps
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult
from planner.sim.replications import Executor, replicate
from planner.slo import JudgedPart, judged_parts, together

FEWEST_RUNS = 20
"""However many requests a run has, no estimate comes from fewer, unless fewer are asked for."""

MOST_REQUESTS = 30_000_000
"""Simulated for one question, about, as far as FEWEST_RUNS allows."""

SIMULATIONS = 4
"""The deployment itself and its remedies."""

Advance = Callable[[str], None]
"""Called after each run with what the work is about."""


def silent(label: str) -> None:
    """An `Advance` that tells nobody."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where the runs are made: replicates first, first + 1, … of any scenario, at most `replications` of them."""

    executor: Executor
    replications: int
    first: int = 0
    advance: Advance = silent

    def __post_init__(self) -> None:
        if self.replications < 2:
            raise ValueError(f"replications = {self.replications}, must be at least 2: one run has no interval")

    def affordable(self, scenario: Scenario, simulations: int) -> int:
        """Runs of each of so many scenarios like this one."""
        requests = max(1.0, scenario.arrivals.expected_count) * simulations
        return min(self.replications, max(FEWEST_RUNS, int(MOST_REQUESTS / requests)))

    def own_runs(self, scenario: Scenario) -> int:
        """Runs of the deployment itself and of each remedy, which are compared run by run."""
        return self.affordable(scenario, SIMULATIONS)

    def run(self, scenario: Scenario, runs: int, label: str, done: int = 0) -> list[ReplicateResult]:
        """Runs number `done` to `runs` - 1; where all are the same the first of them alone."""
        results = []
        first = self.first + done
        # One bin: what is counted over time is not asked for.
        for result in replicate(scenario, runs - done, self.executor, first=first, bin_s=scenario.duration_s):
            results.append(result)
            self.advance(label)
        return results

    def judged(self, scenario: Scenario, runs: int, label: str, factor: float = 1.0) -> Trial:
        """The promise in a scenario; no more than `runs`, and no more than its intervals need to decide."""
        results: list[ReplicateResult] = []
        while True:
            results += self.run(scenario, min(runs, max(FEWEST_RUNS, 2 * len(results))), label, len(results))
            trial = Trial.of(scenario, results, factor)
            is_all = len(results) >= runs or are_exact(results)
            if is_all or trial.verdict.word is not VerdictWord.UNDECIDED:
                return trial


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What so much traffic did to the promise. factor: of the traffic that was scaled."""

    factor: float
    peak_rps: float
    measures: Measures
    verdict: Verdict
    broken: str | None
    """The part of the promise that is broken, by the intervals, or where they do not decide by the point estimates."""
    results: tuple[ReplicateResult, ...] = field(repr=False)

    @classmethod
    def of(cls, scenario: Scenario, results: Sequence[ReplicateResult], factor: float = 1.0) -> Trial:
        assert scenario.slo is not None
        measures = measure(scenario, results)
        parts = judged_parts(scenario.slo, measures)
        verdict = together(parts)
        return cls(
            factor=factor,
            peak_rps=busiest_rps(scenario),
            measures=measures,
            verdict=verdict,
            broken=_broken(parts, verdict),
            results=tuple(results),
        )

    @property
    def kept(self) -> bool:
        return self.broken is None

    @property
    def is_certain(self) -> bool:
        return self.verdict.word is not VerdictWord.UNDECIDED

    def judgement(self) -> dict[str, Any]:
        return {
            "fraction_503": estimate_document(self.measures.fraction_503),
            "fraction_504": estimate_document(self.measures.fraction_504),
            "fraction_failed": estimate_document(self.measures.fraction_failed),
            "fraction_of_runs_within_slo": estimate_document(self.measures.fraction_of_runs_within_slo),
            "latency_p99_s": estimate_document(self.measures.latency_p99_s),
            "kept": self.kept,
            "decided_by": "interval" if self.is_certain else "estimate",
            "verdict": str(self.verdict.word),
            "reasons": list(self.verdict.reasons),
        }

    def document(self) -> dict[str, Any]:
        return {"factor": self.factor, "peak_rps": self.peak_rps} | self.judgement()


def _broken(parts: Sequence[JudgedPart], verdict: Verdict) -> str | None:
    """What the first broken part says; where the intervals do not decide, the first that its estimate breaks."""
    if verdict.word is VerdictWord.PASS:
        return None
    if verdict.word is VerdictWord.FAIL:
        return next(part.says for part in parts if part.word is VerdictWord.FAIL)
    return next((part.says for part in parts if not part.estimate_keeps), None)
