"""Names of Azure's SDK v1 in a scenario's deployment: they imply v1, and those without effect are said to have none."""

from pathlib import Path
from typing import Any

import pytest

from planner.model import Api, Autoscaler, Deployment
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from planner.scenario_file.what_if import what_if
from tests.planner.scenario_documents import TEXT, document, loaded, problems, written


def with_deployment(folder: Path, **settings: Any) -> Scenario:
    return loaded(folder, deployment=settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scoring_timeout_ms", 30000),
        ("replica_max_concurrent_requests", 1),
        ("max_request_wait_time", 400),
        ("autoscale_refresh_seconds", 1),
        ("autoscale_min_replicas", 2),
        ("num_replicas", 2),
        ("autoscale_enabled", True),
        ("cpu_cores", 0.5),
    ],
)
def test_a_name_of_v1_implies_v1(tmp_path: Path, name: str, value: object) -> None:
    scenario = with_deployment(tmp_path, **{name: value})
    made = scenario.deployment
    assert made.api is Api.V1
    assert made.max_replicas == (2 if name == "num_replicas" else 10)
    assert made.scoring_timeout_s == (30.0 if name == "scoring_timeout_ms" else 60.0)
    assert f"api is not given; {name} is a name of v1: v1's rules and defaults hold" in scenario.warnings[0]
    assert "(scoring_timeout_ms 60000, autoscale_max_replicas 10); api: v2 says otherwise" in scenario.warnings[0]


def test_an_api_that_is_given_decides(tmp_path: Path) -> None:
    made = with_deployment(tmp_path, api="v2", autoscale_min_replicas=1, autoscale_max_replicas=4)
    assert (made.deployment.api, made.deployment.scoring_timeout_s) == (Api.V2, 5.0)
    assert not any("api is not given" in warning for warning in made.warnings)
    assert load(written(tmp_path, TEXT)).warnings == ()


def test_names_of_both_are_read_as_v2_and_said(tmp_path: Path) -> None:
    scenario = with_deployment(tmp_path, autoscale_max_replicas=4, request_timeout_ms=3000)
    assert scenario.deployment.api is Api.V2
    assert (
        "autoscale_max_replicas is a name of v1 and request_timeout_ms is a name of v2: v2's rules and defaults hold "
        "(request_timeout_ms 5000, max_instances 1); api: v1 says otherwise"
    ) in scenario.warnings[0]
    assert with_deployment(tmp_path).deployment.api is Api.V2
    assert with_deployment(tmp_path, worker_count=2, tags={"a": "b"}).deployment.api is Api.V2


def test_autoscale_enabled_is_the_autoscaler(tmp_path: Path) -> None:
    assert with_deployment(tmp_path, autoscale_enabled=True).deployment.autoscaler is Autoscaler.AZUREML_FE
    assert with_deployment(tmp_path, autoscale_enabled=False, num_replicas=3).deployment.max_replicas == 3
    for settings, message in (
        ({"api": "v2", "autoscale_enabled": True}, "is a name of v1, but api is v2: write autoscaler: azureml-fe"),
        ({"autoscale_enabled": True, "autoscaler": "fixed"}, "autoscale_enabled = true, but deployment.autoscaler is"),
        ({"autoscale_enabled": False}, "num_replicas is missing, autoscaler: fixed needs it"),
        ({"autoscale_enabled": True, "num_replicas": 3}, "num_replicas = 3, only used with autoscaler: fixed"),
    ):
        assert message in "\n".join(problems(tmp_path, document() | {"deployment": settings}))


def test_settings_without_effect_are_accepted_and_named(tmp_path: Path) -> None:
    plain = with_deployment(tmp_path, api="v1", autoscale_max_replicas=4)
    more = with_deployment(
        tmp_path, api="v1", autoscale_max_replicas=4, cpu_cores=0.5, memory_gb=2, tags={"team": "a"}, auth_enabled=True
    )
    assert more.deployment == plain.deployment
    assert more.warnings[-1].endswith("cpu_cores, memory_gb, auth_enabled, tags change nothing in the simulation")


