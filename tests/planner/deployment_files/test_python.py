"""Python code of Azure's SDKs: plain values are read from its text, and nothing of it is run."""

from pathlib import Path

import pytest

from planner.azureml_export import Format
from planner.deployment_files import read_deployment_file
from planner.deployment_files.settings import AzureFile
from planner.errors import InputError
from planner.model import Api, Autoscaler
from tests.planner.export_samples import exported, planned

V1 = """\
from azureml.core.webservice import AksWebservice
raise SystemExit("this line is never run")
config = AksWebservice.deploy_configuration(
    autoscale_enabled=True, autoscale_min_replicas=4, autoscale_max_replicas=20, autoscale_target_utilization=60,
    cpu_cores=0.5, memory_gb=memory, tags={"a": "b"}, scoring_timeout_ms=30_000, max_request_wait_time=None,
)
"""
V2 = """\
from azure.ai.ml.entities import KubernetesOnlineDeployment, OnlineRequestSettings, TargetUtilizationScaleSettings
blue = entities.KubernetesOnlineDeployment(
    name="blue", endpoint_name=ENDPOINT, model=model, environment=env,
    request_settings=OnlineRequestSettings(request_timeout_ms=3000, max_queue_wait_ms=250),
    scale_settings=TargetUtilizationScaleSettings(min_instances=2, max_instances=9, polling_interval=10),
    environment_variables={"WORKER_COUNT": "3"},
)
"""


def read(folder: Path, text: str, name: str = "deploy.py") -> AzureFile:
    path = folder / name
    path.write_text(text)
    return read_deployment_file(path)


def values(file: AzureFile) -> dict[str, object]:
    return {field: given.value for field, given in file.given.items()}


@pytest.mark.parametrize("name", ["deploy.py", "deploy.txt"])
def test_a_call_of_sdk_v1(tmp_path: Path, name: str) -> None:
    file = read(tmp_path, V1, name)
    assert (file.api, file.autoscaler) == (Api.V1, Autoscaler.AZUREML_FE)
    assert values(file) == {
        "min_replicas": 4,
        "max_replicas": 20,
        "target_utilization_percent": 60,
        "scoring_timeout_s": 30.0,
    }


def test_a_deployment_of_sdk_v2(tmp_path: Path) -> None:
    file = read(tmp_path, V2)
    assert (file.api, file.autoscaler) == (Api.V2, Autoscaler.AZUREML_FE)
    assert values(file) == {
        "min_replicas": 2,
        "max_replicas": 9,
        "refresh_period_s": 10.0,
        "scoring_timeout_s": 3.0,
        "max_request_wait_s": 0.25,
        "worker_count": 3,
    }
    fixed = read(tmp_path, "d = KubernetesOnlineDeployment(instance_count=3, scale_settings=DefaultScaleSettings())\n")
    assert (fixed.autoscaler, values(fixed)) == (Autoscaler.FIXED, {"num_replicas": 3})


CALL = "AksWebservice.deploy_configuration"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{CALL}(num_replicas=N)", "line 1: num_replicas=N: no plain value, and the code is not run; copy these"),
        (f"{CALL}(**settings)", "**settings: no plain value"),
        (f"{CALL}(True, 3)", "2 without a name: no plain value"),
        (f"{CALL}(num_replicas=2)\n{CALL}(num_replicas=3)", "holds 2 calls"),
        ("x = 1", "holds no call of AksWebservice.deploy_configuration"),
        (f"{CALL}(", "line 1: not valid Python"),
        (f"{CALL}()", "holds none of the settings"),
        (f"{CALL}(cpu_cores=2)", "holds none of the settings"),
        (f"{CALL}(num_replica=2)", "num_replica: AksWebservice.deploy_configuration has no such argument"),
        (f"{CALL}(num_replicas=0)", "num_replicas = 0, must be an integer, at least 1"),
        (f"{CALL}(autoscale_min_replicas=2)", "autoscale_min_replicas needs autoscale_enabled=True"),
        (f"{CALL}(autoscale_enabled='yes')", "autoscale_enabled = yes, must be True or False"),
        (f"{CALL}(num_replicas=2, primary_key='SECRET')", "primary_key holds a key, take it out"),
        ("AciWebservice.deploy_configuration(cpu_cores=1)", "nothing there runs behind azureml-fe"),
        ("ManagedOnlineDeployment(instance_count=1)", "is a managed online deployment (ManagedOnlineDeployment)"),
        ("KubernetesOnlineDeployment(scale_settings=scale)", "scale_settings=scale: no plain value"),
    ],
)
def test_code_that_does_not_tell_the_settings_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert message in str(raised.value)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize("case", ["v1", "v1 fixed"])
def test_exported_code_is_read_back(tmp_path: Path, case: str) -> None:
    planned_for = planned(case)
    file = read(tmp_path, exported(planned_for, Format.SDK_V1).text)
    assert file.autoscaler is planned_for.autoscaler
    for field, value in values(file).items():
        assert value == getattr(planned_for, "max_replicas" if field == "num_replicas" else field)
    assert len(file.given) >= 4
