"""Two workers on one machine: they send as one, and a worker that dies takes nothing with it but its own share."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq

from loadtest.replay.run import ReplayResult, replay
from loadtest.runfolder import open_run_folder
from planner.errors import NoVerdictError
from planner.model import Outcome
from tests.loadtest.conftest import StubServer
from tests.loadtest.replay_runs import (
    At,
    MakeScenario,
    MakeStub,
    arrivals,
    free_port,
    kill,
    leading_process,
    real_runs,
    together,
    totals,
    valid_replay,
    wait_for,
    worker_pid,
    workers_of,
)

pytestmark = real_runs


def arrival_errors(server: StubServer, result: ReplayResult) -> tuple[np.ndarray, np.ndarray]:
    """Of each share: arrival at the stub less the planned time, seconds."""
    index, arrived_s = arrivals(server, result)
    error_s = arrived_s - result.requests.scheduled_s[index]
    return error_s[index % 2 == 0], error_s[index % 2 == 1]


def test_two_workers_send_as_one(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    plan = scenario(rps=200, duration="3s")
    open_before = len(os.listdir("/proc/self/fd"))
    result, server = valid_replay(plan, lambda: stub(delay_s=0.03), tmp_path, processes=2)
    n = len(result.requests)
    assert totals(result.document) == {"planned": n, "sent": n, "ok": n}
    books = result.document["books"]
    assert books["per_worker"] == {name: [n - n // 2, n // 2] for name in ("planned", "sent", "ok")}
    per_second = np.bincount(result.requests.scheduled_s.astype(int), minlength=3)
    assert books["per_second"] == {name: per_second.tolist() for name in ("planned", "sent", "ok")}

    index, _ = arrivals(server, result)
    assert sorted(index) == list(range(n))
    sender = {i: tuple(peer) for i, peer in zip(index, server.record()["senders"], strict=True)}
    ports = [{peer for i, peer in sender.items() if i % 2 == k} for k in (0, 1)]
    assert not ports[0] & ports[1], "row i is sent by worker i mod 2: no connection carries both parities"
    assert np.array_equal(result.seen.worker, np.arange(n) % 2)

    even, odd = arrival_errors(server, result)
    assert abs(np.median(even) - np.median(odd)) < 0.005, "they start together"
    workers = result.document["generator"]["workers"]
    assert [worker["worker"] for worker in workers] == [0, 1]
    assert len({worker["pid"] for worker in workers}) == 2
    for worker in workers:
        assert abs(worker["clock_offset_s"]) <= worker["clock_uncertainty_s"] < 0.005, "one machine has one clock"
        assert worker["shares_the_run_folder"] is True
        assert worker["ended"] == "complete"
        assert worker["send_error_p50_s"] < 0.005
    assert result.document["warnings"] == []
    assert workers_of() == [], "nothing of a run outlives it"
    assert len(os.listdir("/proc/self/fd")) <= open_before + 4, "of two stubs the pipes, of the runs nothing"


def test_a_killed_worker_takes_only_its_share_along(stub: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    three, thirty = scenario(rps=80, duration="3s"), scenario(rps=80, duration="30s")

    def one_of_two() -> None:
        """The other one goes on to its end: it cannot know, and its half of the plan is still a measurement."""
        server, folder = stub(delay_s=0.4), tmp_path / "two"
        kill_it = At(0.9, lambda: kill(worker_pid(folder, 1)))
        result = replay(three, server.url, out=folder, processes=2, on_progress=kill_it)
        assert (result.document["ended"], result.exit_code) == ("worker_lost", 3)
        assert str(result.message).startswith("Replay worker 1 was killed, crashed or lost during the run.")
        books = totals(result.document)
        planned, share_1 = len(result.requests), len(result.requests) // 2
        outcome, worker = result.requests.outcome, result.seen.worker
        assert set(outcome[worker == 0]) == {Outcome.OK}, "the other share is complete"
        assert books["planned"] == planned
        per_worker = result.document["books"]["per_worker"]
        assert per_worker["unaccounted"][0] == per_worker["unresolved"][0] == 0
        assert per_worker["unaccounted"][1] + per_worker["unresolved"][1] + per_worker["ok"][1] == share_1
        assert books["unresolved"] > 2
        at_stub = [i for i, _ in server.record()["arrivals"] if i % 2 == 1]
        lost = len(at_stub) - per_worker["sent"][1]
        assert -1 <= lost <= 40, "less than a second of the killed worker's sends"
        check_lost(result)

    def the_only_one() -> None:
        server, folder = stub(delay_s=0.4), tmp_path / "one"
        kill_it = At(1.2, lambda: kill(worker_pid(folder, 0)))
        result = replay(thirty, server.url, out=folder, on_progress=kill_it)
        assert (result.document["ended"], result.exit_code) == ("worker_lost", 3)
        books = totals(result.document)
        assert books["ok"] > 20
        assert books["unresolved"] > 5
        assert books["unaccounted"] > 2000
        arrived = len(server.record()["arrivals"])
        assert arrived - 80 <= books["sent"] <= arrived + 2, "a killed worker loses less than a second of records"
        check_lost(result)

    together(one_of_two, the_only_one)


def test_a_worker_that_dies_before_it_is_ready_ends_the_start(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path
) -> None:
    """And with its own words, not when a minute has passed."""

    def kill_one() -> None:
        wait_for(lambda: len(workers_of()) == 3)
        kill(next(pid for pid in workers_of() if pid != leading_process()))

    def run() -> None:
        with pytest.raises(NoVerdictError, match="ended before it was ready: killed by signal 9"):
            replay(scenario(rps=80, duration="3s"), stub().url, out=tmp_path / "run", processes=2)

    together(run, kill_one)
    assert workers_of() == []


NOT_A_WORKERS_WORDS = [
    b"",
    b"\xc1",
    b"\xdc\xff\xff",
    b"GET / HTTP/1.1\r\n\r\n",
    msgpack.dumps(5),
    msgpack.dumps({"type": 1}),
    msgpack.dumps([None, None, None]),
    msgpack.dumps([[], [], []]),
    msgpack.dumps(["surgeproof_pong", None, "x"]),
    msgpack.dumps(["surgeproof_need", {"name": "schedule.parquet"}, "x"]),
    msgpack.dumps(["surgeproof_records", {"data": 5}, "x"]),
]


def test_strangers_who_talk_to_the_masters_port_do_not_matter(
    stub: MakeStub, scenario: MakeScenario, tmp_path: Path
) -> None:
    """Locust's master would stop to listen, to its workers too."""
    port, done = free_port(), threading.Event()

    def talk() -> None:
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.setsockopt(zmq.LINGER, 0)
            stranger.setsockopt(zmq.IDENTITY, b"stranger")
            stranger.connect(f"tcp://127.0.0.1:{port}")
            while not done.wait(0.05):
                for words in NOT_A_WORKERS_WORDS:
                    stranger.send(words, zmq.NOBLOCK)
                stranger.send_multipart([b"x", b"y"], zmq.NOBLOCK)

    def run() -> None:
        try:
            plan = scenario(rps=80, duration="2s")
            result = replay(plan, stub().url, out=tmp_path / "run", processes=2, master_bind=("127.0.0.1", port))
        finally:
            done.set()
        n = len(result.requests)
        assert totals(result.document) == {"planned": n, "sent": n, "ok": n}
        assert "no message of Locust's" in (tmp_path / "run" / "lead.log").read_text()

    together(run, talk)


def check_lost(result: ReplayResult) -> None:
    assert not result.document["generator"]["valid"]
    assert "unaccounted" in " ".join(result.document["generator"]["problems"])
    assert len(open_run_folder(result.folder.path).read_requests()) == len(result.requests)
