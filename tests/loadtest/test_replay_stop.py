"""When a run is stopped nothing leaves any more, for the books have been made up."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest

from loadtest.replay.connections import LARGEST_DIRECT_SEND_BYTES, Connections, Exchange
from loadtest.replay.endpoint import parse_url

SMALL = b"POST /score HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
LARGE = SMALL + b" " * 2 * LARGEST_DIRECT_SEND_BYTES


def listening(backlog: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=backlog)


def connections_to(listener: socket.socket) -> Connections:
    endpoint = parse_url(f"http://127.0.0.1:{listener.getsockname()[1]}/score")
    return Connections(endpoint, 10.0, lambda index, body: None, lambda: None)


def exchange_of(request: bytes, sent: list[int]) -> Exchange:
    return Exchange(7, 0, request, lambda exchange: sent.append(exchange.index), lambda exchange, answer: None)


def received(connection: socket.socket) -> bytes:
    """All that came until the other side closed."""
    connection.settimeout(5)
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def in_a_thread_of_its_own(job: Callable[[], None]) -> None:
    """gevent's loop there is not that of the tests."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(job).result(30)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_connection_that_opens_after_the_end_carries_nothing(stopped: bool) -> None:
    """The endpoint's queue is full: the client's first packet is dropped, and sent again after a second."""
    sent: list[int] = []

    def job() -> None:
        connections = connections_to(listener)
        connections.warm(0, 1.0)
        connections.send(exchange_of(SMALL, sent))
        gevent.sleep(0.2)
        assert (connections.opened, sent) == (0, [])
        if stopped:
            connections.close()
        listener.accept()[0].close()
        gevent.sleep(1.5)
        connections.close()
        gevent.sleep(0.1)

    with listening(backlog=0) as listener, socket.create_connection(listener.getsockname()):
        in_a_thread_of_its_own(job)
        came = received(listener.accept()[0])
    assert (sent, came) == (([], b"") if stopped else ([7], SMALL))


@pytest.mark.parametrize("stopped", [True, False])
def test_a_large_request_that_has_not_begun_to_leave_stays(stopped: bool) -> None:
    sent: list[int] = []

    def job() -> None:
        connections = connections_to(listener)
        assert connections.warm(1, 1.0) == 1
        connections.send(exchange_of(LARGE, sent))
        assert sent == [], "it is written by a greenlet of its own"
        if stopped:
            connections.close()
        gevent.sleep(0.1)
        connections.close()
        gevent.sleep(0.1)

    with listening(backlog=5) as listener:
        in_a_thread_of_its_own(job)
        came = received(listener.accept()[0])
    assert (sent, came) == (([], b"") if stopped else ([7], LARGE))
