"""Azure ML's settings: their names in both APIs, their units and their defaults; and the deployment that they make.

Sources: AksWebservice.deploy_configuration of azureml-core (v1), the YAML reference of KubernetesOnlineDeployment (v2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from planner import units
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment, ScoringTimeoutFrom

DEFAULTS: Mapping[Api, Mapping[str, float]] = {
    Api.V1: {"max_replicas": 10, "scoring_timeout_s": 60.0},
    Api.V2: {"max_replicas": 1, "scoring_timeout_s": 5.0},
}
"""Defaults that changed from v1 to v2, by field of `Deployment`. All others stand on `Deployment` itself."""

V2_LONGEST_TIMEOUT_S = 300.0
"""The longest request_timeout_ms that a Kubernetes online endpoint accepts."""


@dataclass(frozen=True)
class Setting:
    """One setting. field: of `Deployment`, or num_replicas; v1, v2: its names; v1_file, v2_file: its place there."""

    field: str
    v1: str
    v2: str
    v1_file: str
    v2_file: str
    read: Callable[[object], float]
    help: str

    def name(self, api: Api) -> str:
        return self.v1 if api is Api.V1 else self.v2

    def place(self, api: Api) -> str:
        """Dotted path in Azure's own file."""
        return self.v1_file if api is Api.V1 else self.v2_file


SETTINGS = (
    Setting(
        "min_replicas",
        "autoscale_min_replicas",
        "min_instances",
        "autoScaler.minReplicas",
        "scale_settings.min_instances",
        units.count(least=1),
        "Fewest replicas.",
    ),
    Setting(
        "max_replicas",
        "autoscale_max_replicas",
        "max_instances",
        "autoScaler.maxReplicas",
        "scale_settings.max_instances",
        units.count(least=1),
        "Most replicas. Default: 10 (v1), 1 (v2).",
    ),
    Setting(
        "target_utilization_percent",
        "autoscale_target_utilization",
        "target_utilization_percentage",
        "autoScaler.targetUtilization",
        "scale_settings.target_utilization_percentage",
        units.target_percent,
        "Integer percent of busy slots at which the autoscaler aims.",
    ),
    Setting(
        "refresh_period_s",
        "autoscale_refresh_seconds",
        "polling_interval",
        "autoScaler.refreshPeriodInSeconds",
        "scale_settings.polling_interval",
        units.positive_seconds_or_duration,
        "Seconds between two looks of the autoscaler; with a unit, any duration.",
    ),
    Setting(
        "max_concurrent_requests",
        "replica_max_concurrent_requests",
        "max_concurrent_requests_per_instance",
        "maxConcurrentRequestsPerContainer",
        "request_settings.max_concurrent_requests_per_instance",
        units.count(least=1),
        "Requests that the router gives to one replica at a time.",
    ),
    Setting(
        "max_request_wait_s",
        "max_request_wait_time",
        "max_queue_wait_ms",
        "maxQueueWaitMs",
        "request_settings.max_queue_wait_ms",
        units.milliseconds_or_duration,
        "Milliseconds that a request may queue before it gets 503; with a unit, any duration.",
    ),
    Setting(
        "scoring_timeout_s",
        "scoring_timeout_ms",
        "request_timeout_ms",
        "scoringTimeoutMs",
        "request_settings.request_timeout_ms",
        units.positive_milliseconds_or_duration,
        "Milliseconds that an answer may take before 504; with a unit, any duration. Default: 60000 (v1), 5000 (v2).",
    ),
    Setting(
        "num_replicas",
        "num_replicas",
        "instance_count",
        "numReplicas",
        "instance_count",
        units.count(least=1),
        "Replicas without an autoscaler.",
    ),
)

SDK_V1_MOOT = (
    *("cpu_cores", "cpu_cores_limit", "memory_gb", "memory_gb_limit", "gpu_cores"),
    *("auth_enabled", "token_auth_enabled", "collect_model_data", "enable_app_insights", "blobfuse_enabled"),
    *("period_seconds", "initial_delay_seconds", "timeout_seconds", "success_threshold", "failure_threshold"),
    *("namespace", "tags", "properties", "description", "compute_target_name"),
)
"""Arguments of AksWebservice.deploy_configuration that change nothing in the model: `cold_start` and times do."""

