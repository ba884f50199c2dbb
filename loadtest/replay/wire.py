"""The bytes of a request: one POST with the endpoint's path, the credentials of the moment, and the payload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loadtest.replay.endpoint import Endpoint
from planner import __version__
from planner.request import JSON_TYPE


class HasAuthorization(Protocol):
    """Credentials: the value of the Authorization header now, swapped by reference when it is refreshed."""

    authorization: str | None


class RequestWriter:
    """Builds requests; what does not change from one to the next is joined once."""

    def __init__(
        self, endpoint: Endpoint, credentials: HasAuthorization, headers: Sequence[tuple[str, str]], run_id: str
    ) -> None:
        self._credentials = credentials
        self._authorization: str | None = None
        own = {name.lower() for name, _ in headers}
        kinds = {"Content-Type": JSON_TYPE, "Accept": JSON_TYPE}
        headers = [*((name, value) for name, value in kinds.items() if name.lower() not in own), *headers]
        others = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._first = f"POST {endpoint.path} HTTP/1.1\r\nHost: {endpoint.origin.partition('://')[2]}\r\n"
        self._last = f"User-Agent: surgeproof/{__version__}\r\n{others}x-ms-client-request-id: {run_id}-"
        self._head = self._joined(None)

    def request(self, index: int, body: bytes) -> bytes:
        authorization = self._credentials.authorization
        if authorization is not self._authorization:
            self._authorization = authorization
            self._head = self._joined(authorization)
        return self._head + b"%d\r\nContent-Length: %d\r\n\r\n%s" % (index, len(body), body)

    def _joined(self, authorization: str | None) -> bytes:
        credentials = f"Authorization: {authorization}\r\n" if authorization else ""
        return (self._first + credentials + self._last).encode("latin-1")
