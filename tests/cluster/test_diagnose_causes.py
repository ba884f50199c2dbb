"""Each way in which a replica does not come up, for real: all are broken at once, and each is to be named."""

from __future__ import annotations

import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.utils import parse_quantity

from loadtest.observe.diagnosis.document import diagnose_deployment
from loadtest.observe.target import ClusterTarget
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.diagnosing import EMPTY_PORT, broken_deployments, registry_stub
from tests.cluster.observing import apply_rbac, kubeconfig_with, remove_rbac, token_of
from tests.cluster.workloads import PORT, scoring_deployment, wait_ready, wait_until

PATIENCE_S = 150.0
PARSE: Any = parse_quantity

NAMED: dict[str, tuple[str, list[str]]] = {
    "init_raised": (
        "init_raised",
        ["KeyError: 'layer' (score.py, line 3, in init)", "exit code 3", 'weights["layer"]'],
    ),
    "import_raised": (
        "import_raised",
        ["ModuleNotFoundError: No module named 'a_package_that_is_not_there' (score.py, line 1", "exit code 3"],
    ),
    "memory_limit": ("memory_limit", ["the memory limit is 192Mi"]),
    "memory_of_the_container": ("memory_limit", ["OOMKilled", "exit code 137 (SIGKILL)", "the memory limit is 64Mi"]),
    "crashed": ("crashed", ["exit code 7", "its log ends with: the licence has run out"]),
    "image_not_found": ("image_not_found", ["/missing:1", "not found"]),
    "image_not_authorised": ("image_not_authorised", ["/private:1", "401 Unauthorized"]),
    "registry_unreachable": ("registry_unreachable", ["127.0.0.1:1/scoring:1", "connection refused"]),
    "configuration_missing": ("configuration_missing", ['CreateContainerConfigError: secret "not-there" not found']),
    "volume_missing": ("configuration_missing", ["FailedMount", 'configmap "nowhere" not found']),
    "claim_missing": ("claim_not_bound", ['persistentvolumeclaim "nowhere" not found', "the pod's claims: nowhere"]),
    "volume_fails": ("volume_fails", ["FailedMount", "/nowhere/at/all is not a directory", "failures so far"]),
    "other_platform": ("container_cannot_start", ["exec format error", "exit code"]),
    "no_such_command": ("container_cannot_start", ["/not/there", "no such file or directory"]),
    "init_container_crashes": (
        "crashed",
        ["container storage-initializer ended with exit code 9", "its log ends with: no licence"],
    ),
    "deployment_paused": ("deployment_paused", ["spec.paused is true; replicas wanted: 1, pods: none"]),
    "does_not_fit": (
        "does_not_fit",
        ["Insufficient cpu", "requests cpu 100, memory 128 Mi", "free on one of", "too little", "0 more such replicas"],
    ),
    "no_such_node": ("does_not_fit", ["node affinity/selector", "nodeSelector is agentpool=gpu"]),
    "probe_fails": (
        "probe_fails",
        ["init() has ended", f"asks port {EMPTY_PORT}, but the scoring server listens on {PORT}", "connection refused"],
    ),
    "probe_too_strict": (
        "probe_too_strict",
        [
            "gives up 18 s after the container's start (initial delay 15 s + 3 failures x 1 s)",
            "init() had been running",
        ],
    ),
    "evicted": ("evicted", ["exceeds the total limit of containers 20Mi", "ephemeral-storage: the pod used more"]),
}


SOON_S = 4.0
WAITING: dict[str, tuple[str, list[str]]] = {
    "init_container_waits": (
        "init_container_does_not_end",
        ["init container storage-initializer has run for", "its log ends with: downloading the model"],
    ),
    "sidecar_not_ready": (
        "sidecar_not_ready",
        ["container proxy is not ready; the scoring server (inference-server) is ready", f":{EMPTY_PORT}/"],
    ),
    "readiness_gate": ("readiness_gate", ["not met: example.org/in-the-load-balancer", "nobody has set the condition"]),
    "scheduling_gated": ("scheduling_gated", ["not removed: example.org/in-the-queue"]),
    "not_known": (
        "not_known",
        ["container inference-server has run for", "is not ready", "Unhealthy (", "probe failed"],
    ),
}
"""What is a failure only if it lasts: named after SOON_S, and before that no cause of their own."""