COMMON_WORDS = ("namespace", "tags", "properties", "description")
"""Those among them that stand in other files too, and say nothing about the API."""

SDK_V1_SECRETS = ("primary_key", "secondary_key")

AUTOSCALE_ENABLED = "autoscale_enabled"
"""The argument of v1 that turns the autoscaler on or off."""

AUTOSCALER_FIELDS = (
    "min_replicas",
    "max_replicas",
    "target_utilization_percent",
    "refresh_period_s",
    "utilization_window_s",
    "scale_down_rule",
    "scale_step",
    "utilization_over",
    "scale_down_delay_s",
)
"""What means nothing without the autoscaler."""


@dataclass(frozen=True)
class Given:
    """A value that somebody set. label: where it stands and what it says, ready for a message."""

    value: Any
    label: str
    name: str
    is_override: bool = False


def default(api: Api, field: str) -> Any:
    """The default of a field of `Deployment` under one API."""
    if field in DEFAULTS[api]:
        return DEFAULTS[api][field]
    return {f.name: f.default for f in dataclasses.fields(Deployment)}[field]


_V2_NAMES = {setting.v1: setting.v2 for setting in SETTINGS} | {"max_request_wait_time_ms": "max_queue_wait_ms"}
"""Keys of JSON documents, which are named after v1 -> the setting's name in v2."""


def shown_name(key: str, names: Api) -> str:
    """What a person reads for a key of a JSON document: the setting under the names that the scenario uses."""
    return key if names is Api.V1 else _V2_NAMES.get(key, key)


def names_of(api: Api, names: Iterable[str]) -> tuple[str, ...]:
    """Of some keys of a scenario's deployment those that only this API has."""
    own = {setting.name(api) for setting in SETTINGS}
    if api is Api.V1:
        own |= {AUTOSCALE_ENABLED, *SDK_V1_MOOT} - set(COMMON_WORDS)
    return tuple(name for name in names if name in own)


def deployment(
    api: Api,
    autoscaler: Autoscaler,
    given: Mapping[str, Given],
    *,
    source: str,
    own_container: bool = False,
    named: Api | None = None,
) -> tuple[Deployment, tuple[str, ...]]:
    """The deployment that the given settings (by field) and the API's defaults make, and warnings, a sentence each.

    own_container: whether it runs a container of the user's in place of Azure's scoring server. named: whose names the
    settings were written under.
    """
    problems = _contradictions(autoscaler, given, source)
    values = {field: setting.value for field, setting in given.items() if field != "num_replicas"}
    if autoscaler is Autoscaler.FIXED:
        replicas = given["num_replicas"].value if "num_replicas" in given else 1
        values |= {"min_replicas": replicas, "max_replicas": replicas}
    for field in DEFAULTS[api]:
        values.setdefault(field, default(api, field))
    problems += _out_of_order(api, autoscaler, given, values) + _timeout_in_the_queue(api, given, values)
    if problems:
        raise InputError(*problems)
    made = Deployment(api=api, autoscaler=autoscaler, named=named, **values)
    return made, tuple(_warnings(made, given, source, own_container))


def _contradictions(autoscaler: Autoscaler, given: Mapping[str, Given], source: str) -> list[str]:
    if autoscaler is Autoscaler.AZUREML_FE:
        return [f"{g.label}, only used with autoscaler: fixed" for f, g in given.items() if f == "num_replicas"]
    problems = [f"{given[f].label}, not used with autoscaler: fixed" for f in AUTOSCALER_FIELDS if f in given]
    if "num_replicas" not in given:
        problems.append(f"{source}: num_replicas is missing, autoscaler: fixed needs it")
    return problems


