"""Fixtures of a real cluster: one made here, or the user's own that `SURGEPROOF_TEST_KUBECONFIG` names."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster import machine
from tests.cluster.cluster import Cluster, ForeignCluster, api_client
from tests.cluster.workloads import wait_until

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests of this folder, and leaves them out of every run that does not ask for them."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker("cluster")
    if ours and "cluster" not in config.option.markexpr.replace("not cluster", ""):
        items[:] = [item for item in items if not item.path.is_relative_to(HERE)]
        config.hook.pytest_deselected(items=ours)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster | ForeignCluster]:
    """A running cluster: `kubeconfig`, `context`, `scoring_image`."""
    if kubeconfig := os.environ.get("SURGEPROOF_TEST_KUBECONFIG"):
        context = os.environ.get("SURGEPROOF_TEST_CONTEXT")
        yield ForeignCluster(Path(kubeconfig), context, os.environ.get("SURGEPROOF_TEST_SCORING_IMAGE"))
        return
    if reason := machine.refusal():
        pytest.fail(reason, pytrace=False)
    machine.install_packages()
    own = Cluster()
    own.start()
    try:
        yield own
    finally:
        own.stop()


@pytest.fixture(scope="session")
def own_cluster(cluster: Cluster | ForeignCluster) -> Cluster:
    """The same cluster, where the test may stop its programs."""
    if isinstance(cluster, ForeignCluster):
        pytest.skip(
            "needs control over the cluster's processes, which a cluster of SURGEPROOF_TEST_KUBECONFIG gives nobody"
        )
    return cluster


@pytest.fixture(scope="session")
def api(cluster: Cluster | ForeignCluster) -> Iterator[client.ApiClient]:
    """An administrator's client."""
    with api_client(cluster) as opened:
        yield opened


@pytest.fixture
def namespace(api: client.ApiClient) -> Iterator[str]:
    """The name of a fresh namespace; afterwards its pods are gone, and it ends by itself."""
    core: Any = client.CoreV1Api(api)
    name = f"surgeproof-{secrets.token_hex(4)}"
    core.create_namespace({"metadata": {"name": name, "labels": {"surgeproof/test": "true"}}})
    try:
        wait_until(lambda: _has_account(core, name), f"the default ServiceAccount of {name}")
        yield name
    finally:
        core.delete_namespace(name)
        # A namespace on its way out takes no new pod, so this is quicker than the namespace controller, and as certain.
        core.delete_collection_namespaced_pod(name, grace_period_seconds=1)
        wait_until(lambda: not core.list_namespaced_pod(name).items, f"the pods of {name} to be gone", timeout_s=90)


def _has_account(core: Any, namespace: str) -> bool:
    with suppress(client.ApiException):
        return bool(core.read_namespaced_service_account("default", namespace))
    return False
