"""deploymentconfig.json (v1), and the arguments of the Python SDK v1: an AksWebservice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.azureml import SETTINGS
from planner.deployment_files.settings import AzureFile, misspelt, raise_if_any, taken
from planner.deployment_files.v2 import no_setting
from planner.model import Api, Autoscaler
from planner.shown import shown

PLACES = {setting.field: setting.v1_file for setting in SETTINGS}

_SECTIONS: dict[str, set[str]] = {
    "autoScaler": {
        "autoscaleEnabled",
        *(p.partition(".")[2] for p in PLACES.values() if p.startswith("autoScaler.")),
    },
    **{place: set() for place in PLACES.values() if "." not in place},
}

_OTHER_PLACES = {name: setting.v1_file for setting in SETTINGS for name in (setting.v1, setting.v2)} | {
    "autoscale_enabled": "autoScaler.autoscaleEnabled",
    "autoscaleEnabled": "autoScaler.autoscaleEnabled",
    **{setting.v1_file.partition(".")[2]: setting.v1_file for setting in SETTINGS if "." in setting.v1_file},
}


def read_v1(document: Mapping[str, Any], source: str) -> AzureFile:
    """The settings of a parsed deploymentconfig.json. A null stands for "not set": so Azure's client writes them."""
    compute = document.get("computeType", "aks")
    problems = misspelt(
        {key: value for key, value in document.items() if value is not None}, _SECTIONS, _OTHER_PLACES, source
    )
    if str(compute).lower() not in ("aks", "aksendpoint"):
        problems.append(f"{source}: computeType = {shown(compute)}, must be aks: nothing else runs behind azureml-fe")
    is_zero = document.get("numReplicas") == 0  # "not set", and so the autoscaler is on
    read = {key: value for key, value in document.items() if key != "numReplicas" or not is_zero}
    given = taken(read, PLACES, lambda setting, value: setting.read(value), source, problems)
    scaler = document.get("autoScaler")
    enabled = scaler.get("autoscaleEnabled") if isinstance(scaler, Mapping) else None
    if enabled is not None and not isinstance(enabled, bool):
        problems.append(f"{source}: autoScaler.autoscaleEnabled = {shown(enabled)}, must be true or false")
    if not (given or isinstance(enabled, bool) or is_zero or problems):
        problems.append(no_setting(source, Api.V1))
    raise_if_any(problems)
    fixed = "num_replicas" in given if enabled is None else not enabled
    if not fixed and enabled is None:
        given.pop("num_replicas", None)
    return AzureFile(Api.V1, Autoscaler.FIXED if fixed else Autoscaler.AZUREML_FE, given)
