"""The deployment of a scenario file: its own settings, over those of one of Azure's files if it names one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner import azureml
from planner.azureml import SETTINGS, Given
from planner.azureml_files import AzureFile, from_document
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment
from planner.scenario_file import schema
from planner.scenario_file.problems import Problems
from planner.scenario_file.yaml_text import parse, read_text


@dataclass(frozen=True)
class ReadDeployment:
    """made: None where it is bad. warnings: about what was taken by default. replica_limit: of `Scenario`."""

    made: Deployment | None = None
    warnings: tuple[str, ...] = ()
    replica_limit: int | None = None


def read_deployment(form: Any, problems: Problems, folder: Path) -> ReadDeployment:
    """The deployment of a form."""
    given = _given(form, problems)
    api = Api(form.api or Api.V2)
    autoscaler = None if form.autoscaler is None else Autoscaler(form.autoscaler)
    warnings: tuple[str, ...] = ()
    if form.file is not None:
        azure = _azure_file(form.file, problems, folder)
        if azure is None:
            return ReadDeployment()
        if form.api is not None and api is not azure.api:
            problems.add(("deployment", "api"), f"but {form.file} is a file of api {azure.api}")
        api, warnings = azure.api, azure.warnings
        autoscaler = autoscaler or azure.autoscaler
        given = _inherited(azure, autoscaler) | given
    if autoscaler is None:
        autoscaler = Autoscaler.FIXED if "num_replicas" in given else Autoscaler.AZUREML_FE
    if any(problems.is_bad("deployment", name) for name in _NEEDED):
        return ReadDeployment()
    if any(problems.is_bad("deployment", name) for name in _TIMEOUT_AND_WAIT):
        given.pop("scoring_timeout_from", None)
    try:
        source = f"{problems.source}: deployment"
        deployment, more = azureml.deployment(api, autoscaler, given, source=source)
    except InputError as error:
        problems.foreign(("deployment",), InputError(*(_labelled(sentence, given) for sentence in error.problems)))
        return ReadDeployment()
    limit = given.get("max_replicas") if autoscaler is Autoscaler.AZUREML_FE else None
    return ReadDeployment(deployment, (*warnings, *more), None if limit is None else limit.value)


def _labelled(sentence: str, given: dict[str, Given]) -> str:
    """`field = value, bound`, as `Deployment` says it, with the place where the field was set."""
    field, _, rest = sentence.partition(" = ")
    setting = given.get(field) or (given.get("num_replicas") if field == "max_replicas" else None)
    return f"{setting.label}, {rest.partition(', ')[2]}" if setting else sentence


_NEEDED = ("api", "autoscaler", "autoscale_max_replicas", "max_instances", "num_replicas", "instance_count")
"""Without these, bounds between settings would be checked against defaults that nobody asked for."""

_TIMEOUT_AND_WAIT = ("scoring_timeout_ms", "request_timeout_ms", "max_request_wait_time", "max_queue_wait_ms")
"""The same for the one bound between these, which `scoring_timeout_from: arrival` sets."""


def _inherited(azure: AzureFile, autoscaler: Autoscaler) -> dict[str, Given]:
    """The file's settings; if the scenario changes the autoscaler, without the file's own scaling."""
    scaling = () if autoscaler is azure.autoscaler else (*azureml.AUTOSCALER_FIELDS, "num_replicas")
    return {field: given for field, given in azure.given.items() if field not in scaling}


def _given(form: Any, problems: Problems) -> dict[str, Given]:
    """The settings that stand in the scenario, by field of `Deployment`."""
    given = {}
    for setting in SETTINGS:
        names = [name for name in dict.fromkeys((setting.v1, setting.v2)) if getattr(form, name) is not None]
        if len(names) > 1:
            path = ("deployment", names[0])
            problems.add(path, f"but deployment.{names[1]} is the same setting: give one of them")
        elif names:
            given[setting.field] = _given_at(names[0], getattr(form, names[0]), problems)
    for name, (field, kind) in schema.PLAIN_FIELDS.items():
        if getattr(form, name) is not None:
            given[field] = _given_at(name, kind(getattr(form, name)), problems)
    return given


def _given_at(name: str, value: Any, problems: Problems) -> Given:
    path = ("deployment", name)
    return Given(value, problems.label(path), name, problems.is_override(path))


def _azure_file(file: str, problems: Problems, folder: Path) -> AzureFile | None:
    path = folder / file
    try:
        text = read_text(path, str(path))
        document = _json(text, path) if path.suffix.lower() == ".json" else parse(text, str(path))
        if not isinstance(document, dict):
            raise InputError(f"{path}: must hold the settings of a deployment")
        return from_document(document, str(path))
    except InputError as error:
        problems.of_file(("deployment", "file"), error)
        return None


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of more digits than Python converts
        place = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"{path}: {place}not valid JSON") from None
