"""A deployment as Azure Resource Manager holds it: JSON of `az resource show`, of a REST call, or of a template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from planner.azureml import Given, Setting
from planner.deployment_files.settings import AzureFile, misspelt, raise_if_any, read_workers, taken
from planner.deployment_files.v2 import no_setting, whole
from planner.errors import InputError
from planner.model import Api, Autoscaler
from planner.recognise.documents import ARM_DEPLOYMENT
from planner.recognise.sentences import managed
from planner.shown import shown

PLACES = {
    "min_replicas": "scaleSettings.minInstances",
    "max_replicas": "scaleSettings.maxInstances",
    "target_utilization_percent": "scaleSettings.targetUtilizationPercentage",
    "refresh_period_s": "scaleSettings.pollingInterval",
    "max_concurrent_requests": "requestSettings.maxConcurrentRequestsPerInstance",
    "max_request_wait_s": "requestSettings.maxQueueWait",
    "scoring_timeout_s": "requestSettings.requestTimeout",
    "num_replicas": "sku.capacity",
}

_TIMES = {"refresh_period_s": 1, "max_request_wait_s": 1000, "scoring_timeout_s": 1000}
"""Field of a duration -> how many of its setting's units a second has."""

_SECTIONS: dict[str, set[str]] = {
    "scaleSettings": {"scaleType", *(p.partition(".")[2] for p in PLACES.values() if p.startswith("scaleSettings."))},
    "requestSettings": {p.partition(".")[2] for p in PLACES.values() if p.startswith("requestSettings.")},
}

_EXPRESSION = re.compile(r"\[(?!\[).*\]", re.DOTALL)
_PARAMETER = re.compile(r"parameters\(\s*'([^']+)'\s*\)", re.IGNORECASE)
_ISO = re.compile(r"P(?=.)[0-9.,YMWDTHS]*")
_DURATION = TypeAdapter(timedelta)


def read_arm(document: Mapping[str, Any], source: str) -> AzureFile:
    """The settings of a deployment's resource. A null stands for "not set"."""
    properties = document.get("properties")
    if not isinstance(properties, Mapping):
        raise InputError(f"{source}: properties = {shown(properties)}, must be a mapping")
    compute = properties.get("endpointComputeType", "Kubernetes")
    if str(compute).lower() == "managed":
        raise InputError(managed(source, "endpointComputeType: Managed"))
    problems = _problems_of_keys(properties, source)
    if str(compute).lower() != "kubernetes":
        bound = _expression_problem(compute) or "must be Kubernetes: nothing else runs behind azureml-fe"
        problems.append(f"{source}: properties.endpointComputeType = {shown(compute)}, {bound}")
    found = {**properties, "sku": document.get("sku")}
    given = taken(found, PLACES, _read, source, problems)
    scale = properties.get("scaleSettings")
    scale_type = _scale_type(scale.get("scaleType") if isinstance(scale, Mapping) else None, source, problems)
    variables = properties.get("environmentVariables")
    has_workers = read_workers(variables, "environmentVariables", source, given, problems)
    if not (given or has_workers or scale_type or problems):
        problems.append(no_setting(source, Api.V2))
    raise_if_any(problems)
    if scale_type == "default":
        given.setdefault("num_replicas", Given(1, f"{source}: sku.capacity = 1 (default)", "sku.capacity"))
        return AzureFile(Api.V2, Autoscaler.FIXED, given)
    given.pop("num_replicas", None)  # how many there were when it was asked
    return AzureFile(Api.V2, Autoscaler.AZUREML_FE, given)


def deployment_in(template: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The one deployment among the resources of an ARM template."""
    found = list(_deployments(template, ""))
    if len(found) != 1:
        how = "holds no deployment of an online endpoint" if not found else f"holds {len(found)} deployments"
        names = "".join(f" {', '.join(shown(d.get('name')) for d in found)}" if found else "")
        raise InputError(f"{source}: is an ARM template that {how}{names and ':'}{names}; give a file with exactly one")
    return found[0]


def _deployments(holder: Mapping[str, Any], parent: str) -> Iterator[Mapping[str, Any]]:
    """Resources may lie inside the one they belong to, under the last part of their type."""
    resources = holder.get("resources")
    inner = list(resources.values()) if isinstance(resources, Mapping) else resources
    for resource in inner if isinstance(inner, list) else []:
        if not isinstance(resource, Mapping):
            continue
        own = str(resource.get("type", ""))
        kind = own if "/" in own else f"{parent}/{own}"
        if kind.lower() == ARM_DEPLOYMENT.lower():
            yield resource
        yield from _deployments(resource, kind)


def _read(setting: Setting, value: Any) -> Any:
    if (problem := _expression_problem(value)) is not None:
        raise ValueError(problem)
    if setting.field in _TIMES:
        return setting.read(_seconds(value) * _TIMES[setting.field])
    return setting.read(whole(value))


def _seconds(value: Any) -> float:
    try:
        if not isinstance(value, str) or not _ISO.fullmatch(value):
            raise ValueError
        return _DURATION.validate_python(value).total_seconds()
    except (ValueError, ValidationError):
        raise ValueError("must be a duration in ISO 8601, for example PT0.5S") from None


def _expression_problem(value: Any) -> str | None:
    """Why an expression of a template tells nothing: its value comes from elsewhere."""
    if not isinstance(value, str) or not _EXPRESSION.fullmatch(value.strip()):
        return None
    name = _PARAMETER.search(value)
    what = f"the parameter {name[1]}" if name else "an expression"
    return f"is {what} of the template, whose value is known when it is deployed: write the value in its place"


def _problems_of_keys(properties: Mapping[str, Any], source: str) -> list[str]:
    there = {key: value for key, value in properties.items() if value is not None}
    for section in _SECTIONS:
        if (problem := _expression_problem(there.get(section))) is not None:
            return [f"{source}: properties.{section} = {shown(there[section])}, {problem}"]
    return misspelt(there, _SECTIONS, {}, source)


def _scale_type(given: Any, source: str, problems: list[str]) -> str | None:
    if given is None:
        return None
    known = {"default": "default", "targetutilization": "target_utilization"}
    if (found := known.get(str(given).lower())) is None:
        bound = _expression_problem(given) or "must be Default or TargetUtilization"
        problems.append(f"{source}: scaleSettings.scaleType = {shown(given)}, {bound}")
    return found
