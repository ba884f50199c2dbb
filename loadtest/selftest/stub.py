"""`python -m loadtest.selftest.stub`: a lean HTTP/1.1 server that notes when each request arrives and answers later.

It must never be the bottleneck of a measurement: one epoll loop over bare file descriptors, and of a request it reads
no more than its number and where it ends. Settings come as one JSON line on
stdin; the port goes out on stdout; a line "record" on stdin writes the records and is answered by their number; the end
of stdin ends it. Only 127.0.0.1, only keep-alive. Settings:

    delay_s         before each answer
    phases          [[from_s, to_s, delay_s], …]: that delay instead, counted from the first request with an index
    status          of each answer (200)
    record_to       the .npy file of the records: int64, a row (arrival_ns, index, worker) for each request

arrival_ns is the monotonic clock when the request could be read. index is N of the header `x-ms-client-request-id:
RUN-N`, worker that of `x-surgeproof-worker: N`; -1 where there is none. Anything but a POST is answered 404 at once and
not recorded.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import resource
import select
import socket
import sys
import time
from array import array
from typing import Any

from loadtest.timerfd import TimerFd

_STDIN = 0
_READ_BYTES = 16384
_BODY = {200: b'{"ok":true}', 503: b"Too many requests for service stub (overloaded)"}
_ID = b"\r\nx-ms-client-request-id:"
_WORKER = b"\r\nx-surgeproof-worker:"
_LENGTH = b"\r\ncontent-length:"


class Connection:
    """One client's socket; fd is -1 once it is closed, since the number may come back as another connection's."""

    __slots__ = ("fd", "unread")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.unread = b""


class Stub:
    """The server. `serve` returns when stdin ends."""

    def __init__(self, settings: dict[str, Any]) -> None:
        status = int(settings.get("status", 200))
        self._delay_ns = round(1e9 * settings.get("delay_s", 0.0))
        self._phases = [[round(1e9 * s) for s in phase] for phase in settings.get("phases", [])]
        self._record_to: str | None = settings.get("record_to")
        self._answer = _answer(status, _BODY.get(status, b"{}"))
        self._first_ns = 0
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[int, int, Connection]] = []
        self._records = array("q")
        self._number = 0
        self._commands = b""
        self._timer = TimerFd()
        self._epoll = select.epoll()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        for fd in (self._listener.fileno(), self._timer.fd, _STDIN):
            self._epoll.register(fd, select.EPOLLIN)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        listening, timer = self._listener.fileno(), self._timer.fd
        connections = self._connections
        armed_ns = 0
        while True:
            events = self._epoll.poll()
            now_ns = time.monotonic_ns()
            for fd, _ in events:
                if (connection := connections.get(fd)) is not None:
                    self._read(connection, now_ns)
                elif fd == listening:
                    self._accept()
                elif fd == timer:
                    armed_ns = -1  # readable until it is set anew
                elif not self._obey():
                    return
            self._answer_due()
            next_ns = self._due[0][0] if self._due else 0
            if next_ns != armed_ns:
                self._timer.set(next_ns)
                armed_ns = next_ns

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # out of descriptors, or the client has gone: the next one may fare better
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            fd = accepted.detach()
            self._connections[fd] = Connection(fd)
            self._epoll.register(fd, select.EPOLLIN)

    def _read(self, connection: Connection, now_ns: int) -> None:
        try:
            data = os.read(connection.fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        if connection.unread:
            data = connection.unread + data
        while head := head_of(data):
            end = len(head) + 2 + max(0, number_in(head, _LENGTH))
            if end > len(data):
                break
            self._take(connection, head, now_ns)
            data = data[end:]
        connection.unread = data

    def _take(self, connection: Connection, head: bytes, now_ns: int) -> None:
        if not head.startswith(b"post "):
            self._write(connection, _answer(404, b"no such page"))
            return
        index = number_in(head, _ID)
        if not self._first_ns and index >= 0:
            self._first_ns = now_ns
        self._records.extend((now_ns, index, number_in(head, _WORKER)))
        delay_ns = self._delay_ns
        for from_ns, to_ns, other_ns in self._phases:
            if from_ns <= now_ns - self._first_ns < to_ns:
                delay_ns = other_ns
        if delay_ns:
            self._number += 1  # of two answers due at one time the older goes first
            heapq.heappush(self._due, (now_ns + delay_ns, self._number, connection))
        else:
            self._write(connection, self._answer)

    def _answer_due(self) -> None:
        due = self._due
        if not due:
            return
        now_ns = time.monotonic_ns()
        while due and due[0][0] <= now_ns:
            self._write(heapq.heappop(due)[2], self._answer)

    def _write(self, connection: Connection, data: bytes) -> None:
        if connection.fd < 0:
            return
        try:
            sent = os.write(connection.fd, data)
        except OSError:
            sent = 0
        if sent < len(data):
            self._close(connection)  # gone, or a client that does not read what it asked for

    def _close(self, connection: Connection) -> None:
        if connection.fd >= 0:
            del self._connections[connection.fd]
            os.close(connection.fd)
            connection.fd = -1

    def _obey(self) -> bool:
        """Whether to go on: stdin has not ended."""
        data = os.read(_STDIN, 4096)
        *commands, self._commands = (self._commands + data).split(b"\n")
        if b"record" in commands:
            print(self.write_records(), flush=True)
        return bool(data)

    def write_records(self) -> int:
        """Write what was seen so far, and return how many requests that were."""
        rows = len(self._records) // 3
        if self._record_to is not None:
            head = repr({"descr": "<i8", "fortran_order": False, "shape": (rows, 3)}).encode()
            head += b" " * (-(11 + len(head)) % 64) + b"\n"
            with open(self._record_to, "wb") as file:
                file.write(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + self._records.tobytes())
        return rows


def head_of(data: bytes) -> bytes:
    """The head of the first request in `data`, in lower case, to its last line break; empty while incomplete."""
    end = data.find(b"\r\n\r\n")
    return b"" if end < 0 else data[: end + 2].lower()


def number_in(head: bytes, header: bytes) -> int:
    """The number at the end of a header's value (12 in `RUN-12`); -1 where there is none."""
    start = head.find(header)
    if start < 0:
        return -1
    start += len(header)
    value = head[start : head.find(b"\r\n", start)]
    digits = value[value.rfind(b"-") + 1 :].strip()
    return int(digits) if digits.isdigit() and len(digits) <= 18 else -1


def _answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stub = Stub(json.loads(_first_line()))
    print(stub.port, flush=True)
    gc.disable()  # there are no cycles
    stub.serve()


def _first_line() -> bytes:
    """One line of stdin and no byte more: the rest is read by the loop."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(_STDIN, 1)
        if not byte:
            sys.exit("stub: no settings on stdin")
        line += byte
    return line


if __name__ == "__main__":
    main()