def _out_of_order(api: Api, autoscaler: Autoscaler, given: Mapping[str, Given], values: Mapping[str, Any]) -> list[str]:
    """Bounds between two settings: min <= max, initial <= max."""
    problems = []
    low, high = given.get("min_replicas"), given.get("max_replicas")
    if autoscaler is Autoscaler.AZUREML_FE and low and low.value > values["max_replicas"]:
        if high and not low.is_override:
            problems.append(f"{high.label}, must be at least {low.name} ({low.value})")
        else:
            problems.append(f"{low.label}, must be at most {_named(api, 'max_replicas', high, values)}")
    initial = given.get("initial_replicas")
    if initial and initial.value > values["max_replicas"]:
        bound = _named(api, "max_replicas", high, values)
        if autoscaler is Autoscaler.FIXED:
            bound = f"num_replicas ({values['max_replicas']})"
        problems.append(f"{initial.label}, must be at most {bound}")
    return problems


def _timeout_in_the_queue(api: Api, given: Mapping[str, Given], values: Mapping[str, Any]) -> list[str]:
    """A timeout that runs from the arrival must not end while the request may still wait."""
    wait_s = values.get("max_request_wait_s", default(api, "max_request_wait_s"))
    timeout_s = values["scoring_timeout_s"]
    if values.get("scoring_timeout_from") is not ScoringTimeoutFrom.ARRIVAL or timeout_s >= wait_s:
        return []
    if timeout := given.get("scoring_timeout_s"):
        problem = f"{timeout.label}, must be at least {_in_milliseconds(api, 'max_request_wait_s', given, wait_s)}"
    else:
        wait = given["max_request_wait_s"]
        problem = f"{wait.label}, must be at most {_in_milliseconds(api, 'scoring_timeout_s', given, timeout_s)}"
    return [f"{problem} with scoring_timeout_from: arrival"]


def _in_milliseconds(api: Api, field: str, given: Mapping[str, Given], seconds: float) -> str:
    if field in given:
        return f"{given[field].name} ({1e3 * seconds:g} ms)"
    return f"{_azure_name(api, field)}, which is not set and {1e3 * seconds:g} ms by default in api {api},"


def _azure_name(api: Api, field: str) -> str:
    return next(s.name(api) for s in SETTINGS if s.field == field)


def _named(api: Api, field: str, given: Given | None, values: Mapping[str, Any]) -> str:
    if given:
        return f"{given.name} ({given.value})"
    return f"{_azure_name(api, field)}, which is not set and {values[field]} by default in api {api}"


def _warnings(made: Deployment, given: Mapping[str, Given], source: str, own_container: bool) -> list[str]:
    warnings = []
    if made.api is Api.V2:
        if made.autoscaler is Autoscaler.AZUREML_FE and "max_replicas" not in given:
            warnings.append(
                f"{source}: max_instances is not set; api v2 takes 1 (v1: 10), so the autoscaler cannot add a replica"
            )
        if "scoring_timeout_s" not in given:
            warnings.append(f"{source}: request_timeout_ms is not set; api v2 takes 5000 (v1: 60000)")
        if made.scoring_timeout_s > V2_LONGEST_TIMEOUT_S:
            warnings.append(f"{given['scoring_timeout_s'].label}, but Kubernetes online endpoints allow at most 300000")
    if made.max_concurrent_requests > made.worker_count:
        warnings.append(_queue_in_the_pod(made, given, source, own_container))
    return warnings


def _queue_in_the_pod(made: Deployment, given: Mapping[str, Given], source: str, own_container: bool) -> str:
    """What it means that a replica is given more requests than it works on, and what says otherwise."""
    at_once, workers = made.max_concurrent_requests, made.worker_count
    sentence = (
        f"{source}: a replica is given {at_once} requests at a time but has worker_count = {workers}: the rest waits "
        f"inside the pod (up to {at_once - workers}), out of reach of the wait limit"
    )
    if own_container and "worker_count" not in given:
        sentence += "; the file runs a container of its own (inference_config), which need not work one by one"
    return (
        f"{sentence}; worker_count: {at_once} says that it works on all {at_once} at once: no queue in the pod, and "
        f"{at_once / workers:.3g} times as many requests per second from each replica"
    )
