"""Observing the lab: rows become a log of changes, ticks become a start, a lab of another scenario is noticed."""

from __future__ import annotations

import contextlib
import json
import math
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from loadtest.replay import lab_client, observe_lab
from loadtest.replay.endpoint import Endpoint, parse_url
from loadtest.replay.lab_client import LabMalformed, checked_events, checked_state
from loadtest.replay.observe_lab import (
    ReplicaObserver,
    aligned_start_s,
    build_replica_log,
    find_lab,
    lab_differences,
)
from planner.model import Deployment


def test_the_parent_imports_neither_locust_nor_gevent() -> None:
    """Both patch the standard library under everything else; they belong to the worker's process."""
    code = "import sys, loadtest.replay.run; print(sorted({'gevent', 'locust'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def row(at_s: float, desired: int, ready: int, queued: int = 0) -> tuple[float, ...]:
    return (at_s, desired, ready, 0, 0, queued)


def test_the_log_starts_at_0_and_keeps_changes() -> None:
    rows = [row(103.5, 3, 3), row(98.0, 1, 1), row(99.0, 2, 2), row(100.5, 2, 2), row(101.0, 3, 2), row(104.0, 3, 3, 5)]
    log = build_replica_log(rows, 100.0)
    assert log is not None
    assert list(log.time_s) == [0.0, 1.0, 3.5, 4.0]
    assert list(log.desired) == [2, 3, 3, 3]
    assert list(log.ready) == [2, 2, 3, 3]
    assert list(log.queued) == [0, 0, 0, 5]


def test_a_lab_first_seen_after_the_start() -> None:
    log = build_replica_log([row(100.2, 2, 2)], 100.0)
    assert log is not None
    assert np.allclose(log.time_s, [0.2])
    assert build_replica_log([], 100.0) is None


@pytest.mark.parametrize(
    ("tick_s", "period_s", "earliest_s", "expected"),
    [(10.0, 1.0, 9.5, 10.0), (10.0, 1.0, 10.0, 10.0), (10.0, 1.0, 10.25, 11.0), (10.0, 0.5, 12.1, 12.5)],
)
def test_the_start_is_the_next_tick(tick_s: float, period_s: float, earliest_s: float, expected: float) -> None:
    state = {"next_tick_monotonic_s": tick_s, "refresh_period_s": period_s}
    assert aligned_start_s([state], earliest_s) == expected


def test_a_lab_without_ticks_aligns_nothing() -> None:
    assert aligned_start_s([], 1.0) is None
    assert aligned_start_s([{"next_tick_monotonic_s": None, "refresh_period_s": 1.0}], 1.0) is None


@pytest.mark.parametrize("tick_s", [1e6, 70.0])
def test_a_tick_too_far_away_is_not_waited_for(tick_s: float) -> None:
    assert aligned_start_s([{"next_tick_monotonic_s": tick_s, "refresh_period_s": 1.0}], 9.0) is None


def test_a_lab_of_another_scenario_is_noticed() -> None:
    deployment = Deployment(min_replicas=2, max_replicas=8)
    assert lab_differences(deployment, 2, {"settings": {"autoscale_max_replicas": 8}}) == []
    assert lab_differences(deployment, 4, {"settings": {"autoscale_max_replicas": 9}}) == [
        "the lab had 4 ready replicas at the start, the scenario says 2",
        "the lab runs with autoscale_max_replicas = 9, the scenario says 8",
    ]


def lab_state(**changed: Any) -> dict[str, Any]:
    state = {"monotonic_s": time.monotonic(), "desired": 1, "ready": 1, "starting": 0, "busy": 0, "queued": 0}
    return state | {"next_tick_monotonic_s": 7.5, "refresh_period_s": 1, "slow_starts": 0} | changed


