"""`surgeproof observe` and `surgeproof diagnose` as a user types them: output, wrong values, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from loadtest.observe import record
from planner.child import child_environment, module_command
from planner.records import read_replicas
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.workloads import scoring_deployment, wait_ready, wait_until


@pytest.fixture
def where(cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str) -> list[str]:
    scoring_deployment(api, namespace, "blue", replicas=1)
    wait_ready(api, namespace, "blue")
    context = ["--kube-context", cluster.context] if cluster.context else []
    return ["--kubeconfig", str(cluster.kubeconfig), *context, "--namespace", namespace, "--deployment", "blue"]


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [*module_command("planner.cli.root"), *arguments]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **pipes, text=True, env=child_environment())


def ended(*arguments: str) -> tuple[int, str, str]:
    with started(*arguments) as process:
        stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


def test_ctrl_c_is_the_normal_end_of_observe(
    api: client.ApiClient, namespace: str, where: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with started("observe", *where, "--out", str(out)) as process:
        wait_until(lambda: record.of_kind(record.read_lines(out), record.ROW), "the first row")
        apps: Any = client.AppsV1Api(api)
        apps.patch_namespaced_deployment_scale("blue", namespace, {"spec": {"replicas": 2}})
        wait_until(lambda: record.of_kind(record.read_lines(out), record.ROW)[-1]["ready"] == 2, "the second pod")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "")
    for words in ("watching  Deployment blue", "replicas  2 desired: 1 ready", "Started: Container", "cold start"):
        assert words in stdout
    assert stdout.splitlines()[-1] == f"Folder: {out}"
    assert read_replicas(out / "replicas.parquet").ready[-1] == 2


def test_observe_for_a_time_gives_one_document(where: list[str], tmp_path: Path) -> None:
    code, stdout, _ = ended("observe", *where, "--for", "3s", "--output", "json", "--out", str(tmp_path / "out"))
    document = json.loads(stdout)
    assert code == 0
    assert 3 <= document["observed_s"] < 10
    assert (document["replicas"]["ready"], document["gaps"], document["findings"]) == (1, [], [])


def test_diagnose_of_a_healthy_deployment_ends_with_0(where: list[str]) -> None:
    code, stdout, stderr = ended("diagnose", *where)
    assert (code, stderr) == (0, "")
    assert "1 wanted, 1 ready" in stdout
    code, stdout, _ = ended("diagnose", *where, "--output", "json")
    assert (code, json.loads(stdout)["health"]) == (0, "healthy")


def test_diagnose_of_a_broken_one_ends_with_1(api: client.ApiClient, namespace: str, where: list[str]) -> None:
    scoring_deployment(api, namespace, "red", cpu="100")
    red = [*where[:-1], "red"]
    wait_until(lambda: ended("diagnose", *red)[0] == 1, "a finding")
    code, stdout, _ = ended("diagnose", *red, "--output", "json")
    assert (code, json.loads(stdout)["findings"][0]["cause"]) == (1, "does_not_fit")


@pytest.mark.parametrize("command", ["observe", "diagnose"])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--deployment is missing"),
        (["--deployment", "nobody"], "--deployment nobody: not in namespace"),
        (["--deployment", "a", "--deployment-selector", "b=c"], "both name the Deployment"),
        (["--deployment-selector", "((("], "--deployment-selector (((: found"),
        (["--deployment", "a", "--in-cluster"], "--in-cluster: uses the pod's service account"),
    ],
)
def test_wrong_values_are_one_sentence(
    cluster: Cluster | ForeignCluster, command: str, arguments: list[str], says: str
) -> None:
    code, stdout, stderr = ended(command, "--kubeconfig", str(cluster.kubeconfig), *arguments)
    assert (code, stdout) == (2, "")
    assert says in stderr
    assert len(stderr.splitlines()) == 1


def test_a_server_that_is_not_there_gives_no_verdict(cluster: Cluster | ForeignCluster, tmp_path: Path) -> None:
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    for entry in document["clusters"]:
        entry["cluster"]["server"] = "https://127.0.0.1:9"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    code, stdout, stderr = ended("diagnose", "--kubeconfig", str(path), "--deployment", "blue")
    assert (code, stdout) == (3, "")
    assert "the API server does not answer: https://127.0.0.1:9" in stderr
