"""The life of replicas, on virtual time, with scoring servers that start, fail and end as a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import Fleet, Phase
from loadtest.lab.http_client import Answer
from loadtest.lab.scoring import ScoringServerFailed

from .virtual_time import run_in_virtual_time


class FakeServer:
    port: int | None = None
    pid: int | None = None

    def __init__(self, start_s: float, error: str | None) -> None:
        self.ended = asyncio.Event()
        self.started = False
        self._start_s = start_s
        self._error = error

    async def start(self) -> None:
        await asyncio.sleep(self._start_s)
        if self._error is not None:
            raise ScoringServerFailed(self._error, "the end of its log")
        self.started = True

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        raise NotImplementedError

    async def stop(self) -> None:
        self.ended.set()

    def log(self) -> str:
        return ""


class Bench:
    """A fleet whose replicas are in traffic exactly as it says; busy ones drain when the test lets them."""

    def __init__(self, cold_starts_s: list[float], start_s: float = 1.0) -> None:
        self.start_s = start_s
        self.error: str | None = None
        self.in_traffic: set[int] = set()
        self.busy: set[int] = set()
        self.servers: list[tuple[int, FakeServer]] = []
        self.errors: list[BaseException] = []
        loop = asyncio.get_running_loop()
        self.log = EventLog(loop.time)
        self.fleet = Fleet(self._make, iter(cold_starts_s), self, self.log, lambda: None, self.errors.append)

    def put_in_service(self, replica: int) -> None:
        self.in_traffic.add(replica)

    def take_out(self, replica: int) -> None:
        self.in_traffic.remove(replica)
        if replica not in self.busy:
            self.fleet.drained(replica)

    def let_drain(self, replica: int) -> None:
        self.busy.remove(replica)
        self.fleet.drained(replica)

    def phases(self, phase: str) -> list[tuple[float, object]]:
        """(time, replica) of the log's entries of a phase."""
        return [(_seconds(e), e["replica"]) for e in self.log.after(0, ["replica"]) if e["phase"] == phase]

    def running(self) -> int:
        return sum(server.started and not server.ended.is_set() for _, server in self.servers)

    def _make(self, replica: int) -> FakeServer:
        self.servers.append((replica, FakeServer(self.start_s, self.error)))
        return self.servers[-1][1]


def _seconds(event: dict[str, Any]) -> float:
    return round(float(event["monotonic_s"]), 6)


def on_a_bench(
    play: Callable[[Bench], Awaitable[None]], initial: int, cold_starts_s: list[float], start_s: float = 1.0
) -> Bench:
    """Start the initial replicas at 0, play, stop. No server may be left running, no task may have failed."""

    async def main() -> Bench:
        bench = Bench(cold_starts_s, start_s)
        await bench.fleet.start_initial(initial, lambda: None)
        await play(bench)
        await bench.fleet.stop()
        return bench

    bench = run_in_virtual_time(main())
    assert bench.errors == []
    assert bench.running() == 0
    return bench


def test_a_replica_is_ready_after_the_longer_of_drawn_and_real_start() -> None:
    async def play(bench: Bench) -> None:
        bench.fleet.scale_to(3)  # at 1 s, when the initial replica is up
        await asyncio.sleep(10)
        assert bench.fleet.slow_starts == 1

    bench = on_a_bench(play, initial=1, cold_starts_s=[5.0, 0.5])
    assert bench.phases("ready") == [(1.0, 0), (2.0, 2), (6.0, 1)]
    ready = {e["replica"]: e for e in bench.log.after(0, ["replica"]) if e["phase"] == "ready"}
    assert [ready[i]["drawn_cold_start_s"] for i in range(3)] == [None, 5.0, 0.5]
    assert [ready[i]["real_start_s"] for i in range(3)] == [1.0, 1.0, 1.0]


def test_victims_are_starting_ones_first_then_the_latest_ready() -> None:
    async def play(bench: Bench) -> None:
        bench.fleet.scale_to(4)  # 2 is ready at 4 s, 3 at 3 s
        await asyncio.sleep(5)
        bench.fleet.scale_to(6)
        bench.fleet.scale_to(5)  # 5, created last
        bench.fleet.scale_to(4)  # 4, the other that is starting
        for count in (3, 2, 1):  # 2, ready last; 3; then of the initial ones the highest id
            bench.fleet.scale_to(count)
        await asyncio.sleep(1)

    bench = on_a_bench(play, initial=2, cold_starts_s=[3.0, 2.0, 9.0, 9.0])
    assert [replica for _, replica in bench.phases("draining")] == [2, 3, 1]
    assert sorted(str(replica) for _, replica in bench.phases("gone")) == ["1", "2", "3", "4", "5"]


