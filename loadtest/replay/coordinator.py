"""The master's side of a replay: measures clocks, arms the workers, starts them together, follows them to the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event

from loadtest.replay.clocks import LARGEST_UNCERTAINTY_S, PING_ROUNDS, Offset, offset_from
from loadtest.replay.messages import PAYLOADS_FILE, SCHEDULE_FILE, ToMaster, ToWorker, chunks
from loadtest.replay.orders import Orders
from loadtest.replay.segment import EndReason
from planner.errors import NoVerdictError

ARM_WITHIN_S = 90.0
PING_WITHIN_S = 10.0
BEAT_PERIOD_S = 0.5
SYNC_PERIOD_S = 15.0
LOST_AFTER_S = 6.0
"""A worker that has said nothing for so long is lost; it says something four times a second."""

LAST_WORDS_WITHIN_S = 0.5
"""What a process has said before it ended may come after the news of its end."""

STOP_WITHIN_S = 5.0

_ENDS_ALONE = {EndReason.COMPLETE.name.lower(), EndReason.MAX_REQUESTS.name.lower()}


@dataclass
class _Worker:
    """What the coordinator knows of one worker."""

    id: str
    number: int
    offset: Offset | None = None
    drift_ns: int = 0
    pings: list[tuple[int, int, int]] = field(default_factory=list)
    armed: dict[str, Any] | None = None
    refused: str | None = None
    ended: dict[str, Any] | None = None
    unwritten: str | None = None
    heard_s: float = 0.0
    gone_s: float = float("inf")

    @property
    def is_lost(self) -> bool:
        now_s = time.monotonic()
        return self.ended is None and (now_s > self.heard_s + LOST_AFTER_S or now_s > self.gone_s + LAST_WORDS_WITHIN_S)

    def about(self) -> dict[str, Any]:
        """What the run folder keeps of it."""
        offset = self.offset
        return {
            "worker": self.number,
            **(self.armed or {}),
            "clock_offset_s": None if offset is None else offset.offset_ns / 1e9,
            "clock_uncertainty_s": None if offset is None else offset.uncertainty_ns / 1e9,
            "clock_drift_s": self.drift_ns / 1e9,
            **(self.ended or {"ended": None}),
            **({"ended": "log_unwritable", "problem": self.unwritten} if self.unwritten else {}),
        }


class Coordinator:
    """Talks to the agents through a Locust runner (a master's, or a local one that is both)."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._workers: dict[str, _Worker] = {}
        self._orders: Orders | None = None
        self._waiting: dict[tuple[str, int], tuple[int, Event]] = {}
        self._number = 0
        self._stopping = False
        self._changed = Event()
        for name, listener in {
            ToMaster.PONG: self._on_pong,
            ToMaster.NEED: self._on_need,
            ToMaster.ARMED: self._on_armed,
            ToMaster.REFUSED: self._on_refused,
            ToMaster.RECORDS: self._on_records,
            ToMaster.ENDED: self._on_ended,
        }.items():
            runner.register_message(str(name), listener)

    def perform(
        self,
        orders: Orders,
        start_at: Callable[[list[dict[str, Any]]], int | None],
        on_ended: Callable[[dict[str, Any]], object],
    ) -> None:
        """One replay on all workers that are connected; returns when each has ended or is lost.

        start_at: gets what is known of the armed workers and says T0 on this machine's monotonic clock, None to stop.
        on_ended: told of each worker as it ends or is found lost. Raises NoVerdictError where it cannot start.
        """
        self._stopping = False
        self._orders = orders
        self._workers = {id: _Worker(id, number) for number, id in enumerate(self._connected())}
        if not self._workers:
            raise NoVerdictError("no replay worker is connected")
        self._sync(self._workers.values())
        if silent := sum(worker.offset is None for worker in self._workers.values()):
            raise NoVerdictError(
                f"{silent} of {len(self._workers)} connected workers do not answer as a Surgeproof worker does"
            )
        self._arm(orders)
        start_ns = start_at([worker.about() for worker in self._workers.values()])
        if start_ns is None:
            self._stopping = True
        for worker in self._workers.values():
            worker.heard_s = time.monotonic()
            offset_ns = worker.offset.offset_ns if worker.offset else 0
            if self._stopping:
                self._send(ToWorker.STOP, worker)
            self._send(ToWorker.START, worker, start_ns=(start_ns or time.monotonic_ns()) + offset_ns)
        self._follow(on_ended)

    def stop(self) -> None:
        """End the run now; `perform` returns when the workers have."""
        self._stopping = True
        for worker in self._workers.values():
            self._send(ToWorker.STOP, worker)
        self._changed.set()

    def gone(self, pid: int) -> None:
        """A process of this machine has ended: its worker is lost, unless its last words are yet to come."""
        for worker in self._workers.values():
            if worker.armed is not None and worker.armed["pid"] == pid and worker.armed["shares_the_run_folder"]:
                worker.gone_s = time.monotonic()

    def release(self) -> None:
        """What was measured is safe: workers elsewhere may remove their own records."""
        for worker in self._workers.values():
            if worker.ended is not None and worker.unwritten is None:
                self._send(ToWorker.DONE, worker)

    def _connected(self) -> list[str]:
        clients = getattr(self._runner, "clients", None)
        if clients is None:
            return ["local"]
        return [client.id for client in clients.ready + clients.spawning + clients.running]

    def _send(self, name: ToWorker, worker: _Worker, /, **data: Any) -> None:
        self._runner.send_message(str(name), data, worker.id)

    def _sync(self, workers: Any) -> None:
        """Measure the workers' clocks; what has changed since the first time is drift."""
        for worker in workers:
            worker.pings.clear()
            for _ in range(PING_ROUNDS):
                self._ping(worker)
            if not worker.pings:
                continue
            offset = offset_from(worker.pings)
            if worker.offset is None:
                worker.offset = offset
            else:
                worker.drift_ns = offset.offset_ns - worker.offset.offset_ns

    def _ping(self, worker: _Worker) -> None:
        self._number += 1
        answered = Event()
        self._waiting[worker.id, self._number] = (time.monotonic_ns(), answered)
        self._send(ToWorker.PING, worker, number=self._number)
        answered.wait(PING_WITHIN_S / PING_ROUNDS)

    def _arm(self, orders: Orders) -> None:
        for worker in self._workers.values():
            self._send(
                ToWorker.ARM,
                worker,
                worker=worker.number,
                workers=len(self._workers),
                orders=orders.to_document(),
            )
        give_up_s = time.monotonic() + ARM_WITHIN_S
        while any(worker.armed is None for worker in self._workers.values()):
            refused = next((worker for worker in self._workers.values() if worker.refused), None)
            if refused is not None:
                self.stop()
                raise NoVerdictError(f"replay worker {refused.number} could not start: {refused.refused}")
            if time.monotonic() > give_up_s:
                silent = [worker.number for worker in self._workers.values() if worker.armed is None]
                raise NoVerdictError(f"replay worker {silent[0]} was not ready within {ARM_WITHIN_S:g} s")
            self._changed.wait(0.2)
            self._changed.clear()
        for worker in self._workers.values():
            uncertainty_s = worker.offset.uncertainty_ns / 1e9 if worker.offset else float("inf")
            if uncertainty_s > LARGEST_UNCERTAINTY_S:
                raise NoVerdictError(
                    f"the clock of replay worker {worker.number} is known only to {uncertainty_s * 1e3:.1f} ms, "
                    f"at most {LARGEST_UNCERTAINTY_S * 1e3:g} ms are needed to start together: use a faster network"
                )

    def _follow(self, on_ended: Callable[[dict[str, Any]], object]) -> None:
        told: set[int] = set()
        beat_s, sync_s, stop_s = 0.0, time.monotonic() + SYNC_PERIOD_S, None
        while len(told) < len(self._workers):
            self._changed.wait(BEAT_PERIOD_S / 2)
            self._changed.clear()
            now_s = time.monotonic()
            if self._stopping and stop_s is None:
                stop_s = now_s + STOP_WITHIN_S
            for worker in self._workers.values():
                given_up = worker.is_lost or (stop_s is not None and now_s > stop_s)
                if worker.number not in told and (worker.ended is not None or given_up):
                    told.add(worker.number)
                    on_ended(worker.about())
            if now_s >= beat_s:
                beat_s = now_s + BEAT_PERIOD_S
                for worker in self._workers.values():
                    self._send(ToWorker.BEAT, worker)
            if now_s >= sync_s and len(self._workers) > 1:
                sync_s = now_s + SYNC_PERIOD_S
                gevent.spawn(self._sync, [worker for worker in self._workers.values() if worker.ended is None])

    def _on_pong(self, msg: Any, **_: Any) -> None:
        received_ns = time.monotonic_ns()
        worker = self._workers.get(msg.node_id)
        sent_ns, answered = self._waiting.pop((msg.node_id, msg.data["number"]), (0, Event()))
        if worker is not None and sent_ns:
            worker.pings.append((sent_ns, msg.data["monotonic_ns"], received_ns))
        answered.set()

    def _on_need(self, msg: Any, **_: Any) -> None:
        worker = self._workers.get(msg.node_id)
        if worker is not None and self._orders is not None and msg.data["name"] in (SCHEDULE_FILE, PAYLOADS_FILE):
            for part in chunks(self._orders.folder / msg.data["name"]):
                self._send(ToWorker.FILE, worker, **part)

    def _on_armed(self, msg: Any, **_: Any) -> None:
        if worker := self._workers.get(msg.node_id):
            worker.armed = msg.data
            self._changed.set()

    def _on_refused(self, msg: Any, **_: Any) -> None:
        if worker := self._workers.get(msg.node_id):
            worker.refused = str(msg.data["problem"])
            self._changed.set()

    def _on_records(self, msg: Any, **_: Any) -> None:
        worker = self._workers.get(msg.node_id)
        if worker is None or self._orders is None:
            return
        worker.heard_s = time.monotonic()
        if not msg.data["data"] or worker.unwritten is not None:
            return
        try:
            with (self._orders.folder / f"worker-{worker.number}.segment").open("ab") as segment:
                segment.write(msg.data["data"])
        except OSError as error:  # the worker keeps its own records then
            worker.unwritten = error.strerror or str(error)
            self.stop()

    def _on_ended(self, msg: Any, **_: Any) -> None:
        if worker := self._workers.get(msg.node_id):
            worker.ended = msg.data
            # One that ends before its time ends the run: the others would test half of the plan.
            if msg.data["ended"] not in _ENDS_ALONE and not self._stopping:
                self.stop()
            self._changed.set()
