"""An endpoint that is not a lab, in a process of its own that shares no code with the project. It notes every request
line, header and body, whatever the method, and answers as its mode says.

It reads its settings as one JSON line from stdin, prints its port, answers each further line with one JSON line of what
it has seen, and serves until stdin ends. Settings:

    mode     a name of ANSWERS, or: sse (five events, 30 ms apart), sse_error (the second event is an error),
             sse_cut (the connection ends inside the stream)
    tls      [certificate file, key file]; client_ca: a file, then a client certificate of this CA is asked for
    location, header   of a redirect; further header lines of each answer
"""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import sys
import zlib
from typing import Any

OK = b'{"ok": true}'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))

ANSWERS: dict[str, tuple[int, str, str, bytes]] = {
    # mode: status, Content-Type, further header lines, body
    "json": (200, "application/json", "", OK),
    "text": (200, "text/plain; charset=utf-8", "", "plain text, größer".encode()),
    "html": (200, "text/html", "", b"<html>login</html>"),
    "png": (200, "image/png", "", PNG),
    "empty": (200, "application/json", "", b""),
    "gzip": (200, "application/json", "Content-Encoding: gzip\r\n", gzip.compress(OK)),
    "deflate": (200, "application/json", "Content-Encoding: deflate\r\n", zlib.compress(OK)),
    "bad_gzip": (200, "application/json", "Content-Encoding: gzip\r\n", gzip.compress(OK)[:-12]),
    "brotli": (200, "application/json", "Content-Encoding: br\r\n", b"\x0b\x02\x80{}\x03"),
    "404": (404, "application/json", "", b'{"message":"no deployment"}'),
    "408": (408, "text/plain", "", b"upstream request timeout"),
    "424": (
        *(424, "text/plain"),
        "ms-azureml-model-error-statuscode: 500\r\nms-azureml-model-error-reason: model_error\r\n",
        b"error",
    ),
    "429": (429, "text/plain", "Retry-After: 1\r\n", b"slow down"),
    "502": (502, "text/plain", "", b"Replica closed connection before replying"),
    "redirect": (307, "text/plain", "", b""),
}


class Endpoint:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.mode: str = settings.get("mode", "json")
        self.location: str | None = settings.get("location")
        self.header: str = settings.get("header", "")
        self.requests: list[tuple[str, dict[str, str], str]] = []
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *rest = head.removesuffix("\r\n\r\n").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((line, headers, body.decode("latin-1")))
                if self.mode.startswith("sse"):
                    if not await self.stream(writer):
                        break
                    continue
                status, kind, extra, answer = ANSWERS[self.mode]
                if self.location is not None:
                    extra += f"Location: {self.location}\r\n"
                extra += self.header
                head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{extra}Content-Length: {len(answer)}\r\n\r\n"
                writer.write(head.encode("latin-1") + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def stream(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            await asyncio.sleep(0.03)
            if self.mode == "sse_cut" and i == 3:
                return False
            event = b'data: {"token": "x"}\n\n'
            if self.mode == "sse_error" and i == 1:
                event = b'event: error\ndata: {"message": "out of memory"}\n\n'
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def record(self) -> dict[str, Any]:
        return {"requests": self.requests, "connections": self.connections}


async def main(settings: dict[str, Any]) -> None:
    endpoint, context = Endpoint(settings), None
    if "tls" in settings:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*settings["tls"])
        if "client_ca" in settings:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(settings["client_ca"])
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # a handshake that fails is the client's affair
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(endpoint.record()), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
