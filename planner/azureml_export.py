"""A recommended deployment as Azure wants it: v2 YAML or commands, v1 JSON or Python. Names are those of `SETTINGS`."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from planner.azureml import AUTOSCALER_FIELDS, SETTINGS, V2_LONGEST_TIMEOUT_S, Setting
from planner.errors import InputError
from planner.model import V1_SCALE_DOWN_DELAY_S, V2_SCALE_DOWN_TICKS, Api, Autoscaler, Deployment, Estimate
from planner.percent import percent
from planner.plan_folder import Recommendation


class Format(StrEnum):
    ONLINE_DEPLOYMENT = "online-deployment"
    DEPLOYMENTCONFIG = "deploymentconfig"
    SDK_V1 = "sdk-v1"
    AZ_CLI = "az-cli"

    @property
    def api(self) -> Api:
        return Api.V2 if self in (Format.ONLINE_DEPLOYMENT, Format.AZ_CLI) else Api.V1


@dataclass(frozen=True)
class Names:
    """What Azure calls the deployment and its endpoint, in the formats of v2; the defaults are placeholders."""

    deployment: str = "blue"
    endpoint: str = "my-endpoint"

    def __post_init__(self) -> None:
        for option, name in (("--name", self.deployment), ("--endpoint-name", self.endpoint)):
            if not _NAME.fullmatch(name):
                raise InputError(f"{option} {name!r}: must be {_NAME_BOUND}")
        if (length := len(self.deployment) + len(self.endpoint)) > _LONGEST_NAMES:
            raise InputError(
                f"--name {self.deployment}: has {length} characters with the endpoint's name, must be at most "
                f"{_LONGEST_NAMES}"
            )


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{2,31}")
_NAME_BOUND = "3 to 32 letters, digits, - or _, the first a letter or a digit"
_LONGEST_NAMES = 62


@dataclass(frozen=True)
class Export:
    """The settings in one format, and what that format cannot carry, a sentence each."""

    text: str
    warnings: tuple[str, ...]


def export(plan: Recommendation, form: Format, names: Names) -> Export:
    """The recommended settings, every one that the API knows, whether or not it is the default."""
    deployment, api = plan.deployment, form.api
    values, warnings = _values(deployment, api)
    write = {
        Format.ONLINE_DEPLOYMENT: _online_deployment,
        Format.DEPLOYMENTCONFIG: _deploymentconfig,
        Format.SDK_V1: _sdk_v1,
        Format.AZ_CLI: _az_cli,
    }[form]
    if api is Api.V1 and deployment.worker_count != 1:
        warnings.append(
            f"WORKER_COUNT = {deployment.worker_count} is no setting of a deployment in api v1: set it among the "
            "environment_variables of the Environment"
        )
    warnings += _differences(deployment, api, values)
    if plan.verdict != "feasible":
        why = f": {plan.reasons[0]}" if plan.reasons else ""
        warnings.insert(0, f"the plan is {plan.verdict}, these settings are not shown to keep its promise{why}")
    return Export(write(plan, values, names), tuple(warnings))


Values = Mapping[Setting, int]
"""Azure's settings that mean something under the autoscaler in use, in Azure's units."""

_PER_SECOND = {"refresh_period_s": 1, "max_request_wait_s": 1000, "scoring_timeout_s": 1000}
_UNITS = {1: "seconds", 1000: "milliseconds"}


def _values(deployment: Deployment, api: Api) -> tuple[dict[Setting, int], list[str]]:
    moot = AUTOSCALER_FIELDS if deployment.autoscaler is Autoscaler.FIXED else ("num_replicas",)
    values, warnings = {}, []
    for setting in SETTINGS:
        if setting.field in moot:
            continue
        field = "max_replicas" if setting.field == "num_replicas" else setting.field
        value = getattr(deployment, field)
        if setting.field not in _PER_SECOND:
            values[setting] = value
            continue
        values[setting], problem = _whole(setting.field, value, api)
        if problem:
            label = f"{setting.name(api)} = {value * _PER_SECOND[setting.field]:.10g}"
            warnings.append(f"{label} {problem}: {values[setting]} is written, for which nothing was planned")
    return values, warnings


def _whole(field: str, value_s: float, api: Api) -> tuple[int, str | None]:
    """A time as the API takes it, and in what that differs from the one that was planned for."""
    per_second = _PER_SECOND[field]
    exact = value_s * per_second
    nearest = math.floor(exact + 0.5)
    if nearest < 1:
        return 1, f"is less than api {api} takes"
    if field == "scoring_timeout_s" and api is Api.V2 and value_s > V2_LONGEST_TIMEOUT_S:
        return int(V2_LONGEST_TIMEOUT_S * per_second), "is more than Kubernetes online endpoints allow"
    if not math.isclose(exact, nearest, rel_tol=1e-9):
        return nearest, f"is not in whole {_UNITS[per_second]}, as Azure takes it"
    return nearest, None


def _differences(deployment: Deployment, api: Api, values: Values) -> list[str]:
    """In what the autoscaler would behave otherwise than in the plan, and no setting can help."""
    if deployment.min_replicas == deployment.max_replicas:
        return []
    warnings = []
    if deployment.api is not api:
        how = {Api.V1: "busy replicas only", Api.V2: "busy replicas and queued requests"}
        warnings.append(
            f"the plan is for api {deployment.api}, whose utilization counts {how[deployment.api]}; api {api} counts "
            f"{how[api]}, so the same target scales otherwise: plan with api: {api}"
        )
    planned_s = deployment.scale_down_delay_s
    if planned_s is None:
        planned_s = _scale_down_delay_s(deployment.api, deployment.refresh_period_s)
    refresh_s = next(value for setting, value in values.items() if setting.field == "refresh_period_s")
    azures_s = _scale_down_delay_s(api, refresh_s)
    if not math.isclose(planned_s, azures_s):
        warnings.append(
            f"the plan's autoscaler waits {planned_s:g} s before it scales down; that is no setting, and api {api} "
            f"waits around {azures_s:g} s"
        )
    return warnings


def _scale_down_delay_s(api: Api, refresh_period_s: float) -> float:
    return V1_SCALE_DOWN_DELAY_S if api is Api.V1 else V2_SCALE_DOWN_TICKS * refresh_period_s


def _online_deployment(plan: Recommendation, values: Values, names: Names) -> str:
    document = {"name": names.deployment, "endpoint_name": names.endpoint, "type": "kubernetes"}
    comments = [_origin(plan), "Add your model, environment and code_configuration; name and endpoint_name are yours."]
    body = yaml.safe_dump(document | _nested(_v2_places(plan.deployment, values)), sort_keys=False)
    return _commented(comments) + body


def _deploymentconfig(plan: Recommendation, values: Values, _names: Names) -> str:
    scales = plan.deployment.autoscaler is not Autoscaler.FIXED
    places = {"computeType": "aks", "autoScaler.autoscaleEnabled": scales}
    document = _nested(places | {setting.v1_file: value for setting, value in values.items()})
    return json.dumps(document, indent=2) + "\n"


def _sdk_v1(plan: Recommendation, values: Values, _names: Names) -> str:
    scales = plan.deployment.autoscaler is not Autoscaler.FIXED
    arguments = {"autoscale_enabled": scales} | {setting.v1: value for setting, value in values.items()}
    lines = [
        "from azureml.core.webservice import AksWebservice",
        "",
        "deployment_config = AksWebservice.deploy_configuration(",
        *(f"    {name}={value!r}," for name, value in arguments.items()),
        ")",
    ]
    if variables := _environment_variables(plan.deployment):
        lines += [
            "",
            "# For your Environment, before the deployment: environment.environment_variables.update(...)",
            f"environment_variables = {json.dumps(variables)}",
        ]
    return _commented([_origin(plan)]) + "\n".join(lines) + "\n"


def _az_cli(plan: Recommendation, values: Values, names: Names) -> str:
    places = _v2_places(plan.deployment, values)
    words = ["--name", names.deployment, "--endpoint-name", names.endpoint, "--set"]
    words += [f"{place}={value}" for place, value in places.items()]
    comments = [
        _origin(plan),
        "Add --resource-group and --workspace-name unless they are your az defaults.",
        "If scale_settings.type changes, use --file and the online-deployment format: --set keeps the old type's keys.",
        "A deployment that does not exist yet, deployment.yml with your model and environment:",
        shlex.join(["az", "ml", "online-deployment", "create", "--file", "deployment.yml", *words]),
        "One that exists:",
    ]
    return _commented(comments) + shlex.join(["az", "ml", "online-deployment", "update", *words]) + "\n"


def _v2_places(deployment: Deployment, values: Values) -> dict[str, Any]:
    """Dotted path in the YAML -> value."""
    kind = "default" if deployment.autoscaler is Autoscaler.FIXED else "target_utilization"
    places: dict[str, Any] = {"scale_settings.type": kind}
    places |= {setting.v2_file: value for setting, value in values.items()}
    variables = _environment_variables(deployment)
    return places | {f"environment_variables.{name}": value for name, value in variables.items()}


def _environment_variables(deployment: Deployment) -> dict[str, str]:
    return {} if deployment.worker_count == 1 else {"WORKER_COUNT": str(deployment.worker_count)}


def _nested(places: Mapping[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for place, value in places.items():
        section, _, key = place.rpartition(".")
        (document.setdefault(section, {}) if section else document)[key] = value
    return document


def _origin(plan: Recommendation) -> str:
    said = f"fraction of 503s {_with_bound(plan.fraction_503, plan.promised)}"
    failed = plan.fraction_failed
    if failed is not None and (plan.promised_failed is not None or failed.value > plan.fraction_503.value):
        said += f"; of failed requests (not answered 200) {_with_bound(failed, plan.promised_failed)}"
    return f"Planned by surgeproof for {plan.scenario}: {said}."


def _with_bound(found: Estimate, promised: float | None) -> str:
    fraction = (
        f"{percent(found.value)} ({percent(found.low)} to {percent(found.high)}, {percent(found.confidence)} interval)"
    )
    if not found.resolved:
        fraction = f"at most {percent(found.high)} (too few of {found.replications} runs saw one)"
    return fraction if promised is None else f"{fraction}, promised at most {percent(promised)}"


def _commented(lines: list[str]) -> str:
    """Comment lines, which a line break in a name must not end."""
    return "".join(f"# {_NO_TEXT.sub(' ', line)}\n" for line in lines)


_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]+")