def test_a_key_of_the_endpoint_is_refused_and_never_shown(tmp_path: Path) -> None:
    (sentence,) = problems(tmp_path, document() | {"deployment": {"api": "v2", "primary_key": "SECRET"}})
    assert "deployment.primary_key, unknown key" in sentence
    assert "SECRET" not in sentence


def test_an_option_does_not_change_the_api(tmp_path: Path) -> None:
    """Options have names of v1, whatever the file's are; also in the copy that a run folder keeps."""
    for settings, api in (
        ({"min_instances": 1, "max_instances": 4}, Api.V2),
        ({"autoscale_max_replicas": 4}, Api.V1),
        ({}, Api.V2),
    ):
        path = written(tmp_path, document() | {"deployment": settings})
        before = load(path).deployment
        scenario = load(path, {"deployment.autoscale_max_replicas": 7})
        assert (scenario.deployment.api, scenario.deployment.max_replicas) == (api, 7)
        assert scenario.deployment.scoring_timeout_s == before.scoring_timeout_s
        copied = load(save_copy(scenario, tmp_path / f"copy-{api}-{len(settings)}"))
        assert copied.deployment == scenario.deployment
        changed = what_if(load(path), "autoscale_max_replicas=9").scenario.deployment
        assert (changed.api, changed.max_replicas) == (api, 9)


PASTED = """\
duration: 60s
traffic: {arrivals: poisson, rps: 5}
service_time: 100ms
cold_start: 20s
deployment: |
  AksWebservice.deploy_configuration(
      autoscale_enabled=True, autoscale_min_replicas=2, autoscale_max_replicas=6, cpu_cores=1, memory_gb=m,
      max_request_wait_time=300)
"""


def test_a_pasted_call_is_read(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, PASTED))
    assert scenario.deployment == Deployment(
        api=Api.V1, min_replicas=2, max_replicas=6, max_request_wait_s=0.3, scoring_timeout_s=60.0
    )
    assert load(save_copy(scenario, tmp_path / "run")).deployment == scenario.deployment
    changed = load(written(tmp_path, PASTED), {"deployment.autoscale_max_replicas": 9}).deployment
    assert (changed.max_replicas, changed.max_request_wait_s) == (9, 0.3)
    assert what_if(scenario, "autoscale_min_replicas=3").scenario.deployment.min_replicas == 3


def test_a_pasted_call_with_a_name_for_a_value_says_what_to_copy(tmp_path: Path) -> None:
    (sentence,) = problems(tmp_path, PASTED.replace("autoscale_min_replicas=2", "autoscale_min_replicas=LEAST"))
    assert "deployment: line 1: autoscale_min_replicas=LEAST: no plain value, and the code is not run" in sentence
    assert "copy these arguments with their values into the scenario's deployment (autoscale_min_replicas," in sentence
    (sentence,) = problems(tmp_path, document() | {"deployment": "fixed"})
    assert "deployment = fixed, must hold settings" in sentence


def test_what_az_shows_needs_the_wait_from_the_scenario(tmp_path: Path) -> None:
    shown = (
        "provisioning_state: Succeeded\ntype: kubernetes\nname: b\nendpoint_name: e\n"
        "request_settings: {max_queue_wait_ms: 0, request_timeout_ms: 5000}\n"
        "scale_settings: {type: target_utilization, max_instances: 4}\n"
    )
    (tmp_path / "shown.yml").write_text(shown)
    (sentence,) = problems(tmp_path, document() | {"deployment": {"file": "shown.yml"}})
    assert "give deployment.max_queue_wait_ms in the scenario (500 unless it was changed)" in sentence
    assert with_deployment(tmp_path, file="shown.yml", max_queue_wait_ms=500).deployment.max_request_wait_s == 0.5
