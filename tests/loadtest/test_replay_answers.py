"""What an answer means for the books, and what is believed of its headers."""

from __future__ import annotations

import errno
import math
import ssl

import pytest

from loadtest.replay.answers import Answer, Response, classify, why_broken
from loadtest.replay.segment import Broken
from planner.model import NO_CAUSE, NO_REPLICA, Cause, Outcome
from planner.request import ResponseCheck

pytestmark = pytest.mark.lab

SENT_NS, FINISH_NS, TIMEOUT_S = 5_000_000_000, 6_000_000_000, 2.0


def answer(head: str, body: bytes = b"{}", check: ResponseCheck | None = None) -> Answer:
    """`head`: status line and headers, without the length."""
    response = Response("POST")
    response.feed(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
    assert response.is_whole
    return classify(response, SENT_NS, FINISH_NS, TIMEOUT_S, (check or ResponseCheck()).problem)


def answer_with(header: str, value: str, status: int = 200) -> Answer:
    return answer(f"HTTP/1.1 {status} OK\r\n{header}: {value}")


@pytest.mark.parametrize(
    ("value", "replica"),
    [
        ("0", 0),
        ("17", 17),
        *((value, NO_REPLICA) for value in ("1e300", "-7", "1.5", "nan", "", "replica-1", "9" * 400, "\xb2", "\xff")),
    ],
)
def test_a_replica_is_a_small_number_or_unknown(value: str, replica: int) -> None:
    assert answer_with("x-surgeproof-replica", value).replica == replica


@pytest.mark.parametrize("value", ["1e300", "-5", "-0.001", "2000.001", "nan", "inf", "1e400", "fast", "\xff"])
def test_a_service_time_that_cannot_be_is_unknown(value: str) -> None:
    assert math.isnan(answer_with("x-ms-run-fn-exec-ms", value).exec_ms)


def test_service_times_from_0_to_the_timeout_are_believed() -> None:
    assert [answer_with("x-ms-run-fn-exec-ms", value).exec_ms for value in ("0", "12.5", "2000")] == [0.0, 12.5, 2000.0]


def test_a_header_that_stands_there_twice_is_unknown() -> None:
    twice = answer("HTTP/1.1 200 OK\r\nx-ms-run-fn-exec-ms: 5\r\nx-ms-run-fn-exec-ms: 6\r\nx-surgeproof-replica: 1")
    assert math.isnan(twice.exec_ms)
    assert twice.replica == 1


@pytest.mark.parametrize(("value", "believed"), [("4.9", False), ("5.0", True), ("6.0", True), ("1e300", False)])
def test_a_dispatch_is_between_send_and_answer(value: str, believed: bool) -> None:
    assert math.isnan(answer_with("x-surgeproof-dispatch-s", value).dispatch_s) is not believed


def test_the_cause_of_a_503_alone_is_taken() -> None:
    assert answer_with("x-surgeproof-cause", "at_max_replicas", 503).cause == Cause.AT_MAX_REPLICAS
    assert answer_with("x-surgeproof-cause", "bad luck", 503).cause == NO_CAUSE
    assert answer_with("x-surgeproof-cause", "at_max_replicas", 200).cause == NO_CAUSE


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"{}", Outcome.OK),
        (200, b"{", Outcome.BAD_RESPONSE),
        (200, b"", Outcome.BAD_RESPONSE),
        (201, b"{}", Outcome.OTHER_STATUS),
        (204, b"", Outcome.OTHER_STATUS),
        (302, b"", Outcome.OTHER_STATUS),
        (400, b"{}", Outcome.OTHER_4XX),
        (401, b"{}", Outcome.OTHER_4XX),
        (429, b"", Outcome.STATUS_429),
        (500, b"{}", Outcome.OTHER_5XX),
        (502, b"{}", Outcome.OTHER_5XX),
        (503, b"", Outcome.STATUS_503),
        (504, b"", Outcome.STATUS_504),
        (599, b"", Outcome.OTHER_5XX),
    ],
)
def test_each_status_has_its_place_in_the_books(status: int, body: bytes, outcome: Outcome) -> None:
    got = answer(f"HTTP/1.1 {status} X", body)
    assert (got.outcome, got.status) == (outcome, status)


@pytest.mark.parametrize(
    ("check", "status", "body", "outcome"),
    [
        (ResponseCheck(status=201), 201, b"{}", Outcome.OK),
        (ResponseCheck(status=201), 200, b"{}", Outcome.BAD_RESPONSE),
        (ResponseCheck(status=204), 204, b"", Outcome.OK),
        (ResponseCheck(field="ok", compares=True, equals=True), 200, b'{"ok": true}', Outcome.OK),
        (ResponseCheck(field="ok", compares=True, equals=True), 200, b'{"ok": false}', Outcome.BAD_RESPONSE),
        (ResponseCheck(field="ok", compares=True, equals=True), 503, b'{"ok": true}', Outcome.STATUS_503),
    ],
)
def test_the_check_decides_which_answer_is_the_good_one(
    check: ResponseCheck, status: int, body: bytes, outcome: Outcome
) -> None:
    assert answer(f"HTTP/1.1 {status} X", body, check).outcome is outcome


def test_a_503_that_is_not_the_front_ends_is_flagged() -> None:
    assert not answer("HTTP/1.1 503 X", b"Too many requests for service stub (overloaded)").flagged
    assert not answer("HTTP/1.1 503 X", b"No ready replicas for service stub").flagged
    assert answer("HTTP/1.1 503 X", b"<html>upstream is gone</html>").flagged
    assert not answer("HTTP/1.1 500 X", b"oops").flagged


def test_an_interim_answer_is_not_the_answer() -> None:
    response = Response("POST")
    response.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert not response.is_whole
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    assert response.is_whole
    assert (response.get_code(), bytes(response.body)) == (200, b"{}")


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    response = Response("POST")
    response.feed(b"HTTP/1.1 200 OK\r\n\r\n{")
    response.feed(b"}")
    assert not response.is_whole
    assert response.ends_here()
    assert bytes(response.body) == b"{}"
    cut = Response("POST")
    cut.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
    assert not cut.ends_here()
    assert not Response("POST").ends_here()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), Broken.REFUSED),
        (ConnectionResetError(errno.ECONNRESET, ""), Broken.RESET),
        (BrokenPipeError(errno.EPIPE, ""), Broken.RESET),
        (OSError(errno.EHOSTUNREACH, ""), Broken.UNREACHABLE),
        (OSError(errno.EMFILE, ""), Broken.NO_DESCRIPTOR),
        (OSError(errno.EADDRNOTAVAIL, ""), Broken.NO_PORT),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), Broken.CERTIFICATE),
        (ssl.SSLError(1, "wrong version number"), Broken.TLS),
        (OSError("the name has no address"), Broken.OTHER),
    ],
)
def test_what_is_to_blame_for_a_connection(error: OSError, why: Broken) -> None:
    assert why_broken(error) is why
    assert why.words
