"""Deployments of the real scoring server, as the tests make them."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from kubernetes import client

from tests.cluster import images

DEFAULT_SCORE = Path(__file__).parents[2] / "loadtest/lab/scoring_server/score.py"
CONTAINER = "inference-server"
PORT = images.SCORING_PORT
T = TypeVar("T")


def scoring_deployment(
    api: client.ApiClient,
    namespace: str,
    name: str,
    *,
    replicas: int = 1,
    score: str | None = None,
    image: str | None = None,
    cpu: str = "50m",
    cpu_limit: str | None = None,
    memory: str = "128Mi",
    memory_limit: str = "512Mi",
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    readiness_period_s: int = 1,
    pre_stop_s: float = 2.0,
    grace_period_s: int = 4,
    container: Mapping[str, Any] | None = None,
    beside: Sequence[Mapping[str, Any]] = (),
    init: Sequence[Mapping[str, Any]] = (),
    pod: Mapping[str, Any] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> None:
    """Creates a Deployment, whose pods have the label `app: NAME`, and the ConfigMap with its `score.py`.

    `container`, `pod` and `spec` overrule single fields of the container, of the pod's spec and of the Deployment's.
    `beside` and `init` are further containers of the same image, which run with the server and before it.
    """
    server = _image(image) | {
        "name": CONTAINER,
        "ports": [{"containerPort": PORT}],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
        "resources": {
            "requests": {"cpu": cpu, "memory": memory},
            "limits": {"memory": memory_limit} | ({"cpu": cpu_limit} if cpu_limit else {}),
        },
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": readiness_period_s},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", f"{pre_stop_s:g}"]}}},
        "volumeMounts": [{"name": "score", "mountPath": "/score"}],
    }
    pod_spec = {
        "terminationGracePeriodSeconds": grace_period_s,
        "containers": [server | dict(container or {}), *({**_image(image), **extra} for extra in beside)],
        "initContainers": [{**_image(image), **extra} for extra in init],
        "volumes": [{"name": "score", "configMap": {"name": f"{name}-score"}}],
    }
    match = {"app": name}
    labelled = {"labels": dict(labels or {}) | match}
    template = {"metadata": labelled, "spec": pod_spec | dict(pod or {})}
    deployment = {"replicas": replicas, "selector": {"matchLabels": match}, "template": template} | dict(spec or {})
    code = {"score.py": DEFAULT_SCORE.read_text() if score is None else score}
    core: Any = client.CoreV1Api(api)
    core.create_namespaced_config_map(namespace, {"metadata": {"name": f"{name}-score"}, "data": code})
    apps: Any = client.AppsV1Api(api)
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": name} | labelled, "spec": deployment})


def pods_of(api: client.ApiClient, namespace: str, name: str) -> list[Any]:
    """The Deployment's pods, those on their way out too."""
    core: Any = client.CoreV1Api(api)
    found: list[Any] = core.list_namespaced_pod(namespace, label_selector=f"app={name}").items
    return found


def wait_ready(api: client.ApiClient, namespace: str, name: str, *, timeout_s: float = 60.0) -> list[Any]:
    """Waits until exactly the wanted replicas exist and are Ready; returns their pods."""
    apps: Any = client.AppsV1Api(api)

    def ready() -> bool:
        deployment = apps.read_namespaced_deployment(name, namespace)
        status, wanted = deployment.status, deployment.spec.replicas
        counts = {status.replicas or 0, status.updated_replicas or 0, status.ready_replicas or 0}
        return status.observed_generation == deployment.metadata.generation and counts == {wanted}

    wait_until(ready, f"Deployment {name} to be ready", timeout_s=timeout_s, told=lambda: _states(api, namespace, name))
    return [pod for pod in pods_of(api, namespace, name) if pod.metadata.deletion_timestamp is None]


def delete(api: client.ApiClient, namespace: str, name: str, *, timeout_s: float = 60.0) -> None:
    """Deletes the Deployment and its ConfigMap, and waits until its pods are gone."""
    apps: Any = client.AppsV1Api(api)
    core: Any = client.CoreV1Api(api)
    apps.delete_namespaced_deployment(name, namespace)
    core.delete_namespaced_config_map(f"{name}-score", namespace)
    wait_until(lambda: not pods_of(api, namespace, name), f"the pods of {name} to be gone", timeout_s=timeout_s)


def wait_until(
    attempt: Callable[[], T],
    what: str,
    *,
    timeout_s: float = 60.0,
    told: Callable[[], str] = lambda: "nothing more is known",
) -> T:
    """The first answer of `attempt` that is true; asked five times a second."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := attempt()):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}: {told()}")
        time.sleep(0.2)
    return answer


def _image(chosen: str | None) -> dict[str, Any]:
    """Ours is on the nodes already; any other one is pulled."""
    if named := chosen or os.environ.get("SURGEPROOF_TEST_SCORING_IMAGE"):
        return {"image": named, "imagePullPolicy": "IfNotPresent"}
    if os.environ.get("SURGEPROOF_TEST_KUBECONFIG"):
        pytest.skip(
            "needs SURGEPROOF_TEST_SCORING_IMAGE, an image that the nodes of SURGEPROOF_TEST_KUBECONFIG can pull"
        )
    return {"image": images.scoring_image().name, "imagePullPolicy": "Never"}


def _states(api: client.ApiClient, namespace: str, name: str) -> str:
    lines = []
    for pod in pods_of(api, namespace, name):
        states = [status.state.to_dict() for status in pod.status.container_statuses or []]
        conditions = [condition.message for condition in pod.status.conditions or [] if condition.message]
        lines.append(f"{pod.metadata.name} {pod.status.phase} {states} {conditions}")
    return "; ".join(lines) or "it has no pods"
