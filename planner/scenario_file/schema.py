"""The form of a scenario file, as pydantic models: what its keys are and what each value may look like.

Bounds between two settings are checked where the scenario is built; here each value stands alone. The names of the
models in a union are also its tags, by which `planner.scenario_file.problems` finds its way.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, create_model

from planner.azureml import AUTOSCALE_ENABLED, SDK_V1_MOOT, SETTINGS
from planner.model import (
    Api,
    DispatchRule,
    ScaleDownRule,
    ScaleStep,
    ScoringTimeoutFrom,
    UtilizationOver,
    WhenNoReplica,
)
from planner.scenario_file.interval_form import (
    KEYS,
    SecondsInterval,
    UncertainPositiveSeconds,
    UncertainRps,
    UncertainSeconds,
)
from planner.scenario_file.request_form import RequestForm
from planner.scenario_file.trace_form import ArrivalWord, GammaArrivals, TraceSlice
from planner.scenario_file.values import (
    PositiveNumber,
    PositiveSeconds,
    Seconds,
    Share,
    ShareOrIgnore,
    Strict,
    SwitchingRate,
    azure_value,
    count,
)

# Times


class DeterministicTime(Strict):
    """Always the same time."""

    distribution: Literal["deterministic"]
    mean: UncertainSeconds


class ExponentialTime(Strict):
    distribution: Literal["exponential"]
    mean: UncertainPositiveSeconds


class LognormalTime(Strict):
    distribution: Literal["lognormal"]
    mean: UncertainPositiveSeconds
    cv: PositiveNumber = Field(description="Standard deviation over mean.")


class GammaTime(Strict):
    distribution: Literal["gamma"]
    mean: UncertainPositiveSeconds
    cv: PositiveNumber = Field(description="Standard deviation over mean.")


class EmpiricalTime(Strict):
    """Measured times, drawn with replacement: given here, or a column (in seconds) of a CSV or Parquet file."""

    distribution: Literal["empirical"]
    values: list[Seconds] | None = Field(None, min_length=1)
    file: str | None = None
    column: str | None = None


ConstantTime = Seconds
"""`200ms` is short for a deterministic time, and so is an interval for one that is not known exactly."""


class Tokens(Strict):
    """A linear model of service time: base + per_context x context tokens + per_generated x generated tokens."""

    base: Seconds
    per_context: Seconds
    per_generated: Seconds


class TokensTime(Strict):
    tokens: Tokens


DISTRIBUTIONS = {
    "deterministic": "DeterministicTime",
    "exponential": "ExponentialTime",
    "lognormal": "LognormalTime",
    "gamma": "GammaTime",
    "empirical": "EmpiricalTime",
}


def _distribution_tag(value: Any) -> str | None:
    if not isinstance(value, dict):
        return "ConstantTime"
    if "distribution" not in value and not value.keys().isdisjoint(KEYS):
        return "SecondsInterval"
    name = value.get("distribution")
    return DISTRIBUTIONS.get(name) if isinstance(name, str) else None


def _service_tag(value: Any) -> str | None:
    if value == "trace":
        return "TraceWord"
    return "TokensTime" if isinstance(value, dict) and "tokens" in value else _distribution_tag(value)


UNKNOWN_DISTRIBUTION = "unknown_distribution"
Distribution = Annotated[
    Annotated[DeterministicTime, Tag("DeterministicTime")]
    | Annotated[ExponentialTime, Tag("ExponentialTime")]
    | Annotated[LognormalTime, Tag("LognormalTime")]
    | Annotated[GammaTime, Tag("GammaTime")]
    | Annotated[EmpiricalTime, Tag("EmpiricalTime")]
    | Annotated[SecondsInterval, Tag("SecondsInterval")]
    | Annotated[ConstantTime, Tag("ConstantTime")],
    Discriminator(_distribution_tag, custom_error_type=UNKNOWN_DISTRIBUTION, custom_error_message="unknown"),
]
ServiceTime = Annotated[
    Annotated[DeterministicTime, Tag("DeterministicTime")]
    | Annotated[ExponentialTime, Tag("ExponentialTime")]
    | Annotated[LognormalTime, Tag("LognormalTime")]
    | Annotated[GammaTime, Tag("GammaTime")]
    | Annotated[EmpiricalTime, Tag("EmpiricalTime")]
    | Annotated[TokensTime, Tag("TokensTime")]
    | Annotated[Literal["trace"], Tag("TraceWord")]
    | Annotated[SecondsInterval, Tag("SecondsInterval")]
    | Annotated[ConstantTime, Tag("ConstantTime")],
    Discriminator(_service_tag, custom_error_type=UNKNOWN_DISTRIBUTION, custom_error_message="unknown"),
]


# Traffic


class Mmpp(Strict):
    """Poisson arrivals whose rate switches between phases, visited in turn."""

    rates: list[UncertainRps] = Field(min_length=2, description="Requests per second in each phase.")
    switching: list[SwitchingRate] = Field(min_length=2, description="Rate, per second, at which each phase ends.")


class MmppArrivals(Strict):
    mmpp: Mmpp


class TraceArrivals(Strict):
    trace: TraceSlice


def _arrivals_tag(value: Any) -> str | None:
    if isinstance(value, str):
        return "ArrivalWord"
    kinds = {"gamma": "GammaArrivals", "mmpp": "MmppArrivals", "trace": "TraceArrivals"}
    return next((tag for key, tag in kinds.items() if isinstance(value, dict) and key in value), None)


UNKNOWN_ARRIVALS = "unknown_arrivals"
Arrivals = Annotated[
    Annotated[ArrivalWord, Tag("ArrivalWord")]
    | Annotated[GammaArrivals, Tag("GammaArrivals")]
    | Annotated[MmppArrivals, Tag("MmppArrivals")]
    | Annotated[TraceArrivals, Tag("TraceArrivals")],
    Discriminator(_arrivals_tag, custom_error_type=UNKNOWN_ARRIVALS, custom_error_message="unknown"),
]


class RateStep(Strict):
    """A rate from one time to the next entry; with `to_rps` a straight ramp to the next entry or the scenario's end."""

    from_: Seconds = Field(alias="from")
    rps: UncertainRps
    to_rps: UncertainRps | None = None


