"""The life of replicas: created, starting, ready, draining, gone; with crash loops and reloads beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from loadtest.lab.event_log import EventLog
from loadtest.lab.scoring import ScoringServer, ScoringServerFailed
from loadtest.lab.waiting import first_of, set_event

FIRST_RESTART_DELAY_S = 1.0
LONGEST_RESTART_DELAY_S = 30.0
"""The delay doubles from one failed start to the next. Kubernetes waits 10 s, doubling to 300 s; a lab need not."""


class Phase(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class CrashLoop:
    """A replica whose scoring server does not start."""

    replica: int
    failures: int
    error: str
    log_tail: str
    next_start_monotonic_s: float


@dataclass(eq=False, kw_only=True)
class Replica:
    """One replica. Times on the clock's scale; cold_start_s is None for the initial ones, which take no draw."""

    id: int
    created_s: float
    cold_start_s: float | None
    server: ScoringServer
    phase: Phase = Phase.STARTING
    real_start_s: float | None = None
    ready_s: float = 0.0
    requests: int = 0
    """That it works on."""
    crash_loop: CrashLoop | None = None
    crashed: bool = False
    pod: str | None = None
    """Its name, where it is one."""
    life: asyncio.Task[None] | None = None
    replacement: ScoringServer | None = None
    """A healthy server that a reload offers in place of `server`."""
    disturbed: asyncio.Event = field(default_factory=asyncio.Event)
    """A replacement has come, or a crash loop should try again now."""
    empty: asyncio.Event = field(default_factory=set_event)
    """Out of traffic, and no work left there."""

    @property
    def exists(self) -> bool:
        return self.phase in (Phase.STARTING, Phase.READY)


