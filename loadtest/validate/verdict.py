"""The verdict of a run and everything that carries it, as the document that `validate` prints and the report reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from loadtest.runfolder import RunFolder
from loadtest.validate.alternatives import Judged, alternatives, judge
from loadtest.validate.carried import carried_by
from loadtest.validate.comparison import ERROR_RATE, Statistic, compare, error_rate, has_504, single_runs
from loadtest.validate.in_sample import SENTENCE, is_in_sample
from loadtest.validate.observed import Observation, observe
from loadtest.validate.prediction import FEWEST_REPLICATES, REPLICATES, Prediction, predict
from loadtest.validate.refusals import refusals
from loadtest.validate.uncertain import as_if_exact, uncertain_settings
from planner.azureml import shown_name
from planner.documents import estimate_document, scenario_document
from planner.measures import fraction
from planner.model import FloatArray, Verdict, VerdictWord
from planner.percent import percent
from planner.run_promise import hold
from planner.scenario import Scenario
from planner.service import ServiceTime
from planner.sim.engine import BIN_S
from planner.sim.replications import SERIAL, Executor

BAND = 0.95
"""Share of single runs within the bands drawn over time (for the eye; verdicts use `comparison`)."""

_LOUD = {
    "fraction_503": "the fraction of 503s",
    "fraction_504": "the fraction of 504s",
    "largest_distance_of_cumulative_503s": "the 503s over time (largest distance of their running count from its mean)",
    "mean_distance_of_ready_replicas": "the ready replicas over time (mean distance from their mean)",
    "mean_service_time_s": "the mean service time that the run measured, in seconds,",
}


@dataclass(frozen=True, kw_only=True)
class Validation:
    verdict: Verdict
    document: dict[str, Any]

    @property
    def exit_code(self) -> int:
        return self.verdict.word.exit_code


def validate(
    folder: RunFolder,
    scenario: Scenario,
    run_scenario: Scenario,
    *,
    replicates: int = REPLICATES,
    alternative_replicates: int = FEWEST_REPLICATES,
    executor: Executor = SERIAL,
    on_done: Callable[[], object] = lambda: None,
) -> Validation:
    """Judge a run by `scenario`; run_scenario is the one it was made with (usually the same).

    Where the two differ in service time, the run's own service times are not used: then they are what is on trial.
    """
    in_sample, carried = is_in_sample(folder, scenario), carried_by(scenario)
    seen = observe(folder, run_scenario)
    scenario = replace(scenario, duration_s=run_scenario.duration_s, warm_up_s=run_scenario.warm_up_s)
    if reasons := _invalid(seen, run_scenario):
        return _marked(_without_prediction(seen, reasons, scenario), in_sample)
    on_trial = not _same(scenario.service_time, run_scenario.service_time)
    prediction = predict(
        scenario,
        seen,
        replicates=replicates,
        executor=executor,
        use_known_service_times=not on_trial,
        carried=carried,
        on_done=on_done,
    )
    statistics = compare(seen, prediction)
    judged = judge(
        scenario,
        seen,
        replicates=alternative_replicates,
        executor=executor,
        use_known_service_times=not on_trial,
        carried=carried,
        on_done=on_done,
    )
    verdict = _verdict(seen, prediction, statistics, judged)
    if verdict.word is VerdictWord.FAIL and (said := refusals(seen, scenario)):
        verdict = replace(verdict, reasons=(*verdict.reasons, said))
    document = _document(seen, prediction, statistics, judged, verdict, on_trial)
    document["promise"] = _promise(scenario, seen, verdict)
    uncertain = [u.document() for u in uncertain_settings(scenario, seen, carried, on_trial=on_trial)]
    document["uncertain"] = uncertain
    if any(setting["widens"] for setting in uncertain):
        document["predicted"]["fraction_503_if_exact"] = as_if_exact(
            scenario, seen, executor, use_known_service_times=not on_trial
        )
    validation = Validation(verdict=verdict, document=document | {"scenario": scenario_document(scenario)})
    return _marked(validation, in_sample)


def _marked(validation: Validation, in_sample: bool) -> Validation:
    """With `in_sample` in the document, and among the reasons where it is true."""
    verdict = validation.verdict
    if in_sample:
        verdict = replace(verdict, reasons=(*verdict.reasons, SENTENCE))
    document = validation.document | {"in_sample": in_sample, "reasons": list(verdict.reasons)}
    return Validation(verdict=verdict, document=document)


def _same(one: ServiceTime, other: ServiceTime) -> bool:
    """Equal in every field, arrays included."""
    if type(one) is not type(other):
        return False
    return all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())


def validate_run(folder: RunFolder, scenario: Scenario) -> Validation:
    """Judge a run folder by a scenario on all cores, with a progress bar, and write validation.json into it."""
    from planner.cli.progress import progress
    from planner.cli.simulation import prepare_simulator
    from planner.executors import executor_for
    from planner.scenario_file import load

    run_scenario = load(str(folder.scenario))
    prepare_simulator()
    with executor_for(None) as executor, progress("validating", simulated_runs(scenario)) as advance:
        validation = validate(folder, scenario, run_scenario, executor=executor, on_done=advance)
    return kept(validation, folder)


def kept(validation: Validation, folder: RunFolder) -> Validation:
    """Write validation.json; a verdict that cannot be written is still one, with a warning."""
    text = json.dumps(validation.document, indent=2, allow_nan=False, ensure_ascii=False)
    try:
        folder.validation.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        lost = f"{folder.validation}: the verdict cannot be kept there ({error.strerror or error})"
        return replace(validation, document=validation.document | {"warnings": [lost]})
    return validation


def simulated_runs(scenario: Scenario, replicates: int = REPLICATES) -> int:
    """How many replicates `validate` will simulate, for a progress bar."""
    return replicates + FEWEST_REPLICATES * len(list(alternatives(scenario)))


def _invalid(seen: Observation, run_scenario: Scenario) -> list[str]:
    """Why no verdict is possible: vacuous, generator, ended by a limit, another start than the scenario's."""
    summary = seen.summary
    reasons = []
    if len(seen.sent_s) == 0 or seen.requests == 0:
        return ["The run is vacuous: no request was sent and answered."]
    reasons.extend(summary["generator"]["problems"])
    reasons.extend(summary["observed"]["problems"])
    if summary.get("ended") != "complete":
        reasons.append(f"The run did not end by itself ({summary.get('ended')}): {summary.get('message')}")
    ready = ((summary.get("replicas") or {}).get("at_start") or {}).get("ready")
    if ready is not None and ready != run_scenario.deployment.initial_count:
        reasons.append(
            f"{ready} replicas were ready when the run began, the scenario starts with "
            f"{run_scenario.deployment.initial_count}: use a fresh lab, or wait until it has scaled down."
        )
    return reasons


