"""The cluster itself: it runs real pods, and can be disturbed as the tests need it."""

import json
import urllib.request
from typing import Any

import pytest
from kubernetes import client

from tests.cluster import cgroups, remains
from tests.cluster.cluster import Cluster, api_client
from tests.cluster.tokens import minted_token
from tests.cluster.workloads import CONTAINER, PORT, delete, pods_of, scoring_deployment, wait_ready, wait_until


def test_a_scoring_deployment_gets_ready_answers_and_logs(api: client.ApiClient, namespace: str) -> None:
    scoring_deployment(api, namespace, "blue", replicas=2)
    pods = wait_ready(api, namespace, "blue")
    assert len(pods) == 2
    core: Any = client.CoreV1Api(api)
    assert "Worker with pid" in core.read_namespaced_pod_log(pods[0].metadata.name, namespace, container=CONTAINER)
    delete(api, namespace, "blue")
    assert pods_of(api, namespace, "blue") == []


def test_a_pod_is_reached_from_here(own_cluster: Cluster, api: client.ApiClient, namespace: str) -> None:
    scoring_deployment(api, namespace, "blue")
    (pod,) = wait_ready(api, namespace, "blue")
    body = json.dumps({"request": 7, "service_time_s": 0.01}).encode()
    url, headers = f"http://{pod.status.pod_ip}:{PORT}/score", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        assert json.load(answer) == {"request": 7, "slept_s": 0.01}


def test_a_pod_that_fills_its_disk_is_evicted(own_cluster: Cluster, api: client.ApiClient, namespace: str) -> None:
    command = ["sh", "-c", "dd if=/dev/zero of=/fill bs=1M count=30; sleep 600"]
    fill = {"command": command, "resources": {"limits": {"ephemeral-storage": "5Mi"}}}
    scoring_deployment(api, namespace, "blue", container=fill)

    def evicted() -> list[Any]:
        return [pod for pod in pods_of(api, namespace, "blue") if pod.status.reason == "Evicted"]

    (pod, *_) = wait_until(evicted, "an eviction")
    assert pod.status.phase == "Failed"
    assert "ephemeral local storage" in pod.status.message


def test_a_second_node_is_lost_and_goes(own_cluster: Cluster, api: client.ApiClient, namespace: str) -> None:
    core: Any = client.CoreV1Api(api)
    with own_cluster.second_node() as node:
        assert core.read_node(node.name).metadata.labels["agentpool"]
        scoring_deployment(api, namespace, "blue", pod={"nodeName": node.name})
        wait_ready(api, namespace, "blue")
        node.kill()

        def status() -> str:
            conditions = core.read_node(node.name).status.conditions
            return str(next(condition.status for condition in conditions if condition.type == "Ready"))

        wait_until(lambda: status() == "Unknown", "the loss to be noticed", timeout_s=20)
        core.delete_namespaced_config_map("blue-score", namespace)
        client.AppsV1Api(api).delete_namespaced_deployment("blue", namespace)
    assert [found.metadata.name for found in core.list_node().items] == ["127.0.0.1"]
    assert list(cgroups.processes(f"{own_cluster.layout.cgroup}/node-2")) == []
    assert remains.mounts_under(own_cluster.layout.folder / "node-2") == []


def test_after_a_compaction_old_versions_are_gone(own_cluster: Cluster, namespace: str) -> None:
    with api_client(own_cluster) as api:
        core: Any = client.CoreV1Api(api)
        old = core.list_namespaced_config_map(namespace).metadata.resource_version
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "newer"}})
        own_cluster.compact()
        watch = core.list_namespaced_config_map(
            namespace, resource_version=old, watch=True, timeout_seconds=5, _preload_content=False
        )
        first = json.loads(watch.readline())
        watch.release_conn()
        assert (first["type"], first["object"]["code"]) == ("ERROR", 410)
        with pytest.raises(client.ApiException) as refused:
            core.list_namespaced_config_map(namespace, resource_version=old, resource_version_match="Exact")
        assert refused.value.status == 410


def test_the_api_server_comes_back_with_its_data(own_cluster: Cluster, namespace: str) -> None:
    own_cluster.stop_api_server()
    try:
        with pytest.raises(OSError):
            urllib.request.urlopen(own_cluster.layout.server, timeout=2)
    finally:
        own_cluster.start_api_server()
    with api_client(own_cluster) as api:
        assert client.CoreV1Api(api).read_namespace(namespace)


def test_a_minted_token_opens_the_api_until_it_expires(own_cluster: Cluster, namespace: str) -> None:
    def status(lifetime_s: float) -> int:
        token = minted_token(own_cluster, namespace, "default", lifetime_s=lifetime_s)
        configuration: Any = client.Configuration()
        configuration.host, configuration.ssl_ca_cert = (
            own_cluster.layout.server,
            str(own_cluster.layout.server_certificate),
        )
        configuration.api_key = {"authorization": f"Bearer {token}"}
        with client.ApiClient(configuration) as api:
            try:
                client.AuthenticationV1Api(api).create_self_subject_review(client.V1SelfSubjectReview())
            except client.ApiException as error:
                return int(error.status)
            finally:
                api.rest_client.pool_manager.clear()
            return 200

    assert (status(60.0), status(-60.0)) == (200, 401)
