"""One-setting changes of a scenario: which would a run not have told apart, and which would explain a failure?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from loadtest.validate.carried import EXACT, Carried
from loadtest.validate.comparison import compare
from loadtest.validate.observed import Observation
from loadtest.validate.prediction import FEWEST_REPLICATES, predict
from planner.measures import fraction
from planner.model import Autoscaler
from planner.scenario import Scenario
from planner.service import Scaled
from planner.sim.replications import SERIAL, Executor


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """The scenario with one setting changed; service_factor scales the service times that the run knows."""

    setting: str
    change: str
    scenario: Scenario
    service_factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Judged:
    alternative: Alternative
    fraction_503: float
    fraction_504: float
    passes: bool


def alternatives(scenario: Scenario) -> Iterator[Alternative]:
    """Target +-20, min +-25 %, cold start +-50 %, service time +-20 %; what a deployment does not use is left out."""
    deployment = scenario.deployment
    if deployment.autoscaler is Autoscaler.AZUREML_FE:
        for step in (-20, 20):
            target = min(100, max(1, deployment.target_utilization_percent + step))
            if target != deployment.target_utilization_percent:
                changed = replace(deployment, target_utilization_percent=target)
                yield _changed(scenario, "autoscale_target_utilization", f"{target} %", deployment=changed)
        for step in (-1, 1):
            by = max(1, round(0.25 * deployment.min_replicas))
            count = min(deployment.max_replicas, max(1, deployment.min_replicas + step * by))
            if count != deployment.min_replicas:
                changed = replace(deployment, min_replicas=count)
                yield _changed(scenario, "autoscale_min_replicas", str(count), deployment=changed)
        for factor in (0.5, 1.5) if scenario.cold_start.mean_s > 0 else ():
            change = f"x {factor:g} ({scenario.cold_start.mean_s * factor:.3g} s)"
            yield _changed(scenario, "cold_start", change, cold_start=Scaled(scenario.cold_start, factor))
    for factor in (0.8, 1.2):
        yield Alternative(setting="service_time", change=f"x {factor:g}", scenario=scenario, service_factor=factor)


def judge(
    scenario: Scenario,
    seen: Observation,
    *,
    replicates: int = FEWEST_REPLICATES,
    executor: Executor = SERIAL,
    use_known_service_times: bool = True,
    carried: Carried = EXACT,
    on_done: Callable[[], object] = lambda: None,
) -> list[Judged]:
    """Validate the run against every alternative."""
    judged = []
    for alternative in alternatives(scenario):
        prediction = predict(
            alternative.scenario,
            seen,
            replicates=replicates,
            executor=executor,
            service_factor=alternative.service_factor,
            use_known_service_times=use_known_service_times,
            carried=carried,
            on_done=on_done,
        )
        passes = all(statistic.is_inside for statistic in compare(seen, prediction))
        fraction_503, fraction_504 = prediction.estimate().value, fraction(prediction.n_504, prediction.n).value
        judged.append(
            Judged(alternative=alternative, fraction_503=fraction_503, fraction_504=fraction_504, passes=passes)
        )
    return judged


def _changed(scenario: Scenario, setting: str, change: str, **settings: object) -> Alternative:
    return Alternative(setting=setting, change=change, scenario=replace(scenario, **settings))  # type: ignore[arg-type]
