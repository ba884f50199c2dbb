"""One request over a shared socket pool, with the send timed at the last line before the bytes leave.

geventhttpclient's pool and parser are used without its client and user agent, which would resend on a stale socket,
follow redirects, keep cookies, and rebuild request and response as text on every 503.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import Any

import gevent
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtest.replay.endpoint import Endpoint
from loadtest.replay.sockets import socket_pool
from planner import __version__
from planner.model import NO_CAUSE, NO_REPLICA, Cause, Outcome

_BY_STATUS = {
    200: Outcome.OK,
    503: Outcome.STATUS_503,
    504: Outcome.STATUS_504,
    429: Outcome.STATUS_429,
}

_CLOCK_SLACK_S = 0.001
_LARGEST_REPLICA_DIGITS = 9

_CAUSES = {cause.label: cause for cause in Cause}

FRONT_END_BODIES = (b"Too many requests for service", b"No ready replicas")
"""What azureml-fe has been seen to say with a 503."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back for one request. Times in nanoseconds of the monotonic clock."""

    outcome: Outcome
    sent_ns: int
    finish_ns: int
    status: int = 0
    flagged: bool = False
    exec_ms: float = math.nan
    dispatch_s: float = math.nan
    replica: int = NO_REPLICA
    cause: int = NO_CAUSE
    length: int = 0


class _Response(HTTPResponse):
    """A parsed answer with its body; an interim 1xx has none."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.body = bytearray()

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf


class Sender:
    """Sends requests to one endpoint. `timeout_s` covers a request from its connection to the answer's last byte."""

    def __init__(self, endpoint: Endpoint, *, key: str | None, timeout_s: float, size: int, run_id: str) -> None:
        self.timeout_s = timeout_s
        self._pool = socket_pool(endpoint, size)
        authorization = f"Authorization: Bearer {key}\r\n" if key else ""
        self._head = (
            f"POST {endpoint.path} HTTP/1.1\r\nHost: {endpoint.origin.partition('://')[2]}\r\n{authorization}"
            f"User-Agent: surgeproof/{__version__}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
            f"x-ms-client-request-id: {run_id}-"
        ).encode("latin-1")

    @property
    def connections_opened(self) -> int:
        return int(self._pool.opened)

    def warm(self, count: int, within_s: float) -> int:
        """Open up to `count` connections, send nothing, and leave them in the pool. Returns how many it holds then."""
        jobs = [gevent.spawn(self._open_quietly) for _ in range(count)]
        gevent.joinall(jobs, timeout=within_s)
        gevent.killall([job for job in jobs if not job.ready()])
        sockets = [job.value for job in jobs if job.successful() and job.value is not None]
        for sock in sockets:
            self._pool.return_socket(sock)
        return len(sockets)

    def _open_quietly(self) -> Any:
        try:
            return self._pool.get_socket()
        except OSError:
            return None

    def request_bytes(self, index: int, service_time_s: float) -> bytes:
        body = b'{"request": %d, "service_time_s": %.9g}' % (index, service_time_s)
        return self._head + b"%d\r\nContent-Length: %d\r\n\r\n%s" % (index, len(body), body)

    def send(self, request: bytes, on_send: Any) -> Answer:
        """Send one request and read its answer; never raises for what an endpoint can do.

        on_send(sent_ns) is called just before the bytes go out. Where no connection could be opened, sent_ns is the
        instant of the attempt.
        """
        sent_ns = time.monotonic_ns()
        was_idle = False
        state = _Exchange()
        timeout = gevent.Timeout.start_new(self.timeout_s)
        try:
            sock, was_idle = self._pool.take()
            state.sock = sock
            sent_ns = time.monotonic_ns()
            on_send(sent_ns)
            sock.sendall(request)
            response = state.read_answer()
            finish_ns = time.monotonic_ns()
        except gevent.Timeout as expired:
            if expired is not timeout:
                raise
            return Answer(outcome=Outcome.TIMEOUT, sent_ns=sent_ns, finish_ns=time.monotonic_ns())
        except HTTPParseError:
            return Answer(outcome=Outcome.BAD_RESPONSE, sent_ns=sent_ns, finish_ns=time.monotonic_ns())
        except (OSError, EOFError):
            stale = was_idle and not state.any_byte
            return Answer(
                outcome=Outcome.CONNECTION_ERROR, sent_ns=sent_ns, finish_ns=time.monotonic_ns(), flagged=stale
            )
        finally:
            timeout.close()
            if state.sock is not None:
                self._give_back(state)
        return classify(response, sent_ns, finish_ns, self.timeout_s)

    def _give_back(self, state: _Exchange) -> None:
        if state.reusable:
            self._pool.return_socket(state.sock)
        else:
            self._pool.release_socket(state.sock)


class _Exchange:
    """The socket of one request and whether it can serve another."""

    __slots__ = ("any_byte", "reusable", "sock")

    def __init__(self) -> None:
        self.sock: Any = None
        self.any_byte = False
        self.reusable = False

    def read_answer(self) -> _Response:
        """Read one whole answer. Raises EOFError if the connection ends before it is complete."""
        response = _Response("POST")
        while not response.message_complete or response.get_code() < 200:
            data = self.sock.recv(65536)
            if data:
                self.any_byte = True
                response.feed(data)
                continue
            try:
                response.feed(b"")  # the end of a body without a length
            except HTTPParseError:
                raise EOFError from None
            if not response.message_complete:
                raise EOFError
        self.reusable = not response.should_close()
        return response


def classify(response: _Response, sent_ns: int, finish_ns: int, timeout_s: float) -> Answer:
    """What an HTTP answer means for the books."""
    status = response.get_code()
    body = bytes(response.body)
    outcome = _BY_STATUS[status] if status in _BY_STATUS else _by_class(status)
    if outcome is Outcome.OK and not _is_json(body):
        outcome = Outcome.BAD_RESPONSE
    return Answer(
        outcome=outcome,
        sent_ns=sent_ns,
        finish_ns=finish_ns,
        status=status,
        flagged=status == 503 and not any(text in body for text in FRONT_END_BODIES),
        exec_ms=_number(response, "x-ms-run-fn-exec-ms", 0.0, 1e3 * timeout_s),
        dispatch_s=_number(
            response, "x-surgeproof-dispatch-s", sent_ns / 1e9 - _CLOCK_SLACK_S, finish_ns / 1e9 + _CLOCK_SLACK_S
        ),
        replica=_replica(response),
        cause=_CAUSES.get(str(response.get("x-surgeproof-cause")), NO_CAUSE) if status == 503 else NO_CAUSE,
        length=len(body),
    )


def _by_class(status: int) -> Outcome:
    return {4: Outcome.OTHER_4XX, 5: Outcome.OTHER_5XX}.get(status // 100, Outcome.OTHER_STATUS)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _number(response: HTTPResponse, header: str, low: float, high: float) -> float:
    """A header's number; NaN, which is unknown, where it is none or not within its bounds."""
    value = response.get(header)
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan
    return number if low <= number <= high else math.nan


def _replica(response: HTTPResponse) -> int:
    value = response.get("x-surgeproof-replica")
    if not isinstance(value, str) or not value.isdecimal() or len(value) > _LARGEST_REPLICA_DIGITS:
        return NO_REPLICA
    return int(value)
