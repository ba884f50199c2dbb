"""Azure's own two files: deployment.yml (v2, KubernetesOnlineDeployment) and deploymentconfig.json (v1)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner import units
from planner.azureml import AUTOSCALER_FIELDS, SETTINGS, Given
from planner.errors import InputError
from planner.model import Api, Autoscaler


@dataclass(frozen=True)
class AzureFile:
    """The settings that one of Azure's files holds."""

    api: Api
    autoscaler: Autoscaler
    given: Mapping[str, Given]
    warnings: tuple[str, ...] = ()


def from_document(document: Mapping[str, Any], source: str) -> AzureFile:
    """The settings of a parsed deployment.yml (v2, KubernetesOnlineDeployment) or deploymentconfig.json (v1)."""
    is_v1 = "computeType" in document or any(s.v1_file.split(".")[0] in document for s in SETTINGS)
    return _from_v1(document, source) if is_v1 else _from_v2(document, source)


def _from_v1(document: Mapping[str, Any], source: str) -> AzureFile:
    compute = document.get("computeType", "aks")
    problems = _misspelt(document, Api.V1, source)
    if str(compute).lower() not in ("aks", "aksendpoint"):
        problems.append(f"{source}: computeType = {compute}, must be aks: nothing else runs behind azureml-fe")
    given = _given(document, Api.V1, source, problems)
    scaler = document.get("autoScaler")
    enabled = scaler.get("autoscaleEnabled") if isinstance(scaler, Mapping) else None
    if enabled not in (None, True, False):
        problems.append(f"{source}: autoScaler.autoscaleEnabled = {enabled}, must be true or false")
    if problems:
        raise InputError(*problems)
    fixed = "num_replicas" in given if enabled is None else not enabled
    if not fixed and enabled is None:
        given.pop("num_replicas", None)
    return AzureFile(Api.V1, Autoscaler.FIXED if fixed else Autoscaler.AZUREML_FE, given)


def _from_v2(document: Mapping[str, Any], source: str) -> AzureFile:
    problems = _misspelt(document, Api.V2, source)
    kind = document.get("type", "kubernetes")
    if kind != "kubernetes":
        problems.append(f"{source}: type = {kind}, must be kubernetes: nothing else runs behind azureml-fe")
    given = _given(document, Api.V2, source, problems)
    scale = document.get("scale_settings")
    scale_type = scale.get("type") if isinstance(scale, Mapping) else None
    if scale_type not in (None, "default", "target_utilization"):
        problems.append(f"{source}: scale_settings.type = {scale_type}, must be default or target_utilization")
    variables = document.get("environment_variables")
    if isinstance(variables, Mapping) and "WORKER_COUNT" in variables:
        _read_workers(variables["WORKER_COUNT"], source, given, problems)
    if problems:
        raise InputError(*problems)
    warnings = []
    fixed = scale_type == "default"
    if scale_type is None and "num_replicas" in given:
        fixed = not any(field in given for field in AUTOSCALER_FIELDS)
        reading = "default, a fixed number of replicas" if fixed else "target_utilization, and instance_count not used"
        warnings.append(f"{source}: scale_settings.type is not set; taken as {reading}")
    if fixed:
        given.setdefault("num_replicas", Given(1, f"{source}: instance_count = 1 (default)", "instance_count"))
        for field in AUTOSCALER_FIELDS:  # Azure ignores them under type: default
            given.pop(field, None)
    else:
        given.pop("num_replicas", None)
    return AzureFile(Api.V2, Autoscaler.FIXED if fixed else Autoscaler.AZUREML_FE, given, tuple(warnings))


def _given(document: Mapping[str, Any], api: Api, source: str, problems: list[str]) -> dict[str, Given]:
    given = {}
    for setting in SETTINGS:
        place = setting.place(api)
        value: Any = document
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or (setting.field == "num_replicas" and api is Api.V1 and value == 0):
            continue  # the client sends null, and v1 a 0, for "not set"
        label = f"{source}: {place} = {value}"
        try:
            given[setting.field] = Given(setting.read(value), label, place)
        except ValueError as bound:
            problems.append(f"{label}, {bound}")
    return given


def _read_workers(value: object, source: str, given: dict[str, Given], problems: list[str]) -> None:
    label = f"{source}: environment_variables.WORKER_COUNT = {value}"
    try:
        workers = units.count(least=1)(int(value) if isinstance(value, str) and value.isdecimal() else value)
        given["worker_count"] = Given(workers, label, "WORKER_COUNT")
    except ValueError as bound:
        problems.append(f"{label}, {bound}")


def _misspelt(document: Mapping[str, Any], api: Api, source: str) -> list[str]:
    """Keys that are nearly ours: Azure's docs themselves write `scale_setting` once, which its SDK refuses.

    A file holds much that is not ours: at its top only a near miss is an error, inside our sections any unknown key.
    """
    problems = []
    sections = _sections(api)
    for key, value in document.items():
        name = str(key)
        near = difflib.get_close_matches(name, sections, n=1, cutoff=0.88)
        if name not in sections and near:
            problems.append(f"{source}: {name} is an unknown key; did you mean {near[0]}?")
        elif sections.get(name) and not isinstance(value, Mapping):
            problems.append(f"{source}: {name} = {value}, must be a mapping")
        elif sections.get(name):
            known = sections[name]
            for inner in value:
                if inner not in known:
                    guess = difflib.get_close_matches(str(inner), known, n=1)
                    hint = f"; did you mean {guess[0]}?" if guess else f"; known are {', '.join(sorted(known))}"
                    problems.append(f"{source}: {name}.{inner} is an unknown key{hint}")
    return problems


def _sections(api: Api) -> dict[str, set[str]]:
    """Our keys at the top of a file -> the keys inside them (none for a plain value)."""
    sections: dict[str, set[str]] = {}
    for setting in SETTINGS:
        top, _, inner = setting.place(api).partition(".")
        sections.setdefault(top, set()).update({inner} if inner else set())
    extra = {Api.V1: {"autoScaler": {"autoscaleEnabled"}}, Api.V2: {"scale_settings": {"type"}}}[api]
    for top, inners in extra.items():
        sections[top] |= inners
    return sections
