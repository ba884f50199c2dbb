"""The model's assumptions: settings that no source documents, and what else each might be.

The one table of them: `simulate --assumptions`, the marks of the report and the table of docs/model.md come from it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from planner.arrivals import Recorded
from planner.model import (
    V1_SCALE_DOWN_DELAY_S,
    V2_SCALE_DOWN_TICKS,
    Api,
    Autoscaler,
    Deployment,
    DispatchRule,
    ScaleDownRule,
    ScaleStep,
    ScoringTimeoutFrom,
    UtilizationOver,
    WhenNoReplica,
)
from planner.scenario import Scenario

STAMPS = "traffic.arrivals.trace.one_second_stamps"

LONG_WINDOW_S = 60.0
"""The utilization window that is tried beside that of one look."""

Value = str | bool
"""Of a setting, as a scenario file writes it."""


@dataclass(frozen=True, kw_only=True)
class Assumption:
    """One of them. setting: its key in the scenario file, of the deployment unless it is a dotted path."""

    setting: str
    unknown: str
    """What no source says."""
    choices: str
    """The values it is tried with, in words, the default first."""
    readings: Callable[[Scenario], Mapping[Value, Scenario]]
    """Each of these values and the scenario under it, the default first."""
    value: Callable[[Scenario], Value | None]
    """Its value in a scenario, None where it has none."""
    moot: Callable[[Scenario], str | None]
    """Why it cannot matter in a scenario, None where it can."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A scenario with another value of one assumption, or why there is none to simulate."""

    assumption: Assumption
    value: Value | None
    """None: there is no other reading."""
    scenario: Scenario
    moot: str | None


def alternatives(scenario: Scenario) -> Iterator[Alternative]:
    """Every other reading of every assumption."""
    for assumption in ASSUMPTIONS:
        others = {
            value: other
            for value, other in assumption.readings(scenario).items()
            if value != assumption.value(scenario)
        }
        moot = assumption.moot(scenario)
        if not others:
            same = moot or "there is no other reading here"
            yield Alternative(assumption=assumption, value=None, scenario=scenario, moot=same)
        for value, other in others.items():
            yield Alternative(assumption=assumption, value=value, scenario=other, moot=moot)


def _never(scenario: Scenario) -> str | None:
    return None


def _one_replica(scenario: Scenario) -> str | None:
    return "there is never more than one replica" if scenario.deployment.max_replicas == 1 else None


def _always_ready(scenario: Scenario) -> str | None:
    return "a replica is ready at all times" if scenario.deployment.initial_count > 0 else None


def _slot_goes_with_work(scenario: Scenario) -> str | None:
    return None if scenario.deployment.worker_busy_after_504 else "the work ends with the 504, and the slot with it"


def _no_scaling(scenario: Scenario) -> str | None:
    deployment = scenario.deployment
    if deployment.autoscaler is Autoscaler.FIXED:
        return "there is no autoscaler"
    if deployment.min_replicas == deployment.max_replicas:
        return "fewest and most replicas are the same"
    return None


def _no_steps(scenario: Scenario) -> str | None:
    deployment = scenario.deployment
    is_small = deployment.autoscaler is Autoscaler.FIXED or deployment.initial_count >= deployment.min_replicas - 1
    return _no_scaling(scenario) if is_small else None


def _no_whole_seconds(scenario: Scenario) -> str | None:
    return None if _start_of_second(scenario) else "no stamps of whole seconds are spread here"


def _changed(scenario: Scenario, **settings: object) -> Scenario:
    return dataclasses.replace(scenario, deployment=dataclasses.replace(scenario.deployment, **settings))  # type: ignore[arg-type]


def _plain(value: object) -> Value:
    return value if isinstance(value, bool) else str(value)


def _choice(
    setting: str, values: Iterable[object], unknown: str, moot: Callable[[Scenario], str | None] = _never
) -> Assumption:
    """A setting with a few values, which are its field's in `Deployment`."""
    by_name = {_plain(value): value for value in values}
    return Assumption(
        setting=setting,
        unknown=unknown,
        choices=", ".join(str(name).lower() for name in by_name),
        readings=lambda s: {name: _changed(s, **{setting: value}) for name, value in by_name.items()},
        value=lambda s: _plain(getattr(s.deployment, setting)),
        moot=moot,
    )


def _timeouts(scenario: Scenario) -> dict[Value, Scenario]:
    deployment = scenario.deployment
    may_run_out = deployment.scoring_timeout_s < deployment.max_request_wait_s  # in the queue, which no rule covers
    readings = (ScoringTimeoutFrom.DISPATCH,) if may_run_out else ScoringTimeoutFrom
    return {str(start): _changed(scenario, scoring_timeout_from=start) for start in readings}


