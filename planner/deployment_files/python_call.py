"""Settings in Python code: a call of Azure's SDK with plain values. The code is parsed, never run.

SDK v1: AksWebservice.deploy_configuration(...). SDK v2: KubernetesOnlineDeployment(...).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from planner.azureml import AUTOSCALE_ENABLED, SDK_V1_MOOT, SDK_V1_SECRETS, SETTINGS, Given
from planner.deployment_files.settings import AzureFile, raise_if_any
from planner.deployment_files.v2 import no_setting, read_v2
from planner.errors import InputError
from planner.model import Api, Autoscaler
from planner.recognise.sentences import managed
from planner.shown import shown

_CALLS = {
    "AksWebservice.deploy_configuration": "v1",
    "AksEndpoint.deploy_configuration": "v1",
    "KubernetesOnlineDeployment": "v2",
    "ManagedOnlineDeployment": "managed",
    "AciWebservice.deploy_configuration": "aci",
}

_SECTIONS = {
    "TargetUtilizationScaleSettings": {"type": "target_utilization"},
    "DefaultScaleSettings": {"type": "default"},
    "OnlineRequestSettings": {},
}
"""Classes of SDK v2 that hold a section of the deployment -> what their name says already."""

_V1 = {setting.v1: setting for setting in SETTINGS}
_V2_READ = {"type", "instance_count", "scale_settings", "request_settings", "environment_variables"}


def looks_like_python(text: str) -> bool:
    """Whether a text has a call in it that `read_python` knows by name."""
    return any(f"{name.rpartition('.')[2]}(" in text.replace(" ", "") for name in _CALLS)


def settings_of_v1(text: str, source: str) -> dict[str, Any]:
    """A scenario's `deployment` from the one AksWebservice.deploy_configuration in a text, with its plain values."""
    name, call = _call(text, source)
    if _CALLS[name] != "v1":
        raise InputError(f"{source}: holds {name}(...): save it as a .py file and name that by `file`")
    return {"api": "v1", **_v1_arguments(call, source)}


def read_python(text: str, source: str) -> AzureFile:
    """The settings in the one call of Azure's SDK that a text holds."""
    name, call = _call(text, source)
    match _CALLS[name]:
        case "managed":
            raise InputError(managed(source, name))
        case "aci":
            raise InputError(f"{source}: {name} is for a container instance: nothing there runs behind azureml-fe")
        case "v2":
            return read_v2({"type": "kubernetes"} | _v2_arguments(call, source), source)
    return _from_v1_names(_v1_arguments(call, source), source)


def _from_v1_names(arguments: Mapping[str, Any], source: str) -> AzureFile:
    problems: list[str] = []
    given = {}
    for name in (name for name in arguments if name in _V1):
        label = f"{source}: {name} = {shown(arguments[name])}"
        try:
            given[_V1[name].field] = Given(_V1[name].read(arguments[name]), label, name)
        except ValueError as bound:
            problems.append(f"{label}, {bound}")
    enabled = arguments.get("autoscale_enabled")
    if enabled is not None and not isinstance(enabled, bool):
        problems.append(f"{source}: autoscale_enabled = {shown(enabled)}, must be True or False")
    if not given and enabled is None:
        problems.append(no_setting(source, Api.V1))
    raise_if_any(problems)
    fixed = "num_replicas" in given if enabled is None else not enabled
    return AzureFile(Api.V1, Autoscaler.FIXED if fixed else Autoscaler.AZUREML_FE, given)


def _call(text: str, source: str) -> tuple[str, ast.Call]:
    """The one call of `_CALLS` in a text, and its name there."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
        raise InputError(f"{source}: {line}not valid Python") from None
    found = [
        (name, node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (name := _known_name(_dotted(node.func))) is not None
    ]
    if len(found) != 1:
        how = f"{len(found)} calls" if found else "no call"
        lines = f" (lines {', '.join(str(call.lineno) for _, call in found)})" if found else ""
        raise InputError(
            f"{source}: holds {how} of AksWebservice.deploy_configuration or KubernetesOnlineDeployment{lines}, "
            "must hold one; or copy its settings into the scenario's deployment"
        )
    return found[0]


def _known_name(dotted: str) -> str | None:
    return next((name for name in _CALLS if dotted == name or dotted.endswith(f".{name}")), None)


def _dotted(function: ast.expr) -> str:
    """AksWebservice.deploy_configuration; "" for what is no plain name."""
    if isinstance(function, ast.Attribute):
        return f"{_dotted(function.value)}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def _v1_arguments(call: ast.Call, source: str) -> dict[str, Any]:
    values = _literals(call, {*_V1, AUTOSCALE_ENABLED}, source)
    for keyword in call.keywords:
        if keyword.arg in SDK_V1_SECRETS and isinstance(keyword.value, ast.Constant) and keyword.value.value:
            raise InputError(f"{source}: {keyword.arg} holds a key, take it out: nothing here needs it")
    unknown = [
        str(k.arg)
        for k in call.keywords
        if k.arg and k.arg not in {*_V1, AUTOSCALE_ENABLED, *SDK_V1_MOOT, *SDK_V1_SECRETS}
    ]
    if unknown:
        raise InputError(f"{source}: {', '.join(unknown)}: AksWebservice.deploy_configuration has no such argument")
    scaling = [name for name in values if name.startswith("autoscale_") and name != "autoscale_enabled"]
    if scaling and values.get("autoscale_enabled") is not True:
        raise InputError(f"{source}: {scaling[0]} needs autoscale_enabled=True, without which Azure's SDK refuses it")
    return values


def _v2_arguments(call: ast.Call, source: str) -> dict[str, Any]:
    sections = {}
    for keyword in call.keywords:
        name = _dotted(keyword.value.func).rpartition(".")[2] if isinstance(keyword.value, ast.Call) else ""
        if keyword.arg in ("scale_settings", "request_settings") and name in _SECTIONS:
            assert isinstance(keyword.value, ast.Call)
            inner = {str(k.arg) for k in keyword.value.keywords}
            sections[keyword.arg] = _SECTIONS[name] | _literals(keyword.value, inner, source)
    return _literals(call, _V2_READ - sections.keys(), source) | sections


def _literals(call: ast.Call, names: set[str], source: str) -> dict[str, Any]:
    """Of the named arguments those that are given; one that is no plain value is a problem, None is "not set"."""
    values: dict[str, Any] = {}
    unread = []
    if call.args:
        unread.append(f"{len(call.args)} without a name")
    for keyword in call.keywords:
        if keyword.arg is None:
            unread.append(f"**{ast.unparse(keyword.value)}")
        elif keyword.arg in names:
            try:
                value = ast.literal_eval(keyword.value)
            except (ValueError, TypeError, RecursionError, MemoryError, SyntaxError):
                unread.append(f"{keyword.arg}={shown(ast.unparse(keyword.value))}")
            else:
                values |= {} if value is None else {keyword.arg: value}
    if unread:
        raise InputError(
            f"{source}: line {call.lineno}: {', '.join(unread)}: no plain value, and the code is not run; copy these "
            f"arguments with their values into the scenario's deployment ({', '.join(_V1)})"
        )
    return values