def _verdict(seen: Observation, prediction: Prediction, statistics: list[Statistic], judged: list[Judged]) -> Verdict:
    outside = [s for s in statistics if not s.is_inside]
    if outside:
        reasons = [_outside_sentence(s) for s in outside] + [_explanation(judged)]
        return Verdict(word=VerdictWord.FAIL, reasons=tuple(reasons))
    means = {"fraction_503": prediction.estimate().value, "fraction_504": _mean(prediction.n_504, prediction)}
    fractions = [s for s in statistics if s.name in means]
    if seen.n_503 == 0 and prediction.n_503.sum() == 0 and not has_504(seen, prediction):
        reason = (
            f"Neither the run nor any of {len(prediction.n)} simulated runs saw a 503: nothing was put to the test."
        )
        return Verdict(word=VerdictWord.UNDECIDED, reasons=(reason,))
    if all(s.low == 0 and s.high > means[s.name] for s in fractions):
        reasons = [
            f"The prediction interval of {_LOUD[s.name]}, 0 to {percent(s.high)}, reaches 0 and is wider than its "
            f"mean ({percent(means[s.name])}): a run this small cannot confirm it."
            for s in fractions
        ]
        return Verdict(word=VerdictWord.UNDECIDED, reasons=tuple(reasons))
    inside = "; ".join(f"{_LOUD[s.name]} {_said(s, s.value)} within {_interval(s)}" for s in statistics)
    return Verdict(
        word=VerdictWord.PASS, reasons=(f"All {len(statistics)} statistics lie in their intervals: {inside}.",)
    )


def _mean(hits: FloatArray, prediction: Prediction) -> float:
    return float(hits.sum() / prediction.n.sum())


def _promise(scenario: Scenario, seen: Observation, verdict: Verdict) -> dict[str, Any] | None:
    """The scenario's bounds on failed requests, held against this one run."""
    if scenario.slo is None:
        return None
    held = hold(scenario.slo, seen.failures, predicts_504=verdict.word is VerdictWord.PASS)
    return {
        "kept_in_this_run": held.kept,
        "broken_by_failures_that_are_not_predicted": held.broken_unpredicted,
        "reasons": list(held.sentences),
    }


def _outside_sentence(s: Statistic) -> str:
    side = "above" if s.value > s.high else "below"
    name = _LOUD[s.name]
    return f"{name[0].upper()}{name[1:]} is {_said(s, s.value)}, {side} the prediction interval {_interval(s)}."


def _interval(s: Statistic) -> str:
    return f"[{_said(s, s.low)}, {_said(s, s.high)}]"


def _said(s: Statistic, value: float) -> str:
    return percent(value) if s.name.startswith("fraction_") else f"{value:.3g}"


def _shown_setting(j: Judged) -> str:
    return shown_name(j.alternative.setting, j.alternative.scenario.deployment.names)


