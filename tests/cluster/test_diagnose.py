"""Each way in which a replica fails to come up, made for real, and named by `surgeproof diagnose`."""

from __future__ import annotations

import json
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from loadtest.diagnose import diagnose_deployment
from loadtest.observe.target import ClusterTarget
from planner.child import child_environment, module_command
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.observing import apply_rbac, kubeconfig_with, remove_rbac, token_of
from tests.cluster.registry_stub import registry
from tests.cluster.workloads import PORT, scoring_deployment, wait_ready, wait_until

INIT_RAISES = """
def init():
    raise ValueError("the model file is not there")

def run(data):
    return data
"""
IMPORT_RAISES = "import a_package_that_nobody_has\n" + INIT_RAISES
INIT_TAKES_MEMORY = INIT_RAISES.replace('raise ValueError("the model file is not there")', "bytearray(400 * 2**20)")
INIT_IS_SLOW = INIT_RAISES.replace('raise ValueError("the model file is not there")', "__import__('time').sleep(120)")
RUN_RAISES = """
def init():
    pass

def run(data):
    return {"answer": 1 / len(data[:0])}
"""
INIT_FILLS_THE_DISK = INIT_RAISES.replace(
    'raise ValueError("the model file is not there")', "open('/scratch/model', 'wb').write(bytes(20 * 2**20))"
)
STRICT = {"httpGet": {"path": "/", "port": PORT}, "initialDelaySeconds": 1, "periodSeconds": 1, "failureThreshold": 2}
SCRATCH = {"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "5Mi"}}]}


def broken(refusing: str, empty: str) -> dict[str, dict[str, Any]]:
    """What `scoring_deployment` is called with, by the cause that it must be named."""
    pull = {"imagePullPolicy": "Always"}
    return {
        "init_raised": {"score": INIT_RAISES},
        "import_raised": {"score": IMPORT_RAISES},
        "memory_limit": {"score": INIT_TAKES_MEMORY, "memory_limit": "200Mi"},
        "image_not_found": {"image": f"{empty}/scoring:1", "container": pull},
        "image_not_authorised": {"image": f"{refusing}/scoring:1", "container": pull},
        "registry_unreachable": {"image": "127.0.0.1:9/scoring:1", "container": pull},
        "does_not_fit": {"cpu": "100"},
        "probe_fails": {"container": {"readinessProbe": {"httpGet": {"path": "/", "port": 5999}, "periodSeconds": 1}}},
        "probe_too_strict": {"score": INIT_IS_SLOW, "container": {"livenessProbe": STRICT}},
        "configuration_missing": {"container": {"envFrom": [{"configMapRef": {"name": "not-there"}}]}},
    }


@pytest.fixture(scope="module")
def space(cluster: Cluster | ForeignCluster, api: client.ApiClient) -> Iterator[str]:
    """A namespace for all of them."""
    core: Any = client.CoreV1Api(api)
    name = f"surgeproof-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": {"surgeproof/test": "true"}}})
    apply_rbac(api, name)
    yield name
    remove_rbac(api, name)
    core.delete_namespace(name)
    core.delete_collection_namespaced_pod(name, grace_period_seconds=0)


