"""500 pods that change for a minute: what the observer costs, and that it loses nothing.

No scheduler minds the pods, and the test writes their status as a kubelet would. The observer runs in a process of its
own, so that its CPU time is not the test's.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from loadtest.observe import record
from planner.child import child_environment, module_command
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.workloads import wait_until

PODS = 500
MOST_OF_A_CORE = 0.10


@pytest.fixture
def deployment(api: client.ApiClient, namespace: str) -> str:
    """The uid of the ReplicaSet of a Deployment that wants no pods: nobody but the test makes them."""
    labels = {"app": "many"}
    container = {"name": "inference-server", "image": "none", "imagePullPolicy": "Never"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    apps: Any = client.AppsV1Api(api)
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "many"}, "spec": spec})
    sets = wait_until(lambda: apps.list_namespaced_replica_set(namespace).items, "the ReplicaSet")
    return str(sets[0].metadata.uid)


def status(phase: str) -> dict[str, Any]:
    """As a kubelet writes it: created, started, ready."""
    ready = "True" if phase == "ready" else "False"
    running = {"running": {"startedAt": "2026-11-22T10:00:00Z"}} if phase != "created" else {"waiting": {"reason": "x"}}
    return {
        "status": {
            "phase": "Pending" if phase == "created" else "Running",
            "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}],
            "containerStatuses": [
                {
                    "name": "inference-server",
                    "image": "none",
                    "imageID": "",
                    "ready": phase == "ready",
                    "restartCount": 0,
                    "state": running,
                }
            ],
        }
    }


def pod(i: int, owner_uid: str) -> dict[str, Any]:
    """Its ReplicaSet has no selector for it, so that no controller ends what it did not ask for."""
    owner = {"apiVersion": "apps/v1", "kind": "Nothing", "name": "many", "uid": owner_uid, "controller": True}
    container = {"name": "inference-server", "image": "none", "imagePullPolicy": "Never"}
    return {
        "metadata": {"name": f"many-{i}", "labels": {"made-by": "test"}, "ownerReferences": [owner]},
        "spec": {"schedulerName": "nobody", "containers": [container], "terminationGracePeriodSeconds": 0},
    }


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.mark.parametrize(
    "seconds", [pytest.param(20.0, id="a_third"), pytest.param(60.0, id="a_minute", marks=pytest.mark.long)]
)
def test_500_changing_pods_cost_less_than_a_tenth_of_a_core_and_none_is_lost(
    cluster: Cluster | ForeignCluster,
    api: client.ApiClient,
    namespace: str,
    deployment: str,
    tmp_path: Path,
    seconds: float,
) -> None:
    pods = round(PODS * seconds / 60)
    out = tmp_path / "observed"
    where = ["--kubeconfig", str(cluster.kubeconfig), "--namespace", namespace, "--deployment", "many"]
    where += ["--kube-context", cluster.context] if cluster.context else []
    command = [*module_command("planner.cli.root"), "observe", *where, "--out", str(out), "--output", "json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=child_environment()
    ) as observer:
        wait_until(lambda: any(line["kind"] == record.ROW for line in record.read_lines(out)), "the observer")
        spent_before_s, began_s = cpu_s(observer.pid), time.monotonic()
        core: Any = client.CoreV1Api(api)
        for i in range(pods):
            core.create_namespaced_pod(namespace, pod(i, deployment))
            for phase in ("created", "started", "ready"):
                core.patch_namespaced_pod_status(f"many-{i}", namespace, status(phase))
            time.sleep(max(0.0, began_s + (i + 1) * seconds / pods - time.monotonic()))
        took_s = time.monotonic() - began_s
        wait_until(lambda: record.of_kind(record.read_lines(out), record.ROW)[-1]["ready"] == pods, "the last pod")
        spent_s = cpu_s(observer.pid) - spent_before_s
        observer.send_signal(2)
        document = json.loads(observer.communicate(timeout=60)[0])
    lines = record.read_lines(out)
    seen: dict[str, list[str]] = {line["pod"]: [] for line in record.of_kind(lines, record.POD)}
    for line in record.of_kind(lines, record.POD):
        seen[line["pod"]].append(line["phase"])
    assert len(seen) == pods
    assert all(phases[-1] == "ready" for phases in seen.values())
    assert document["replicas"]["ready"] == pods
    assert document["gaps"] == []
    ready = [row["ready"] for row in record.of_kind(lines, record.ROW)]
    assert sorted(set(ready)) == list(range(pods + 1)), "every pod that became ready was seen at its own instant"
    share = spent_s / took_s
    print(f"{pods} pods in {took_s:.0f} s: {100 * share:.1f} % of a core")
    assert share < MOST_OF_A_CORE
