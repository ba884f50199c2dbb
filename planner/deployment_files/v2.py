"""deployment.yml (v2, KubernetesOnlineDeployment), as Azure's own client, azure-ai-ml, reads it.

That client takes whole numbers only, also in quotes, and cuts what is behind a point. It refuses a key of ours without
a value and an unknown key in a section of ours. What it shows of a deployment that runs has lost parts of a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from planner import units
from planner.azureml import AUTOSCALER_FIELDS, SETTINGS, Given, Setting
from planner.deployment_files.settings import (
    AzureFile,
    empty_problem,
    misspelt,
    raise_if_any,
    read_workers,
    taken,
)
from planner.model import Api, Autoscaler
from planner.shown import shown

PLACES = {setting.field: setting.v2_file for setting in SETTINGS}

_SECTIONS: dict[str, set[str]] = {
    "scale_settings": {"type", *(p.partition(".")[2] for p in PLACES.values() if p.startswith("scale_settings."))},
    "request_settings": {p.partition(".")[2] for p in PLACES.values() if p.startswith("request_settings.")},
    "environment_variables": set(),
    "instance_count": set(),
}

_OTHER_PLACES = {
    name: setting.v2_file for setting in SETTINGS for name in (setting.v1, setting.v2, *setting.v1_file.split(".")[-1:])
} | {"autoscale_enabled": "scale_settings.type", "autoscaleEnabled": "scale_settings.type"}

_SHOWN_MARK = "provisioning_state"
"""What a deployment that runs has, as `az ml online-deployment show` prints it."""


def whole(value: Any) -> int:
    """A whole number as azure-ai-ml reads it: 3, "3" and 3.7 are 3. Raises ValueError for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("must be an integer")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be an integer")
    try:
        return int(value)
    except ValueError:
        raise ValueError("must be an integer, as Azure's client takes nothing else here") from None


def read_v2(document: Mapping[str, Any], source: str, text: str = "") -> AzureFile:
    """The settings of a parsed deployment.yml. text: of the file, to tell why a value is empty."""
    problems = misspelt(document, _SECTIONS, _OTHER_PLACES, source)
    kind = document.get("type", "kubernetes")
    if kind != "kubernetes":
        problems.append(f"{source}: type = {shown(kind)}, must be kubernetes: nothing else runs behind azureml-fe")
    warnings = _Warnings(source)

    def read(setting: Setting, value: Any) -> Any:
        return warnings.cut(setting, value)

    def empty(place: str) -> str:
        return empty_problem(place, source, text)

    given = taken(document, PLACES, read, source, problems, empty)
    scale_type = _scale_type(document, source, problems, empty)
    variables = document.get("environment_variables", {})
    if not isinstance(variables, Mapping):
        problems.append(f"{source}: environment_variables = {shown(variables)}, must be a mapping")
    has_workers = read_workers(variables, "environment_variables", source, given, problems)
    if not (given or has_workers or scale_type or problems):
        problems.append(no_setting(source, Api.V2))
    if scale_type == "default":
        problems += [f"{given[f].label}, not taken with scale_settings.type: default" for f in _scale_keys(given)]
    raise_if_any(problems)
    if "type" not in document:
        warnings.add("type is not set, and Azure's client takes managed; taken as kubernetes")
    unclear = _lost_by_show(given, warnings) if _SHOWN_MARK in document else {}
    _leave_out_no_wait(given, warnings)
    autoscaler = _autoscaler(scale_type, document, given, warnings)
    environment = document.get("environment")
    own_container = isinstance(environment, Mapping) and "inference_config" in environment
    return AzureFile(Api.V2, autoscaler, given, tuple(warnings.sentences), unclear, own_container)


def no_setting(source: str, api: Api) -> str:
    """A deployment that leaves everything to Azure's defaults: said, not simulated in silence."""
    what = "scale_settings, request_settings, instance_count" if api is Api.V2 else "autoScaler, numReplicas, ..."
    return (
        f"{source}: holds none of the settings of a deployment that matter here ({what}); to simulate Azure's defaults "
        f"write deployment: {{api: {api}}} in the scenario in place of the file"
    )


