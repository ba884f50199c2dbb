"""What a parsed document is: a scenario, a deployment in one of Azure's forms, another of Azure's files, a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from planner.azureml import AUTOSCALE_ENABLED, COMMON_WORDS, SDK_V1_MOOT, SETTINGS


class Kind(StrEnum):
    SCENARIO = "scenario"
    DEPLOYMENT_V2 = "deployment of v2"
    DEPLOYMENT_V1 = "deployment of v1"
    DEPLOYMENT_ARM = "deployment as ARM holds it"
    ARM_TEMPLATE = "ARM template"
    SDK_V1_NAMES = "settings under the names of SDK v1"
    MANAGED = "managed deployment"
    ENDPOINT = "endpoint"
    OTHER_AZURE = "another file of Azure ML"
    MANIFEST = "Kubernetes manifest"
    PLAN = "plan"
    RESULT = "result of a command"
    LIST = "list"
    PYTHON = "Python code"
    SDK_CODE = "Python code of Azure's SDK"
    TRACE = "recorded trace"
    PLAN_FOLDER = "plan folder"
    RUN_FOLDER = "run folder"
    UNFINISHED_RUN = "run folder of a run that was killed"
    RUN_PART = "part of a run folder"
    FOLDER = "folder"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Found:
    """What a document, file or folder is. detail: the words that tell which one, such as a manifest's kind."""

    kind: Kind
    detail: str = ""


DEPLOYMENTS = (Kind.DEPLOYMENT_V2, Kind.DEPLOYMENT_V1, Kind.DEPLOYMENT_ARM, Kind.ARM_TEMPLATE)
"""What holds the settings of a deployment."""

ARM_DEPLOYMENT = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"

_SCENARIO_KEYS = {"service_time", "duration", "cold_start", "slo", "warm_up", "deployment", "schema_version"}
_V2_SECTIONS = {
    *("scale_settings", "request_settings", "instance_count", "scale_setting", "request_setting"),
    *("environment_variables", "code_configuration", "liveness_probe", "readiness_probe"),
}
_ENDPOINT_KEYS = {"auth_mode", "scoring_uri", "mirror_traffic"}
_V1_KEYS = {setting.v1_file.partition(".")[0] for setting in SETTINGS} | {"computeType"}
_SDK_V1_KEYS = {AUTOSCALE_ENABLED, *SDK_V1_MOOT, *(setting.v1 for setting in SETTINGS)} - set(COMMON_WORDS)


def kind_of(document: Any) -> Found:
    """What a document is, by its keys. The first that holds is the answer."""
    if isinstance(document, list):
        return Found(Kind.LIST, str(len(document)))
    if not isinstance(document, Mapping):
        return Found(Kind.UNKNOWN)
    keys = {key for key in document if isinstance(key, str)}
    for look in (_ours, _manifest, _arm, _by_schema, _by_keys):
        if (found := look(document, keys)) is not None:
            return found
    return Found(Kind.UNKNOWN)


def _ours(document: Mapping[str, Any], keys: set[str]) -> Found | None:
    traffic = document.get("traffic")
    if "service_time" in keys or (isinstance(traffic, Mapping) and "arrivals" in traffic):
        return Found(Kind.SCENARIO)
    if {"books", "observed"} <= keys:
        return Found(Kind.RUN_PART)
    if isinstance(command := document.get("command"), str) and keys & {"scenario", "warnings", "provenance", "run"}:
        return Found(Kind.PLAN if command == "plan" else Kind.RESULT, command)
    return None


def _manifest(document: Mapping[str, Any], keys: set[str]) -> Found | None:
    kind = document.get("kind")
    return Found(Kind.MANIFEST, kind) if "apiVersion" in keys and isinstance(kind, str) else None


def _arm(document: Mapping[str, Any], keys: set[str]) -> Found | None:
    schema, kind, properties = document.get("$schema"), document.get("type"), document.get("properties")
    if isinstance(schema, str) and "deploymenttemplate.json" in schema.lower():
        return Found(Kind.ARM_TEMPLATE)
    if isinstance(document.get("resources"), list) and "contentVersion" in keys:
        return Found(Kind.ARM_TEMPLATE)
    is_typed = isinstance(kind, str) and kind.lower().startswith("microsoft.")
    if is_typed and str(kind).lower() == ARM_DEPLOYMENT.lower():
        return Found(Kind.DEPLOYMENT_ARM)
    if isinstance(properties, Mapping) and "endpointComputeType" in properties:
        return Found(Kind.DEPLOYMENT_ARM)
    if is_typed:
        is_endpoint = str(kind).lower().endswith("/onlineendpoints")
        return Found(Kind.ENDPOINT) if is_endpoint else Found(Kind.OTHER_AZURE, str(kind))
    return None


def _by_schema(document: Mapping[str, Any], keys: set[str]) -> Found | None:
    """azuremlschemas.azureedge.net/latest/kubernetesOnlineEndpoint.schema.json says it itself."""
    schema = document.get("$schema")
    name = schema.rpartition("/")[2].partition(".")[0] if isinstance(schema, str) else ""
    match name:
        case "kubernetesOnlineDeployment":
            return Found(Kind.MANAGED, "type: managed") if document.get("type") == "managed" else Found(_V2)
        case "managedOnlineDeployment":
            is_kubernetes = document.get("type") == "kubernetes"  # the client goes by the type, not by the schema
            return Found(_V2) if is_kubernetes else Found(Kind.MANAGED, "$schema managedOnlineDeployment")
        case "kubernetesOnlineEndpoint" | "managedOnlineEndpoint":
            return Found(Kind.ENDPOINT)
    if isinstance(schema, str) and "azuremlschemas" in schema:
        return Found(Kind.OTHER_AZURE, name)
    return None


_V2 = Kind.DEPLOYMENT_V2


def _by_keys(document: Mapping[str, Any], keys: set[str]) -> Found | None:
    kind, instance_type = document.get("type"), document.get("instance_type")
    is_deployment = bool(keys & _V2_SECTIONS) or "endpoint_name" in keys
    if kind == "managed":
        return Found(Kind.MANAGED, "type: managed")
    if kind is None and isinstance(instance_type, str) and instance_type.lower().startswith("standard_"):
        return Found(Kind.MANAGED, f"instance_type: {instance_type}")
    if kind == "kubernetes" or (is_deployment and not keys & _ENDPOINT_KEYS):
        return Found(_V2)
    if keys & _V1_KEYS:
        return Found(Kind.DEPLOYMENT_V1)
    if keys & _ENDPOINT_KEYS or ("compute" in keys and "name" in keys):
        return Found(Kind.ENDPOINT)
    if keys & _SCENARIO_KEYS:
        return Found(Kind.SCENARIO)
    if keys & _SDK_V1_KEYS:
        return Found(Kind.SDK_V1_NAMES)
    if "entryScript" in keys:
        return Found(Kind.OTHER_AZURE, "inferenceconfig.json")
    return None
