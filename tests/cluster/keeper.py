"""The process that holds a cluster: it obeys its owner through a pipe, and cleans up when the pipe closes.

The pipe closes however the owner ends, so nothing of a cluster outlives a test that is killed. Each line of the input
is a JSON document `{"do": …}`, each line of the output its answer: `{"done": …}` or `{"error": …}`.
"""

import contextlib
import json
import os
import select
import signal
import ssl
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.cluster import binaries, images, remains
from tests.cluster.control_plane import ControlPlane
from tests.cluster.layout import Layout
from tests.cluster.node import Node

PODS_PATIENCE_S = 15.0


class Keeper:
    """One cluster from start to stop."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._programs = binaries.programs()
        self._images = [images.pause_image()] if layout.bare else [images.pause_image(), images.scoring_image()]
        self._control_plane = ControlPlane(layout, self._programs)
        self._nodes: dict[int, Node] = {}

    def start(self) -> None:
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        remains.register(self._layout)
        node = self._nodes[0] = Node(self._layout, self._programs, 0)
        # The control plane keeps the processors busy, the import of the images the disk.
        with ThreadPoolExecutor(1) as pool:
            imported = pool.submit(node.start_containerd, self._images)
            self._control_plane.start()
            imported.result()
        node.start_kubelet()

    def start_node(self, index: int) -> None:
        node = self._nodes[index] = Node(self._layout, self._programs, index)
        node.start_containerd(self._images)
        node.start_kubelet()

    def kill_node(self, index: int) -> None:
        self._nodes[index].kill()

    def remove_node(self, index: int) -> None:
        """Its processes, containers and mounts; the Node object is the caller's."""
        node = self._nodes.pop(index)
        node.stop()
        remains.remove_remains(self._layout, node.cgroup, node.folder)

    def stop_api_server(self) -> None:
        self._control_plane.api_server.stop(30.0)

    def start_api_server(self) -> None:
        """And its clients anew: after several restarts they would wait up to a minute before they look again."""
        self._control_plane.start_api_server()
        for program in (
            self._control_plane.controller_manager,
            self._control_plane.scheduler,
            *(node.kubelet for node in self._nodes.values() if node.kubelet.is_running),
        ):
            program.kill()
            program.start()

    def compact(self) -> int:
        return self._control_plane.compact()

    def stop(self) -> None:
        """The workloads first, then the programs from the outside in, then whatever is left."""
        self._control_plane.controller_manager.stop()  # or it would replace the pods
        self._control_plane.scheduler.stop()
        with contextlib.suppress(OSError, ValueError):
            self._delete_pods()
        for node in self._nodes.values():
            node.kubelet.stop()
        self._control_plane.api_server.stop(5.0)
        self._control_plane.etcd.stop()
        for node in self._nodes.values():
            node.containerd.stop()
        remains.clean_up(self._layout)

    def _delete_pods(self) -> None:
        for namespace in {pod["metadata"]["namespace"] for pod in self._api("GET", "/api/v1/pods")["items"]}:
            self._api("DELETE", f"/api/v1/namespaces/{namespace}/pods", {"gracePeriodSeconds": 1})
        deadline_s = time.monotonic() + PODS_PATIENCE_S
        while time.monotonic() < deadline_s:
            if not self._api("GET", "/api/v1/pods")["items"]:
                return
            time.sleep(0.2)

    def _api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        trusted = ssl.create_default_context(cafile=str(self._layout.server_certificate))
        headers = {"Authorization": f"Bearer {self._layout.admin_token}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._layout.server + path, content, headers, method=method)
        with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:
            document: dict[str, Any] = json.load(answer)
            return document


def main() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # or the programs would inherit an owner's blocked signals
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    owner = os.getppid()
    keeper = Keeper(Layout.from_json(sys.argv[1]))
    try:
        for order in _orders(owner):
            try:
                _tell(done=getattr(keeper, order.pop("do"))(**order))
            except Exception as error:
                _tell(error=str(error) or type(error).__name__)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        keeper.stop()


def _orders(owner: int) -> Iterator[dict[str, Any]]:
    """Until the pipe closes or the owner is gone: a process that it forked may hold the pipe open."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    with contextlib.suppress(ProcessLookupError):
        poll.register(os.pidfd_open(owner), select.POLLIN)
    received = b""
    while all(ready == 0 for ready, _ in poll.poll()):
        if not (chunk := os.read(0, 65536)):
            return
        *lines, received = (received + chunk).split(b"\n")
        yield from map(json.loads, lines)


def _tell(**message: object) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, (json.dumps(message) + "\n").encode())


if __name__ == "__main__":
    main()