class AnyFleet(Protocol):
    """What the lab asks of its replicas, wherever they are."""

    replicas: dict[int, Replica]
    slow_starts: int

    @property
    def current(self) -> int: ...

    @property
    def lost(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def crash_loops(self) -> list[CrashLoop]: ...

    def count(self, *phases: Phase) -> int: ...

    async def start_initial(self, count: int, on_healthy: Callable[[], None]) -> None: ...

    def scale_to(self, count: int) -> None: ...

    def drained(self, replica_id: int) -> None: ...

    def reload(self) -> None: ...

    async def stop(self) -> None: ...


class Traffic(Protocol):
    """The front end, as far as replicas concern it."""

    def put_in_service(self, replica: int) -> None: ...

    def take_out(self, replica: int) -> None: ...


class Fleet:
    """Creates and removes replicas. `drained` is due when one that was taken out of traffic holds no more work.

    on_error receives what should never happen: an exception in a replica's life that is not a failed start.
    """

    def __init__(
        self,
        make_server: Callable[[int], ScoringServer],
        cold_starts_s: Iterator[float],
        traffic: Traffic,
        log: EventLog,
        on_change: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._make_server = make_server
        self._cold_starts_s = cold_starts_s
        self._traffic = traffic
        self._log = log
        self._on_change = on_change
        self._on_error = on_error
        self._next_id = 0
        self._now = asyncio.get_running_loop().time
        self._tasks: set[asyncio.Task[None]] = set()
        self._rollout: asyncio.Task[None] | None = None
        self.replicas: dict[int, Replica] = {}
        self.slow_starts = 0
        """Replicas whose real start took longer than the cold start drawn for them."""

    def count(self, *phases: Phase) -> int:
        return sum(replica.phase in phases for replica in self.replicas.values())

    @property
    def current(self) -> int:
        """Starting and ready replicas."""
        return self.count(Phase.STARTING, Phase.READY)

    @property
    def lost(self) -> int:
        """Replicas whose scoring server crashed and is not back."""
        return sum(replica.crashed and replica.phase is Phase.STARTING for replica in self.replicas.values())

    @property
    def pending(self) -> int:
        """A machine of one's own has room."""
        return 0

    @property
    def crash_loops(self) -> list[CrashLoop]:
        return [replica.crash_loop for replica in self.replicas.values() if replica.crash_loop is not None]

    async def start_initial(self, count: int, on_healthy: Callable[[], None]) -> None:
        """Start the initial replicas together, none in service before all are healthy. Raises ScoringServerFailed."""
        replicas = [self._create(None) for _ in range(count)]

        async def start(replica: Replica) -> None:
            await replica.server.start()
            replica.real_start_s = self._now() - replica.created_s
            on_healthy()

        try:
            async with asyncio.TaskGroup() as group:
                for replica in replicas:
                    group.create_task(start(replica))
        except* ScoringServerFailed as failures:
            raise failures.exceptions[0] from None
        self._enter_service(*replicas)
        for replica in replicas:
            replica.life = self._run(self._serve(replica))

    def scale_to(self, count: int) -> None:
        """Create or remove replicas so that `count` are starting or ready."""
        for _ in range(count - self.current):
            replica = self._create(next(self._cold_starts_s))
            replica.life = self._run(self._start_and_serve(replica))
        for _ in range(self.current - count):
            self._remove(self._victim())
        self._on_change()

    def drained(self, replica_id: int) -> None:
        replica = self.replicas[replica_id]
        replica.empty.set()
        if replica.phase is Phase.DRAINING:
            self._end(replica)

    def reload(self) -> None:
        """Give every replica a new scoring server, one replica after the other; the old one serves until then."""
        if self._rollout is not None:
            self._rollout.cancel()
        self._rollout = self._run(self._roll_out(list(self.replicas.values())))

    async def stop(self) -> None:
        """End everything."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(self._stop_servers(replica) for replica in self.replicas.values()))

    def _create(self, cold_start_s: float | None) -> Replica:
        server = self._make_server(self._next_id)
        replica = Replica(id=self._next_id, created_s=self._now(), cold_start_s=cold_start_s, server=server)
        self._next_id += 1
        self.replicas[replica.id] = replica
        self._note(replica, "created", drawn_cold_start_s=cold_start_s)
        return replica

    def _victim(self) -> Replica:
        """Starting replicas first, latest created first; then the latest ready, the highest id on ties."""
        starting = [replica for replica in self.replicas.values() if replica.phase is Phase.STARTING]
        ready = [replica for replica in self.replicas.values() if replica.phase is Phase.READY]
        if starting:
            return max(starting, key=lambda replica: replica.id)
        return max(ready, key=lambda replica: (replica.ready_s, replica.id))

    def _remove(self, replica: Replica) -> None:
        if replica.life is not None:
            replica.life.cancel()
        was, replica.phase, replica.crash_loop = replica.phase, Phase.DRAINING, None
        if was is Phase.READY:
            self._note(replica, "draining")
            self._traffic.take_out(replica.id)
        elif replica.empty.is_set():
            self._end(replica)

    async def _start_and_serve(self, replica: Replica) -> None:
        replica.server = await self._started(replica, replica.server)
        assert replica.cold_start_s is not None
        replica.real_start_s = self._now() - replica.created_s
        self.slow_starts += replica.real_start_s > replica.cold_start_s
        await asyncio.sleep(replica.created_s + replica.cold_start_s - self._now())
        self._enter_service(replica)
        await self._serve(replica)

    def _enter_service(self, *replicas: Replica) -> None:
        for replica in replicas:
            replica.phase, replica.ready_s = Phase.READY, self._now()
            replica.empty.clear()
            self._note(replica, "ready", drawn_cold_start_s=replica.cold_start_s, real_start_s=replica.real_start_s)
            self._traffic.put_in_service(replica.id)
        self._on_change()

    async def _serve(self, replica: Replica) -> None:
        """In service until the scoring server ends by itself or a reload replaces it; then in service again."""
        while True:
            await first_of(replica.server.ended, replica.disturbed)
            replica.disturbed.clear()
            if not replica.server.ended.is_set() and replica.replacement is None:
                continue
            replica.phase, replica.crashed = Phase.STARTING, replica.replacement is None
            self._note(replica, "crashed" if replica.crashed else "reloading")
            self._traffic.take_out(replica.id)
            self._on_change()
            await replica.empty.wait()
            await replica.server.stop()
            replacement, replica.replacement = replica.replacement, None
            replica.server = replacement or await self._started(replica, self._make_server(replica.id))
            self._enter_service(replica)

    async def _roll_out(self, replicas: list[Replica]) -> None:
        for replica in replicas:
            replica.disturbed.set()
        for replica in replicas:
            in_crash_loop = replica.phase is Phase.STARTING and replica.crash_loop is not None
            if in_crash_loop or not replica.exists:
                continue  # the one was disturbed above and reads the new file
            server = await self._started(replica, self._make_server(replica.id))
            if replica.replacement is not None:
                await replica.replacement.stop()
            replica.replacement = server
            if not replica.exists:
                await server.stop()
            replica.disturbed.set()

    async def _started(self, replica: Replica, server: ScoringServer) -> ScoringServer:
        """A healthy server: this one, or after failed starts a later one."""
        failures = 0
        try:
            while True:
                try:
                    await server.start()
                    return server
                except ScoringServerFailed as failure:
                    await server.stop()
                    delay_s = min(FIRST_RESTART_DELAY_S * 2**failures, LONGEST_RESTART_DELAY_S)
                    failures += 1
                    self._note_failed_start(replica, failure, failures, delay_s)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(replica.disturbed.wait(), delay_s)
                replica.disturbed.clear()
                server = self._make_server(replica.id)
        except asyncio.CancelledError:
            await server.stop()
            raise
        finally:
            replica.crash_loop = None

    def _end(self, replica: Replica) -> None:
        replica.phase = Phase.GONE
        self._note(replica, "gone")
        self._on_change()
        self._run(self._clean_up(replica))

    async def _clean_up(self, replica: Replica) -> None:
        await self._stop_servers(replica)
        del self.replicas[replica.id]

    async def _stop_servers(self, replica: Replica) -> None:
        await replica.server.stop()
        if replica.replacement is not None:
            await replica.replacement.stop()

    def _note_failed_start(self, replica: Replica, failure: ScoringServerFailed, failures: int, delay_s: float) -> None:
        replica.crash_loop = CrashLoop(
            replica=replica.id,
            failures=failures,
            error=str(failure),
            log_tail=failure.log_tail,
            next_start_monotonic_s=self._now() + delay_s,
        )
        self._note(replica, "start_failed", error=str(failure), failures=failures)

    def _note(self, replica: Replica, phase: str, **fields: object) -> None:
        server = {"port": replica.server.port, "pid": replica.server.pid}
        self._log.add("replica", replica=replica.id, phase=phase, **server, **fields)

    def _run(self, life: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(life)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)
