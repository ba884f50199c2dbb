"""The lab in front of a real Deployment's pods: scaling, loss, an API server that goes away, starts that fail."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from loadtest.lab.process import LabProcess
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.observing import apply_rbac, kubeconfig_with, remove_rbac, token_of
from tests.cluster.workloads import scoring_deployment, wait_ready, wait_until
from tests.lab.client import Client, Reply

LABEL = "surgeproof/lab-may-scale"
FOUND, LEAST = 1, 2
SCENARIO = """
schema_version: 1
name: pods
shows: A lab in front of pods.
duration: 40s
traffic: {arrivals: poisson, rate: [{from: 0s, rps: 3}, {from: 6s, rps: 8}, {from: 24s, rps: 3}]}
service_time: {distribution: deterministic, mean: 200ms}
deployment: {api: v2, autoscale_min_replicas: %d, autoscale_max_replicas: %d}
cold_start: {distribution: deterministic, mean: 3s}
seed: 1
"""
BROKEN = """
def init():
    raise ValueError("no model")

def run(data):
    return data
"""


def write(folder: Path, most: int = 5, least: int = LEAST) -> Path:
    path = folder / "pods.yaml"
    path.write_text(SCENARIO % (least, most))
    return path


def allow(api: client.ApiClient, namespace: str) -> None:
    core: Any = client.CoreV1Api(api)
    core.patch_namespace(namespace, {"metadata": {"labels": {LABEL: "true"}}})


def count_of(api: client.ApiClient, namespace: str) -> int:
    apps: Any = client.AppsV1Api(api)
    return int(apps.read_namespaced_deployment("blue", namespace).spec.replicas)


@pytest.fixture
def target(cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str) -> ClusterTarget:
    """A Deployment `blue` of one pod, in a namespace that allows scaling."""
    scoring_deployment(api, namespace, "blue", replicas=FOUND)
    wait_ready(api, namespace, "blue")
    allow(api, namespace)
    return ClusterTarget(kubeconfig=cluster.kubeconfig, context=cluster.context, namespace=namespace, deployment="blue")


@pytest.fixture
def one_per_node(own_cluster: Cluster, api: client.ApiClient, namespace: str) -> ClusterTarget:
    """A Deployment of which a node, and the cluster has one, takes a single pod."""
    rule = {"labelSelector": {"matchLabels": {"app": "blue"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}}
    scoring_deployment(api, namespace, "blue", replicas=FOUND, pod=apart)
    wait_ready(api, namespace, "blue")
    allow(api, namespace)
    return ClusterTarget(kubeconfig=own_cluster.kubeconfig, namespace=namespace, deployment="blue")


@contextmanager
def lab(
    scenario: Path, target: ClusterTarget, start_limit_s: float | None = None
) -> Iterator[tuple[Client, LabProcess]]:
    process = LabProcess(
        scenario, replicas="kubernetes", cluster=target, start_limit_s=start_limit_s, on_progress=print
    )
    with process:
        yield Client(process), process


@contextmanager
def load(on: Client, rps: float, seconds: float) -> Iterator[list[Future[Reply]]]:
    """Requests beside what the caller does; on leaving, all have been answered."""
    replies: list[Future[Reply]] = []
    with ThreadPoolExecutor(64) as pool, ThreadPoolExecutor(1) as sender:

        def send() -> None:
            start_s = time.monotonic()
            for i in range(int(rps * seconds)):
                time.sleep(max(0.0, start_s + i / rps - time.monotonic()))
                replies.append(pool.submit(on.score, 0.2, i))

        sending = sender.submit(send)
        yield replies
        sending.result()


def tally(replies: list[Future[Reply]]) -> Counter[tuple[int, str | None]]:
    return Counter((r.status, r.headers.get("x-surgeproof-cause")) for r in (f.result() for f in replies))


def test_scores_scales_up_and_down_and_gives_the_count_back(
    api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    with lab(write(tmp_path), target) as (on, process):
        assert count_of(api, namespace) == LEAST
        reply = on.score(0.01, 7)
        assert (reply.status, reply.document["request"]) == (200, 7)
        with load(on, 9.3, 15) as replies:
            on.wait_for(lambda state: state["ready"] > LEAST)
        assert set(tally(replies)) <= {(200, None), (503, "scale_up_lag")}
        state = on.state()
        pods = {replica["pod"] for replica in state["replicas"]}
        assert len(pods) > LEAST
        assert all(name.startswith("blue-") for name in pods)
        assert {event["phase"] for event in on.log("replica")} >= {"created", "ready"}
        on.wait_for(lambda state: state["current"] == state["ready"] == LEAST and not state["terminating"], 60)
        assert process.stop() == 0
    assert count_of(api, namespace) == FOUND


def test_nothing_is_scaled_without_flag_or_label(
    api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    core: Any = client.CoreV1Api(api)
    core.patch_namespace(namespace, {"metadata": {"labels": {LABEL: None}}})
    with (
        pytest.raises(InputError, match=rf"kubectl label namespace {namespace} {LABEL}=true"),
        lab(write(tmp_path), target),
    ):
        pass
    command = [sys.executable, "-m", "planner.cli.root", "lab", str(write(tmp_path)), "--replicas", "kubernetes"]
    done = subprocess.run([*command, *target.arguments()], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--scale-deployment" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert count_of(api, namespace) == FOUND


def test_a_killed_pod_is_a_lost_replica(
    api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    core: Any = client.CoreV1Api(api)
    with lab(write(tmp_path, most=2), target) as (on, _):
        with load(on, 14, 10) as replies:
            time.sleep(2)
            victim = next(replica["pod"] for replica in on.state()["replicas"] if replica["phase"] == "ready")
            core.delete_namespaced_pod(victim, namespace, grace_period_seconds=0)
            on.wait_for(lambda state: state["lost"] == 1)
            on.wait_for(lambda state: state["lost"] == 0 and state["ready"] == 2)
        seen = tally(replies)
        assert seen[503, "replica_lost"] > 0, seen
        assert on.score(0.01).status == 200


def test_the_lab_serves_on_while_the_api_server_restarts(
    own_cluster: Cluster, api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    """With the printed rights, which an API server that has just started does not know for a moment."""
    apply_rbac(api, namespace, scaling=True)
    try:
        path = kubeconfig_with(own_cluster, tmp_path, {"token": token_of(api, namespace)})
        mine = ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue")
        with lab(write(tmp_path), mine) as (on, process):
            own_cluster.stop_api_server()
            try:
                with load(on, 9.3, 14) as replies:
                    on.wait_for(lambda state: state["current"] > LEAST)
                    time.sleep(3)
                    assert on.state()["ready"] == LEAST
                    own_cluster.start_api_server()
                    on.wait_for(lambda state: state["ready"] > LEAST, 60)
            finally:
                own_cluster.start_api_server()
            seen = tally(replies)
            assert seen[200, None] > 50, seen
            assert {status for status, _ in seen} <= {200, 503}
            assert on.log("scale_failed")
            assert process.stop() == 0
        assert count_of(api, namespace) == FOUND
    finally:
        remove_rbac(api, namespace)


def test_a_missing_right_refuses_the_start(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    apply_rbac(api, namespace, scaling=True, without=("pods",))
    try:
        path = kubeconfig_with(cluster, tmp_path, {"token": token_of(api, namespace)})
        mine = ClusterTarget(kubeconfig=path, namespace=namespace, deployment="blue")
        with pytest.raises(InputError, match="no right to list pods"), lab(write(tmp_path), mine):
            pass
        assert count_of(api, namespace) == FOUND
    finally:
        remove_rbac(api, namespace)


def test_a_crash_loop_ends_the_start_with_its_reason(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, tmp_path: Path
) -> None:
    scoring_deployment(api, namespace, "blue", replicas=0, score=BROKEN)
    allow(api, namespace)
    mine = ClusterTarget(kubeconfig=cluster.kubeconfig, context=cluster.context, namespace=namespace, deployment="blue")
    with pytest.raises(InputError, match=r"blue: init\(\) raised an exception: .*no model"), lab(write(tmp_path), mine):
        pass
    wait_until(lambda: count_of(api, namespace) == 0, "the count to be given back")


def test_a_pod_that_fits_nowhere_is_waited_for(
    api: client.ApiClient, namespace: str, one_per_node: ClusterTarget, tmp_path: Path
) -> None:
    with lab(write(tmp_path, least=1), one_per_node) as (on, _):
        with load(on, 9.3, 8) as replies:
            on.wait_for(lambda state: state["pending"] > 0 and state["starting"] == 0)
        seen = tally(replies)
        assert seen[503, "waiting_for_node"] > 0, seen
        assert {cause for status, cause in seen if status == 503} <= {"waiting_for_node", "scale_up_lag"}
    assert count_of(api, namespace) == FOUND


def test_a_start_that_fits_nowhere_ends_at_the_limit_with_its_reason(
    api: client.ApiClient, namespace: str, one_per_node: ClusterTarget, tmp_path: Path
) -> None:
    with (
        pytest.raises(InputError, match="blue: 1 of 2 pods ready after 15 s: No node has room") as refused,
        lab(write(tmp_path), one_per_node, start_limit_s=15),
    ):
        pass
    assert "anti-affinity" in str(refused.value)
    assert count_of(api, namespace) == FOUND


def test_ctrl_c_during_the_start_gives_the_count_back(
    api: client.ApiClient, namespace: str, one_per_node: ClusterTarget, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "planner.cli.root", "lab", str(write(tmp_path)), "--replicas", "kubernetes"]
    command += [*one_per_node.arguments(), "--scale-deployment", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: count_of(api, namespace) == LEAST, "the lab to scale")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert count_of(api, namespace) == FOUND


def test_a_second_autoscaler_is_refused_before_anything_is_simulated(
    api: client.ApiClient, namespace: str, target: ClusterTarget, tmp_path: Path
) -> None:
    scaling: Any = client.AutoscalingV2Api(api)
    about = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "blue"}
    spec = {"scaleTargetRef": about, "minReplicas": FOUND, "maxReplicas": 2}
    scaling.create_namespaced_horizontal_pod_autoscaler(namespace, {"metadata": {"name": "other"}, "spec": spec})
    command = [sys.executable, "-m", "planner.cli.root", "run", str(write(tmp_path)), "--replicas", "kubernetes"]
    done = subprocess.run([*command, *target.arguments(), "--scale-deployment"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "HorizontalPodAutoscaler other scales blue too" in done.stderr
    assert "simulating" not in done.stderr
