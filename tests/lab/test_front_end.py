"""The front end by example; tests/lab/test_agreement.py compares it with the reference on random cases."""

from __future__ import annotations

from typing import Any

from loadtest.lab.front_end import FrontEnd, Request
from planner.model import Api, Deployment, DispatchRule, ScoringTimeoutFrom, WhenNoReplica

from .fake_clock import FakeClock


class Diary:
    """A world that only writes down what it is asked to do: (time, deed, what)."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.entries: list[tuple[float, str, Any]] = []
        self.at_work: dict[str, Request[str]] = {}

    def start_work(self, request: Request[str]) -> None:
        self.at_work[request.payload] = request
        self._note("start", (request.payload, request.replica))

    def drop_work(self, request: Request[str]) -> None:
        self._note("drop", request.payload)

    def answer_503(self, request: Request[str]) -> None:
        self._note("503", request.payload)

    def answer_504(self, request: Request[str]) -> None:
        self._note("504", request.payload)

    def drained(self, replica: int) -> None:
        self._note("drained", replica)

    def deeds(self, *kinds: str) -> list[tuple[float, str, Any]]:
        return [entry for entry in self.entries if entry[1] in kinds]

    def _note(self, deed: str, what: Any) -> None:
        self.entries.append((self._clock.time(), deed, what))


class Bench:
    """A front end between a clock and a diary."""

    def __init__(self, replicas: int = 1, **settings: Any) -> None:
        self.clock = FakeClock()
        self.diary = Diary(self.clock)
        self.front_end: FrontEnd[str] = FrontEnd(Deployment(**settings), self.clock, self.diary)
        for replica in range(replicas):
            self.front_end.put_in_service(replica)

    def arrive(self, time_s: float, *names: str) -> None:
        self.clock.run_until(time_s)
        for name in names:
            self.front_end.arrive(name)

    def finish(self, time_s: float, name: str) -> bool:
        self.clock.run_until(time_s)
        return self.front_end.work_ended(self.diary.at_work[name])


def test_waiting_requests_are_served_first_come_first_served() -> None:
    bench = Bench()
    bench.arrive(0.0, "a", "b", "c")
    bench.finish(0.25, "a")
    bench.finish(0.375, "b")
    assert bench.diary.entries == [(0.0, "start", ("a", 0)), (0.25, "start", ("b", 0)), (0.375, "start", ("c", 0))]


def test_a_request_that_waits_too_long_gets_503_at_its_deadline_and_not_before() -> None:
    bench = Bench(max_request_wait_s=0.5)
    bench.arrive(0.0, "a")
    bench.arrive(0.125, "b")
    bench.clock.run_until(0.6)
    assert bench.front_end.queued == 1
    bench.clock.run_until(1.0)
    assert bench.diary.deeds("503") == [(0.625, "503", "b")]
    assert bench.front_end.queued == 0


def test_a_slot_that_frees_after_the_deadline_is_not_given_to_the_request() -> None:
    """The process was not scheduled: the finish is seen before the expiry that came before it."""
    bench = Bench(max_request_wait_s=0.5)
    bench.arrive(0.0, "a", "b")
    bench.clock.stall_until(0.75)
    bench.front_end.work_ended(bench.diary.at_work["a"])
    assert bench.diary.entries[1:] == [(0.75, "503", "b")]
    bench.clock.run_until(2.0)
    assert len(bench.diary.entries) == 2


def test_the_replica_with_the_fewest_requests_is_chosen_and_the_lowest_id_on_ties() -> None:
    bench = Bench(replicas=2, max_concurrent_requests=2)
    bench.arrive(0.0, "a", "b", "c")
    bench.finish(0.25, "a")
    bench.finish(0.25, "c")
    bench.arrive(0.5, "d")
    assert [what for _, _, what in bench.diary.deeds("start")] == [("a", 0), ("b", 1), ("c", 0), ("d", 0)]


def test_round_robin_goes_on_from_the_replica_that_had_the_last_request() -> None:
    bench = Bench(replicas=3, max_concurrent_requests=2, dispatch=DispatchRule.ROUND_ROBIN)
    bench.arrive(0.0, "a", "b")
    bench.front_end.take_out(1)
    bench.arrive(0.25, "c", "d", "e", "f")
    bench.front_end.put_in_service(3)
    bench.finish(0.5, "a")
    bench.arrive(0.75, "g", "h")
    starts = [what for _, _, what in bench.diary.deeds("start")]
    assert starts == [("a", 0), ("b", 1), ("c", 2), ("d", 0), ("e", 2), ("f", 3), ("g", 0), ("h", 3)], "h: 2 is full"


def test_the_lowest_id_is_filled_first_where_the_settings_say_so() -> None:
    bench = Bench(replicas=3, max_concurrent_requests=2, dispatch=DispatchRule.LOWEST_ID)
    bench.arrive(0.0, "a", "b", "c")
    bench.finish(0.25, "a")
    bench.arrive(0.5, "d", "e", "f")
    starts = [what for _, _, what in bench.diary.deeds("start")]
    assert starts == [("a", 0), ("b", 0), ("c", 1), ("d", 0), ("e", 1), ("f", 2)]


def test_504_comes_at_arrival_plus_timeout_where_the_settings_say_so() -> None:
    bench = Bench(scoring_timeout_s=1.0, max_request_wait_s=1.0, scoring_timeout_from=ScoringTimeoutFrom.ARRIVAL)
    bench.arrive(0.0, "a")
    bench.arrive(0.25, "b")
    bench.finish(0.75, "a")
    bench.clock.run_until(3.0)
    assert bench.diary.entries[1:] == [(0.75, "start", ("b", 0)), (1.25, "504", "b")]


def test_504_comes_at_dispatch_plus_timeout_and_the_slot_stays_busy() -> None:
    bench = Bench(scoring_timeout_s=1.0, max_request_wait_s=5.0)
    bench.arrive(0.0, "a", "b")
    bench.clock.run_until(1.5)
    assert bench.diary.entries[1:] == [(1.0, "504", "a")]
    assert not bench.finish(2.0, "a"), "its client has had an answer"
    assert bench.diary.entries[-1] == (2.0, "start", ("b", 0))


def test_504_frees_the_slot_at_once_where_the_settings_say_so() -> None:
    bench = Bench(scoring_timeout_s=1.0, max_request_wait_s=5.0, slot_busy_after_504=False)
    bench.arrive(0.0, "a", "b")
    bench.clock.run_until(1.5)
    assert bench.diary.entries[1:] == [(1.0, "504", "a"), (1.0, "start", ("b", 0))]


def test_504_drops_the_work_where_the_settings_say_so() -> None:
    bench = Bench(scoring_timeout_s=1.0, max_request_wait_s=5.0, worker_busy_after_504=False)
    bench.arrive(0.0, "a", "b")
    bench.clock.run_until(1.5)
    assert bench.diary.entries[1:] == [(1.0, "504", "a"), (1.0, "drop", "a"), (1.0, "start", ("b", 0))]
    assert not bench.finish(1.5, "a")


def test_an_answer_in_time_stops_the_timeout() -> None:
    bench = Bench(scoring_timeout_s=1.0)
    bench.arrive(0.0, "a")
    assert bench.finish(0.5, "a")
    bench.clock.run_until(3.0)
    assert not bench.diary.deeds("504")


def test_without_a_ready_replica_requests_wait_or_are_refused() -> None:
    waiting = Bench(replicas=0, max_request_wait_s=0.5)
    waiting.arrive(0.0, "a")
    waiting.clock.run_until(0.25)
    waiting.front_end.put_in_service(7)
    assert waiting.diary.entries == [(0.25, "start", ("a", 7))]
    refusing = Bench(replicas=0, when_no_replica_is_ready=WhenNoReplica.REJECT)
    refusing.arrive(0.0, "a")
    assert refusing.diary.entries == [(0.0, "503", "a")]


def test_a_busy_replica_that_is_taken_out_drains_first_and_its_requests_no_longer_count() -> None:
    bench = Bench(replicas=2)
    bench.arrive(0.0, "a", "b", "c")
    bench.front_end.take_out(0)
    assert (bench.front_end.ready, bench.front_end.busy, bench.front_end.queued) == (1, 1, 1)
    bench.finish(0.25, "a")
    assert bench.diary.entries[2:] == [(0.25, "drained", 0)], "the freed slot is not offered to c"
    bench.front_end.take_out(1)
    bench.finish(0.375, "b")
    assert bench.diary.entries[-1] == (0.375, "drained", 1)


def test_the_signal_counts_queued_requests_under_v2_only() -> None:
    for api, signal in ((Api.V1, 1), (Api.V2, 3)):
        bench = Bench(api=api)
        bench.arrive(0.0, "a", "b", "c")
        assert bench.front_end.signal(0.25, 0.0) == signal


def test_the_windowed_signal_is_a_time_average() -> None:
    bench = Bench(api=Api.V1, utilization_window_s=2.0)
    bench.arrive(1.0, "a")
    bench.finish(1.5, "a")
    bench.clock.run_until(4.0)
    assert bench.front_end.signal(2.0, 0.0) == 0.25
    assert bench.front_end.signal(3.0, 2.9) == 0.0
