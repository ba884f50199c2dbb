"""The front end's queue, slots and deadlines, written from docs/model.md ("Queue and dispatch", "504").

Bookkeeping only: the clock, the timers and everything that touches the world are handed in, so that a test can drive it
through any sequence of instants. Times are seconds on the clock's own scale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from loadtest.lab.time_average import TimeAverage
from planner.model import NO_REPLICA, Deployment, DispatchRule, ScoringTimeoutFrom, WhenNoReplica

Payload = TypeVar("Payload")


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """The part of an asyncio event loop that is needed here."""

    def time(self) -> float: ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> Timer: ...


@dataclass(eq=False, slots=True)
class _Slots:
    """One replica as the front end sees it: slots taken, and works going on (one more than slots after some 504s)."""

    replica: int
    in_service: bool = True
    held: int = 0
    works: int = 0


@dataclass(eq=False, slots=True, kw_only=True)
class Request(Generic[Payload]):
    """A request that the front end holds: waiting until `dispatch_s` is set, then at a replica until its work ends."""

    payload: Payload
    arrival_s: float
    deadline_s: float
    dispatch_s: float | None = None
    slots: _Slots | None = None
    holds_slot: bool = False
    answered: bool = False
    timer: Timer | None = None

    @property
    def replica(self) -> int | None:
        return None if self.slots is None else self.slots.replica


class World(Protocol[Payload]):
    """What the front end asks of the world around it."""

    def start_work(self, request: Request[Payload]) -> None:
        """Forward it to request.replica; `FrontEnd.work_ended` is due when that replica is done with it."""
        ...

    def drop_work(self, request: Request[Payload]) -> None:
        """Have the worker drop the work; `FrontEnd.work_ended` is due all the same."""
        ...

    def answer_503(self, request: Request[Payload]) -> None: ...

    def answer_504(self, request: Request[Payload]) -> None: ...

    def drained(self, replica: int) -> None:
        """A replica that was taken out of service holds no more work."""
        ...


class FrontEnd(Generic[Payload]):
    """One FIFO queue before the slots of the ready replicas.

    A client that hangs up changes nothing: its request keeps its place until it is dispatched or its deadline comes.
    """

    def __init__(self, deployment: Deployment, clock: Clock, world: World[Payload]) -> None:
        self._deployment = deployment
        self._clock = clock
        self._world = world
        self._queue: deque[Request[Payload]] = deque()
        self._in_service: dict[int, _Slots] = {}
        self._last_replica = NO_REPLICA
        self._window_s = deployment.utilization_window_s
        self._history = TimeAverage(clock.time())

    @property
    def queued(self) -> int:
        return len(self._queue)

    @property
    def busy(self) -> int:
        """Occupied slots of the replicas in service."""
        return sum(slots.held for slots in self._in_service.values())

    @property
    def ready(self) -> int:
        """Replicas in service."""
        return len(self._in_service)

    def signal(self, now_s: float, zero_s: float) -> float:
        """What utilization is made of: its value, or its average over [max(zero_s, now_s - window), now_s)."""
        if self._window_s == 0:
            return self._load()
        start_s = max(zero_s, now_s - self._window_s)
        self._history.forget(start_s)
        return self._history.over(start_s, now_s)

    def arrive(self, payload: Payload) -> None:
        """A request takes a free slot at once, else it joins the queue."""
        now = self._clock.time()
        request = Request(payload=payload, arrival_s=now, deadline_s=now + self._deployment.max_request_wait_s)
        if not self._in_service and self._deployment.when_no_replica_is_ready is WhenNoReplica.REJECT:
            self._refuse(request)
            return
        self._queue.append(request)
        self._dispatch_waiting()
        if request.dispatch_s is None and not request.answered:
            request.timer = self._clock.call_at(request.deadline_s, lambda: self._expire(request))
        self._note_load()

    def forget_queue(self) -> None:
        """Nobody waits any more: the lab ends."""
        while self._queue:
            if (timer := self._queue.popleft().timer) is not None:
                timer.cancel()

    def put_in_service(self, replica: int) -> None:
        """A replica is ready, and empty: it takes up to K requests from the queue."""
        self._in_service[replica] = _Slots(replica)
        self._dispatch_waiting()
        self._note_load()

    def take_out(self, replica: int) -> None:
        """A replica takes no more requests; what it works on goes on, and no longer counts as load."""
        slots = self._in_service.pop(replica)
        slots.in_service = False
        self._note_load()
        if slots.works == 0:
            self._world.drained(replica)

    def work_ended(self, request: Request[Payload]) -> bool:
        """A replica is done with a request. True if the client still waits for the answer."""
        assert request.slots is not None
        assert request.timer is not None
        request.timer.cancel()
        wanted, request.answered = not request.answered, True
        request.slots.works -= 1
        self._free_slot(request)
        if not request.slots.in_service and request.slots.works == 0:
            self._world.drained(request.slots.replica)
        return wanted

    def _dispatch_waiting(self) -> None:
        while self._queue and (slots := self._next_slots()) is not None:
            request = self._queue.popleft()
            if request.timer is not None:
                request.timer.cancel()
            if self._clock.time() > request.deadline_s:
                self._refuse(request)
            else:
                self._dispatch(request, slots)

    def _next_slots(self) -> _Slots | None:
        """The replica in service that the dispatch rule puts first; None if all are full."""
        free = (s for s in self._in_service.values() if s.held < self._deployment.max_concurrent_requests)
        return min(free, key=self._rank, default=None)

    def _rank(self, slots: _Slots) -> tuple[int, int]:
        match self._deployment.dispatch:
            case DispatchRule.FEWEST_REQUESTS:
                return slots.held, slots.replica
            case DispatchRule.ROUND_ROBIN:
                had_its_turn = slots.replica <= self._last_replica
                return int(had_its_turn), slots.replica
            case DispatchRule.LOWEST_ID:
                return 0, slots.replica

    def _dispatch(self, request: Request[Payload], slots: _Slots) -> None:
        now = self._clock.time()
        request.dispatch_s, request.slots, request.holds_slot = now, slots, True
        self._last_replica = slots.replica
        slots.held += 1
        slots.works += 1
        queue_counts = self._deployment.scoring_timeout_from is ScoringTimeoutFrom.ARRIVAL
        timeout_s = (request.arrival_s if queue_counts else now) + self._deployment.scoring_timeout_s
        request.timer = self._clock.call_at(timeout_s, lambda: self._time_out(request))
        self._world.start_work(request)

    def _expire(self, request: Request[Payload]) -> None:
        self._queue.remove(request)
        self._refuse(request)
        self._note_load()

    def _refuse(self, request: Request[Payload]) -> None:
        request.answered = True
        self._world.answer_503(request)

    def _time_out(self, request: Request[Payload]) -> None:
        request.answered = True
        self._world.answer_504(request)
        if not self._deployment.worker_busy_after_504:
            self._world.drop_work(request)
            self._free_slot(request)
        elif not self._deployment.slot_busy_after_504:
            self._free_slot(request)

    def _free_slot(self, request: Request[Payload]) -> None:
        assert request.slots is not None
        if not request.holds_slot:
            return
        request.holds_slot = False
        request.slots.held -= 1
        self._dispatch_waiting()
        self._note_load()

    def _load(self) -> int:
        return self.busy + (self.queued if self._deployment.counts_queued else 0)

    def _note_load(self) -> None:
        if self._window_s > 0:
            self._history.note(self._clock.time(), self._load())
