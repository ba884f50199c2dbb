"""Kept-alive connections to one endpoint, each with a greenlet that reads what comes. Only the worker has them.

The dispatcher writes a request itself, on a connection that is idle, and goes on: no greenlet is started between a
deadline and its bytes. The reader notices at once when the endpoint closes an idle connection, so none has to be asked
before its next request whether it still lives (with select(), which does not see descriptors from 1,024 up, that
question has the wrong answer).
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket as green_socket
from gevent import ssl as green_ssl
from geventhttpclient.response import HTTPParseError

from loadtest.replay.answers import Answer, Response, classify, why_broken
from loadtest.replay.endpoint import Endpoint
from loadtest.replay.segment import Broken
from loadtest.replay.tls import tls_context
from loadtest.replay.transport import PlainTransport, TlsTransport, Transport
from planner.model import Outcome

LARGEST_DIRECT_SEND_BYTES = 16 * 1024
"""A request this small fits into the buffer of an idle socket: the dispatcher never waits in its write."""

LARGEST_HEAD_BYTES = 256 * 1024
LARGEST_ANSWER_BYTES = 100_000_000
"""Azure ML's limit of a payload. An answer without end must not fill the memory of the machine that measures."""

SWEEP_PERIOD_S = 0.02
"""How late a timeout may come."""


class Exchange:
    """One attempt at one request. `on_sent` is called just before the bytes leave, `on_done` once, at the end."""

    __slots__ = ("attempt", "connection", "done", "index", "on_done", "on_sent", "request", "response", "sent_ns")

    def __init__(
        self,
        index: int,
        attempt: int,
        request: bytes,
        on_sent: Callable[[Exchange], None],
        on_done: Callable[[Exchange, Answer], None],
    ) -> None:
        self.index = index
        self.attempt = attempt
        self.request = request
        self.on_sent = on_sent
        self.on_done = on_done
        self.response: Response | None = None
        self.connection: _Connection | None = None
        self.sent_ns = 0
        self.done = False


class Connections:
    """Sends exchanges over connections that it opens as needed. Every exchange ends with one `Answer`.

    before_reading: called when an answer has come and its time is noted; it may wait before the answer is looked at.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        timeout_s: float,
        check: Callable[[int, bytes], str | None],
        before_reading: Callable[[], None],
    ) -> None:
        self.opened = 0
        self.before_reading = before_reading
        self.timeout_s = timeout_s
        self._endpoint = endpoint
        self._check = check
        self._idle: dict[_Connection, None] = {}
        self._open_ones: set[_Connection] = set()
        self._due: deque[tuple[int, Exchange]] = deque()
        self._tls = tls_context(os.environ, green_ssl.create_default_context) if endpoint.is_tls else None
        self._addresses: list[Any] = []
        self._sweeper: Any = None
        self.is_closed = False
        """Nothing is sent any more: whoever counts what was sent has counted."""

    def warm(self, count: int, within_s: float) -> int:
        """Resolve the name, open up to `count` connections and send nothing. Returns how many are idle then."""
        self._addresses = green_socket.getaddrinfo(self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM)
        jobs = [gevent.spawn(self._open_quietly) for _ in range(count)]
        gevent.joinall(jobs, timeout=within_s)
        gevent.killall([job for job in jobs if not job.ready()])
        for job in jobs:
            if job.successful() and job.value is not None:
                self.give_back(job.value)
        self._sweeper = gevent.spawn(self._sweep)
        return len(self._idle)

    def send(self, exchange: Exchange) -> None:
        """Send on an idle connection at once, or on a new one in a greenlet of its own."""
        self._due.append((time.monotonic_ns() + round(self.timeout_s * 1e9), exchange))
        connection = self._take()
        if connection is None:
            gevent.spawn(self._connect_and_send, exchange)
            return
        if len(exchange.request) <= LARGEST_DIRECT_SEND_BYTES:
            connection.send(exchange)
        else:
            exchange.connection = connection
            connection.exchange = exchange
            gevent.spawn(connection.send, exchange)

    def _take(self) -> _Connection | None:
        """The connection that was idle for the shortest time; one that has just been closed is left to its reader."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.transport.is_quiet():
                return connection
        return None

    def close(self) -> None:
        """From now on nothing leaves: neither on a connection that is still being opened, nor a large request."""
        self.is_closed = True
        if self._sweeper is not None:
            self._sweeper.kill(block=False)
        for connection in list(self._open_ones):
            connection.close()

    def give_back(self, connection: _Connection) -> None:
        self._idle[connection] = None

    def forget(self, connection: _Connection) -> None:
        self._idle.pop(connection, None)
        self._open_ones.discard(connection)

    def finish(self, exchange: Exchange, answer: Answer) -> None:
        if not exchange.done:
            exchange.done = True
            exchange.on_done(exchange, answer)

    def answered(self, exchange: Exchange, response: Response, finish_ns: int) -> None:
        self.finish(exchange, classify(response, exchange.sent_ns, finish_ns, self.timeout_s, self._check))

    def _connect_and_send(self, exchange: Exchange) -> None:
        exchange.sent_ns = time.monotonic_ns()  # the attempt, should it fail
        try:
            connection = self._open()
        except OSError as error:
            self.finish(exchange, failure(Outcome.CONNECTION_ERROR, exchange, why=why_broken(error)))
            return
        if exchange.done:  # timed out while connecting
            self.give_back(connection)
        else:
            connection.was_idle = False
            connection.send(exchange)

    def _open_quietly(self) -> _Connection | None:
        try:
            return self._open()
        except OSError:
            return None

    def _open(self) -> _Connection:
        problem: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in self._addresses:
            sock = green_socket.socket(family, kind, protocol)
            try:
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    sock = self._tls.wrap_socket(sock, server_hostname=self._endpoint.host)
            except OSError as error:
                problem = error
                sock.close()
                continue
            if self.is_closed:
                sock.close()
                raise OSError("the run is over")
            self.opened += 1
            connection = _Connection(self, PlainTransport(sock) if self._tls is None else TlsTransport(sock))
            self._open_ones.add(connection)
            return connection
        raise problem

    def _sweep(self) -> None:
        while True:
            gevent.sleep(SWEEP_PERIOD_S)
            now_ns = time.monotonic_ns()
            while self._due and (self._due[0][1].done or self._due[0][0] <= now_ns):
                exchange = self._due.popleft()[1]
                if not exchange.done:
                    self.finish(exchange, failure(Outcome.TIMEOUT, exchange))
                    if exchange.connection is not None:
                        exchange.connection.close()


