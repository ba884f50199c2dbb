"""The deployment of a scenario file: its own settings, over those of one of Azure's files if it names one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner import azureml
from planner.azureml import SETTINGS, Given
from planner.deployment_files import AzureFile, read_deployment_file
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment
from planner.scenario_file import schema
from planner.scenario_file.problems import Problems


@dataclass(frozen=True)
class ReadDeployment:
    """made: None where it is bad. warnings: about what was taken by default. replica_limit: of `Scenario`."""

    made: Deployment | None = None
    warnings: tuple[str, ...] = ()
    replica_limit: int | None = None


def read_deployment(form: Any, problems: Problems, folder: Path) -> ReadDeployment:
    """The deployment of a form."""
    source = f"{problems.source}: deployment"
    given = _given(form, problems)
    azure = None
    if form.file is not None:
        azure = _azure_file(form, given, problems, folder)
        if azure is None:
            return ReadDeployment()
        api, warnings = azure.api, azure.warnings
    else:
        api, warnings = _api(form, source)
    autoscaler = _autoscaler(form, api, problems)
    if azure is not None:
        autoscaler = autoscaler or azure.autoscaler
        given = _inherited(azure, autoscaler) | given
    if autoscaler is None:
        autoscaler = Autoscaler.FIXED if "num_replicas" in given else Autoscaler.AZUREML_FE
    if any(problems.is_bad("deployment", name) for name in _NEEDED):
        return ReadDeployment()
    if any(problems.is_bad("deployment", name) for name in _TIMEOUT_AND_WAIT):
        given.pop("scoring_timeout_from", None)
    own_container = azure is not None and azure.own_container
    try:
        deployment, more = azureml.deployment(
            api, autoscaler, given, source=source, own_container=own_container, named=_named(form, problems)
        )
    except InputError as error:
        problems.foreign(("deployment",), InputError(*(_labelled(sentence, given) for sentence in error.problems)))
        return ReadDeployment()
    limit = given.get("max_replicas") if autoscaler is Autoscaler.AZUREML_FE else None
    warnings = (*warnings, *more, *_without_effect(form, source))
    return ReadDeployment(deployment, warnings, None if limit is None else limit.value)


def _api(form: Any, source: str) -> tuple[Api, tuple[str, ...]]:
    """The API that is given, else the one whose names are used, else v2; and a warning if names have decided."""
    if form.api is not None:
        return Api(form.api), ()
    names = [name for name in type(form).model_fields if getattr(form, name) is not None]
    of_v1, of_v2 = azureml.names_of(Api.V1, names), azureml.names_of(Api.V2, names)
    if not of_v1:
        return Api.V2, ()
    api, other = (Api.V2, Api.V1) if of_v2 else (Api.V1, Api.V2)
    sides = ((of_v1, Api.V1), (of_v2, Api.V2))
    parts = [
        f"{', '.join(found)} {'are names' if len(found) > 1 else 'is a name'} of {of}" for found, of in sides if found
    ]
    hold = f"{api}'s rules and defaults hold ({_CHANGED_DEFAULTS[api]})"
    return api, (f"{source}: api is not given; {' and '.join(parts)}: {hold}; api: {other} says otherwise",)


_CHANGED_DEFAULTS = {
    Api.V1: "scoring_timeout_ms 60000, autoscale_max_replicas 10",
    Api.V2: "request_timeout_ms 5000, max_instances 1",
}
"""In the names and units of each API."""


def _named(form: Any, problems: Problems) -> Api | None:
    """Whose names the scenario itself has more of; None where it has as many of both.

    Options do not count, nor does num_replicas, which goes with `autoscaler: fixed` under either API.
    """
    names = [
        name
        for name in type(form).model_fields
        if getattr(form, name) is not None and name != "num_replicas" and not problems.is_override(("deployment", name))
    ]
    of_v1, of_v2 = len(azureml.names_of(Api.V1, names)), len(azureml.names_of(Api.V2, names))
    return None if of_v1 == of_v2 else Api.V1 if of_v1 > of_v2 else Api.V2


def _autoscaler(form: Any, api: Api, problems: Problems) -> Autoscaler | None:
    """The autoscaler that is named, by its own key or by v1's switch; None where neither says."""
    named = None if form.autoscaler is None else Autoscaler(form.autoscaler)
    if form.autoscale_enabled is None:
        return named
    path = ("deployment", azureml.AUTOSCALE_ENABLED)
    switched = Autoscaler.AZUREML_FE if form.autoscale_enabled else Autoscaler.FIXED
    if api is Api.V2:
        problems.add(path, f"is a name of v1, but api is v2: write autoscaler: {switched}")
    elif named not in (None, switched):
        problems.add(path, f"but deployment.autoscaler is {named}")
    return switched


def _without_effect(form: Any, source: str) -> tuple[str, ...]:
    """Azure's settings that the model has no use for, named once."""
    names = [name for name in azureml.SDK_V1_MOOT if getattr(form, name) is not None]
    if not names:
        return ()
    return (f"{source}: {', '.join(names)} {'change' if len(names) > 1 else 'changes'} nothing in the simulation",)


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


def _azure_file(form: Any, given: Mapping[str, Given], problems: Problems, folder: Path) -> AzureFile | None:
    """The settings of the file that is named; what it leaves unclear must be in `given`."""
    try:
        azure = read_deployment_file(folder / form.file)
        unclear = [sentence for field, sentence in azure.unclear.items() if field not in given]
        if unclear:
            raise InputError(*unclear)
    except InputError as error:
        problems.of_file(("deployment", "file"), error)
        return None
    if form.api is not None and form.api != azure.api:
        problems.add(("deployment", "api"), f"but {form.file} is a file of api {azure.api}")
    return azure
