"""A watcher on a real API server, version for version: what was written is told once, or lies in a gap that is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kubernetes import client
from urllib3.exceptions import HTTPError

from loadtest.observe.api import KubernetesApi
from loadtest.observe.resources import Resource
from loadtest.observe.target import ClusterTarget
from loadtest.observe.watching import Change, Gap, Watcher
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.workloads import wait_until

PODS = 500
Written = list[tuple[str, str, float]]
"""Name, version, when the answer to the write came."""


class Watched:
    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        self.changes: list[Change] = []
        self.gaps: list[Gap] = []
        self.troubles: list[object] = []
        self.watcher = Watcher(
            api,
            Resource.PODS,
            namespace,
            self.changes.append,
            self.gaps.append,
            self.troubles.append,
            self.troubles.append,
        )

    @property
    def told(self) -> list[tuple[str, str]]:
        return [_of(change.object) for change in list(self.changes) if change.type != "DELETED"]

    @property
    def objects(self) -> dict[str, str]:
        known: dict[str, str] = {}
        for change in list(self.changes):
            name, version = _of(change.object)
            known[name] = version
            if change.type == "DELETED":
                del known[name]
        return known


def _of(thing: dict[str, Any]) -> tuple[str, str]:
    return str(thing["metadata"]["name"]), str(thing["metadata"]["resourceVersion"])


@contextmanager
def watching(cluster: Cluster | ForeignCluster, namespace: str) -> Iterator[Watched]:
    api = KubernetesApi(ClusterTarget(kubeconfig=cluster.kubeconfig, context=cluster.context, namespace=namespace))
    watched = Watched(api, namespace)
    watched.watcher.start()
    try:
        assert watched.watcher.wait_listed(20.0)
        yield watched
    finally:
        watched.watcher.stop()
        api.close()


def write(core: Any, namespace: str, name: str, step: int) -> tuple[str, str, float]:
    """A pod that no scheduler minds: created, then with a status as a kubelet would write it."""
    if step == 0:
        container = {"name": "inference-server", "image": "none"}
        spec = {"schedulerName": "nobody", "containers": [container], "terminationGracePeriodSeconds": 0}
        answer = core.create_namespaced_pod(namespace, {"metadata": {"name": name}, "spec": spec})
    else:
        body = {"status": {"message": f"step {step}"}}
        answer = core.patch_namespaced_pod_status(name, namespace, body)
    return name, str(answer.metadata.resource_version), time.monotonic()


def versions_there(core: Any, namespace: str) -> dict[str, str]:
    return {pod.metadata.name: pod.metadata.resource_version for pod in core.list_namespaced_pod(namespace).items}


@pytest.mark.parametrize(
    "seconds", [pytest.param(12.0, id="a_fifth"), pytest.param(60.0, id="a_minute", marks=pytest.mark.long)]
)
def test_each_change_of_500_pods_in_a_minute_is_told_exactly_once(
    cluster: Cluster | ForeignCluster, api: client.ApiClient, namespace: str, seconds: float
) -> None:
    core: Any = client.CoreV1Api(api)
    pods = round(PODS * seconds / 60)
    written: Written = []
    with watching(cluster, namespace) as watched:
        began_s = time.monotonic()
        for i in range(pods):
            written += [write(core, namespace, f"many-{i}", step) for step in range(4)]
            time.sleep(max(0.0, began_s + (i + 1) * seconds / pods - time.monotonic()))
        took_s = time.monotonic() - began_s
        there = versions_there(core, namespace)
        wait_until(lambda: watched.objects == there, "the last change")
    told = watched.told
    assert len(told) == len(set(told))
    assert set(told) == {(name, version) for name, version, _ in written}
    assert not any(change.listed for change in watched.changes)
    assert (watched.gaps, watched.troubles) == ([], [])
    answered_s = {(name, version): at_s for name, version, at_s in written}
    late_s = sorted(change.seen_s - answered_s[_of(change.object)] for change in watched.changes)
    print(
        f"{len(written)} changes of {pods} pods in {took_s:.0f} s; p99 told {1e3 * late_s[-len(late_s) // 100]:.0f} ms"
    )


def test_across_restarts_each_change_is_told_or_lies_in_a_gap(
    own_cluster: Cluster, api: client.ApiClient, namespace: str
) -> None:
    """Writes go on as soon as the server takes them again, quicker than a watch can be back."""
    core: Any = client.CoreV1Api(api)
    written: Written = []
    with watching(own_cluster, namespace) as watched:
        written += [write(core, namespace, f"pod-{i}", 0) for i in range(5)]
        names = {f"pod-{i}" for i in range(5)}
        for step in (1, 2):
            own_cluster.stop_api_server()
            own_cluster.start_api_server()
            for name in sorted(names):
                written.append(_as_soon_as_possible(core, namespace, name, step))
            core.delete_namespaced_pod(f"pod-{step}", namespace, grace_period_seconds=0)
            names.remove(f"pod-{step}")
            written.append(write(core, namespace, f"new-{step}", 0))
            wait_until(lambda: watched.objects == versions_there(core, namespace), "the watcher to be back")
    told = watched.told
    assert len(told) == len(set(told))
    missed = [(name, at_s) for name, version, at_s in written if (name, version) not in set(told)]
    assert all(any(gap.from_s <= at_s <= gap.to_s + 0.1 for gap in watched.gaps) for _, at_s in missed), missed
    assert watched.gaps
    assert watched.troubles == []


def _as_soon_as_possible(core: Any, namespace: str, name: str, step: int) -> tuple[str, str, float]:
    def attempt() -> tuple[str, str, float] | None:
        try:
            return write(core, namespace, name, step)
        except client.ApiException as error:
            if error.status in (403, 429) or error.status >= 500:  # it has not read its roles yet
                return None
            raise
        except HTTPError:
            return None

    entry = wait_until(attempt, "an API server that takes writes")
    assert entry is not None
    return entry
