"""A recording HTTP server for the tests of the replay, a process of its own that shares no code with the project.

It reads its settings as one JSON line from stdin, prints its port, answers each further line with one JSON line of what
it has seen, and serves until stdin ends. Request i is treated as cycle[i % len(cycle)] says. Settings:

    cycle      ok 401 403 503 503-bare 504 429 418 500 302 201 garbage bad_json empty reset hang close
               close_quietly chunked pieces continue half no_length long_head big echo
    again      how a request is treated that was seen before
    delay_s    before each answer
    slow       [from_s, to_s, delay_s]: that delay instead, counted from the first request
    turn       [at_s, cycle]: another cycle from then on, counted from the first request
    key        answers 401 to any other bearer
    retry_after     header of each 503 and 429
    close_after_s   every connection is reset and the port closed this long after the first request
    close_idle_s    a connection is closed when it has been idle for so long
    lab        "ticks": answers /lab/state and /lab/log, says of each 503 that it was at max replicas;
               "begins": takes /lab/begin too
    tls        [certificate file, key file]
    host, port      127.0.0.1, any
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import struct
import sys
import time
from typing import Any

BODIES = {
    "ok": (200, b'{"ok": true}'),
    "continue": (200, b'{"ok": true}'),
    "close": (200, b'{"ok": true}'),
    "close_quietly": (200, b'{"ok": true}'),
    "big": (200, json.dumps({"ok": True, "text": "x" * 300_000}).encode()),
    "503": (503, b"Too many requests for service stub (overloaded)"),
    "503-bare": (503, b"<html>upstream is gone</html>"),
    "504": (504, b"timeout"),
    "429": (429, b"slow down"),
    "401": (401, b"who are you"),
    "403": (403, b"not you"),
    "418": (418, b"teapot"),
    "500": (500, b"oops"),
    "302": (302, b""),
    "201": (201, b"{}"),
    "bad_json": (200, b"{not json"),
    "empty": (200, b""),
}

RAW = {
    "garbage": b"\x16\x03garbage that is not HTTP\r\n\r\n",
    "long_head": b"HTTP/1.1 200 OK\r\n" + b"x: %s\r\n" % (b"y" * 1000) * 400,
    "half": b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"ok":',
    "no_length": b'HTTP/1.1 200 OK\r\n\r\n{"ok": true}',
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n",
}
"""Written as it is; the connection is closed after all but the last."""


class Stub:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.cycle = settings.get("cycle", ["ok"])
        self.again = settings.get("again")
        self.delay_s: float = settings.get("delay_s", 0.0)
        self.slow: list[float] | None = settings.get("slow")
        self.turn = settings.get("turn")
        self.key = settings.get("key")
        self.retry_after = settings.get("retry_after")
        self.close_after_s = settings.get("close_after_s")
        self.close_idle_s = settings.get("close_idle_s")
        self.lab = settings.get("lab")
        self.arrivals: list[tuple[int, float]] = []
        self.seen: set[int] = set()
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.senders: list[tuple[str, int]] = []
        self.paths: set[str] = set()
        self.connections = 0
        self.first_s: float | None = None
        self.open: set[Connection] = set()
        self.server: asyncio.Server | None = None
        self.begun_s: float | None = None
        self.started_s = time.monotonic()
        self.lab_log = [self.state(seq=1, ready=2)]

    def delay(self, now: float) -> float:
        if self.slow and self.first_s is not None and self.slow[0] <= now - self.first_s < self.slow[1]:
            return self.slow[2]
        return self.delay_s

    def kind(self, index: int, now: float) -> str:
        seen = index in self.seen
        self.seen.add(index)
        if seen and self.again:
            return str(self.again)
        cycle = self.cycle
        if self.turn and self.first_s is not None and now - self.first_s >= self.turn[0]:
            cycle = self.turn[1]
        return str(cycle[index % len(cycle)])

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

    def record(self) -> dict[str, Any]:
        return {
            "arrivals": self.arrivals,
            "headers": self.headers[:5],
            "bodies": self.bodies[:5],
            "sizes": self.sizes,
            "senders": self.senders,
            "paths": sorted(self.paths),
            "connections": self.connections,
            "open": len(self.open),
            "started_s": self.started_s,
            "begun_s": self.begun_s,
            "lab_log": self.lab_log,
        }

    def get(self, path: str) -> tuple[int, bytes]:
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
        self.idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.stub.connections += 1
        self.transport = transport
        self.peer: tuple[str, int] = transport.get_extra_info("peername")
        self.stub.open.add(self)
        self.wait_idle()

    def connection_lost(self, error: Exception | None) -> None:
        self.stub.open.discard(self)
        if self.idle:
            self.idle.cancel()

    def wait_idle(self) -> None:
        if self.stub.close_idle_s is not None:
            self.idle = asyncio.get_running_loop().call_later(self.stub.close_idle_s, self.transport.close)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self.idle:
            self.idle.cancel()
        self.buffer += data
        if self.buffer.startswith(b"\x16\x03"):  # TLS
            self.answer(400, b"this is a plain HTTP port")
            self.transport.close()
            return
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
        stub.sizes.append(len(body))
        stub.senders.append(self.peer[:2])
        stub.paths.add(line[1])
        if stub.key and headers.get("authorization") != f"Bearer {stub.key}":
            self.answer(401, b"no")
            return
        kind = stub.kind(document["request"], now)
        if kind == "hang":
            return
        if kind == "echo":
            self.answer(500, json.dumps(headers).encode(), extra=f"x-echo: {headers.get('authorization')}\r\n")
        elif delay_s := stub.delay(now):
            asyncio.get_running_loop().call_later(delay_s, self.treat, kind, document["request"])
        else:
            self.treat(kind, document["request"])

    def treat(self, kind: str, index: int) -> None:
        if self.transport.is_closing():
            return
        if kind == "reset":
            self.reset()
        elif kind in RAW:
            self.transport.write(RAW[kind])
            if kind != "chunked":
                self.transport.close()
        elif kind == "pieces":
            body = b'{"ok": true}'
            data = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            asyncio.get_running_loop().create_task(self.drip(data))
        else:
            if kind == "continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            extra = f"x-ms-run-fn-exec-ms: {index + 0.5}\r\nx-surgeproof-replica: {index % 3}\r\n"
            extra += "x-surgeproof-cause: at_max_replicas\r\n" if kind == "503" and self.stub.lab else ""
            if self.stub.retry_after is not None and kind in ("503", "429"):
                extra += f"Retry-After: {self.stub.retry_after}\r\n"
            self.answer(*BODIES[kind], extra=extra + ("Connection: close\r\n" if kind == "close" else ""))
            if kind.startswith("close"):
                self.transport.close()

    async def drip(self, data: bytes) -> None:
        for i in range(0, len(data), 7):
            self.transport.write(data[i : i + 7])
            await asyncio.sleep(0.002)

    def answer(self, status: int, body: bytes, extra: str = "") -> None:
        location = "Location: /elsewhere\r\n" if status == 302 else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{location}{extra}Set-Cookie: a=b\r\n\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)
            self.wait_idle()

    def reset(self) -> None:
        """End the connection with an RST, not in order."""
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def close_everything(self) -> None:
        assert self.stub.server is not None
        self.stub.server.close()
        for connection in list(self.stub.open):
            connection.reset()


async def serve(settings: dict[str, Any]) -> None:
    stub = Stub(settings)
    context = None
    if "tls" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*settings["tls"])
    loop = asyncio.get_running_loop()
    host, port = settings.get("host", "127.0.0.1"), settings.get("port", 0)
    stub.server = await loop.create_server(lambda: Connection(stub), host, port, ssl=context, backlog=4096)
    print(stub.server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(stub.record()), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.stdin.readline())))