class _Warnings:
    """Sentences about a file, each said once."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sentences: list[str] = []

    def add(self, sentence: str) -> None:
        self.sentences.append(f"{self.source}: {sentence}")

    def cut(self, setting: Setting, value: Any) -> Any:
        """A setting as Azure's client has it; what it cuts off is said."""
        number = whole(value)
        if not isinstance(value, float) or number == value:
            return setting.read(number)
        try:
            read = setting.read(number)
        except ValueError:
            setting.read(value)  # whose bound may know what was meant: 0.7 is 70
            raise
        self.add(f"{setting.v2_file} = {value}: Azure's client cuts it to {number}, which is taken")
        return read


def _scale_type(document: Mapping[str, Any], source: str, problems: list[str], empty: Any) -> str | None:
    """scale_settings.type in the words of the file; Azure's client takes TargetUtilization too."""
    scale = document.get("scale_settings")
    if not isinstance(scale, Mapping) or "type" not in scale:
        return None
    given = scale["type"]
    if given is None:
        problems.append(empty("scale_settings.type"))
        return None
    spelled = {"Default": "default", "TargetUtilization": "target_utilization"}.get(str(given), str(given))
    if spelled not in ("default", "target_utilization"):
        problems.append(f"{source}: scale_settings.type = {shown(given)}, must be default or target_utilization")
        return None
    return spelled


def _scale_keys(given: Mapping[str, Given]) -> list[str]:
    return [field for field in AUTOSCALER_FIELDS if field in given]


def _autoscaler(
    scale_type: str | None, document: Mapping[str, Any], given: dict[str, Given], warnings: _Warnings
) -> Autoscaler:
    """The autoscaler that the file means; of `given` only what this one uses stays."""
    fixed = scale_type == "default"
    if scale_type is None and "scale_settings" in document:
        warnings.add("scale_settings.type is not set, without which Azure's client refuses the file")
    if scale_type is None and "num_replicas" in given:
        fixed = not _scale_keys(given)
        reading = "default, a fixed number of replicas" if fixed else "target_utilization, and instance_count not used"
        warnings.add(f"scale_settings.type is not set; taken as {reading}")
    elif not fixed and "num_replicas" in given:
        warnings.add(f"instance_count = {given['num_replicas'].value} is not used with target_utilization")
    if fixed:
        label = f"{warnings.source}: instance_count = 1 (default)"
        given.setdefault("num_replicas", Given(1, label, "instance_count"))
        return Autoscaler.FIXED
    given.pop("num_replicas", None)
    return Autoscaler.AZUREML_FE


def _leave_out_no_wait(given: dict[str, Given], warnings: _Warnings) -> None:
    """Azure's client sends a wait of 0 as "not set", and the service then takes its default."""
    wait = given.get("max_request_wait_s")
    if wait is not None and wait.value == 0:
        del given["max_request_wait_s"]
        warnings.add(f"{wait.name} = 0 is sent by Azure's client as not set: the default of 500 is taken")


def _lost_by_show(given: dict[str, Given], warnings: _Warnings) -> dict[str, str]:
    """`az ml online-deployment show` cuts times to whole seconds: 500 ms are shown as 0, 1500 ms as 1000."""
    unclear: dict[str, str] = {}
    for field in ("max_request_wait_s", "scoring_timeout_s"):
        if field not in given:
            continue
        if given[field].value == 0:
            name = given.pop(field).name.rpartition(".")[2]
            unclear[field] = (
                f"{warnings.source}: {name} = 0 stands for anything below 1000: `az ml online-deployment show` cuts to "
                f"whole seconds; give deployment.{name} in the scenario (500 unless it was changed)"
            )
        else:
            milliseconds = units.number(1e3 * given[field].value)
            warnings.add(
                f"{given[field].name} = {milliseconds:g} may be up to {milliseconds + 999:g}: "
                "`az ml online-deployment show` cuts to whole seconds"
            )
    return unclear
