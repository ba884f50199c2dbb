"""The selftest: its stub server, its timer loop, the search for where runs become invalid, and one real run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.cli.selftest_view import show, verdict
from loadtest.selftest.children import StubProcess, timer_lateness_s
from loadtest.selftest.measure import Lateness, Measurement, lateness, poisson_offsets_ns
from loadtest.selftest.options import SelftestOptions, parse_rates
from loadtest.selftest.search import SelftestResult, run_selftest
from planner.child import child_environment, module_command
from planner.errors import InputError

ANSWER = b'HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'


def request(index: int | None, body: bytes = b"{}", *, header: str = "x-ms-client-request-id", more: str = "") -> bytes:
    number = "" if index is None else f"{header}: 0a1b-2c-{index}\r\n"
    head = f"POST /score HTTP/1.1\r\nHost: stub\r\n{number}{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Client:
    """One bare connection to a stub."""

    def __init__(self, stub: StubProcess) -> None:
        port = int(stub.url.rpartition(":")[2].partition("/")[0])
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def read(self, length: int = len(ANSWER)) -> bytes:
        data = b""
        while len(data) < length and (piece := self.socket.recv(length - len(data))):
            data += piece
        return data


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[Callable[..., tuple[StubProcess, Client]]]:
    """A stub with the given settings and a connection to it."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> tuple[StubProcess, Client]:
            stub = stack.enter_context(StubProcess(tmp_path, **settings))
            client = Client(stub)
            stack.callback(client.socket.close)
            return stub, client

        yield start


def test_the_stub_notes_arrivals_by_number_and_answers_after_its_delay(connected: Any) -> None:
    stub, client = connected(delay_s=0.1)
    before_ns = time.monotonic_ns()
    client.socket.sendall(request(7))
    assert client.read() == ANSWER
    waited_s = (time.monotonic_ns() - before_ns) / 1e9
    (arrival,) = stub.arrivals()
    assert arrival[1:].tolist() == [7, -1]
    assert before_ns <= arrival[0] <= before_ns + waited_s * 1e9 - 0.1e9
    assert waited_s >= 0.1


@pytest.mark.parametrize(
    ("sent", "indices"),
    [
        pytest.param([request(3, b"x" * 40_000)], [3], id="larger than one read"),
        pytest.param([request(3)[:20], request(3)[20:70], request(3)[70:]], [3], id="in pieces"),
        pytest.param(
            [request(1) + request(2) + request(3)[:50], request(3)[50:]], [1, 2, 3], id="several in one piece"
        ),
        pytest.param([request(None)], [-1], id="without a number"),
        pytest.param([request(5, header="X-MS-Client-Request-ID")], [5], id="as another client writes the header"),
        pytest.param([request(None, b"\r\nx-ms-client-request-id: a-9\r\n\r\n")], [-1], id="a number in the body"),
    ],
)
def test_requests_are_told_apart_however_they_are_cut(sent: list[bytes], indices: list[int], connected: Any) -> None:
    stub, client = connected()
    for piece in sent:
        client.socket.sendall(piece)
        time.sleep(0.02)
    assert client.read(len(indices) * len(ANSWER)) == len(indices) * ANSWER
    assert stub.arrivals()[:, 1].tolist() == indices


def test_the_worker_of_a_request_is_noted(connected: Any) -> None:
    stub, client = connected()
    client.socket.sendall(request(4, more="x-surgeproof-worker: 1\r\n"))
    client.read()
    assert stub.arrivals()[0, 1:].tolist() == [4, 1]


def test_phases_count_from_the_first_numbered_request(connected: Any) -> None:
    _, client = connected(delay_s=0.0, phases=[[0.2, 10, 0.3]])

    def seconds(index: int | None) -> float:
        before_s = time.monotonic()
        client.socket.sendall(request(index))
        client.read()
        return time.monotonic() - before_s

    seconds(None)
    time.sleep(0.25)
    assert seconds(0) < 0.2
    time.sleep(0.25)
    assert seconds(1) >= 0.3


def test_anything_but_a_post_is_refused_and_not_recorded(connected: Any) -> None:
    stub, client = connected(status=503)
    client.socket.sendall(b"GET /lab/state HTTP/1.1\r\nHost: stub\r\n\r\n")
    assert client.read(12) == b"HTTP/1.1 404"
    client.read(len(b" X\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\nno such page"))
    client.socket.sendall(request(1))
    assert client.read(12) == b"HTTP/1.1 503"
    assert len(stub.arrivals()) == 1


