"""A cluster as a test sees it."""

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from tests.cluster import binaries, images, remains
from tests.cluster.cache import say
from tests.cluster.layout import CONTEXT, NODE_NAMES, Layout, new_layout

REPOSITORY = Path(__file__).parents[2]
READY_PATIENCE_S = 60.0
STOP_PATIENCE_S = 120.0


@dataclass(frozen=True)
class ForeignCluster:
    """A disposable cluster of the user's own: what is needed to reach it, no control over its processes."""

    kubeconfig: Path
    context: str | None
    scoring_image: str | None


@dataclass(frozen=True)
class SecondNode:
    """A node that a test may lose."""

    name: str
    kill: Callable[[], None]


class Cluster:
    """A whole Kubernetes on this machine, from `start` to `stop`."""

    def __init__(self, state: Path | None = None, *, bare: bool = False, progress: Callable[[str], None] = say) -> None:
        self._progress = progress
        binaries.programs()
        self.pause_image = images.pause_image().name
        self.scoring_image = "" if bare else images.scoring_image().name
        others = remains.sweep()
        if state is not None and str(state.resolve()) in [other.state for other in others]:
            raise RuntimeError(f"a cluster runs in {state} already")
        folder = Path(tempfile.mkdtemp(prefix="surgeproof-cluster-")) if state is None else state.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self.layout: Layout = new_layout(folder, keeps_state=state is not None, bare=bare, others=others)
        self.context = CONTEXT
        self._keeper: subprocess.Popen[str] | None = None
        self._one_order = threading.Lock()

    @property
    def kubeconfig(self) -> Path:
        """Of an administrator; `context` is its only context."""
        return self.layout.kubeconfig

    @property
    def service_account_key(self) -> Path:
        """Signs ServiceAccount tokens (RS256); `SERVICE_ACCOUNT_ISSUER` in layout.py is their issuer and audience."""
        return self.layout.pki / "service-account.key"

    @property
    def keeper_pid(self) -> int:
        return self._running_keeper().pid

    def start(self) -> None:
        """Returns when the API answers and the node is Ready."""
        started_s = time.monotonic()
        with (self.layout.folder / "keeper.log").open("wb") as log:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.cluster.keeper", self.layout.to_json()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        try:
            self._order("start")
            self._wait_for_node(NODE_NAMES[0])
        except BaseException:
            self.stop()
            raise
        self._progress(f"the cluster is ready: {time.monotonic() - started_s:.0f} s, {self.layout.server}")

    def stop(self) -> None:
        """Ends everything and waits until nothing is left."""
        if self._keeper is None:
            return
        keeper, self._keeper = self._keeper, None
        keeper.communicate(timeout=STOP_PATIENCE_S)
        remains.clean_up(self.layout)  # nothing to do, unless the keeper was killed

    def stop_api_server(self) -> None:
        """As for an upgrade: requests and watches end, everything else runs on."""
        self._order("stop_api_server")

    def start_api_server(self) -> None:
        """On the same port, with the same data, certificates and keys."""
        self._order("start_api_server")

    def compact(self) -> int:
        """Makes every resourceVersion before the returned one 410 Gone.

        A compaction in etcd alone is not enough: but for Events, the API server goes on answering lists and watches
        from its cache. So it stops before and starts after, with an empty cache.
        """
        self._order("stop_api_server")
        revision: int = self._order("compact")
        self._order("start_api_server")
        return revision

    @contextlib.contextmanager
    def second_node(self) -> Iterator[SecondNode]:
        """Another real node beside the first, Ready; afterwards it and its pods are gone, killed or not."""
        name = NODE_NAMES[1]
        try:
            self._order("start_node", index=1)
            self._wait_for_node(name)
            yield SecondNode(name, lambda: self._order("kill_node", index=1))
        finally:
            with self.api() as api:
                core: Any = client.CoreV1Api(api)
                core.patch_node(name, {"spec": {"unschedulable": True}})
                for pod in core.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={name}").items:
                    with contextlib.suppress(client.ApiException):
                        core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, grace_period_seconds=0)
                self._order("remove_node", index=1)
                core.delete_node(name)

    @contextlib.contextmanager
    def api(self) -> Iterator[client.ApiClient]:
        """An administrator's client, for a moment."""
        with api_client(self) as api:
            yield api

    def _wait_for_node(self, name: str) -> None:
        deadline_s = time.monotonic() + READY_PATIENCE_S
        with self.api() as api:
            while not _is_ready(client.CoreV1Api(api), name):
                if time.monotonic() > deadline_s:
                    raise TimeoutError(
                        f"node {name} is not Ready after {READY_PATIENCE_S:.0f} s, see {self.layout.logs}"
                    )
                time.sleep(0.2)

    def _order(self, action: str, **arguments: object) -> Any:
        keeper = self._running_keeper()
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        with self._one_order:
            with contextlib.suppress(BrokenPipeError):
                keeper.stdin.write(json.dumps({"do": action, **arguments}) + "\n")
            if line := keeper.stdout.readline():
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer["done"]
        raise RuntimeError(f"the cluster's keeper ended: {(self.layout.folder / 'keeper.log').read_text()[-2000:]}")

    def _running_keeper(self) -> subprocess.Popen[str]:
        if self._keeper is None:
            raise RuntimeError("the cluster is not started")
        return self._keeper


@contextlib.contextmanager
def api_client(cluster: Cluster | ForeignCluster) -> Iterator[client.ApiClient]:
    """A client whose connections are closed at the end."""
    new_client: Any = config.new_client_from_config
    with new_client(str(cluster.kubeconfig), cluster.context) as api:
        try:
            yield api
        finally:
            api.rest_client.pool_manager.clear()


def _is_ready(core: Any, name: str) -> bool:
    try:
        conditions = core.read_node(name).status.conditions or []
    except client.ApiException as error:
        if error.status == 404:
            return False
        raise
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
