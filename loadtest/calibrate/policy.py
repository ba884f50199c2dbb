"""Settings of the autoscaler, by simulating the run's own requests under each value: which does the run not reject?

The three statistics of `validate` decide. A setting is changed only where they fail the scenario as measured, as
`validate` would (1 %); then the one-setting change that is rejected least is made, up to three times. The interval of
a setting holds the values that they do not reject at 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from loadtest.calibrate.evidence import POLICY, Evidence
from loadtest.calibrate.finding import CONFIDENCE, Finding, Part, Value, unknown
from loadtest.calibrate.grids import AXES, Axis, value_of, with_value
from loadtest.validate.comparison import ERROR_RATE, compare
from loadtest.validate.observed import Observation
from loadtest.validate.prediction import predict
from planner.model import Autoscaler
from planner.scenario import Scenario
from planner.sim.replications import Executor

SEARCH_REPLICATES = 99
REPLICATES = 199
SURE_REPLICATES = 999
"""Two-sided ranks among 199 can be as small as 0.01, below the third of 5 % that each statistic has; among 999, below
that of 1 %."""

FIRST_LOOK = 49
FAR_OUTSIDE = 1.0
"""A statistic that lies a whole width of the interval of the first 49 replicates beyond it needs no more of them."""

MOST_CHANGES = 3
SOURCE = "the run's own requests, simulated under each value"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """p_value: the smallest of the statistics', times their number; 0 where the first look was enough.
    outside: by how many widths of their intervals they lie outside, together; it ranks what is rejected."""

    value: Value
    p_value: float
    outside: float

    @property
    def accepted(self) -> bool:
        return self.p_value >= 1 - CONFIDENCE

    @property
    def explains(self) -> bool:
        """Whether `validate` would not fail it; needs as many replicates as there."""
        return self.p_value >= ERROR_RATE

    @property
    def rank(self) -> tuple[float, float]:
        """The least rejected first."""
        return (0.0, -self.p_value) if self.accepted else (1.0 + self.outside, -self.p_value)


class Jury:
    """Judges scenarios by one run."""

    def __init__(self, seen: Observation, executor: Executor, on_done: Callable[[], object]) -> None:
        self._seen = seen
        self._executor = executor
        self._on_done = on_done

    def judge(self, scenario: Scenario, value: Value = None, replicates: int = REPLICATES) -> Judgement:
        first = self._judge(scenario, value, FIRST_LOOK)
        if first.outside > FAR_OUTSIDE:
            return replace(first, p_value=0.0)
        return self._judge(scenario, value, replicates)

    def _judge(self, scenario: Scenario, value: Value, replicates: int) -> Judgement:
        prediction = predict(
            scenario, self._seen, replicates=replicates, executor=self._executor, on_done=self._on_done
        )
        statistics = compare(self._seen, prediction)
        outside = sum(max(0.0, s.low - s.value, s.value - s.high) / max(s.high - s.low, 1e-9) for s in statistics)
        p_value = min(1.0, len(statistics) * min(s.p_value for s in statistics))
        return Judgement(value=value, p_value=p_value, outside=outside)


def measure(evidence: Evidence, scenario: Scenario, executor: Executor, on_done: Callable[[], object]) -> list[Part]:
    """A part for each setting. scenario: with service time, workers, overhead and cold start as measured."""
    why = evidence.unfit.get(POLICY)
    if scenario.deployment.autoscaler is Autoscaler.FIXED:
        why = "autoscaler: fixed has no such setting."
    elif evidence.replicas is None:
        why = why or "The run could not see replicas; 503s alone do not tell its settings apart."
    if why is not None:
        return [_kept(axis, scenario, why) for axis in AXES]
    jury = Jury(evidence.seen, executor, on_done)
    made, changed, rivals, verdict = _search(scenario, evidence, jury)
    if not verdict.explains:
        why = (
            f"The run rejects the scenario as measured, and every combination of up to {MOST_CHANGES} changes that was "
            "tried: something that is none of these settings differs."
        )
        return [_kept(axis, scenario, why) for axis in AXES]
    return [_part(axis, scenario, made, axis.setting in changed, evidence, jury, rivals) for axis in AXES]


def _search(scenario: Scenario, evidence: Evidence, jury: Jury) -> tuple[Scenario, set[str], list[str], Judgement]:
    """The scenario after the changes that were needed; which; others that would have explained the run as well."""
    current, verdict = scenario, jury.judge(scenario, replicates=SURE_REPLICATES)
    made: set[str] = set()
    rivals: list[str] = []
    for _ in range(MOST_CHANGES):
        if verdict.explains:
            break
        best: dict[str, Judgement] = {}
        for axis in AXES:
            judged = _judged(axis, current, evidence, jury, SEARCH_REPLICATES)
            if judged:
                best[axis.setting] = min(judged, key=lambda j: j.rank)
        setting = min(best, key=lambda name: best[name].rank)
        axis = next(axis for axis in AXES if axis.setting == setting)
        changed = with_value(axis, current, best[setting].value)
        again = jury.judge(changed, replicates=SURE_REPLICATES)
        if again.rank >= verdict.rank:
            break
        current, verdict = changed, again
        made.add(setting)
        rivals = [name for name, j in best.items() if j.accepted and name != setting]
    return current, made, rivals, verdict


def _judged(axis: Axis, scenario: Scenario, evidence: Evidence, jury: Jury, replicates: int) -> list[Judgement]:
    """Every value of the grid but the scenario's own, then finer steps where it turns."""
    own = value_of(axis, scenario)
    values = [value for value in axis.values(scenario, evidence) if value != own]
    judged = [jury.judge(with_value(axis, scenario, v), v, replicates) for v in values]
    finer = axis.finer([j.value for j in judged if j.accepted] or [_best(judged)], [*values, own], scenario.deployment)
    finer = [value for value in finer if value != own]
    return judged + [jury.judge(with_value(axis, scenario, v), v, replicates) for v in finer]


