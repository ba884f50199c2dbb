"""A service account with the rights that `observe --print-rbac` prints and nothing more, and what it is used with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, utils

from loadtest.observe.observer import ClusterObserver, connect
from loadtest.observe.rbac import NAME, manifest
from loadtest.observe.record import ROW, Line, of_kind
from loadtest.observe.target import ClusterTarget
from tests.cluster.cluster import Cluster, ForeignCluster
from tests.cluster.workloads import wait_until


def apply_rbac(api: client.ApiClient, namespace: str, *, scaling: bool = False, without: tuple[str, ...] = ()) -> None:
    """The printed rights; without: resources that are taken out of them."""
    for document in yaml.safe_load_all(manifest(namespace, scaling=scaling)):
        for rule in document.get("rules", []):
            rule["resources"] = [name for name in rule["resources"] if name not in without]
        if "rules" in document:
            document["rules"] = [rule for rule in document["rules"] if rule["resources"]]
        utils.create_from_dict(api, document)


def remove_rbac(api: client.ApiClient, namespace: str) -> None:
    """What of them does not lie in the namespace."""
    rbac: Any = client.RbacAuthorizationV1Api(api)
    rbac.delete_cluster_role(f"{NAME}-{namespace}")
    rbac.delete_cluster_role_binding(f"{NAME}-{namespace}")


def token_of(api: client.ApiClient, namespace: str) -> str:
    core: Any = client.CoreV1Api(api)
    request = {"spec": {"expirationSeconds": 600}}
    return str(core.create_namespaced_service_account_token(NAME, namespace, request).status.token)


def kubeconfig_with(cluster: Cluster | ForeignCluster, folder: Path, user: dict[str, str]) -> Path:
    """The cluster's kubeconfig for another user: {"token": …} or {"tokenFile": …}."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    context = cluster.context or document["current-context"]
    chosen = next(c for c in document["contexts"] if c["name"] == context)
    chosen["context"] = chosen["context"] | {"user": "observer"}
    document |= {"contexts": [chosen], "current-context": context, "users": [{"name": "observer", "user": user}]}
    path = folder / "observer-kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def observing(target: ClusterTarget, folder: Path) -> Iterator[ClusterObserver]:
    observer = ClusterObserver(connect(target), folder)
    try:
        observer.start()
        yield observer
    finally:
        observer.stop()


def wait_for_line(observer: ClusterObserver, fits: Callable[[Line], bool], what: str, timeout_s: float = 60.0) -> Line:
    """The first line that fits."""
    return (
        wait_until(
            lambda: next(filter(fits, list(observer.lines)), None),
            what,
            timeout_s=timeout_s,
            told=lambda: str(observer.lines[-3:]),
        )
        or {}
    )


def wait_for_counts(observer: ClusterObserver, timeout_s: float = 60.0, **counts: int) -> Line:
    """Until the newest row of replicas has these counts."""

    def newest() -> Line | None:
        row = of_kind(list(observer.lines), ROW)[-1]
        return row if counts.items() <= row.items() else None

    return wait_until(newest, f"replicas {counts}", timeout_s=timeout_s, told=lambda: str(observer.lines[-3:])) or {}
