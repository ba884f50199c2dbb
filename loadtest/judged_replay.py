"""A replay and what CI wants of it: thresholds, the share of runs that would break them, JUnit XML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from loadtest.replay.conclude import ReplayResult, recover
from loadtest.replay.plan import Plan, ReplayOptions
from loadtest.replay.run import replay
from loadtest.replay.session import OnProgress
from loadtest.results.junit import write_junit
from loadtest.results.predicted import REPLICATIONS, predict_shares
from loadtest.results.thresholds import (
    JudgedThreshold,
    PredictedShare,
    Threshold,
    exit_code,
    judge,
    parse_threshold,
    sentence,
    thresholds_document,
)
from planner.errors import WorkersLostError
from planner.scenario import Scenario
from planner.writing import check_writable


@dataclass(frozen=True, kw_only=True)
class JudgedReplay:
    """A replay's result with its thresholds; the exit code is that of both. says: one sentence a threshold."""

    result: ReplayResult
    says: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Judging:
    """What is asked of a run, read before it begins."""

    thresholds: Sequence[Threshold] = ()
    junit: Path | None = None

    @classmethod
    def of(cls, conditions: Sequence[str], junit: Path | None) -> Judging:
        """Refuses (InputError) what cannot be judged or written afterwards."""
        if junit is not None:
            check_writable(junit, "--junit")
        return cls(thresholds=[parse_threshold(text) for text in conditions], junit=junit)

    def replay(
        self,
        scenario: Scenario,
        url: str,
        options: ReplayOptions,
        out: Path | None,
        on_plan: Callable[[Plan], object] = lambda plan: None,
        live: Callable[[], AbstractContextManager[OnProgress | None]] = nullcontext,
    ) -> JudgedReplay:
        with live() as on_progress:
            result = replay(scenario, url, out=out, options=options, on_plan=on_plan, on_progress=on_progress)
        return self._judged(result, scenario)

    def recover(self, folder: Path) -> JudgedReplay:
        from planner.scenario_file import load

        result = recover(folder)
        return self._judged(result, load(str(result.folder.scenario)))

    def _judged(self, result: ReplayResult, scenario: Scenario) -> JudgedReplay:
        judged: list[JudgedThreshold] = []
        if self.thresholds:
            shares = _predicted(scenario, self.thresholds) if result.exit_code == 0 else None
            judged = judge(self.thresholds, result.seen, scenario, shares)
            code = exit_code(judged, result.exit_code)
            document = result.document | {"thresholds": thresholds_document(judged), "exit_code": code}
            result.folder.write_summary({name: value for name, value in document.items() if name != "run"})
            result = replace(result, document=document, exit_code=code)
        if self.junit is not None:
            write_junit(self.junit, result.document, judged)
        return JudgedReplay(result=result, says=[sentence(j) for j in judged])


def _predicted(scenario: Scenario, thresholds: Sequence[Threshold]) -> list[PredictedShare] | None:
    """Simulate the scenario on all cores, with a progress bar; None if that was stopped: the run is judged anyway."""
    from planner.cli.progress import progress
    from planner.cli.simulation import prepare_simulator
    from planner.executors import executor_for

    try:
        prepare_simulator()
        with executor_for(None) as executor, progress("predicting", REPLICATIONS) as advance:
            return predict_shares(scenario, thresholds, executor, advance)
    except (KeyboardInterrupt, WorkersLostError):
        return None