@pytest.fixture(scope="module")
def kubeconfig(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, space: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Of the service account with the printed rights and nothing more."""
    return kubeconfig_with(cluster, tmp_path_factory.mktemp("rights"), {"token": token_of(api, space)})


@pytest.fixture(scope="module")
def made(api: client.ApiClient, space: str) -> Iterator[None]:
    """All of them, started together; and one that is healthy."""
    with ExitStack() as registries:
        refusing, empty = (registries.enter_context(registry(status)) for status in (401, 404))
        for cause, how in broken(refusing, empty).items():
            scoring_deployment(api, space, _name(cause), **how)
        evicted = {
            "volumeMounts": [{"name": "score", "mountPath": "/score"}, {"name": "scratch", "mountPath": "/scratch"}]
        }
        volumes = [{"name": "score", "configMap": {"name": "evicted-score"}}, *SCRATCH["volumes"]]
        scoring_deployment(
            api, space, "evicted", score=INIT_FILLS_THE_DISK, container=evicted, pod={"volumes": volumes}
        )
        scoring_deployment(api, space, "run-raised", score=RUN_RAISES)
        scoring_deployment(api, space, "healthy")
        yield


def _name(cause: str) -> str:
    return cause.replace("_", "-")


def _diagnosed(kubeconfig: Path, space: str, name: str) -> dict[str, Any]:
    return diagnose_deployment(ClusterTarget(kubeconfig=kubeconfig, namespace=space, deployment=name))


def _found(kubeconfig: Path, space: str, name: str, timeout_s: float = 120.0) -> dict[str, Any]:
    document: dict[str, Any] = {}

    def look() -> list[Any]:
        document.update(_diagnosed(kubeconfig, space, name))
        return list(document["findings"])

    wait_until(look, f"a finding on {name}", timeout_s=timeout_s, told=lambda: str(document))
    return document


@pytest.mark.parametrize("cause", [*broken("", "")])
def test_each_failure_is_named(made: None, kubeconfig: Path, space: str, cause: str) -> None:
    document = _found(kubeconfig, space, _name(cause))
    assert [finding["cause"] for finding in document["findings"]] == [cause]
    (finding,) = document["findings"]
    assert (document["health"], len(finding["pods"])) == ("unhealthy", 1)
    assert finding["next_step"]
    evidence = "\n".join(finding["evidence"])
    for words in EVIDENCE[cause]:
        assert words in evidence


EVIDENCE: dict[str, list[str]] = {
    "init_raised": ["ValueError: the model file is not there (score.py, line 3, in init)", "exit code 3"],
    "import_raised": ["No module named 'a_package_that_nobody_has'", "(score.py, line 1, in <module>)"],
    "memory_limit": ["the memory limit is 200Mi"],
    "image_not_found": ["/scoring:1"],
    "image_not_authorised": ["401"],
    "registry_unreachable": ["127.0.0.1:9"],
    "does_not_fit": ["Insufficient cpu", "it requests cpu 100", "too little", "0 more of such replicas would fit"],
    "probe_fails": ["port 5999", "init() has ended"],
    "probe_too_strict": ["failed liveness probe", "initial delay 1 s", "init() had begun and not ended"],
    "configuration_missing": ['configmap "not-there" not found'],
}


def test_an_evicted_pod(made: None, kubeconfig: Path, space: str) -> None:
    document = _found(kubeconfig, space, "evicted")
    assert document["findings"][0]["cause"] == "evicted"
    assert "5Mi" in document["findings"][0]["evidence"][0]


def test_an_exception_in_run_is_no_capacity_problem(
    made: None, api: client.ApiClient, kubeconfig: Path, space: str
) -> None:
    (pod,) = wait_ready(api, space, "run-raised")
    for _ in range(3):
        request = urllib.request.Request(
            f"http://{pod.status.pod_ip}:{PORT}/score", data=b"{}", headers={"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as answer:
            urllib.request.urlopen(request, timeout=10)
        assert answer.value.code == 500
        assert answer.value.headers["x-ms-run-function-failed"] == "True"
    document = _found(kubeconfig, space, "run-raised")
    (finding,) = document["findings"]
    assert finding["cause"] == "run_raised"
    assert "ZeroDivisionError: division by zero (score.py, line 6, in run), 3 times" in finding["evidence"][0]
    assert "no capacity problem" in finding["evidence"][1]


def test_a_healthy_deployment_gives_none(made: None, api: client.ApiClient, kubeconfig: Path, space: str) -> None:
    wait_ready(api, space, "healthy")
    document = _diagnosed(kubeconfig, space, "healthy")
    assert (document["health"], document["findings"], document["missing_rights"]) == ("healthy", [], [])
    assert document["replicas"] == {"desired": 1, "ready": 1, "starting": 0, "pending": 0, "terminating": 0}


def test_a_quota(api: client.ApiClient, kubeconfig: Path, space: str, made: None) -> None:
    core: Any = client.CoreV1Api(api)
    core.create_namespaced_resource_quota(space, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}})
    try:
        scoring_deployment(api, space, "quota")
        document = _found(kubeconfig, space, "quota")
    finally:
        core.delete_namespaced_resource_quota("few", space)
    assert [finding["cause"] for finding in document["findings"]] == ["quota_exceeded"]
    assert "exceeded quota: few" in document["findings"][0]["evidence"][0]


def test_a_lost_node(own_cluster: Cluster, api: client.ApiClient, kubeconfig: Path, space: str) -> None:
    with own_cluster.second_node() as node:
        where = {"nodeSelector": {"kubernetes.io/hostname": node.name}}
        scoring_deployment(api, space, "on-second", pod=where)
        wait_ready(api, space, "on-second")
        assert _diagnosed(kubeconfig, space, "on-second")["findings"] == []
        node.kill()
        document = _found(kubeconfig, space, "on-second")
    assert [finding["cause"] for finding in document["findings"]] == ["node_lost"]
    assert node.name in document["findings"][0]["evidence"][0]


def test_the_command(made: None, kubeconfig: Path, space: str) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*module_command("planner.cli.root"), "diagnose", "--kubeconfig", str(kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=child_environment(), timeout=60)

    _found(kubeconfig, space, "init-raised")
    seen = run("--namespace", space, "--deployment", "init-raised", "--output", "json")
    assert seen.returncode == 1, seen.stderr
    assert json.loads(seen.stdout)["findings"][0]["cause"] == "init_raised"
    table = run("--namespace", space, "--deployment", "init-raised")
    assert "init() raised an exception (init_raised)" in table.stdout
    assert "raise ValueError" in table.stdout
    lost = run("--namespace", space, "--deployment", "nobody")
    assert (lost.returncode, lost.stdout) == (2, "")
    assert lost.stderr.startswith("--deployment nobody: not in namespace")
    assert "Traceback" not in lost.stderr
