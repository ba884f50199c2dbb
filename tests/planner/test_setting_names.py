"""Settings appear under the names that the scenario uses; keys of JSON documents stay as they are."""

import json
from pathlib import Path

import pytest

from planner.cli.root import run
from planner.model import Api
from planner.scenario_file import load
from tests.planner.scenario_documents import written

HEAD = """\
duration: 30s
traffic: {arrivals: poisson, rps: 5}
service_time: {distribution: lognormal, mean: 200ms, cv: 0.5}
cold_start: 10s
slo: {max_503: 1%}
"""
V1 = "deployment: {api: v2, autoscale_min_replicas: 2, autoscale_max_replicas: 6, scoring_timeout_ms: 5000}\n"
V2 = "deployment: {min_instances: 2, max_instances: 6, request_timeout_ms: 5000}\n"
V1_NAMES = ("autoscale_", "scoring_timeout_ms", "max_request_wait_time", "replica_max_concurrent_requests")
V2_NAMES = ("min_instances", "max_instances", "target_utilization_percentage", "polling_interval", "request_timeout_ms")


def test_whose_names_a_deployment_shows(tmp_path: Path) -> None:
    (tmp_path / "deployment.yml").write_text("type: kubernetes\nscale_settings: {type: target_utilization}\n")
    for deployment, names in (
        (V1, Api.V1),
        (V2, Api.V2),
        ("deployment: {}\n", Api.V2),
        ("deployment: {api: v1}\n", Api.V1),
        ("deployment: {api: v2, autoscaler: fixed, num_replicas: 3}\n", Api.V2),
        ("deployment: {num_replicas: 3}\n", Api.V1),
        ("deployment: {file: deployment.yml}\n", Api.V2),
        ("deployment: {file: deployment.yml, autoscale_max_replicas: 3}\n", Api.V1),
    ):
        assert load(written(tmp_path, HEAD + deployment)).deployment.names is names
    changed = load(written(tmp_path, HEAD + V2), {"deployment.autoscale_max_replicas": 7})
    assert changed.deployment.names is Api.V2


def test_simulate_shows_the_names_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = {}
    for name, text in (("v1", V1), ("v2", V2)):
        path = written(tmp_path, HEAD + text, f"{name}.yaml")
        run(["simulate", str(path), "--replications", "2"])
        shown[name] = next(line for line in capsys.readouterr().out.splitlines() if "autoscaler azureml-fe" in line)
    assert all(name in shown["v1"] for name in V1_NAMES)
    assert not any(name in shown["v1"] for name in V2_NAMES)
    assert all(name in shown["v2"] for name in (*V2_NAMES, "max_queue_wait_ms 500", "max_instances 6"))
    assert not any(name in shown["v2"] for name in V1_NAMES)


def test_keys_of_documents_stay_and_so_do_the_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = []
    for name, text in (("v1", V1), ("v2", V2)):
        path = written(tmp_path, f"name: same\n{HEAD}{text}", f"{name}.yaml")
        run(["simulate", str(path), "--replications", "5", "-o", "json"])
        documents.append(json.loads(capsys.readouterr().out))
    settings = [document["scenario"].pop("settings") for document in documents]
    assert [setting.pop("names") for setting in settings] == ["v1", "v2"]
    assert settings[0] == settings[1]
    assert settings[0]["autoscale_min_replicas"] == 2
    assert documents[0]["fraction_503"] == documents[1]["fraction_503"]


def test_a_plan_shows_the_names_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, HEAD + V2)
    assert run(["plan", str(path), "--out", str(tmp_path / "plan"), "--autoscale-max-replicas", "4..6"]) == 0
    shown = capsys.readouterr().out
    assert "min_instances" in shown
    assert "max_instances from" in shown
    assert not any(name in shown for name in V1_NAMES)
