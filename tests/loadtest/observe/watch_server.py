"""A small HTTP server on loopback that lists and watches as Kubernetes does, and misbehaves on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from loadtest.observe.api import KubernetesApi
from loadtest.observe.target import ClusterTarget

Json = dict[str, Any]
LOOK_S = 0.02


@dataclass
class World:
    """What the server has, and what the next requests meet.

    troubles: for the next watches or lists, in order. silent: nothing is answered while it is set.
    """

    objects: dict[str, Json] = field(default_factory=dict)
    events: list[tuple[int, Json]] = field(default_factory=list)
    version: int = 1
    compacted: int = 0
    troubles: list[tuple[str, str]] = field(default_factory=list)
    lists: list[dict[str, str]] = field(default_factory=list)
    watches: list[int] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    breaks: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def change(self, name: str, kind: str = "CHANGED") -> None:
        with self.changed:
            if kind == "DELETED" and name not in self.objects:
                return
            self.version += 1
            metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
            if kind == "DELETED":
                del self.objects[name]
            else:
                kind = "MODIFIED" if name in self.objects else "ADDED"
                self.objects[name] = {"metadata": metadata}
            self.events.append((self.version, {"type": kind, "object": {"metadata": metadata}}))
            self.changed.notify_all()

    def compact(self) -> None:
        """Every watch ends, and no version before this one is known any more."""
        with self.changed:
            self.version += 1
            self.compacted = self.version
            self.break_watches()

    def break_watches(self) -> None:
        with self.changed:
            self.breaks += 1
            self.changed.notify_all()

    def meet(self, *troubles: tuple[str, str]) -> None:
        """("list" or "watch", what happens to it)."""
        with self.changed:
            self.troubles += troubles

    def next_trouble(self, where: str) -> str | None:
        with self.changed:
            if self.troubles and self.troubles[0][0] == where:
                return self.troubles.pop(0)[1]
        return None

    @property
    def versions(self) -> dict[str, str]:
        with self.changed:
            return {name: str(thing["metadata"]["resourceVersion"]) for name, thing in self.objects.items()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, dict(parse_qsl(urlsplit(self.path).query))
        while self.world.silent.is_set() and not self.world.ended.is_set():
            time.sleep(LOOK_S)
        try:
            if path == "/version":
                self._answer(200, {"major": "1"})
            elif query.get("watch"):
                self._watch(int(query["resourceVersion"]))
            else:
                self._list(query)
        except OSError:
            self.close_connection = True

    def _answer(self, status: int, document: Json) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, reason: str, message: str) -> None:
        self._answer(status, {"kind": "Status", "code": status, "reason": reason, "message": message})

    def _meet(self, trouble: str) -> None:
        if trouble == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        else:
            reasons = {"401": "Unauthorized", "403": "Forbidden", "410": "Expired", "429": "TooManyRequests"}
            self._refuse(int(trouble), reasons.get(trouble, "InternalError"), f"refused with {trouble}")

    def _list(self, query: dict[str, str]) -> None:
        with self.world.changed:
            self.world.lists.append(query)
            start, limit = int(query.get("continue", 0)), int(query.get("limit", 1_000_000))
            items = sorted(self.world.objects.items())
            version = str(self.world.version)
        trouble = self.world.next_trouble("page" if start else "list")
        if trouble is not None:
            self._meet(trouble)
            return
        more = str(start + limit) if start + limit < len(items) else ""
        chosen = [thing for _, thing in items[start : start + limit]]
        self._answer(200, {"items": chosen, "metadata": {"resourceVersion": version, "continue": more}})

    def _watch(self, at: int) -> None:
        world = self.world
        with world.changed:
            world.watches.append(at)
            breaks = world.breaks
        trouble = world.next_trouble("watch")
        if trouble not in (None, "torn", "end", "error"):
            self._meet(str(trouble))
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if at < world.compacted:
            self._event({"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}})
            self._end()
            return
        if trouble == "error":
            self._event({"type": "ERROR", "object": {"code": 500, "reason": "InternalError", "message": "of etcd"}})
        while trouble not in ("error", "end"):
            with world.changed:
                news = [entry for entry in world.events if entry[0] > at]
                if world.ended.is_set() or world.breaks > breaks:
                    break
                if not news or world.silent.is_set():
                    world.changed.wait(LOOK_S)
                    continue
            at, event = news[0]
            if trouble == "torn":
                self._chunk(json.dumps(event).encode()[:25])
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._event(event)
        self._end()

    def _event(self, event: Json) -> None:
        self._chunk(json.dumps(event).encode() + b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[tuple[World, KubernetesApi]]:
    """The server, and a client of it by a kubeconfig in the folder."""
    world = World()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"world": world}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": LOOK_S})
    thread.start()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "ml"}}],
        "current-context": "x",
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    api = KubernetesApi(ClusterTarget(kubeconfig=folder / "kubeconfig"))
    try:
        yield world, api
    finally:
        api.close()
        world.ended.set()
        world.break_watches()
        server.shutdown()
        server.server_close()
        thread.join()