@pytest.fixture(scope="module")
def space(cluster: Cluster | ForeignCluster, api: client.ApiClient) -> Iterator[str]:
    """A namespace for all of them, with the printed rights."""
    core: Any = client.CoreV1Api(api)
    name = f"surgeproof-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": {"surgeproof/test": "true"}}})
    apply_rbac(api, name)
    yield name
    remove_rbac(api, name)
    core.delete_namespace(name)
    core.delete_collection_namespaced_pod(name, grace_period_seconds=0)
    wait_until(lambda: not core.list_namespaced_pod(name).items, f"the pods of {name} to be gone", timeout_s=90)


@pytest.fixture(scope="module")
def kubeconfig(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, space: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Of the service account with the printed rights and nothing more."""
    return kubeconfig_with(cluster, tmp_path_factory.mktemp("rights"), {"token": token_of(api, space)})


@pytest.fixture(scope="module")
def broken(api: client.ApiClient, space: str) -> Iterator[None]:
    """All of them together, and a healthy one."""
    with registry_stub() as registry:
        for name, how in broken_deployments(registry).items():
            scoring_deployment(api, space, _named(name), **how)
        yield


def _named(cause: str) -> str:
    return cause.replace("_", "-")


def _diagnosed(kubeconfig: Path, space: str, name: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    target = ClusterTarget(kubeconfig=kubeconfig, namespace=space, deployment=_named(name))
    return diagnose_deployment(target, patience_s)


def _until_found(
    kubeconfig: Path, space: str, name: str, words: list[str], patience_s: float = PATIENCE_S
) -> dict[str, Any]:
    """The first document whose evidence has all these words."""
    seen: dict[str, Any] = {}

    def look() -> bool:
        seen.update(_diagnosed(kubeconfig, space, name, patience_s))
        said = "\n".join(line for finding in seen["findings"] for line in finding["evidence"])
        return all(word in said for word in words) and bool(seen["findings"])

    wait_until(look, f"the cause of {name}", timeout_s=PATIENCE_S, told=lambda: str(seen))
    return seen


def test_a_healthy_deployment_gives_nothing(broken: None, api: client.ApiClient, kubeconfig: Path, space: str) -> None:
    """At no time while it starts, either."""
    deadline_s = time.monotonic() + PATIENCE_S
    healths = []
    while "healthy" not in healths and time.monotonic() < deadline_s:
        document = _diagnosed(kubeconfig, space, "healthy")
        assert (document["findings"], document["missing_rights"]) == ([], [])
        healths.append(document["health"])
        time.sleep(0.5)
    assert healths[-1] == "healthy"
    assert document["replicas"] == {"desired": 2, "ready": 2, "starting": 0, "pending": 0, "terminating": 0}


@pytest.mark.parametrize("name", NAMED)
def test_a_failure_is_named(broken: None, kubeconfig: Path, space: str, name: str) -> None:
    cause, words = NAMED[name]
    document = _until_found(kubeconfig, space, name, words)
    assert [finding["cause"] for finding in document["findings"]] == [cause]
    assert (document["health"], document["missing_rights"]) == ("unhealthy", [])


@pytest.mark.parametrize("name", WAITING)
def test_what_waits_is_named_when_it_lasts(broken: None, kubeconfig: Path, space: str, name: str) -> None:
    cause, words = WAITING[name]
    document = _until_found(kubeconfig, space, name, words, patience_s=SOON_S)
    assert [finding["cause"] for finding in document["findings"]] == [cause]
    assert document["health"] == "unhealthy"
    young = _diagnosed(kubeconfig, space, name, patience_s=3600.0)
    assert {finding["cause"] for finding in young["findings"]} <= {"progress_deadline_exceeded"}
    told = [pod["state"] for pod in young["waiting"]] or young["findings"][0]["evidence"]
    assert all(told)


def test_a_rollout_that_kubernetes_has_given_up(broken: None, kubeconfig: Path, space: str) -> None:
    words = ["made no progress for 3 s (progressDeadlineSeconds)", "has timed out progressing", "storage-initializer"]
    document = _until_found(kubeconfig, space, "init_container_waits", words)
    assert [finding["cause"] for finding in document["findings"]] == ["progress_deadline_exceeded"]


def test_a_sandbox_that_cannot_be_made(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str
) -> None:
    """For want of the runtime that its RuntimeClass names; three attempts take the kubelet half a minute."""
    classes: Any = client.NodeV1Api(api)
    classes.create_runtime_class({"metadata": {"name": namespace}, "handler": "nowhere"})
    try:
        scoring_deployment(api, namespace, "blue", pod={"runtimeClassName": namespace})
        words = ["FailedCreatePodSandBox", '"nowhere"', "failures so far"]
        document = _until_found(cluster.kubeconfig, namespace, "blue", words)
    finally:
        classes.delete_runtime_class(namespace)
    (finding,) = document["findings"]
    assert (finding["cause"], finding["measured"]["kind"]) == ("sandbox_fails", "runtime_class")


def test_pods_that_admission_refuses(cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str) -> None:
    """By the namespace's Pod Security level, and by a webhook that nobody answers."""
    core: Any = client.CoreV1Api(api)
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.patch_namespace(namespace, {"metadata": {"labels": level}})
    scoring_deployment(api, namespace, "strict")
    document = _until_found(cluster.kubeconfig, namespace, "strict", ['violates PodSecurity "restricted'])
    (finding,) = document["findings"]
    assert (finding["cause"], finding["measured"]["rule"]) == ("creation_refused", "pod_security")
    core.patch_namespace(namespace, {"metadata": {"labels": dict.fromkeys(level)}})
    with _silent_webhook(api, namespace):
        scoring_deployment(api, namespace, "hooked")
        document = _until_found(cluster.kubeconfig, namespace, "hooked", ["failed calling webhook"])
    (finding,) = document["findings"]
    assert (finding["cause"], finding["measured"]["rule"]) == ("creation_refused", "webhook_fails")


@contextmanager
def _silent_webhook(api: client.ApiClient, namespace: str) -> Iterator[None]:
    admission: Any = client.AdmissionregistrationV1Api(api)
    hook = {
        "name": "nobody.example.org",
        "clientConfig": {"url": "https://127.0.0.1:1/admit"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 1,
    }
    admission.create_validating_webhook_configuration({"metadata": {"name": namespace}, "webhooks": [hook]})
    try:
        yield
    finally:
        admission.delete_validating_webhook_configuration(namespace)


def test_a_node_that_refuses_a_pod(cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str) -> None:
    """Bound to a node past the scheduler, with a selector that the node does not fit; a quota ends the attempts."""
    core: Any = client.CoreV1Api(api)
    few = {"metadata": {"name": "few"}, "spec": {"hard": {"count/pods": "2"}}}
    core.create_namespaced_resource_quota(namespace, few)
    node = core.list_node().items[0].metadata.name
    scoring_deployment(api, namespace, "blue", pod={"nodeName": node, "nodeSelector": {"agentpool": "gpu"}})
    words = [f"node {node} refused the pod (NodeAffinity)"]
    document = _until_found(cluster.kubeconfig, namespace, "blue", words)
    assert (
        {"node_refused"} <= {finding["cause"] for finding in document["findings"]} <= {"node_refused", "quota_exceeded"}
    )


def test_as_many_as_fit_are_ready_and_what_the_next_one_lacks_is_named(
    broken: None, api: client.ApiClient, kubeconfig: Path, space: str
) -> None:
    """One replica for each node, of more than half the memory of the largest, and one more."""
    core: Any = client.CoreV1Api(api)
    nodes = core.list_node().items
    largest = max(int(PARSE(node.status.allocatable["memory"])) for node in nodes)
    asked = f"{int(largest * 0.6) // 2**20}Mi"
    more = len(nodes) + 1
    scoring_deployment(api, space, "some-fit", replicas=more, cpu="20m", memory=asked, memory_limit=asked)
    words = ["Insufficient memory", f"memory {asked.removesuffix('Mi')} Mi", "memory: at most", ": too little"]
    document = _until_found(kubeconfig, space, "some_fit", words)
    wait_until(lambda: _counts(kubeconfig, space, "some_fit")["ready"] >= 1, "one that fits", timeout_s=PATIENCE_S)
    counts = _counts(kubeconfig, space, "some_fit")
    assert (counts["ready"] + counts["starting"] + counts["pending"], counts["pending"] >= 1) == (more, True)
    (finding,) = document["findings"]
    assert (finding["cause"], finding["measured"]["too_little_of"]) == ("does_not_fit", ["memory"])
    assert (finding["measured"]["would_fit"], len(finding["pods"])) == (0, counts["pending"])


def test_exceptions_in_run_are_no_capacity_problem(
    broken: None, api: client.ApiClient, kubeconfig: Path, space: str
) -> None:
    wait_until(lambda: _is_ready(kubeconfig, space, "run_raised"), "run-raised to be ready", timeout_s=PATIENCE_S)
    core: Any = client.CoreV1Api(api)
    (pod,) = core.list_namespaced_pod(space, label_selector="app=run-raised").items
    for _ in range(3):
        with pytest.raises(urllib.error.HTTPError) as answered:
            urllib.request.urlopen(f"http://{pod.status.pod_ip}:{PORT}/score", b'{"a": 1}', timeout=10)
        assert (answered.value.code, answered.value.headers["x-ms-run-function-failed"]) == (500, "True")
        assert b"Traceback" not in answered.value.read()  # that is in the log alone
    document = _until_found(kubeconfig, space, "run_raised", ["so often in the newest lines of the logs: 3"])
    (finding,) = document["findings"]
    assert finding["cause"] == "run_raised"
    assert finding["measured"] == {
        "times": 3,
        "exception": "ZeroDivisionError: division by zero",
        "file": "score.py",
        "line": 6,
    }
    assert "no capacity problem" in finding["evidence"][1]


def _is_ready(kubeconfig: Path, space: str, name: str) -> bool:
    replicas = _counts(kubeconfig, space, name)
    return replicas["ready"] == replicas["desired"]


def _counts(kubeconfig: Path, space: str, name: str) -> dict[str, int]:
    return dict(_diagnosed(kubeconfig, space, name)["replicas"])


def test_a_quota_that_is_used_up(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, kubeconfig: Path
) -> None:
    core: Any = client.CoreV1Api(api)
    core.create_namespaced_resource_quota(namespace, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}})
    scoring_deployment(api, namespace, "blue")
    document = _until_found(cluster.kubeconfig, namespace, "blue", ["exceeded quota: few", "limited: pods=0"])
    assert [finding["cause"] for finding in document["findings"]] == ["quota_exceeded"]
    assert document["findings"][0]["measured"] == {"requested": "pods=1", "used": "pods=0", "limited": "pods=0"}