class Traffic(Strict):
    arrivals: Arrivals
    rps: UncertainRps | None = Field(None, description="A constant rate: short for `rate` with one entry.")
    rate: list[RateStep] | None = Field(None, min_length=1, description="Left out with mmpp and trace.")


# Deployment


class DeploymentBase(Strict):
    file: str | None = Field(
        None, description="deployment.yml (v2) or deploymentconfig.json (v1); settings here go first."
    )
    api: Literal["v1", "v2"] | None = Field(None, description="Whose defaults hold. Default: v2.")
    autoscaler: Literal["azureml-fe", "fixed"] | None = None
    initial_replicas: count(0) | None = Field(None, description="Ready at the start. Default: the fewest.")  # type: ignore[valid-type]
    worker_count: count(1) | None = Field(None, description="WORKER_COUNT of the scoring server.")  # type: ignore[valid-type]
    router_overhead: Seconds | None = Field(None, description="Added to every service time.")
    utilization_window: Seconds | None = Field(None, description="assumption: 0s, the instant of the tick")
    dispatch: Literal["fewest_requests", "round_robin", "lowest_id"] | None = Field(
        None, description="assumption: fewest_requests"
    )
    when_no_replica_is_ready: Literal["wait", "reject"] | None = Field(None, description="assumption: wait")
    scoring_timeout_from: Literal["dispatch", "arrival"] | None = Field(None, description="assumption: dispatch")
    slot_busy_after_504: bool | None = Field(None, description="assumption: true")
    worker_busy_after_504: bool | None = Field(None, description="assumption: true")
    scale_down_rule: Literal["window_max", "timer_then_jump"] | None = Field(None, description="assumption: window_max")
    scale_step: Literal["jump", "one"] | None = Field(None, description="assumption: jump")
    utilization_over: Literal["current", "ready"] | None = Field(None, description="assumption: current")
    scale_down_delay: PositiveSeconds | None = Field(None, description="Default: 60s (v1), 20 polling intervals (v2).")