def test_a_state_as_a_lab_has_it_is_taken() -> None:
    assert checked_state(lab_state(slow_starts=None, next_tick_monotonic_s=None))["ready"] == 1


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("ready", math.nan, "nan"),
        ("ready", math.inf, "inf"),
        ("ready", 10**400, "1" + 39 * "0" + "…"),
        ("ready", -4, "-4"),
        ("ready", True, "True"),
        ("queued", None, "None"),
        ("busy", 0.5, "0.5"),
        ("monotonic_s", math.nan, "nan"),
        ("monotonic_s", 1e300, "1e[+]300"),
        ("slow_starts", "x", "'x'"),
        ("next_tick_monotonic_s", math.inf, "inf"),
        ("next_tick_monotonic_s", 10**400, "10+…"),
        ("refresh_period_s", 0, "0"),
        ("refresh_period_s", 1e-300, "1e-300"),
    ],
)
def test_a_state_that_no_lab_has_is_refused_by_name(name: str, value: object, shown: str) -> None:
    with pytest.raises(LabMalformed, match=f"^/lab/state: {name} = {shown}, must be a"):
        checked_state(lab_state(**{name: value}))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ({}, "not as a Surgeproof lab"),
        ([1], "not as a Surgeproof lab"),
        ([{"seq": 3, "kind": "x"}], "seq = 3, must be a number above 3"),
        ([{"seq": "4", "kind": "x"}], "seq = '4', must be"),
        ([{"seq": 4, "kind": "state"}], "monotonic_s = None, must be"),
    ],
)
def test_a_page_of_the_log_that_no_lab_has_is_refused(page: object, words: str) -> None:
    assert checked_events([{"seq": 4, "kind": "x"}, lab_state(seq=5, kind="state")], 3)
    with pytest.raises(LabMalformed, match=words):
        checked_events(page, 3)


@contextlib.contextmanager
def served(answer: Callable[[str], Iterator[bytes]]) -> Iterator[Endpoint]:
    """An endpoint that answers a GET of a path with these pieces."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                while line := self.rfile.readline():
                    while self.rfile.readline().strip():
                        pass
                    for piece in answer(line.split()[1].decode()):
                        self.wfile.write(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield parse_url(f"http://127.0.0.1:{server.server_address[1]}/score")
        server.shutdown()


def whole(document: object) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b""], ids=["body", "head"])
def test_a_state_that_comes_drop_by_drop_is_given_up(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_client, "TIMEOUT_S", 0.2)

    def drip(path: str) -> Iterator[bytes]:
        yield first
        while True:
            time.sleep(0.02)
            yield b" "

    with served(drip) as endpoint:
        began_s = time.monotonic()
        state, why = find_lab(endpoint, is_lab=True)
    assert (state, why) == (None, "the endpoint shows no replicas (GET /lab/state: timed out)")
    assert time.monotonic() - began_s < 0.6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lab_state(ready=math.nan), "/lab/state: ready = nan, must be a whole number"),
        (b"[" * 100_000, "GET /lab/state answers no JSON"),
        (b" " * 2**20, "GET /lab/state answers more than 0 MiB"),
    ],
    ids=["nan", "deep", "long"],
)
def test_what_is_wrong_with_a_state_is_why_replicas_are_not_observed(
    answer: object, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_client, "LARGEST_ANSWER_BYTES", 2**19)
    with served(lambda path: iter([whole(answer)])) as endpoint:
        assert words in find_lab(endpoint, is_lab=True)[1]


def observe(
    answer: Callable[[str], Iterator[bytes]], monkeypatch: pytest.MonkeyPatch
) -> tuple[ReplicaObserver, list[tuple[float, ...]]]:
    """Watch such an endpoint for a moment; the observer and its rows."""
    rows: list[tuple[float, ...]] = []
    monkeypatch.setattr(observe_lab, "SAMPLE_PERIOD_S", 0.02)
    monkeypatch.setattr(observe_lab, "LOG_PERIOD_S", 0.02)
    with served(answer) as endpoint:
        observer = ReplicaObserver(endpoint, rows.append)
        observer.start()
        time.sleep(0.1)
        observer.stop()
    return observer, rows


def test_a_log_without_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1, 10**9))

    def answer(path: str) -> Iterator[bytes]:
        yield whole(lab_state() if path == "/lab/state" else [{"seq": next(numbers), "kind": "x"}])

    observer, rows = observe(answer, monkeypatch)
    assert observer.problem is not None
    assert "/lab/log has no end" in observer.problem
    assert next(numbers) == observe_lab.LOG_PAGES_AT_ONCE + 1
    assert observer.source == "/lab/state"
    assert build_replica_log(rows, time.monotonic()) is not None


def test_a_state_that_goes_bad_during_the_run_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = iter([2, 3])

    def answer(path: str) -> Iterator[bytes]:
        yield whole(lab_state(ready=next(ready, math.inf)) if path == "/lab/state" else [])

    observer, rows = observe(answer, monkeypatch)
    assert observer.problem is not None
    assert "/lab/state: ready = inf, must be a whole number" in observer.problem
    log = build_replica_log(rows, 0.0)
    assert log is not None
    assert list(log.ready) == [2, 3]
