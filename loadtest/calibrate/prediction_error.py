"""How far off the scenario was, and how far each change brings it: what `validate` would compare, in numbers.

Everything is the scenario's own here, service times and overhead included: a prediction made before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from loadtest.calibrate.evidence import POLICY, Evidence
from loadtest.calibrate.finding import Part
from loadtest.validate.comparison import compare
from loadtest.validate.observed import Observation
from loadtest.validate.prediction import FEWEST_REPLICATES, Prediction, predict
from planner.documents import estimate_document
from planner.measures import fraction
from planner.scenario import Scenario
from planner.sim.replications import Executor

REPLICATES = 199


def errors(
    evidence: Evidence, parts: Sequence[Part], after: Scenario, executor: Executor, on_done: Callable[[], object]
) -> tuple[dict[str, Any], dict[str, dict[str, float] | None]]:
    """The document `prediction_error` (None where the run cannot be simulated), and what each part removes."""
    changing = [part for part in parts if part.changes]
    if POLICY in evidence.unfit:
        return {"before": None, "after": None}, {part.name: None for part in changing}
    seen = replace(evidence.seen, overhead_s=np.empty(0))

    def error(scenario: Scenario) -> dict[str, Any]:
        return _error(scenario, seen, executor, on_done)

    before = error(evidence.scenario)
    removed: dict[str, dict[str, float] | None] = {
        part.name: _removed(before, error(part.apply(evidence.scenario))) for part in changing
    }
    return {"before": before, "after": error(after) if changing else before}, removed


def _error(scenario: Scenario, seen: Observation, executor: Executor, on_done: Callable[[], object]) -> dict[str, Any]:
    prediction = predict(
        scenario, seen, replicates=REPLICATES, executor=executor, use_known_service_times=False, on_done=on_done
    )
    estimate, late = prediction.estimate(), fraction(prediction.n_504, prediction.n)
    distances = {s.name: s.value for s in compare(seen, prediction) if s.name.endswith(("503s", "replicas"))}
    return {
        "fraction_503": {
            "observed": seen.fraction_503,
            "predicted": estimate_document(estimate),
            "error": estimate.value - seen.fraction_503,
        },
        "fraction_504": {
            "observed": seen.fraction_504,
            "predicted": estimate_document(late),
            "error": late.value - seen.fraction_504,
        },
        "service_time_mean_s": _service_time_error(prediction, seen),
        **distances,
    }


def _removed(before: dict[str, Any], only: dict[str, Any]) -> dict[str, float]:
    """How much smaller each error is with this change alone; negative: larger."""
    removed = {}
    for name, was in before.items():
        now = only[name]
        if isinstance(was, dict):
            was, now = abs(was["error"]), abs(now["error"])
        if was is not None:
            removed[name] = was - now
    return removed


def _service_time_error(prediction: Prediction, seen: Observation) -> dict[str, float] | None:
    """Over the requests whose time in the worker is known; None where none is."""
    if prediction.drawn_service_mean_s is None or not np.isfinite(seen.service_time_s).any():
        return None
    observed, predicted = float(np.nanmean(seen.service_time_s)), float(prediction.drawn_service_mean_s.mean())
    return {"observed": observed, "predicted": predicted, "error": predicted - observed}


def in_sample_verdict(
    evidence: Evidence, after: Scenario, executor: Executor, on_done: Callable[[], object]
) -> dict[str, Any]:
    """Whether the run that the scenario was made from looks like one of it: it should, and that proves nothing."""
    if POLICY in evidence.unfit:
        return {"verdict": "invalid", "in_sample": True, "outside": [], "reason": evidence.unfit[POLICY]}
    on_trial = after.service_time is not evidence.scenario.service_time
    prediction = predict(
        after,
        evidence.seen,
        replicates=FEWEST_REPLICATES,
        executor=executor,
        use_known_service_times=not on_trial,
        on_done=on_done,
    )
    outside = [s.name for s in compare(evidence.seen, prediction) if not s.is_inside]
    word = "fail" if outside else "pass"
    reason = "Judged by the run it was calibrated on: validate it on another run."
    return {"verdict": word, "in_sample": True, "outside": outside, "reason": reason}