def _azure_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for setting in SETTINGS:
        kind = azure_value(setting)
        for name, api in ((setting.v1, Api.V1), (setting.v2, Api.V2)):
            fields[name] = (kind, Field(None, description=f"{setting.help} ({api} name)"))
    switch = "Whether azureml-fe scales: short for `autoscaler` (v1 name)."
    fields[AUTOSCALE_ENABLED] = (bool | None, Field(None, description=switch))
    for name in SDK_V1_MOOT:
        fields[name] = (Any, Field(None, description="Known to Azure, changes nothing here (v1 name)."))
    return fields


DeploymentForm = create_model("DeploymentForm", __base__=DeploymentBase, **_azure_fields())

PLAIN_FIELDS = {
    "initial_replicas": ("initial_replicas", int),
    "worker_count": ("worker_count", int),
    "router_overhead": ("router_overhead_s", float),
    "utilization_window": ("utilization_window_s", float),
    "dispatch": ("dispatch", DispatchRule),
    "when_no_replica_is_ready": ("when_no_replica_is_ready", WhenNoReplica),
    "scoring_timeout_from": ("scoring_timeout_from", ScoringTimeoutFrom),
    "slot_busy_after_504": ("slot_busy_after_504", bool),
    "worker_busy_after_504": ("worker_busy_after_504", bool),
    "scale_down_rule": ("scale_down_rule", ScaleDownRule),
    "scale_step": ("scale_step", ScaleStep),
    "utilization_over": ("utilization_over", UtilizationOver),
    "scale_down_delay": ("scale_down_delay_s", float),
}
"""Settings that are ours, not Azure's -> field of `Deployment` and the type to hand over."""

# The file


class SloForm(Strict):
    """The promise: max_503 or max_failed, or both. With `runs`, that share of single runs keeps each bound given."""

    max_503: Share | None = Field(None, description="Bounds the expected share of 503s.")
    max_failed: Share | None = Field(None, description="Bounds the expected share that is not answered 200.")
    max_504: ShareOrIgnore | None = Field(
        None, description="Bounds the expected share of 504s. Default with max_503 alone: that of the 503s."
    )
    p99_latency: PositiveSeconds | None = Field(
        None, description="Of 200s and 504s; a 504 counts as slower than any bound."
    )
    runs: Share | None = None


class ScenarioForm(Strict):
    """A Surgeproof scenario: traffic, service time, deployment, cold start and promise."""

    schema_version: Literal[1] = 1
    name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Default: the file's name."
    )
    shows: str = Field("", description="One sentence: what this scenario is meant to show.")
    duration: PositiveSeconds | None = Field(None, description="At most 7d. May be left out with a trace.")
    warm_up: Seconds = Field(0.0, description="Left out of every statistic.")
    traffic: Traffic
    service_time: ServiceTime
    deployment: DeploymentForm  # type: ignore[valid-type]
    cold_start: Distribution | None = Field(None, description="From a replica's creation to ready.")
    slo: SloForm | None = None
    request: RequestForm | None = Field(None, description="What a replay sends, and which answers are good.")
    seed: count(0, 2**63 - 1) = 0  # type: ignore[valid-type]


def json_schema() -> dict[str, Any]:
    """JSON Schema of scenario files, for editors."""
    schema = ScenarioForm.model_json_schema(by_alias=True) | {"title": "Surgeproof scenario"}
    pasted = {"type": "string", "description": "A pasted call of AksWebservice.deploy_configuration (SDK v1)."}
    schema["properties"]["deployment"] = {"anyOf": [schema["properties"]["deployment"], pasted]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
