"""What the sender believes of an answer's headers."""

from __future__ import annotations

import math

import pytest

from loadtest.replay.sender import Answer, _Response, classify
from planner.model import NO_REPLICA

pytestmark = pytest.mark.lab

SENT_NS, FINISH_NS, TIMEOUT_S = 5_000_000_000, 6_000_000_000, 2.0


def answer_with(header: str, value: str) -> Answer:
    response = _Response("POST")
    response.feed(f"HTTP/1.1 200 OK\r\n{header}: {value}\r\nContent-Length: 2\r\n\r\n{{}}".encode("latin-1"))
    return classify(response, SENT_NS, FINISH_NS, TIMEOUT_S)


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


@pytest.mark.parametrize(("value", "believed"), [("4.9", False), ("5.0", True), ("6.0", True), ("1e300", False)])
def test_a_dispatch_is_between_send_and_answer(value: str, believed: bool) -> None:
    assert math.isnan(answer_with("x-surgeproof-dispatch-s", value).dispatch_s) is not believed
