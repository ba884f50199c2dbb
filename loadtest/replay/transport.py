"""Bytes in and out of one socket, at the least cost that gevent allows. Only the worker has them."""

from __future__ import annotations

import os
from typing import Any, Protocol

from gevent import monkey
from gevent.hub import get_hub

RECEIVE_BYTES = 65536

_READABLE = 1
_poll = monkey.get_original("select", "poll")


class Transport(Protocol):
    """A connected socket. One greenlet may read while another writes."""

    def read(self) -> bytes:
        """What comes next, b"" at the end. Raises OSError."""
        ...

    def is_quiet(self) -> bool:
        """Nothing has come that nobody asked for, such as the end."""
        ...

    def write(self, data: bytes) -> None:
        """Raises OSError. Does not wait if the socket is idle and the data small."""
        ...

    def close(self) -> None:
        """Only when nobody reads any more."""
        ...


class PlainTransport:
    """Waits for its descriptor, then reads: gevent's socket would first read in vain, at the price of an exception."""

    __slots__ = ("_fd", "_poller", "_readable", "_sock", "_wait")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        hub = get_hub()
        self._readable = hub.loop.io(self._fd, _READABLE)
        self._wait = hub.wait
        self._poller = _poll()
        self._poller.register(self._fd, _READABLE)

    def read(self) -> bytes:
        while True:
            self._wait(self._readable)
            try:
                return os.read(self._fd, RECEIVE_BYTES)
            except BlockingIOError:  # woken for nothing
                continue

    def is_quiet(self) -> bool:
        return not self._poller.poll(0)

    def write(self, data: bytes) -> None:
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        if written < len(data):
            self._sock.sendall(memoryview(data)[written:])

    def close(self) -> None:
        self._readable.stop()
        self._readable.close()
        self._sock.close()


class TlsTransport:
    __slots__ = ("_sock", "close", "write")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self.write = sock.sendall
        self.close = sock.close

    def is_quiet(self) -> bool:
        """Unknown: session tickets come unasked."""
        return True

    def read(self) -> bytes:
        data: bytes = self._sock.recv(RECEIVE_BYTES)
        return data
