"""What came back for a request, and what it means for the books.

geventhttpclient's parser is used without its client and user agent, which would resend on a stale socket, follow
redirects, keep cookies, and rebuild request and response as text on every 503.
"""

from __future__ import annotations

import errno
import math
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from geventhttpclient.response import HTTPParseError, HTTPResponse

from loadtest.replay.reasons import bad_body, reason, unpacked
from loadtest.replay.segment import Broken
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
    """What came back for one request. Times in nanoseconds of the monotonic clock.

    status: HTTP status; 0 without an answer; -`Broken` where the connection is to blame.
    """

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
    remark: str | None = None
    """A sentence on the reason, where the answer names one."""
    retry_after: str | None = None


class Response(HTTPResponse):
    """An answer as it is read, with its body; an interim 1xx has none."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.body = bytearray()

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf

    @property
    def is_whole(self) -> bool:
        return bool(self.message_complete and self.get_code() >= 200)

    def ends_here(self) -> bool:
        """The connection has ended: whether that is the end of a body without a length."""
        try:
            self.feed(b"")
        except HTTPParseError:
            return False
        return self.is_whole


def classify(
    response: Response, sent_ns: int, finish_ns: int, timeout_s: float, check: Callable[[int, bytes], str | None]
) -> Answer:
    """What an HTTP answer means for the books. check: what is wrong with an answer that would be a success."""
    status = response.get_code()
    packed = bytes(response.body)
    body = unpacked(packed, _text(response, "content-encoding"))
    outcome = _BY_STATUS[status] if status in _BY_STATUS else _by_class(status)
    remark = reason(status, response.get) if outcome is not Outcome.OK else None
    if outcome in (Outcome.OK, Outcome.OTHER_STATUS):
        # The check decides which 2xx is the good one.
        problem = "it cannot be unpacked" if body is None else check(status, body)
        if problem is None:
            outcome = Outcome.OK
        elif outcome is Outcome.OK:
            outcome = Outcome.BAD_RESPONSE
            remark = bad_body(problem, _text(response, "content-type"))
    return Answer(
        outcome=outcome,
        sent_ns=sent_ns,
        finish_ns=finish_ns,
        status=status,
        flagged=status == 503 and not any(text in (body or b"") for text in FRONT_END_BODIES),
        exec_ms=_number(response, "x-ms-run-fn-exec-ms", 0.0, 1e3 * timeout_s),
        dispatch_s=_number(
            response, "x-surgeproof-dispatch-s", sent_ns / 1e9 - _CLOCK_SLACK_S, finish_ns / 1e9 + _CLOCK_SLACK_S
        ),
        replica=_replica(response),
        cause=_CAUSES.get(str(response.get("x-surgeproof-cause")), NO_CAUSE) if status == 503 else NO_CAUSE,
        length=len(packed),
        remark=None if outcome is Outcome.OK else remark,
        retry_after=_text(response, "retry-after"),
    )


def _by_class(status: int) -> Outcome:
    return {4: Outcome.OTHER_4XX, 5: Outcome.OTHER_5XX}.get(status // 100, Outcome.OTHER_STATUS)


def _number(response: HTTPResponse, header: str, low: float, high: float) -> float:
    """A header's number; NaN, which is unknown, where it is none or not within its bounds."""
    value = _text(response, header)
    try:
        number = math.nan if value is None else float(value)
    except ValueError:
        return math.nan
    return number if low <= number <= high else math.nan


def _text(response: HTTPResponse, header: str) -> str | None:
    """A header's value; None where it is missing or stands there twice."""
    value = response.get(header)
    return value if isinstance(value, str) else None


def _replica(response: HTTPResponse) -> int:
    value = _text(response, "x-surgeproof-replica")
    if value is None or not value.isdecimal() or len(value) > _LARGEST_REPLICA_DIGITS:
        return NO_REPLICA
    return int(value)


_BROKEN = {
    errno.ECONNREFUSED: Broken.REFUSED,
    errno.ECONNRESET: Broken.RESET,
    errno.EPIPE: Broken.RESET,
    errno.ENETUNREACH: Broken.UNREACHABLE,
    errno.EHOSTUNREACH: Broken.UNREACHABLE,
    errno.ETIMEDOUT: Broken.UNREACHABLE,
    errno.EMFILE: Broken.NO_DESCRIPTOR,
    errno.ENFILE: Broken.NO_DESCRIPTOR,
    errno.EADDRNOTAVAIL: Broken.NO_PORT,
}


def why_broken(error: OSError) -> Broken:
    """What an error of the operating system or of TLS says about a connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Broken.CERTIFICATE
    if isinstance(error, ssl.SSLError):
        return Broken.TLS
    return _BROKEN.get(error.errno or 0, Broken.OTHER)