def _explanation(judged: list[Judged]) -> str:
    fits = [f"{_shown_setting(j)} {j.alternative.change}" for j in judged if j.passes]
    if fits:
        return f"One of these would explain it: {'; '.join(fits)}."
    return "None of the one-setting changes tried (target, min, cold start, service time) would explain it."


def _observed(seen: Observation) -> dict[str, Any]:
    """Counts, and fractions of the requests whose end is known, null where there is none."""
    found = seen.failures
    return {
        "fraction_503": seen.fraction_503 if seen.requests else None,
        "fraction_504": found.fraction(found.n_504),
        "fraction_failed": found.fraction(found.n_failed),
        "requests": seen.requests,
        "answers_503": seen.n_503,
        "answers_504": found.n_504,
        "failed_in_other_ways": found.n_other,
        "causes_503": seen.causes_503,
    }


def _without_prediction(seen: Observation, reasons: list[str], scenario: Scenario) -> Validation:
    verdict = Verdict(word=VerdictWord.INVALID, reasons=tuple(reasons))
    return Validation(
        verdict=verdict,
        document={
            "command": "validate",
            "verdict": str(verdict.word),
            "reasons": list(verdict.reasons),
            "observed": _observed(seen),
            "predicted": {"fraction_503": None, "fraction_504": None, "fraction_failed": None},
            "promise": _promise(scenario, seen, verdict),
            "cannot_tell_apart": [],
            "explanations": [],
            "statistics": [],
            "uncertain": [],
            "generator": seen.summary["generator"],
            "books": seen.summary["books"],
        },
    )


def _document(
    seen: Observation,
    prediction: Prediction,
    statistics: list[Statistic],
    judged: list[Judged],
    verdict: Verdict,
    on_trial: bool,
) -> dict[str, Any]:
    total = statistics[0]
    estimate = replace(prediction.estimate(), prediction_low=total.low, prediction_high=total.high)
    passing = [_judged_document(j) for j in judged if j.passes]
    failed = verdict.word is VerdictWord.FAIL
    return {
        "command": "validate",
        "verdict": str(verdict.word),
        "reasons": list(verdict.reasons),
        "observed": _observed(seen)
        | {
            "replicas_observed": seen.bin_ready is not None,
            "service_times": "drawn from the scenario, which is on trial" if on_trial else seen.service_times_from,
        },
        "predicted": {
            "fraction_503": estimate_document(estimate),
            "fraction_504": _predicted(prediction.n_504, prediction.fractions_504, seen, prediction),
            "fraction_failed": _predicted(
                prediction.n_503 + prediction.n_504, prediction.fractions_failed, seen, prediction
            ),
            "prediction_confidence": 1 - ERROR_RATE / len(statistics),
            "causes_503": prediction.cause_shares(),
        },
        "statistics": [asdict(s) | {"inside": s.is_inside} for s in statistics],
        "cannot_tell_apart": passing if verdict.word is not VerdictWord.FAIL else [],
        "explanations": passing if failed else [],
        "told_apart": [_judged_document(j) for j in judged if not j.passes],
        "generator": seen.summary["generator"],
        "books": seen.summary["books"],
        "over_time": _over_time(seen, prediction),
    }


def _predicted(
    hits: FloatArray, fractions: FloatArray, seen: Observation, prediction: Prediction
) -> dict[str, Any] | None:
    """The estimate of a fraction, and where that of one more run falls."""
    low, high = single_runs(float(fractions.mean()), fractions, seen, error_rate(seen, prediction))
    return estimate_document(replace(fraction(hits, prediction.n), prediction_low=low, prediction_high=high))


def _judged_document(j: Judged) -> dict[str, Any]:
    return {
        "setting": j.alternative.setting,
        "change": j.alternative.change,
        "fraction_503": j.fraction_503,
        "fraction_504": j.fraction_504,
    }


def _over_time(seen: Observation, prediction: Prediction) -> dict[str, Any]:
    tails = [(1 - BAND) / 2, (1 + BAND) / 2]
    cumulative = np.cumsum(prediction.bin_503, axis=1)
    low_503, high_503 = np.quantile(cumulative, tails, axis=0)
    low_ready, high_ready = np.quantile(prediction.bin_ready, tails, axis=0)
    return {
        "bin_s": BIN_S,
        "band": BAND,
        "observed_cumulative_503": np.cumsum(seen.bin_503).tolist(),
        "observed_ready": None if seen.bin_ready is None else seen.bin_ready.tolist(),
        "predicted_cumulative_503": {
            "mean": cumulative.mean(axis=0).tolist(),
            "low": low_503.tolist(),
            "high": high_503.tolist(),
        },
        "predicted_ready": {
            "mean": prediction.bin_ready.mean(axis=0).tolist(),
            "low": low_ready.tolist(),
            "high": high_ready.tolist(),
        },
        "predicted_desired": {"mean": prediction.bin_desired.tolist()},
    }
