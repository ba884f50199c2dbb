"""Azure's files in the forms that people bring: what is taken from each, and what is refused with which words."""

import json
from pathlib import Path
from typing import Any

import pytest

from planner.azureml import deployment
from planner.deployment_files import AzureFile, from_document, read_deployment_file
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment

CASES = Path(__file__).parent / "cases"


def made(file: AzureFile, source: str = "f") -> tuple[Deployment, tuple[str, ...]]:
    """The deployment that a file makes, and every warning."""
    built, warnings = deployment(file.api, file.autoscaler, file.given, source=source, own_container=file.own_container)
    return built, (*file.warnings, *warnings)


def case(name: str) -> tuple[Deployment, tuple[str, ...]]:
    return made(read_deployment_file(CASES / name))


def refused(name: str) -> str:
    with pytest.raises(InputError) as raised:
        read_deployment_file(CASES / name)
    return str(raised.value)


def refused_text(folder: Path, text: str, name: str = "deployment.yml") -> str:
    path = folder / name
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_deployment_file(path)
    assert str(path) in str(raised.value)
    return str(raised.value)


def read_text(folder: Path, text: str, name: str = "deployment.yml") -> AzureFile:
    path = folder / name
    path.write_text(text)
    return read_deployment_file(path)


def test_an_endpoint_holds_no_settings() -> None:
    assert "is an endpoint of Azure ML, which says nothing about replicas: give the file of its" in refused(
        "endpoint.yml"
    )


def test_names_of_the_python_sdk_in_json_are_told_as_that_files_own() -> None:
    sentence = refused("python-names.json")
    assert "autoscale_enabled, autoscale_min_replicas, autoscale_max_replicas are keys that Azure does not read" in (
        sentence
    )
    assert "write them as autoScaler.autoscaleEnabled, autoScaler.minReplicas, autoScaler.maxReplicas" in sentence


def test_a_token_that_yaml_reads_as_nothing_is_named() -> None:
    sentences = refused("tokens-become-null.yml").splitlines()
    assert len(sentences) == 2
    assert "scale_settings.min_instances is empty: #{minInstances}# is a comment in YAML until" in sentences[0]
    assert "scale_settings.max_instances is empty: #{maxInstances}# is a comment in YAML until" in sentences[1]


def test_numbers_in_quotes_are_numbers() -> None:
    built, warnings = case("quoted-numbers.yml")
    assert (built.min_replicas, built.max_replicas, built.scoring_timeout_s) == (2, 8, 3.0)
    assert warnings == ()


def test_anchors_and_aliases_are_followed() -> None:
    built, _ = case("anchor.yml")
    assert (built.min_replicas, built.max_replicas, built.autoscaler) == (2, 8, Autoscaler.AZUREML_FE)


def test_a_deployment_as_arm_holds_it() -> None:
    built, warnings = case("arm.json")
    assert built.api is Api.V2
    assert (built.min_replicas, built.max_replicas, built.target_utilization_percent) == (4, 12, 70)
    assert (built.refresh_period_s, built.max_request_wait_s, built.scoring_timeout_s) == (1.0, 0.5, 5.0)
    assert warnings == ()


def test_of_two_documents_the_deployment_is_taken() -> None:
    built, warnings = case("two-documents.yml")
    assert (built.autoscaler, built.max_replicas) == (Autoscaler.FIXED, 2)
    assert "holds 2 documents; number 2, the deployment, is taken, not an endpoint of Azure ML" in warnings[0]


def test_two_deployments_in_one_file_are_one_too_many(tmp_path: Path) -> None:
    one = "type: kubernetes\ninstance_count: 2\nscale_settings: {type: default}\n"
    assert "holds 2 documents with 2 deployments among them" in refused_text(tmp_path, f"{one}---\n{one}")
    assert "holds 2 documents with no deployment" in refused_text(tmp_path, "auth_mode: key\n---\nauth_mode: key\n")