def _seconds(value_s: float) -> str:
    return f"{value_s:.9g}s"


def _windows(scenario: Scenario) -> dict[Value, Scenario]:
    windows_s = (0.0, scenario.deployment.refresh_period_s, LONG_WINDOW_S)
    return {_seconds(w): _changed(scenario, utilization_window_s=w) for w in windows_s}


def _delay_s(deployment: Deployment) -> float:
    if deployment.scale_down_delay_s is not None:
        return deployment.scale_down_delay_s
    return _default_delay_s(deployment.api, deployment)


def _default_delay_s(api: Api, deployment: Deployment) -> float:
    return V1_SCALE_DOWN_DELAY_S if api is Api.V1 else V2_SCALE_DOWN_TICKS * deployment.refresh_period_s


def _delays(scenario: Scenario) -> dict[Value, Scenario]:
    deployment = scenario.deployment
    apis = sorted(Api, key=lambda api: api is not deployment.api)
    delays_s = [_default_delay_s(api, deployment) for api in apis]
    return {_seconds(d): _changed(scenario, scale_down_delay_s=d) for d in delays_s}


def _definitions(scenario: Scenario) -> dict[Value, Scenario]:
    """Only what utilization counts: the delay, which an API also brings, stays."""
    delay_s = _delay_s(scenario.deployment)
    return {str(api): _changed(scenario, api=api, scale_down_delay_s=delay_s) for api in (Api.V2, Api.V1)}


def _start_of_second(scenario: Scenario) -> Scenario | None:
    arrivals = scenario.arrivals
    if not isinstance(arrivals, Recorded) or arrivals.start_of_second_s is None:
        return None
    stamps = Recorded(arrivals.start_of_second_s, arrivals.source, by_seed=arrivals.by_seed)
    return dataclasses.replace(scenario, arrivals=stamps)


def _stamps(scenario: Scenario) -> dict[Value, Scenario]:
    other = _start_of_second(scenario)
    return {} if other is None else {"spread": scenario, "start_of_second": other}


ASSUMPTIONS = (
    _choice("dispatch", DispatchRule, "which ready replica takes the next request", _one_replica),
    _choice(
        "when_no_replica_is_ready",
        WhenNoReplica,
        "what becomes of a request that arrives while no replica is ready",
        _always_ready,
    ),
    Assumption(
        setting="scoring_timeout_from",
        unknown="whether the scoring timeout runs in the queue too",
        choices="dispatch, arrival",
        readings=_timeouts,
        value=lambda s: str(s.deployment.scoring_timeout_from),
        moot=_never,
    ),
    _choice("worker_busy_after_504", (True, False), "whether work goes on after its client got 504"),
    _choice(
        "slot_busy_after_504", (True, False), "whether its slot is held until that work ends", _slot_goes_with_work
    ),
    Assumption(
        setting="api",
        unknown="whether queued requests count as utilization (the pages of v2 say yes, those of v1 no)",
        choices="v2, v1 in that point alone",
        readings=_definitions,
        value=lambda s: str(s.deployment.api),
        moot=_no_scaling,
    ),
    Assumption(
        setting="utilization_window",
        unknown="over how long the autoscaler averages the utilization",
        choices="0s, one look, 60s",
        readings=_windows,
        value=lambda s: _seconds(s.deployment.utilization_window_s),
        moot=_no_scaling,
    ),
    _choice(
        "utilization_over",
        UtilizationOver,
        "whether replicas that start count as capacity (current) or not (ready)",
        _no_scaling,
    ),
    _choice("scale_down_rule", ScaleDownRule, "what has to hold during the delay before replicas go", _no_scaling),
    Assumption(
        setting="scale_down_delay",
        unknown='how long fewer replicas must suffice ("around" 20 looks in v2, "around" a minute in v1)',
        choices="20 looks (v2), 60s (v1)",
        readings=_delays,
        value=lambda s: _seconds(_delay_s(s.deployment)),
        moot=_no_scaling,
    ),
    _choice("scale_step", ScaleStep, "how many replicas one look may add or remove", _no_steps),
    Assumption(
        setting=STAMPS,
        unknown="where in its second a request came whose stamp is a whole second",
        choices="spread, start_of_second",
        readings=_stamps,
        value=lambda s: "spread" if _start_of_second(s) else None,
        moot=_no_whole_seconds,
    ),
)
