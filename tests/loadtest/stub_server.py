"""A recording HTTP server for the tests of the replay, a process of its own that shares no code with the project.

It reads its settings as one JSON line from stdin, prints its port, and serves on 127.0.0.1 until stdin ends. Request i
is treated as cycle[i % len(cycle)] says. What it saw is answered to GET /record. Settings:

    cycle      ok 503 503-bare 504 429 418 500 302 201 garbage bad_json empty reset hang close close_quietly chunked
    delay_s    before each answer
    slow       [from_s, to_s, delay_s]: that delay instead, counted from the first request
    key        answers 401 to any other bearer
    close_after_s   every connection is reset and the port closed this long after the first request
    lab        "ticks": answers /lab/state and /lab/log, says of each 503 that it was at max replicas;
               "begins": takes /lab/begin too
    tls        [certificate file, key file]
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time
from typing import Any

BODIES = {
    "ok": (200, b'{"ok": true}'),
    "chunked": (200, b'{"ok": true}'),
    "close": (200, b'{"ok": true}'),
    "close_quietly": (200, b'{"ok": true}'),
    "503": (503, b"Too many requests for service stub (overloaded)"),
    "503-bare": (503, b"<html>upstream is gone</html>"),
    "504": (504, b"timeout"),
    "429": (429, b"slow down"),
    "418": (418, b"teapot"),
    "500": (500, b"oops"),
    "302": (302, b""),
    "201": (201, b"{}"),
    "bad_json": (200, b"{not json"),
    "empty": (200, b""),
}


class Stub:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.cycle = settings.get("cycle", ["ok"])
        self.delay_s: float = settings.get("delay_s", 0.0)
        self.slow: list[float] | None = settings.get("slow")
        self.key = settings.get("key")
        self.close_after_s = settings.get("close_after_s")
        self.lab = settings.get("lab")
        self.arrivals: list[tuple[int, float]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.connections = 0
        self.first_s: float | None = None
        self.transports: set[asyncio.Transport] = set()
        self.server: asyncio.Server | None = None
        self.begun_s: float | None = None
        self.started_s = time.monotonic()
        self.lab_log = [self.state(seq=1, ready=2)]

    def delay(self, now: float) -> float:
        if self.slow and self.first_s is not None and self.slow[0] <= now - self.first_s < self.slow[1]:
            return self.slow[2]
        return self.delay_s

    def state(self, ready: int, seq: int | None = None) -> dict[str, Any]:
        period = 0.5
        now = time.monotonic()
        done = int((now - self.started_s) / period)
        state = {
            "monotonic_s": now,
            "next_tick_monotonic_s": self.started_s + (done + 1) * period,
            "refresh_period_s": period,
            "desired": ready,
            "ready": ready,
            "starting": 0,
            "draining": 0,
            "busy": 0,
            "queued": 0,
            "settings": {"autoscale_min_replicas": 2},
        }
        return state | ({"seq": seq, "kind": "state"} if seq else {})

    def get(self, path: str) -> tuple[int, bytes]:
        if path == "/record":
            record = {
                "arrivals": self.arrivals,
                "headers": self.headers[:5],
                "bodies": self.bodies[:5],
                "connections": self.connections,
                "started_s": self.started_s,
                "begun_s": self.begun_s,
                "lab_log": self.lab_log,
            }
            return 200, json.dumps(record).encode()
        if self.lab and path == "/lab/state":
            return 200, json.dumps(self.state(ready=self.lab_log[-1]["ready"])).encode()
        if self.lab and path.startswith("/lab/log?after="):
            after = int(path.partition("=")[2].partition("&")[0])
            return 200, json.dumps([event for event in self.lab_log if event["seq"] > after]).encode()
        return 404, b"no such page"


class Connection(asyncio.Protocol):
    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.stub.connections += 1
        self.transport = transport
        self.stub.transports.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.stub.transports.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self.buffer = rest[length:]
            self.request(lines[0].split(" "), headers, rest[:length], now)

    def request(self, line: list[str], headers: dict[str, str], body: bytes, now: float) -> None:
        stub = self.stub
        if line[0] == "GET":
            self.answer(*stub.get(line[1]))
            return
        document = json.loads(body)
        if stub.lab and line[1] == "/lab/begin":
            stub.begun_s = document["monotonic_s"]
            self.answer(200 if stub.lab == "begins" else 404, b"{}")
            return
        if stub.first_s is None:
            stub.first_s = now
            if stub.lab:
                asyncio.get_running_loop().call_later(0.3, lambda: stub.lab_log.append(stub.state(seq=2, ready=3)))
            if stub.close_after_s is not None:
                asyncio.get_running_loop().call_later(stub.close_after_s, self.close_everything)
        stub.arrivals.append((document["request"], now))
        stub.headers.append(headers)
        stub.bodies.append(document)
        if stub.key and headers.get("authorization") != f"Bearer {stub.key}":
            self.answer(401, b"no")
            return
        kind = stub.cycle[document["request"] % len(stub.cycle)]
        if kind == "hang":
            return
        if delay_s := stub.delay(now):
            asyncio.get_running_loop().call_later(delay_s, self.treat, kind, document["request"])
        else:
            self.treat(kind, document["request"])

    def treat(self, kind: str, index: int) -> None:
        if self.transport.is_closing():
            return
        if kind == "reset":
            self.transport.abort()
        elif kind == "garbage":
            self.transport.write(b"\x16\x03garbage that is not HTTP\r\n\r\n")
            self.transport.close()
        elif kind == "chunked":
            self.transport.write(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n"
            )
        else:
            extra = f"x-ms-run-fn-exec-ms: {index + 0.5}\r\nx-surgeproof-replica: {index % 3}\r\n"
            extra += "x-surgeproof-cause: at_max_replicas\r\n" if kind == "503" and self.stub.lab else ""
            self.answer(*BODIES[kind], extra=extra + ("Connection: close\r\n" if kind == "close" else ""))
            if kind.startswith("close"):
                self.transport.close()

    def answer(self, status: int, body: bytes, extra: str = "") -> None:
        location = "Location: /elsewhere\r\n" if status == 302 else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{location}{extra}Set-Cookie: a=b\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)

    def close_everything(self) -> None:
        assert self.stub.server is not None
        self.stub.server.close()
        for transport in list(self.stub.transports):
            transport.abort()


async def serve(settings: dict[str, Any]) -> None:
    stub = Stub(settings)
    context = None
    if "tls" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*settings["tls"])
    loop = asyncio.get_running_loop()
    stub.server = await loop.create_server(lambda: Connection(stub), "127.0.0.1", 0, ssl=context, backlog=4096)
    print(stub.server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    await loop.run_in_executor(None, sys.stdin.read)  # until the test closes stdin


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.stdin.readline())))