def test_answers_to_a_closed_connection_reach_no_other(connected: Any, tmp_path: Path) -> None:
    """The descriptor of the closed connection comes back as the next one's."""
    stub, first = connected(delay_s=0.2)
    first.socket.sendall(request(1))
    time.sleep(0.05)
    first.socket.close()
    time.sleep(0.05)
    second = Client(stub)
    second.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        second.socket.recv(1)
    second.socket.close()


def test_answers_come_in_the_order_they_are_due_to_many_connections(connected: Any) -> None:
    stub, _ = connected(delay_s=0.1)
    clients = [Client(stub) for _ in range(200)]
    for index, client in enumerate(clients):
        client.socket.sendall(request(index))
    assert all(client.read() == ANSWER for client in clients)
    for client in clients:
        client.socket.close()
    assert sorted(stub.arrivals()[:, 1].tolist()) == list(range(200))


def test_the_stub_ends_with_its_parent() -> None:
    process = subprocess.Popen(
        module_command("loadtest.selftest.stub"), env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"{}\n")
    process.stdin.flush()
    assert int(process.stdout.readline()) > 0
    process.stdin.close()
    assert process.wait(5) == 0
    process.stdout.close()


@pytest.mark.parametrize("method", ["sleep", "timerfd"])
def test_the_timer_loop_waits_for_each_deadline(method: str, tmp_path: Path) -> None:
    """Not one before its time; half of them within 20 ms even on a busy machine."""
    offsets_ns = poisson_offsets_ns(200, 0.5, seed=3)
    started_s = time.monotonic()
    late_s = timer_lateness_s(tmp_path, offsets_ns, method)
    assert time.monotonic() - started_s >= offsets_ns[-1] / 1e9
    assert late_s.shape == offsets_ns.shape
    assert 0 <= late_s.min() <= np.median(late_s) < 0.02


def test_poisson_offsets_have_the_rate_that_was_asked_for() -> None:
    """Mean and variance of the counts of 400 seeds; false alarm below 1 in 10,000, a rate 5 % off is seen always."""
    counts = np.array([len(poisson_offsets_ns(1000, 1.0, seed)) for seed in range(400)])
    assert abs(counts.mean() - 1000) < 4 * np.sqrt(1000 / 400)
    assert 700 < counts.var() < 1350
    assert (np.diff(poisson_offsets_ns(1000, 1.0, 1)) >= 0).all()


def test_the_interval_of_p99_covers_it_and_is_open_where_it_cannot_be_known() -> None:
    """500 samples of 2,000 exponential values: covered in 95 % of them, give or take 4 standard errors (91 to 99 %)."""
    generator = np.random.default_rng(5)
    true_p99 = np.log(100)
    found = [lateness(generator.exponential(size=2000)) for _ in range(500)]
    covered = [
        f.p99_low_s is not None and f.p99_high_s is not None and f.p99_low_s <= true_p99 <= f.p99_high_s for f in found
    ]
    assert 0.91 <= np.mean(covered) <= 0.99
    few = lateness(generator.exponential(size=100))
    assert few.p99_high_s is None
    assert lateness(np.array([])) == Lateness(
        count=0, p50_s=None, p99_s=None, p99_low_s=None, p99_high_s=None, max_s=None
    )


LITTLE = Lateness(count=1000, p50_s=0.0003, p99_s=0.002, p99_low_s=0.001, p99_high_s=0.003, max_s=0.005)
GOOD = Measurement(
    rate_rps=0.0,
    processes=1,
    planned=1000,
    sent=1000,
    skipped=0,
    dropped=0,
    unaccounted=0,
    arrived=1000,
    achieved_fraction=1.0,
    late_fraction=0.0,
    send_error=LITTLE,
    arrival_error=LITTLE,
    timer=LITTLE,
    worker_cores=0.3,
    stub_cores=0.1,
    valid=True,
    problems=[],
    exit_code=0,
)


def searched(rates: str, answers: Callable[[float, int], Measurement]) -> tuple[list[float], SelftestResult]:
    """The rates that are tried, and the result, where `answers` says what each trial gives."""
    tried: list[float] = []

    def measure_one(rate_rps: float) -> Measurement:
        tried.append(rate_rps)
        return replace(answers(rate_rps, tried.count(rate_rps)), rate_rps=rate_rps)

    return tried, run_selftest(SelftestOptions(rates_rps=parse_rates(rates)), measure_one=measure_one)


