"""Reads /lab/* of a Surgeproof lab. What answers there may be anything: every answer is limited and checked."""

from __future__ import annotations

import http.client
import json
import math
import socket
import time
from typing import Any

from loadtest.replay.endpoint import Endpoint
from planner.model import CLUSTER_COLUMNS, REPLICA_COLUMNS

TIMEOUT_S = 2.0
LARGEST_ANSWER_BYTES = 16 * 2**20
"""A page of the lab's log is at most 10,000 events: 2 MB of states, 5 MB of all kinds."""

STATE_COLUMNS = REPLICA_COLUMNS[1:]
ROW = ("monotonic_s", *STATE_COLUMNS, *CLUSTER_COLUMNS)
"""Of a state; the last ones only where the lab's replicas are pods."""

LARGEST_COUNT = 10**9
LARGEST_CLOCK_AHEAD_S = 60.0
SHORTEST_PERIOD_S = 1e-3
LONGEST_S = 1e9


class LabUnavailable(Exception):
    """The lab did not answer, or this is no lab."""


class LabMalformed(LabUnavailable):
    """It answers, but not as a lab does."""


class LabClient:
    """The lab's state and log over one kept connection; every failure is a LabUnavailable within TIMEOUT_S."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = _Connection(endpoint.host, endpoint.port, timeout=TIMEOUT_S)

    def state(self) -> dict[str, Any]:
        """The lab's present state."""
        return checked_state(self._call("GET", "/lab/state"))

    def events_after(self, seq: int) -> list[dict[str, Any]]:
        """State events with a sequence number above `seq`, oldest first; a lab that does not filter sends all kinds."""
        return checked_events(self._call("GET", f"/lab/log?after={seq}&kinds=state"), seq)

    def begin(self, start_monotonic_s: float, authorization: str | None) -> None:
        """Tell the lab which instant is time 0 of the scenario, so that its tick k is the model's."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": authorization} if authorization else {})
        self._call("POST", "/lab/begin", json.dumps({"monotonic_s": start_monotonic_s}), headers)

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        where = f"{method} {path}"
        try:
            self._connection.deadline_s = time.monotonic() + TIMEOUT_S
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            answer = response.read(LARGEST_ANSWER_BYTES + 1)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._connection.close()
            raise LabUnavailable(f"{where}: {error or type(error).__name__}") from None
        if len(answer) > LARGEST_ANSWER_BYTES:
            self._connection.close()
            raise LabMalformed(f"{where} answers more than {LARGEST_ANSWER_BYTES >> 20} MiB")
        if response.status != 200:
            raise LabUnavailable(f"{where} answers {response.status}")
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise LabMalformed(f"{where} answers no JSON") from None


class _Connection(http.client.HTTPConnection):
    """Gives up at deadline_s, however slowly the bytes come: a plain timeout begins anew with every one of them."""

    deadline_s = math.inf

    def connect(self) -> None:
        super().connect()
        self.sock = _DeadlineSocket(self)


class _DeadlineSocket(socket.socket):
    def __init__(self, connection: _Connection) -> None:
        super().__init__(fileno=connection.sock.detach())
        self._connection = connection

    def recv_into(self, *arguments: Any) -> int:
        left_s = self._connection.deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left_s)
        return super().recv_into(*arguments)


def checked_state(document: Any) -> dict[str, Any]:
    """The document of /lab/state; LabMalformed says what in it no lab on this machine can have."""
    if not isinstance(document, dict):
        raise LabMalformed("/lab/state answers, but not as a Surgeproof lab does")
    _check_row("/lab/state", document)
    if document.get("slow_starts") is not None:
        _check_count("/lab/state", document, "slow_starts")
    if document.get("next_tick_monotonic_s") is not None:
        _check_number("/lab/state", document, "next_tick_monotonic_s", 0.0, LONGEST_S)
    if document.get("refresh_period_s") is not None:
        _check_number("/lab/state", document, "refresh_period_s", SHORTEST_PERIOD_S, LONGEST_S)
    return document


def checked_events(document: Any, after: int) -> list[dict[str, Any]]:
    """The events of a page of /lab/log, all of them after number `after`."""
    if not isinstance(document, list) or not all(isinstance(event, dict) for event in document):
        raise LabMalformed("/lab/log answers, but not as a Surgeproof lab does")
    for event in document:
        if type(event.get("seq")) is not int or event["seq"] <= after:
            raise LabMalformed(f"/lab/log: seq = {_shown(event.get('seq'))}, must be a number above {after}")
        if event.get("kind") == "state":
            _check_row("/lab/log", event)
    return document


def _check_row(where: str, document: dict[str, Any]) -> None:
    _check_number(where, document, "monotonic_s", 0.0, time.monotonic() + LARGEST_CLOCK_AHEAD_S)
    for name in STATE_COLUMNS:
        _check_count(where, document, name)
    for name in CLUSTER_COLUMNS:
        if name in document:
            _check_count(where, document, name)


def _check_count(where: str, document: dict[str, Any], name: str) -> None:
    value = document.get(name)
    if type(value) is not int or not 0 <= value <= LARGEST_COUNT:
        raise LabMalformed(f"{where}: {name} = {_shown(value)}, must be a whole number from 0 to {LARGEST_COUNT}")


def _check_number(where: str, document: dict[str, Any], name: str, low: float, high: float) -> None:
    value = document.get(name)
    if not isinstance(value, int | float) or not low <= value <= high:
        raise LabMalformed(f"{where}: {name} = {_shown(value)}, must be a number from {low:g} to {high:g}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