class _Connection:
    """One socket and its reader. `exchange`: what it is busy with, None while it is idle."""

    __slots__ = ("_reader", "_received", "exchange", "owner", "transport", "was_idle")

    def __init__(self, owner: Connections, transport: Transport) -> None:
        self.owner = owner
        self.exchange: Exchange | None = None
        self.was_idle = True
        self.transport = transport
        self._received = 0
        self._reader = gevent.spawn(self._read)

    def send(self, exchange: Exchange) -> None:
        if self.owner.is_closed or exchange.done:  # since this was asked for
            return
        exchange.connection = self
        exchange.response = Response("POST")
        self.exchange = exchange
        self._received = 0
        exchange.sent_ns = time.monotonic_ns()
        exchange.on_sent(exchange)
        try:
            self.transport.write(exchange.request)
        except OSError as error:
            self._broken(why_broken(error))

    def close(self) -> None:
        """Give the connection up; the reader closes the socket."""
        self.owner.forget(self)
        self._reader.kill(block=False)

    def _read(self) -> None:
        try:
            while True:
                data = self.transport.read()
                exchange = self.exchange
                if exchange is None:  # closed by the endpoint while idle, or it speaks unasked: of no use either way
                    break
                now_ns = time.monotonic_ns()
                self.owner.before_reading()
                if not self._feed(exchange, data, now_ns):
                    break
        except HTTPParseError:
            if self.exchange is not None:
                self.owner.finish(self.exchange, failure(Outcome.BAD_RESPONSE, self.exchange))
        except OSError as error:
            self._broken(why_broken(error))
        finally:
            self.owner.forget(self)
            self.transport.close()

    def _feed(self, exchange: Exchange, data: bytes, now_ns: int) -> bool:
        """Take what has come; False when the connection can serve no other request."""
        response = exchange.response
        assert response is not None
        if data:
            self._received += len(data)
            response.feed(data)
            if self._received > (LARGEST_ANSWER_BYTES if response.headers_complete else LARGEST_HEAD_BYTES):
                self.exchange = None
                self.owner.finish(exchange, failure(Outcome.BAD_RESPONSE, exchange, why=Broken.TOO_LONG))
                return False
            if not response.is_whole:
                return True
        elif not response.ends_here():
            self._broken(Broken.CLOSED)
            return False
        self.exchange = None
        reusable = bool(data) and not response.should_close()
        if reusable:
            self.was_idle = True
            self.owner.give_back(self)
        self.owner.answered(exchange, response, now_ns)
        return reusable

    def _broken(self, why: Broken) -> None:
        """The connection ended before the answer did; flagged if it may be that it was being closed while idle."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            stale = self.was_idle and not self._received
            self.owner.finish(exchange, failure(Outcome.CONNECTION_ERROR, exchange, why=why, flagged=stale))


def failure(outcome: Outcome, exchange: Exchange, *, why: Broken | None = None, flagged: bool = False) -> Answer:
    """The answer of a request that got none."""
    return Answer(
        outcome=outcome,
        sent_ns=exchange.sent_ns,
        finish_ns=time.monotonic_ns(),
        status=0 if why is None else -why,
        flagged=flagged,
    )