@pytest.mark.parametrize("taken", [("nodes",), ("pods/log",), ("pods",), ("events", "replicasets")])
def test_what_rights_are_missing_is_named(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, tmp_path: Path, taken: tuple[str, ...]
) -> None:
    scoring_deployment(api, namespace, "blue", cpu="100")
    apply_rbac(api, namespace, without=taken)
    try:
        path = kubeconfig_with(cluster, tmp_path, {"token": token_of(api, namespace)})
        if taken == ("pods",):
            document = _diagnosed(path, namespace, "blue")
            assert (document["health"], document["findings"]) == ("unknown", [])
        else:
            document = _until_found(path, namespace, "blue", ["Insufficient cpu"])
    finally:
        remove_rbac(api, namespace)
    said = "\n".join(document["missing_rights"])
    if taken == ("nodes",):
        assert "no right to list nodes (cluster scope): " in said
        assert "nodes cannot be seen" in "\n".join(document["findings"][0]["evidence"])
    elif taken == ("pods/log",):
        assert said == ""  # a pod without a place has no log
    else:
        assert all(f"no right to list {name} in namespace {namespace}: " in said for name in taken)


def test_a_lost_node(own_cluster: Cluster, api: client.ApiClient, namespace: str) -> None:
    with own_cluster.second_node() as node:
        scoring_deployment(api, namespace, "blue", pod={"nodeSelector": {"kubernetes.io/hostname": node.name}})
        wait_ready(api, namespace, "blue")
        assert _diagnosed(own_cluster.kubeconfig, namespace, "blue")["health"] == "healthy"
        node.kill()
        document = _until_found(own_cluster.kubeconfig, namespace, "blue", [f"node {node.name}: Ready is Unknown"])
        assert [finding["cause"] for finding in document["findings"]] == ["node_lost"]