def _best(judged: list[Judgement]) -> Value:
    return min(judged, key=lambda j: j.rank).value if judged else None


def _part(
    axis: Axis, before: Scenario, made: Scenario, is_made: bool, evidence: Evidence, jury: Jury, rivals: Iterable[str]
) -> Part:
    """The accepted set of one setting around the scenario that the search ended with."""
    was, now = value_of(axis, before), value_of(axis, made)
    judged = _judged(axis, made, evidence, jury, REPLICATES)
    accepted = [now, *(j.value for j in judged if j.accepted)]
    identified, low, high, why = axis.reading(accepted, [now, *(j.value for j in judged)], made.deployment)
    others = [name for name in rivals if name != axis.setting]
    if now != was and not is_made:
        why = f"It follows from another setting that was changed. {why}"
    elif now != was and others:
        identified = False
        why += f" Another value of {' or of '.join(others)} would explain this run as well."
    finding = Finding(
        setting=axis.setting,
        before=was,
        after=now,
        low=low,
        high=high,
        unit=axis.unit,
        identified=identified,
        n=len(judged) + 1,
        measured_from=SOURCE,
        why=why,
    )
    if now == was or not is_made:
        return Part(name=axis.name, findings=(finding,))
    warnings = (f"{axis.setting}: {why}",) if others else ()
    return Part(
        name=axis.name,
        findings=(finding,),
        overrides=axis.overrides(made, evidence.document),
        apply=lambda scenario: with_value(axis, scenario, now),
        warnings=(*warnings, *_written_limit(axis, evidence.scenario, made)),
    )


def _written_limit(axis: Axis, before: Scenario, made: Scenario) -> tuple[str, ...]:
    """That a maximum is written which the file did not set: `plan` would take it for the user's."""
    if axis.name != "api" or before.replica_limit is not None:
        return ()
    count = made.deployment.max_replicas
    return (
        f"deployment.autoscale_max_replicas: {count} is written although the scenario did not set it, because the "
        f"default changes with the api; plan takes it as a limit, which --autoscale-max-replicas lifts",
    )


def _kept(axis: Axis, scenario: Scenario, why: str) -> Part:
    finding = unknown(axis.setting, value_of(axis, scenario), axis.unit, SOURCE, why)
    return Part(name=axis.name, findings=(finding,))