def test_a_container_of_ones_own_names_the_worker_count() -> None:
    built, warnings = case("custom-container-concurrency.yml")
    assert (built.max_concurrent_requests, built.worker_count, built.max_replicas) == (16, 1, 1)
    (warning,) = (text for text in warnings if "worker_count" in text)
    assert "the rest waits inside the pod (up to 15)" in warning
    assert "runs a container of its own (inference_config)" in warning
    assert "worker_count: 16 says that it works on all 16 at once" in warning
    assert "16 times as many requests per second from each replica" in warning


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instance_type: Standard_DS3_v2\ninstance_count: 2\nname: b\nendpoint_name: e\n", "managed online deployment"),
        (
            "$schema: https://azuremlschemas.azureedge.net/latest/managedOnlineDeployment.schema.json\nname: b\n",
            "is a managed online deployment ($schema managedOnlineDeployment), which has no azureml-fe",
        ),
        ("type: managed\ninstance_count: 2\n", "(type: managed)"),
        ("apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}\n", "is a Kubernetes manifest (kind: Deployment)"),
        (
            "$schema: https://azuremlschemas.azureedge.net/latest/batchDeployment.schema.json\nname: b\n",
            "is another file of Azure ML (batchDeployment)",
        ),
        ("entryScript: score.py\nruntime: python\n", "another file of Azure ML (inferenceconfig.json)"),
        ("service_time: 1s\ntraffic: {arrivals: poisson, rps: 1}\n", "is a scenario, in which `deployment` holds"),
        ("autoscale_min_replicas: 3\ncpu_cores: 1\n", "is a list of arguments of Azure's SDK v1"),
        ("hello: world\n", "is none of the files of Azure ML that are read here"),
        ("- 1\n- 2\n", "is a list of 2"),
        ("", "the file is empty"),
        ("name: b\nendpoint_name: e\ntype: kubernetes\nmodel: azureml:m:1\n", "holds none of the settings"),
        ("type: kubernetes\nscale_settings:\n", "scale_settings = (empty), must be a mapping"),
        ("type: kubernetes\nscale_settings: {type: }\n", "scale_settings.type is empty"),
        ("type: kubernetes\ninstance_count: #{n}#\n", "instance_count is empty: #{n}# is a comment"),
        ("type: kubernetes\ninstance_count: __n__\n", "instance_count = __n__, must be an integer, as Azure's client"),
        ("type: kubernetes\ninstance_count: __n__\n", "a pipeline's token that was not replaced?"),
        ("type: kubernetes\ninstance_count: $(replicas)\n", "a pipeline's token that was not replaced?"),
        ("type: kubernetes\nmin_instances: 2\n", "min_instances is a key that Azure does not read in this file"),
        ("type: kubernetes\nscale_settings: {minReplicas: 2}\n", "write it as scale_settings.min_instances"),
        ("type: kubernetes\nautoscale_enabled: true\n", "write it as scale_settings.type"),
        ("type: kubernetes\nenvironment_variables: [a]\n", 'environment_variables = ["a"], must be a mapping'),
        ("type: kubernetes\nenvironment_variables: {WORKER_COUNT: }\n", "WORKER_COUNT = (empty), must be an integer"),
        (
            "type: kubernetes\nscale_settings: {type: default, min_instances: 2}\n",
            "scale_settings.min_instances = 2, not taken with scale_settings.type: default",
        ),
        ("type: kubernetes\ninstance_count: 1\ninstance_count: 2\n", "the key instance_count stands twice"),
    ],
)
def test_what_holds_no_setting_or_a_wrong_one_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused_text(tmp_path, text)


def test_aliases_stand_for_so_much_and_no_more(tmp_path: Path) -> None:
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 10))
    bomb = f"l0: &l0 [1]\n{levels}type: kubernetes\ninstance_count: 2\n"
    assert "holds more than 100,000 values once its aliases are written out" in refused_text(tmp_path, bomb)
    merges = "".join(f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 10)}], k{i}: 1}}\n" for i in range(1, 10))
    assert "holds more than 100,000 values" in refused_text(tmp_path, f"m0: &m0 {{a: 1}}\n{merges}type: kubernetes\n")
    assert "an alias stands inside its own anchor" in refused_text(tmp_path, "type: kubernetes\na: &a [*a]\n")
    assert "python/object" in refused_text(tmp_path, "type: !!python/object/apply:os.getcwd []\n")


def test_a_merge_key_brings_settings(tmp_path: Path) -> None:
    text = (
        "x: &x {min_instances: 2, max_instances: 8}\ntype: kubernetes\n"
        "scale_settings: {<<: *x, type: target_utilization, max_instances: 9}\n"
    )
    built, _ = made(read_text(tmp_path, text))
    assert (built.min_replicas, built.max_replicas) == (2, 9)


def test_a_part_that_azures_client_cuts_off_is_said(tmp_path: Path) -> None:
    file = read_text(tmp_path, "type: kubernetes\nscale_settings: {type: target_utilization, max_instances: 3.7}\n")
    assert file.given["max_replicas"].value == 3
    assert "scale_settings.max_instances = 3.7: Azure's client cuts it to 3, which is taken" in file.warnings[0]


def test_a_wait_of_0_is_not_sent_by_azures_client(tmp_path: Path) -> None:
    built, warnings = made(read_text(tmp_path, "type: kubernetes\nrequest_settings: {max_queue_wait_ms: 0}\n"))
    assert built.max_request_wait_s == 0.5
    assert "max_queue_wait_ms = 0 is sent by Azure's client as not set: the default of 500 is taken" in warnings[0]