def invalid_from(limit_rps: float) -> Callable[[float, int], Measurement]:
    return lambda rate_rps, _: replace(GOOD, valid=rate_rps < limit_rps, problems=["late"], exit_code=3)


def test_the_search_closes_in_on_where_runs_become_invalid() -> None:
    tried, result = searched("100,1000,4000,8000", invalid_from(3000))
    assert tried == [100, 1000, 4000, 4000, 2000, 2800]
    assert result.document["trusted_rps"] == 2800
    assert result.document["collapse_rps"] == 4000
    assert result.exit_code == 0


def test_one_invalid_run_may_be_chance_and_is_measured_again() -> None:
    tried, result = searched(
        "100,200,400", lambda rate, time: replace(GOOD, valid=rate != 200 or time > 1, problems=["a stall"])
    )
    assert tried == [100, 200, 200, 400]
    assert (result.document["trusted_rps"], result.document["collapse_rps"]) == (400, None)


def test_nothing_is_trusted_where_the_lowest_rate_is_invalid() -> None:
    tried, result = searched("100,200", invalid_from(1))
    assert tried == [100, 100]
    assert (result.document["trusted_rps"], result.document["collapse_rps"], result.exit_code) == (None, 100, 3)
    assert verdict(result.document).startswith("This machine can be trusted to none")


@pytest.mark.parametrize(
    ("flaw", "doubt"),
    [
        ({"sent": 999, "skipped": 1}, "1 of 1000 requests were not sent"),
        ({"send_error": replace(LITTLE, p99_s=0.026)}, "p99 of the send error 26 ms, above 25 ms"),
        ({"late_fraction": 0.006}, "0.6 % late, above 0.5 %"),
        ({"worker_cores": 0.85}, "the worker took 85% of a core, above 80%"),
    ],
)
def test_a_valid_run_without_margin_is_not_trusted(flaw: dict[str, Any], doubt: str) -> None:
    _, result = searched("100,200,400", lambda rate, _: replace(GOOD, **flaw) if rate == 200 else GOOD)
    assert [row["doubts"] for row in result.document["rows"]] == [[], [doubt], []]
    assert result.document["trusted_rps"] == 100
    assert result.document["collapse_rps"] is None


def test_ctrl_c_keeps_the_table_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted_at_200(rate_rps: float, _: int) -> Measurement:
        if rate_rps == 200:
            raise KeyboardInterrupt
        return GOOD

    _, result = searched("100,200,400", interrupted_at_200)
    assert result.exit_code == 130
    assert [row["rate_rps"] for row in result.document["rows"]] == [100]
    show(result.document)
    assert "Stopped by Ctrl-C" in capsys.readouterr().out


def test_a_replay_that_was_interrupted_is_no_row() -> None:
    _, result = searched("100,200", lambda rate, _: replace(GOOD, exit_code=130 if rate == 200 else 0))
    assert (result.exit_code, len(result.document["rows"])) == (130, 1)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: parse_rates("50,fast"), "--rates 50,fast: must be numbers with commas between them"),
        (lambda: SelftestOptions(rates_rps=parse_rates("0,50")), "--rates 0: must be from 1 to 20000"),
        (lambda: SelftestOptions(rates_rps=parse_rates("nan")), "--rates nan: must be from 1 to 20000"),
        (lambda: SelftestOptions(rates_rps=parse_rates(",")), "--rates: names no rate"),
        (lambda: SelftestOptions(seconds=0.5), "--seconds 0.5: must be from 1 to 60"),
        (lambda: SelftestOptions(processes=0), "--processes 0: must be from 1 to 64"),
        (lambda: SelftestOptions(rates_rps=(20_000,), seconds=60), "1,200,000 requests in all, at most 1,000,000"),
    ],
)
def test_what_cannot_be_tried_is_said_in_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        make()
    assert sentence in str(refused.value)


@pytest.mark.lab
def test_one_rate_measured_for_real() -> None:
    """Every request planned is one that the stub saw, at or after its time; twice at most, if the machine is busy."""
    result = run_selftest(SelftestOptions(rates_rps=(100,), seconds=1))
    row = result.document["rows"][-1]
    assert row["planned"] == row["sent"] == row["arrived"] > 50
    assert 0 <= row["send_error"]["p50_s"] <= row["arrival_error"]["p50_s"]
    assert row["timer"]["count"] > 50
    assert result.exit_code == (0 if row["valid"] else 3)
    assert json.loads(json.dumps(result.document, allow_nan=False))["machine"]["cpus"] == len(os.sched_getaffinity(0))
