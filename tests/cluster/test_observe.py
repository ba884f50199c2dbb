"""The observer on a real cluster: what it sees through restarts, forgotten versions, missing rights, expired tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from loadtest.observe import record
from loadtest.observe.api import KubernetesApi, Refused
from loadtest.observe.clock import measure
from loadtest.observe.observer import connect
from loadtest.observe.rbac import NAME
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.observing import (
    apply_rbac,
    kubeconfig_with,
    observing,
    remove_rbac,
    token_of,
    wait_for_counts,
    wait_for_line,
)
from tests.cluster.tokens import minted_token
from tests.cluster.workloads import pods_of, scoring_deployment, wait_ready, wait_until

LEEWAY_S = 60.0
"""For so long after its end the API server takes a token."""


def scale(api: client.ApiClient, namespace: str, replicas: int) -> None:
    apps: Any = client.AppsV1Api(api)
    apps.patch_namespaced_deployment_scale("blue", namespace, {"spec": {"replicas": replicas}})


def has_row(**counts: int) -> Any:
    return lambda line: line["kind"] == record.ROW and counts.items() <= line.items()


@pytest.fixture
def rights(api: client.ApiClient, namespace: str) -> Iterator[None]:
    apply_rbac(api, namespace)
    yield
    remove_rbac(api, namespace)


@pytest.fixture
def target(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, rights: None, tmp_path: Path
) -> ClusterTarget:
    """A Deployment `blue` of two pods, by the eyes of the observer's own service account."""
    scoring_deployment(api, namespace, "blue", replicas=2)
    wait_ready(api, namespace, "blue")
    path = kubeconfig_with(cluster, tmp_path, {"token": token_of(api, namespace)})
    return ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue")