SHOWN = {
    "provisioning_state": "Succeeded",
    "type": "kubernetes",
    "name": "blue",
    "endpoint_name": "e",
    "request_settings": {"max_concurrent_requests_per_instance": 1, "max_queue_wait_ms": 0, "request_timeout_ms": 5000},
    "scale_settings": {"type": "target_utilization", "min_instances": 2, "max_instances": 8, "polling_interval": 10},
}


def test_what_az_shows_has_lost_parts_of_a_second() -> None:
    file = from_document(SHOWN, "shown.json")
    assert (file.given["min_replicas"].value, file.given["refresh_period_s"].value) == (2, 10.0)
    assert "max_request_wait_s" not in file.given
    assert "max_queue_wait_ms = 0 stands for anything below 1000" in file.unclear["max_request_wait_s"]
    assert "request_timeout_ms = 5000 may be up to 5999" in file.warnings[0]


def arm(**properties: Any) -> dict[str, Any]:
    kind = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments"
    return {"type": kind, "name": "w/e/blue", "properties": {"endpointComputeType": "Kubernetes", **properties}}


def template(*resources: dict[str, Any]) -> dict[str, Any]:
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    return {"$schema": schema, "contentVersion": "1.0.0.0", "resources": list(resources)}


def test_an_arm_template_holds_its_deployment_among_its_resources() -> None:
    scale = {"scaleType": "TargetUtilization", "minInstances": 2, "maxInstances": 6}
    endpoint = {"type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints", "name": "w/e"}
    nested = endpoint | {"resources": [arm(scaleSettings=scale) | {"type": "deployments", "name": "blue"}]}
    for resources in ((endpoint, arm(scaleSettings=scale)), (nested,)):
        file = from_document(template(*resources), "t.json")
        assert (file.given["min_replicas"].value, file.given["max_replicas"].value) == (2, 6)
    with pytest.raises(InputError, match="holds 2 deployments: w/e/blue, w/e/blue; give a file with exactly one"):
        from_document(template(arm(), arm()), "t.json")
    with pytest.raises(InputError, match="holds no deployment of an online endpoint"):
        from_document(template(endpoint), "t.json")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"scaleSettings": {"minInstances": "[parameters('min')]"}}, "is the parameter min of the template"),
        ({"scaleSettings": "[parameters('scale')]"}, "is the parameter scale of the template"),
        ({"requestSettings": {"maxQueueWait": "[variables('w')]"}}, "is an expression of the template"),
        ({"requestSettings": {"maxQueueWait": 500}}, "must be a duration in ISO 8601, for example PT0.5S"),
        ({"requestSettings": {"maxQueueWait": "PT"}}, "must be a duration in ISO 8601"),
        ({"scaleSettings": {"minInstance": 1}}, "did you mean minInstances?"),
        ({"scaleSettings": {"scaleType": "Manual"}}, "must be Default or TargetUtilization"),
        ({"endpointComputeType": "Managed"}, "is a managed online deployment (endpointComputeType: Managed)"),
        ({}, "holds none of the settings"),
        ({"scaleSettings": {"minInstances": None}}, "holds none of the settings"),
    ],
)
def test_arm_json_that_does_not_tell_a_setting_is_refused(properties: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        from_document(arm(**properties), "arm.json")
    assert message in str(raised.value)


def test_arm_json_with_a_fixed_number_of_replicas() -> None:
    file = from_document(arm(scaleSettings={"scaleType": "Default"}) | {"sku": {"capacity": 3}}, "arm.json")
    assert (file.autoscaler, file.given["num_replicas"].value) == (Autoscaler.FIXED, 3)
    times = arm(requestSettings={"maxQueueWait": "PT1M0.25S", "requestTimeout": "PT2M"}, environmentVariables={})
    given = from_document(times, "arm.json").given
    assert (given["max_request_wait_s"].value, given["scoring_timeout_s"].value) == (60.25, 120.0)


def test_a_key_that_stands_twice_in_json_is_refused(tmp_path: Path) -> None:
    text = '{"computeType": "aks", "numReplicas": 2, "numReplicas": 3}'
    assert "the key numReplicas stands twice" in refused_text(tmp_path, text, "deploymentconfig.json")
    assert "line 1, column 2: not valid JSON" in refused_text(tmp_path, "{x}", "deploymentconfig.json")


def test_a_null_of_v1_is_not_set(tmp_path: Path) -> None:
    document = {"computeType": "aks", "numReplicas": None, "autoScaler": None, "scoringTimeoutMs": 30000}
    file = read_text(tmp_path, json.dumps(document), "deploymentconfig.json")
    assert set(file.given) == {"scoring_timeout_s"}
