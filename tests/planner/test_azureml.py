"""Azure's settings: defaults per API, bounds between them, and its two files."""

from typing import Any

import pytest

from planner.azureml import SETTINGS, Given, default, deployment
from planner.deployment_files import from_document
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment, ScoringTimeoutFrom

FROM_ARRIVAL = ScoringTimeoutFrom.ARRIVAL


def given(**values: Any) -> dict[str, Given]:
    return {field: Given(value, f"f.yaml: {field} = {value}", field) for field, value in values.items()}


def test_defaults_of_both_apis() -> None:
    v1, _ = deployment(Api.V1, Autoscaler.AZUREML_FE, {}, source="f.yaml")
    v2, _ = deployment(Api.V2, Autoscaler.AZUREML_FE, {}, source="f.yaml")
    assert (v1.max_replicas, v1.scoring_timeout_s, v1.refresh_period_s) == (10, 60.0, 1.0)
    assert (v2.max_replicas, v2.scoring_timeout_s, v2.refresh_period_s) == (1, 5.0, 1.0)
    for made in (v1, v2):
        assert (made.min_replicas, made.target_utilization_percent, made.max_concurrent_requests) == (1, 70, 1)
        assert made.max_request_wait_s == 0.5
    assert default(Api.V1, "target_utilization_percent") == 70


def test_a_changed_default_that_nobody_set_is_a_warning() -> None:
    _, warnings = deployment(Api.V2, Autoscaler.AZUREML_FE, {}, source="f.yaml")
    assert len(warnings) == 2
    assert "max_instances is not set; api v2 takes 1 (v1: 10)" in warnings[0]
    assert "request_timeout_ms is not set; api v2 takes 5000 (v1: 60000)" in warnings[1]
    _, none = deployment(Api.V2, Autoscaler.AZUREML_FE, given(max_replicas=4, scoring_timeout_s=5.0), source="f.yaml")
    assert none == ()
    _, none = deployment(Api.V1, Autoscaler.AZUREML_FE, {}, source="f.yaml")
    assert none == ()


def test_a_queue_hidden_in_the_pod_is_a_warning() -> None:
    settings = given(max_replicas=4, scoring_timeout_s=5.0, max_concurrent_requests=4, worker_count=2)
    _, warnings = deployment(Api.V2, Autoscaler.AZUREML_FE, settings, source="f.yaml")
    assert "waits inside the pod" in warnings[0]


def test_a_timeout_beyond_what_azure_allows_is_a_warning() -> None:
    _, warnings = deployment(
        Api.V2, Autoscaler.AZUREML_FE, given(max_replicas=4, scoring_timeout_s=600.0), source="f.yaml"
    )
    assert "at most 300000" in warnings[0]


