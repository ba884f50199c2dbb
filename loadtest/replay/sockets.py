"""Pools of kept-alive sockets: geventhttpclient's, without the trap at 1,024 descriptors. Only the worker has them."""

from __future__ import annotations

import select
import socket
import ssl
from typing import Any

from gevent import monkey
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool

from loadtest.replay.endpoint import Endpoint

_poll = monkey.get_original("select", "poll")


class _CheckedSockets:
    """What both pools share: an aliveness check that works beyond 1,024 descriptors, and one resolution of the name.

    The original uses select(), which raises for descriptors from 1024 up; the pool then takes every socket for dead.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened = 0
        self._addresses: Any = None
        self._idle: set[int] = set()

    def take(self) -> tuple[Any, bool]:
        """A socket, and whether it had been idle in the pool (the endpoint may just be closing it)."""
        sock = self.get_socket()  # type: ignore[attr-defined]
        was_idle = sock.fileno() in self._idle
        self._idle.discard(sock.fileno())
        return sock, was_idle

    def return_socket(self, sock: Any) -> None:
        self._idle.add(sock.fileno())
        super().return_socket(sock)  # type: ignore[misc]

    def _is_socket_alive(self, sock: Any) -> bool:
        if sock is None or sock.fileno() < 0:
            return False
        poll = _poll()
        poll.register(sock.fileno(), select.POLLIN)
        return not poll.poll(0)

    def _resolve(self) -> Any:
        if self._addresses is None:
            self._addresses = super()._resolve()  # type: ignore[misc]
        return self._addresses

    def after_connect(self, sock: Any) -> None:
        self.opened += 1
        self._idle.discard(sock.fileno())  # a descriptor number comes back after a close
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class PlainPool(_CheckedSockets, ConnectionPool):
    pass


class TlsPool(_CheckedSockets, SSLConnectionPool):
    def _is_socket_alive(self, sock: Any) -> bool:
        """An idle TLS 1.3 socket may hold session tickets: readable, yet alive. Reading tells them from an end."""
        if super()._is_socket_alive(sock):
            return True
        if sock is None or sock.fileno() < 0:
            return False
        try:
            sock._sslobj.read(1)
        except ssl.SSLWantReadError:
            return True
        except (OSError, ValueError):
            return False
        return False


def socket_pool(endpoint: Endpoint, size: int) -> PlainPool | TlsPool:
    """A pool of at most `size` sockets in use; timeouts are the caller's."""
    pool = TlsPool if endpoint.is_tls else PlainPool
    host, port = endpoint.host, endpoint.port
    return pool(host, port, host, port, size=size, connection_timeout=None, network_timeout=None)
