"""The lab put together: requests through the front end to replicas, ticks to the autoscaler, everything to the log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

from loadtest.lab.autoscaler import Autoscaler
from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import AnyFleet, Phase, Traffic
from loadtest.lab.front_end import FrontEnd, Request
from loadtest.lab.http_client import Answer, ConnectionBroken
from loadtest.lab.ticks import Ticks
from planner.draws import Stream
from planner.model import Cause
from planner.scenario import Scenario
from planner.workload import drawn

OVERHEADS_KEPT = 1000
SHORTEST_HOLD_S = 0.0005
"""By how much a wait is too long on average: an event loop wakes up on whole milliseconds."""
_TEXT = {"content-type": "text/plain; charset=utf-8"}


@dataclass(eq=False, slots=True)
class Exchange:
    """What a request carries through the front end, and where its answer goes."""

    body: bytes
    headers: Mapping[str, str]
    answer: asyncio.Future[Answer]
    work: asyncio.Task[None] | None = None


class Lab:
    """One service: queue, replicas, autoscaler. Times on the loop's clock, which is time.monotonic().

    The model's time 0 is the instant given to `begin`, else the last tick before the first request. Until then the
    initial replicas stay, whatever the autoscaler would make of the silence.
    """

    def __init__(
        self,
        scenario: Scenario,
        make_fleet: Callable[[Traffic, Callable[[], None]], AnyFleet],
        log: EventLog,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.scenario = scenario
        self.log = log
        self._deployment = scenario.deployment
        self._front_end: FrontEnd[Exchange] = FrontEnd(self._deployment, self._loop, self)
        self.fleet = make_fleet(self._front_end, self._note_state)
        self._autoscaler = Autoscaler(self._deployment)
        self.ticks = Ticks(self._loop, self._deployment.refresh_period_s, self._on_tick)
        self.started_s = self._loop.time()
        self._begun = False
        self._desired = self._deployment.initial_count
        self._last_state: tuple[int, ...] = ()
        self._works: set[asyncio.Task[None]] = set()
        self._overheads_s: deque[float] = deque(maxlen=OVERHEADS_KEPT)
        self.answers: dict[int, int] = {}
        """Answers by HTTP status."""

    async def start(self, on_healthy: Callable[[], None]) -> None:
        """Returns when the initial replicas are ready. Raises ScoringServerFailed."""
        await self.fleet.start_initial(self._deployment.initial_count, on_healthy)
        self.started_s = self._loop.time()
        self.ticks.count_from(self.started_s)

    async def stop(self) -> None:
        self.ticks.stop()
        self._front_end.forget_queue()
        works = list(self._works)
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await self.fleet.stop()
        self.log.close()

    def begin(self, zero_s: float) -> None:
        """Make zero_s the model's time 0: tick k is at zero_s + k * period, and the scale-down memory is empty."""
        self._begun = True
        self._autoscaler = Autoscaler(self._deployment)
        self.ticks.count_from(zero_s)
        self.log.add("begin", zero_s=zero_s)

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        if not self._begun:
            self.begin(self.ticks.zero_s + self.ticks.number * self.ticks.period_s)
        exchange = Exchange(body, headers, self._loop.create_future())
        self._front_end.arrive(exchange)
        return await exchange.answer

    # What the front end asks of the world.

    def start_work(self, request: Request[Exchange]) -> None:
        request.payload.work = self._loop.create_task(self._work(request))
        self._works.add(request.payload.work)
        request.payload.work.add_done_callback(self._works.discard)

    def drop_work(self, request: Request[Exchange]) -> None:
        assert request.payload.work is not None
        request.payload.work.cancel()

    def answer_503(self, request: Request[Exchange]) -> None:
        ready = self._front_end.ready
        if ready == 0:
            cause, text = Cause.NO_READY_REPLICA, f"No ready replicas for service {self.scenario.name}"
        else:
            text = f"Too many requests for service {self.scenario.name} (overloaded)"
            if self.fleet.lost > 0:
                cause = Cause.REPLICA_LOST
            elif self.fleet.pending > 0:
                cause = Cause.WAITING_FOR_NODE
            elif ready < self._desired:
                cause = Cause.SCALE_UP_LAG
            elif ready >= self._deployment.max_replicas:
                cause = Cause.AT_MAX_REPLICAS
            else:
                cause = Cause.HEADROOM_TOO_SMALL
        self._reply(request, Answer(503, _TEXT | {"x-surgeproof-cause": cause.label}, text.encode()))

    def answer_504(self, request: Request[Exchange]) -> None:
        text = f"The replica did not answer within the scoring timeout of {self._deployment.scoring_timeout_s:g} s"
        self._reply(request, Answer(504, _TEXT, text.encode()))

    def drained(self, replica: int) -> None:
        self.fleet.drained(replica)

    async def _work(self, request: Request[Exchange]) -> None:
        assert request.replica is not None
        assert request.dispatch_s is not None
        answer = Answer(502, _TEXT, b"Replica closed connection before replying")
        replica = self.fleet.replicas[request.replica]
        replica.requests += 1
        try:
            answer = await replica.server.score(request.payload.body, request.payload.headers)
            await self._spend_router_overhead(request.dispatch_s, answer)
        except ConnectionBroken:
            pass
        finally:
            replica.requests -= 1
            if self._front_end.work_ended(request):
                self._reply(request, answer)

    async def _spend_router_overhead(self, dispatch_s: float, answer: Answer) -> None:
        """Hold a quick answer back until dispatch + run() time + router_overhead, as the model has it."""
        ran_s = _run_time_s(answer)
        if ran_s is None:
            return
        overhead_s = self._loop.time() - dispatch_s - ran_s
        self._overheads_s.append(overhead_s)
        if (missing_s := self._deployment.router_overhead_s - overhead_s) > SHORTEST_HOLD_S:
            await asyncio.sleep(missing_s - SHORTEST_HOLD_S)

    def _reply(self, request: Request[Exchange], answer: Answer) -> None:
        now = self._loop.time()
        queued_s = (now if request.dispatch_s is None else request.dispatch_s) - request.arrival_s
        headers = dict(answer.headers) | {"x-surgeproof-queued-s": f"{queued_s:.6f}"}
        if request.dispatch_s is not None:
            headers |= {
                "x-surgeproof-replica": str(request.replica),
                "x-surgeproof-dispatch-s": f"{request.dispatch_s:.6f}",
            }
        if not request.payload.answer.done():
            request.payload.answer.set_result(Answer(answer.status, headers, answer.body))
        self.answers[answer.status] = self.answers.get(answer.status, 0) + 1
        self.log.add(
            "request",
            status=answer.status,
            arrival_s=request.arrival_s,
            dispatch_s=request.dispatch_s,
            finish_s=now,
            replica=request.replica,
            run_s=_run_time_s(answer),
            cause=answer.headers.get("x-surgeproof-cause"),
            client_request_id=request.payload.headers.get("x-ms-client-request-id"),
        )

    # The autoscaler.

    def _on_tick(self, number: int, at_s: float) -> None:
        if not self._begun:
            return
        signal = self._front_end.signal(at_s, self.ticks.zero_s)
        current, ready = self.fleet.current, self.fleet.count(Phase.READY)
        decision = self._autoscaler.decide(number, signal=signal, current=current, ready=ready)
        self._desired = decision.desired
        self.log.add("tick", **asdict(decision), at_s=at_s, current=current, ready=ready)
        self.fleet.scale_to(decision.replicas)

    def counts(self) -> dict[str, int]:
        """Under the names of `ReplicaLog`, and those that are draining."""
        return {
            "desired": self._desired,
            "ready": self.fleet.count(Phase.READY),
            "starting": self.fleet.count(Phase.STARTING),
            "draining": self.fleet.count(Phase.DRAINING),
            "busy": self._front_end.busy,
            "queued": self._front_end.queued,
            "pending": self.fleet.pending,
            "terminating": self.fleet.count(Phase.DRAINING),
            "lost": self.fleet.lost,
        }

    def overheads_s(self) -> list[float]:
        """Of the last answers, sorted: time at the replica beyond what run() took."""
        return sorted(self._overheads_s)

    def _note_state(self) -> None:
        counts = self.counts()
        state = tuple(counts[name] for name in ("desired", "ready", "starting", "draining", "pending", "lost"))
        if state != self._last_state:
            self._last_state = state
            self.log.add("state", **counts)


def drawn_cold_starts(scenario: Scenario) -> Iterator[float]:
    """The n-th value belongs to the n-th replica created after the start; not the draws of any simulated replicate."""
    for block in drawn(scenario.cold_start, scenario.seed, 0, Stream.LAB):
        yield from (float(value) for value in block)


def _run_time_s(answer: Answer) -> float | None:
    """How long run() took, by the scoring server's own clock."""
    milliseconds = answer.headers.get("x-ms-run-fn-exec-ms")
    try:
        return None if milliseconds is None else float(milliseconds) / 1000
    except ValueError:
        return None