@pytest.mark.parametrize(
    ("autoscaler", "settings", "message"),
    [
        ("azureml-fe", {"min_replicas": 4, "max_replicas": 2}, "max_replicas = 2, must be at least min_replicas (4)"),
        (
            "azureml-fe",
            {"min_replicas": 4},
            "must be at most max_instances, which is not set and 1 by default in api v2",
        ),
        ("azureml-fe", {"max_replicas": 4, "initial_replicas": 5}, "initial_replicas = 5, must be at most"),
        ("azureml-fe", {"num_replicas": 4}, "num_replicas = 4, only used with autoscaler: fixed"),
        ("fixed", {}, "num_replicas is missing"),
        ("fixed", {"num_replicas": 3, "max_replicas": 4}, "max_replicas = 4, not used with autoscaler: fixed"),
        ("fixed", {"num_replicas": 3, "initial_replicas": 4}, "must be at most num_replicas (3)"),
        (
            "azureml-fe",
            {"scoring_timeout_s": 0.3, "scoring_timeout_from": FROM_ARRIVAL},
            "scoring_timeout_s = 0.3, must be at least max_queue_wait_ms, which is not set and 500 ms by default",
        ),
        (
            "fixed",
            {"num_replicas": 3, "max_request_wait_s": 6.0, "scoring_timeout_from": FROM_ARRIVAL},
            "max_request_wait_s = 6.0, must be at most request_timeout_ms, which is not set and 5000 ms by default",
        ),
    ],
)
def test_settings_that_contradict_each_other(autoscaler: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        deployment(Api.V2, Autoscaler(autoscaler), given(**settings), source="f.yaml")
    assert message in str(raised.value)


def test_a_deployment_made_in_python_keeps_the_same_bound() -> None:
    with pytest.raises(InputError, match=r"scoring_timeout_s = 0.3, must be at least max_request_wait_s \(0.5\) with"):
        Deployment(scoring_timeout_s=0.3, scoring_timeout_from=FROM_ARRIVAL)
    assert Deployment(scoring_timeout_s=0.5, scoring_timeout_from=FROM_ARRIVAL).scoring_timeout_s == 0.5


def test_fixed_is_a_minimum_equal_to_the_maximum() -> None:
    made, _ = deployment(Api.V2, Autoscaler.FIXED, given(num_replicas=3, scoring_timeout_s=5.0), source="f.yaml")
    assert (made.min_replicas, made.max_replicas, made.initial_count) == (3, 3, 3)


V2_FILE: dict[str, Any] = {
    "$schema": "https://azuremlschemas.azureedge.net/latest/kubernetesOnlineDeployment.schema.json",
    "name": "blue",
    "type": "kubernetes",
    "endpoint_name": "my-endpoint",
    "model": {"path": "model/"},
    "environment_variables": {"WORKER_COUNT": "2"},
    "request_settings": {
        "request_timeout_ms": 3000,
        "max_queue_wait_ms": 1500,
        "max_concurrent_requests_per_instance": 2,
    },
    "scale_settings": {
        "type": "target_utilization",
        "min_instances": 1,
        "max_instances": 3,
        "polling_interval": 10,
        "target_utilization_percentage": 60,
    },
}


def test_a_kubernetes_online_deployment() -> None:
    file = from_document(V2_FILE, "deployment.yml")
    made, warnings = deployment(file.api, file.autoscaler, file.given, source="deployment.yml")
    assert made.api is Api.V2
    assert made.autoscaler is Autoscaler.AZUREML_FE
    assert (made.min_replicas, made.max_replicas, made.refresh_period_s) == (1, 3, 10.0)
    assert (made.target_utilization_percent, made.worker_count, made.max_concurrent_requests) == (60, 2, 2)
    assert (made.scoring_timeout_s, made.max_request_wait_s) == (3.0, 1.5)
    assert warnings == ()


def test_a_fixed_kubernetes_online_deployment() -> None:
    document = {"type": "kubernetes", "instance_count": 3, "scale_settings": {"type": "default"}}
    file = from_document(document, "deployment.yml")
    assert file.autoscaler is Autoscaler.FIXED
    assert file.given["num_replicas"].value == 3
    unsaid = from_document({"instance_count": 3}, "deployment.yml")
    assert unsaid.autoscaler is Autoscaler.FIXED
    assert "type is not set, and Azure's client takes managed" in unsaid.warnings[0]
    assert "scale_settings.type is not set" in unsaid.warnings[1]


V1_FILE: dict[str, Any] = {
    "computeType": "AKS",
    "autoScaler": {
        "autoscaleEnabled": True,
        "minReplicas": 2,
        "maxReplicas": 6,
        "refreshPeriodInSeconds": 2,
        "targetUtilization": 50,
    },
    "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1.0},
    "maxConcurrentRequestsPerContainer": 1,
    "maxQueueWaitMs": 400,
    "scoringTimeoutMs": 30000,
    "authEnabled": True,
    "numReplicas": None,
}


def test_a_deploymentconfig_of_v1() -> None:
    file = from_document(V1_FILE, "deploymentconfig.json")
    made, warnings = deployment(file.api, file.autoscaler, file.given, source="deploymentconfig.json")
    assert made.api is Api.V1
    assert (made.min_replicas, made.max_replicas, made.refresh_period_s, made.target_utilization_percent) == (
        2,
        6,
        2,
        50,
    )
    assert (made.max_request_wait_s, made.scoring_timeout_s) == (0.4, 30.0)
    assert warnings == ()


def test_v1_without_an_autoscaler() -> None:
    assert from_document({"computeType": "aks", "numReplicas": 3}, "f").autoscaler is Autoscaler.FIXED
    assert from_document({"computeType": "aks", "numReplicas": 0}, "f").autoscaler is Autoscaler.AZUREML_FE
    on = {"computeType": "aks", "autoScaler": {"autoscaleEnabled": True}}
    assert from_document(on, "f").autoscaler is Autoscaler.AZUREML_FE
    off = {"computeType": "aks", "numReplicas": 2, "autoScaler": {"autoscaleEnabled": False}}
    assert from_document(off, "f").given["num_replicas"].value == 2


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"scale_setting": {"type": "default"}}, "scale_setting is an unknown key; did you mean scale_settings?"),
        ({"request_setting": {}}, "did you mean request_settings?"),
        ({"scale_settings": {"max_instance": 3}}, "scale_settings.max_instance is an unknown key; did you mean max_in"),
        ({"scale_settings": {"colour": 3}}, "scale_settings.colour is an unknown key; known are"),
        ({"scale_settings": 3}, "scale_settings = 3, must be a mapping"),
        ({"scale_settings": {"type": "manual"}}, "scale_settings.type = manual"),
        ({"scale_settings": {"min_instances": 0}}, "scale_settings.min_instances = 0, must be an integer, at least 1"),
        ({"scale_settings": {"target_utilization_percentage": 0.7}}, "did you mean 70?"),
        ({"request_settings": {"request_timeout_ms": 0}}, "request_timeout_ms = 0, must be above 0"),
        ({"type": "managed"}, "is a managed online deployment (type: managed), which has no azureml-fe"),
        ({"type": "batch", "scale_settings": {}}, "type = batch, must be kubernetes"),
        ({"environment_variables": {"WORKER_COUNT": "two"}}, "WORKER_COUNT = two, must be an integer"),
        ({"computeType": "aci"}, "computeType = aci, must be aks"),
        ({"computeType": "aks", "autoScaler": {"maxReplica": 3}}, "did you mean maxReplicas?"),
        ({"computeType": "aks", "autoScaler": {"autoscaleEnabled": "yes"}}, "autoscaleEnabled = yes, must be true"),
        ({"computeType": "aks", "maxQueueWaitMS": 3}, "did you mean maxQueueWaitMs?"),
    ],
)
def test_what_azure_would_refuse_or_ignore(document: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        from_document(document, "azure.file")
    assert str(raised.value).startswith("azure.file: ")
    assert message in str(raised.value)


def test_every_setting_has_a_name_and_a_place_in_both_apis() -> None:
    for setting in SETTINGS:
        assert all((setting.name(api) and setting.place(api)) for api in Api)