def test_scaling_and_a_killed_pod_are_seen_by_phase_with_launches_and_events(
    api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    with observing(target, tmp_path) as observer:
        scale(api, namespace, 3)
        wait_for_counts(observer, desired=3, ready=3)
        scale(api, namespace, 2)
        wait_for_counts(observer, desired=2, ready=2)
        victim = next(p for p in pods_of(api, namespace, "blue") if p.metadata.deletion_timestamp is None)
        core: Any = client.CoreV1Api(api)
        core.delete_namespaced_pod(victim.metadata.name, namespace, grace_period_seconds=0)
        lost = wait_for_line(observer, has_row(lost=1), "the loss")
        wait_for_counts(observer, ready=2, lost=0)
    rows = record.of_kind(observer.lines, record.ROW)
    assert {"desired": 2, "ready": 2, "starting": 0, "terminating": 0}.items() <= rows[0].items()
    assert all(row["lost"] == 0 for row in rows if row["at_s"] < lost["at_s"]), "a scale-down is no loss"
    document = record.cluster_document(observer.lines, 0.0)
    assert document is not None
    live = [launch for launch in document["launches"] if launch["live"] and launch["cold_start_s"]]
    assert len(live) == 2
    for launch in live:
        phases = [launch["phases"][name] for name in ("schedule_s", "image_s", "container_s", "server_s")]
        assert all(phase is not None for phase in phases)
        assert sum(phases) == pytest.approx(launch["cold_start_s"], abs=1e-6)
        assert 0 <= launch["phases"]["init_s"] <= launch["phases"]["server_s"]
    assert {"Scheduled", "Pulled", "Started", "Killing"} <= {
        e["reason"] for e in record.of_kind(observer.lines, "event")
    }
    assert (document["gaps"], document["missing_rights"], document["findings"]) == ([], [], [])
    assert record.read_lines(tmp_path) == observer.lines


def test_a_restart_of_the_api_server_is_a_gap_and_nothing_is_lost(
    own_cluster: Cluster, api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    with observing(target, tmp_path) as observer:
        stopped_s = time.monotonic()
        own_cluster.stop_api_server()
        time.sleep(2)
        own_cluster.start_api_server()
        started_s = time.monotonic()
        wait_for_line(observer, lambda line: line["kind"] == record.GAP and line["resource"] == "pods", "the gap")
        wait_until(lambda: _scaled(api, namespace, 3), "an API server that scales")
        wait_for_counts(observer, desired=3, ready=3)
    pods = record.gaps(observer.lines, 0.0, ["pods"])
    assert pods[0]["from_s"] <= stopped_s + 2, pods
    assert pods[-1]["to_s"] >= started_s - 2, pods
    assert all(gap["why"] for gap in pods)
    assert not record.of_kind(observer.lines, record.RIGHT), "a server that starts refuses everything for a moment"
    assert record.of_kind(observer.lines, record.ROW)[-1]["ready"] == 3


def test_a_version_that_the_server_has_forgotten_gives_a_new_list_with_the_differences(
    own_cluster: Cluster, api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    with observing(target, tmp_path) as observer:
        own_cluster.compact()
        gone = wait_for_line(
            observer,
            lambda line: line["kind"] == record.GAP and line["resource"] == "pods" and "410" in line["why"],
            "the new list",
        )
        wait_until(lambda: _scaled(api, namespace, 3), "an API server that scales")
        wait_for_counts(observer, desired=3, ready=3)
    assert gone["to_s"] > gone["from_s"]
    assert record.of_kind(observer.lines, record.ROW)[-1]["ready"] == 3


def _scaled(api: client.ApiClient, namespace: str, replicas: int) -> bool:
    try:
        scale(api, namespace, replicas)
    except Exception:
        return False
    return True


def test_the_printed_rights_suffice_and_allow_neither_secrets_nor_writing(
    target: ClusterTarget, namespace: str
) -> None:
    api = KubernetesApi(target)
    for path in ("secrets", "configmaps", "serviceaccounts"):
        with pytest.raises(Refused) as refused:
            api.get(f"/api/v1/namespaces/{namespace}/{path}")
        assert refused.value.status == 403
    with pytest.raises(Refused) as refused:
        api.patch(f"/apis/apps/v1/namespaces/{namespace}/deployments/blue/scale", {"spec": {"replicas": 5}})
    assert refused.value.status == 403
    api.close()


def test_a_missing_right_is_named_and_the_rest_is_recorded(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, tmp_path: Path
) -> None:
    apply_rbac(api, namespace, without=("nodes", "events", "pods/log"))
    try:
        scoring_deployment(api, namespace, "blue", replicas=1)
        wait_ready(api, namespace, "blue")
        path = kubeconfig_with(cluster, tmp_path, {"token": token_of(api, namespace)})
        with observing(ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue"), tmp_path) as observer:
            scale(api, namespace, 2)
            wait_for_counts(observer, desired=2, ready=2)
            wait_for_line(observer, lambda line: "pods/log" in line.get("sentence", ""), "the right to read logs")
    finally:
        remove_rbac(api, namespace)
    document = record.cluster_document(observer.lines, 0.0)
    assert document is not None
    said = "\n".join(document["missing_rights"])
    assert "no right to list nodes in the whole cluster" in said
    assert f"no right to list events in namespace {namespace}" in said
    assert f"pods/log in namespace {namespace}" in said


def test_a_token_that_expires_is_named_and_one_that_is_renewed_in_its_file_goes_on(
    own_cluster: Cluster, api: client.ApiClient, namespace: str, rights: None, tmp_path: Path
) -> None:
    scoring_deployment(api, namespace, "blue", replicas=1)
    wait_ready(api, namespace, "blue")
    token = tmp_path / "token"
    token.write_text(minted_token(own_cluster, namespace, NAME, lifetime_s=8 - LEEWAY_S))
    path = kubeconfig_with(own_cluster, tmp_path, {"tokenFile": str(token)})
    with observing(ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue"), tmp_path) as observer:
        time.sleep(8)
        own_cluster.stop_api_server()  # watches live longer than the token that opened them
        own_cluster.start_api_server()
        problem = wait_for_line(observer, lambda line: line["kind"] == record.PROBLEM, "the expired token")
        token.write_text(token_of(api, namespace))
        wait_for_line(observer, lambda line: line["kind"] == record.GAP and line["resource"] == "pods", "the renewal")
        scale(api, namespace, 2)
        wait_for_counts(observer, desired=2, ready=2)
    assert "401" in problem["sentence"]
    assert "expired" in problem["sentence"]


def test_the_servers_clock_is_within_its_bounds(cluster: Cluster | ForeignCluster, namespace: str) -> None:
    if isinstance(cluster, ForeignCluster):
        pytest.skip("whose clock differs by an unknown amount")
    api = KubernetesApi(ClusterTarget(kubeconfig=cluster.kubeconfig, context=cluster.context))
    clock = measure(api)
    api.close()
    assert clock is not None
    truth_s = time.time() - time.monotonic()
    assert clock.low_s - 1e-3 <= truth_s <= clock.high_s + 1e-3
    assert clock.uncertainty_s < 0.1


def test_what_cannot_be_observed_is_refused_in_one_sentence(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str
) -> None:
    def refusal(**changes: Any) -> str:
        whom = {"kubeconfig": cluster.kubeconfig, "context": cluster.context, "namespace": namespace}
        with pytest.raises(InputError) as refused:
            connect(ClusterTarget(**(whom | changes)))
        return str(refused.value)

    assert refusal(deployment="green") == f"--deployment green: not in namespace {namespace}, which has none"
    scoring_deployment(api, namespace, "blue", replicas=0)
    scoring_deployment(api, namespace, "red", replicas=0)
    assert refusal(deployment="green").endswith("which has blue, red")
    assert "fits no Deployment" in refusal(selector="app=green")
    assert "fits 2 Deployments: blue, red" in refusal(selector="app in (blue, red)")
    assert "not in --kubeconfig" in refusal(context="nowhere", deployment="blue")