def test_a_busy_victim_exists_until_its_work_ends() -> None:
    async def play(bench: Bench) -> None:
        bench.busy.add(1)
        bench.fleet.scale_to(1)
        await asyncio.sleep(4)
        assert (bench.fleet.current, bench.fleet.count(Phase.DRAINING)) == (1, 1)
        bench.let_drain(1)
        await asyncio.sleep(1)
        assert list(bench.fleet.replicas) == [0]

    assert on_a_bench(play, initial=2, cold_starts_s=[]).phases("gone") == [(5.0, 1)]


def test_an_initial_replica_that_does_not_start_is_an_error_at_once() -> None:
    async def main() -> None:
        bench = Bench([])
        bench.error = "init() raised"
        try:
            await bench.fleet.start_initial(2, lambda: None)
        finally:
            await bench.fleet.stop()

    with pytest.raises(ScoringServerFailed, match="init"):
        run_in_virtual_time(main())


def test_a_later_one_is_a_crash_loop_that_is_tried_again_with_growing_delays() -> None:
    async def play(bench: Bench) -> None:
        bench.error = "init() raised ValueError"
        bench.fleet.scale_to(2)  # at 1 s
        await asyncio.sleep(5.5)  # failures at 2, 4 (after 1 s) and, 2 s later, at 7
        (loop,) = bench.fleet.crash_loops
        assert (loop.replica, loop.failures, loop.error) == (1, 2, "init() raised ValueError")
        assert (loop.log_tail, loop.next_start_monotonic_s) == ("the end of its log", 6.0)
        assert bench.fleet.current == 2, "it still counts as starting"
        bench.error = None
        await asyncio.sleep(20)
        assert bench.fleet.crash_loops == []

    bench = on_a_bench(play, initial=1, cold_starts_s=[2.0])
    assert [time_s for time_s, _ in bench.phases("start_failed")] == [2.0, 4.0, 7.0]
    assert bench.phases("ready")[-1] == (12.0, 1)  # 4 s after the third failure, and a start of 1 s


def test_a_scoring_server_that_ends_by_itself_is_started_again() -> None:
    async def play(bench: Bench) -> None:
        bench.busy.add(0)
        bench.servers[0][1].ended.set()
        await asyncio.sleep(0.5)
        assert (bench.in_traffic, bench.fleet.lost) == ({1}, 1)
        bench.let_drain(0)
        await asyncio.sleep(5)
        assert (bench.in_traffic, bench.fleet.lost) == ({0, 1}, 0)

    bench = on_a_bench(play, initial=2, cold_starts_s=[])
    assert bench.phases("crashed") == [(1.0, 0)]
    assert bench.phases("ready")[-1] == (2.5, 0)


def test_a_reload_replaces_one_server_after_the_other_without_a_gap() -> None:
    async def play(bench: Bench) -> None:
        bench.fleet.reload()
        await asyncio.sleep(0.5)
        assert bench.in_traffic == {0, 1}, "the old ones serve while the new one starts"
        await asyncio.sleep(5)

    bench = on_a_bench(play, initial=2, cold_starts_s=[])
    assert bench.phases("reloading") == [(2.0, 0), (3.0, 1)]
    assert bench.phases("ready")[2:] == [(2.0, 0), (3.0, 1)]
    assert [replica for replica, _ in bench.servers] == [0, 1, 0, 1]


def test_a_broken_reload_leaves_the_old_server_and_a_second_one_mends_it() -> None:
    async def play(bench: Bench) -> None:
        bench.error = "init() raised"
        bench.fleet.reload()
        await asyncio.sleep(30)
        assert bench.in_traffic == {0}
        assert [loop.failures > 2 for loop in bench.fleet.crash_loops] == [True]
        bench.error = None
        bench.fleet.reload()
        await asyncio.sleep(2)
        assert bench.fleet.crash_loops == []

    assert len(on_a_bench(play, initial=1, cold_starts_s=[]).phases("reloading")) == 1


def test_a_reload_ends_a_crash_loop_at_once() -> None:
    async def play(bench: Bench) -> None:
        bench.error = "init() raised"
        bench.fleet.scale_to(2)
        await asyncio.sleep(50)
        bench.error = None
        bench.fleet.reload()
        await asyncio.sleep(2.5)
        assert bench.in_traffic == {0, 1}

    on_a_bench(play, initial=1, cold_starts_s=[0.0])


def test_replicas_removed_while_they_start_or_reload_leave_nothing_behind() -> None:
    async def play(bench: Bench) -> None:
        bench.fleet.scale_to(4)
        bench.fleet.reload()
        await asyncio.sleep(0.5)
        bench.fleet.scale_to(2)
        await asyncio.sleep(1.0)
        bench.busy.add(1)
        await asyncio.sleep(1.0)
        bench.fleet.scale_to(1)
        bench.let_drain(1)
        await asyncio.sleep(10)
        assert list(bench.fleet.replicas) == [0]
        assert bench.running() == 1

    on_a_bench(play, initial=2, cold_starts_s=[3.0, 3.0])
