"""The slow, obvious simulator of one autoscaled queue: the oracle the fast one is compared with, request for request.

Written from `docs/model.md` alone, one sentence at a time; speed does not matter here. Of the planner it knows only the
plain data types. Comments that start with OPEN mark a reading of a point the specification leaves open.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from planner.model import (
    NO_REPLICA,
    Api,
    Autoscaler,
    Cause,
    Deployment,
    DispatchRule,
    Outcome,
    ScaleStep,
    ScoringTimeoutFrom,
    WhenNoReplica,
)

from .decision import decide, overlap_s, time_average, unclamped_count
from .records import EventClass, Phase, ReferenceResult, Replica, ReplicaRow, Request, TickRow


def simulate(
    deployment: Deployment,
    *,
    arrivals_s: Sequence[float],
    service_times_s: Sequence[float],
    cold_starts_s: Sequence[float],
    duration_s: float,
    warm_up_s: float = 0.0,
) -> ReferenceResult:
    """Simulate until `duration_s` has passed and the last request is resolved."""
    if len(arrivals_s) != len(service_times_s):
        raise ValueError(f"{len(arrivals_s)} arrivals, but {len(service_times_s)} service times")
    if list(arrivals_s) != sorted(arrivals_s):
        raise ValueError("arrivals_s must be sorted")
    simulation = _Simulation(deployment, arrivals_s, service_times_s, cold_starts_s, duration_s)
    simulation.run()
    return _result(simulation, duration_s, warm_up_s)


class _Simulation:
    def __init__(
        self,
        deployment: Deployment,
        arrivals_s: Sequence[float],
        service_times_s: Sequence[float],
        cold_starts_s: Sequence[float],
        duration_s: float,
    ) -> None:
        self.deployment = deployment
        self.cold_starts_s = cold_starts_s
        self.duration_s = duration_s
        self.now_s = 0.0
        self.events: list[tuple[float, EventClass, int]] = []
        self.requests = [
            Request(i, arrival_s, service_times_s[i], deadline_s=arrival_s + deployment.max_request_wait_s)
            for i, arrival_s in enumerate(arrivals_s)
        ]
        self.queue: list[Request] = []
        self.unresolved = len(self.requests)
        self.replicas: list[Replica] = []
        self.last_dispatched_to = NO_REPLICA
        for _ in range(deployment.initial_count):
            self.new_replica(Phase.READY).ready_from_s = 0.0
        self.created_after_start = 0
        self.desired_by_tick = [deployment.initial_count]
        self.timer: int | None = None
        self.levels = [(0.0, 0)]
        self.ticks: list[TickRow] = []
        self.replica_rows: list[ReplicaRow] = []
        for request in self.requests:
            self.schedule(request.arrival_s, EventClass.ARRIVAL, request.index)
        self.schedule(1 * deployment.refresh_period_s, EventClass.TICK, 1)

    def schedule(self, time_s: float, event_class: EventClass, index: int) -> None:
        heapq.heappush(self.events, (time_s, event_class, index))

    def run(self) -> None:
        while True:  # there is always a next tick
            time_s, event_class, index = heapq.heappop(self.events)
            # OPEN: the end that is specified for ticks is the end of every event. A replica whose readiness would come
            # after the last answer, at or after `duration`, is never ready: no row is written for it.
            if time_s >= self.duration_s and self.unresolved == 0:
                break
            if time_s > self.now_s:
                self.close_instant()
            self.now_s = time_s
            self.handle(event_class, index)
            self.levels.append((time_s, self.load()))
        self.close_instant()

    def handle(self, event_class: EventClass, index: int) -> None:
        match event_class:
            case EventClass.FINISH:
                self.on_finish(self.requests[index])
            case EventClass.READY:
                self.on_ready(self.replicas[index])
            case EventClass.TICK:
                self.on_tick(index)
            case EventClass.EXPIRY:
                self.on_expiry(self.requests[index])
            case EventClass.ARRIVAL:
                self.on_arrival(self.requests[index])

    def close_instant(self) -> None:
        """Write a row if the instant that is over changed desired, ready or starting, and one at 0 in any case."""
        ready = self.in_phase(Phase.READY)
        row = ReplicaRow(
            self.now_s,
            self.desired_by_tick[-1],
            len(ready),
            len(self.in_phase(Phase.STARTING)),
            sum(len(replica.holds) for replica in ready),
            len(self.queue),
        )
        if not self.replica_rows or row[1:4] != self.replica_rows[-1][1:4]:
            self.replica_rows.append(row)

    def in_phase(self, *phases: Phase) -> list[Replica]:
        return [replica for replica in self.replicas if replica.phase in phases]

    # --- requests

    def on_arrival(self, request: Request) -> None:
        rejects = self.deployment.when_no_replica_is_ready is WhenNoReplica.REJECT
        if rejects and not self.in_phase(Phase.READY):
            self.answer_503(request)
            return
        self.queue.append(request)
        self.schedule(request.deadline_s, EventClass.EXPIRY, request.index)
        self.dispatch_heads()

    def on_expiry(self, request: Request) -> None:
        if request in self.queue:
            self.queue.remove(request)
            self.answer_503(request)

    def answer_503(self, request: Request) -> None:
        request.cause = self.cause_now()
        self.resolve(request, Outcome.STATUS_503)

    def cause_now(self) -> Cause:
        ready = len(self.in_phase(Phase.READY))
        if ready == 0:
            return Cause.NO_READY_REPLICA
        if ready < self.desired_by_tick[-1]:
            return Cause.SCALE_UP_LAG
        if ready >= self.deployment.max_replicas:
            return Cause.AT_MAX_REPLICAS
        return Cause.HEADROOM_TOO_SMALL

    def resolve(self, request: Request, outcome: Outcome) -> None:
        request.outcome = outcome
        request.finish_s = self.now_s
        self.unresolved -= 1

    def dispatch_heads(self) -> None:
        """Dispatch from the head of the queue as long as a ready replica has a free slot."""
        while self.queue and (replica := self.next_replica()) is not None:
            self.dispatch(self.queue.pop(0), replica)

    def next_replica(self) -> Replica | None:
        """The ready replica to which the head of the queue goes; None if none has a free slot."""
        slots = self.deployment.max_concurrent_requests
        free = [replica for replica in self.in_phase(Phase.READY) if len(replica.holds) < slots]
        match self.deployment.dispatch:
            case DispatchRule.FEWEST_REQUESTS:
                return min(free, key=lambda r: (len(r.holds), r.id), default=None)
            case DispatchRule.LOWEST_ID:
                return min(free, key=lambda r: r.id, default=None)
            case DispatchRule.ROUND_ROBIN:
                after_the_last = [replica for replica in free if replica.id > self.last_dispatched_to]
                return min(after_the_last or free, key=lambda r: r.id, default=None)

    def dispatch(self, request: Request, replica: Replica) -> None:
        replica.holds.append(request)
        replica.works.append(request)
        request.replica = replica
        self.last_dispatched_to = replica.id
        request.dispatch_s = self.now_s
        self.plan_work(request, replica)
        for time_s in {request.answer_s, request.slot_free_s, request.work_end_s}:
            self.schedule(time_s, EventClass.FINISH, request.index)

    def plan_work(self, request: Request, replica: Replica) -> None:
        """Decide when a request just dispatched starts, is answered, leaves its slot, and when its work ends."""
        deployment = self.deployment
        worker_free_s = min(replica.worker_free_s)
        start_s = max(request.dispatch_s, worker_free_s)
        finish_s = start_s + (deployment.router_overhead_s + request.service_time_s)
        from_arrival = deployment.scoring_timeout_from is ScoringTimeoutFrom.ARRIVAL
        timeout_s = (request.arrival_s if from_arrival else request.dispatch_s) + deployment.scoring_timeout_s
        is_504 = finish_s > timeout_s
        is_dropped = is_504 and not deployment.worker_busy_after_504
        request.answer = Outcome.STATUS_504 if is_504 else Outcome.OK
        request.answer_s = timeout_s if is_504 else finish_s
        request.work_end_s = timeout_s if is_dropped else finish_s
        request.slot_free_s = timeout_s if is_504 and not deployment.slot_busy_after_504 else request.work_end_s
        # OPEN: the start of work that goes on after a 504 is reported even where it comes after the 504.
        if not (is_dropped and start_s >= timeout_s):
            request.start_work_s = start_s
            replica.worker_free_s[replica.worker_free_s.index(worker_free_s)] = request.work_end_s

    def on_finish(self, request: Request) -> None:
        """Whatever happens to a dispatched request now: its answer, the end of its slot, the end of its work."""
        replica = request.replica
        assert replica is not None
        # OPEN: a 504 whose slot stays busy changes no replica, but its answer takes its turn as a finish: the tick
        # at the same instant no longer sees the request as unresolved.
        if request.answer_s == self.now_s:
            self.resolve(request, request.answer)
        if request.work_end_s == self.now_s:
            replica.works.remove(request)
        if request.slot_free_s == self.now_s:
            replica.holds.remove(request)
        if replica.phase is Phase.DRAINING and not replica.works:
            self.end_replica(replica)
        self.dispatch_heads()

    # --- replicas

    def new_replica(self, phase: Phase) -> Replica:
        idle_workers = [self.now_s] * self.deployment.worker_count
        replica = Replica(len(self.replicas), self.now_s, phase, idle_workers)
        self.replicas.append(replica)
        return replica

    def create_replica(self) -> None:
        if self.created_after_start == len(self.cold_starts_s):
            raise ValueError(f"cold_starts_s has {len(self.cold_starts_s)} draws, one more is needed at {self.now_s} s")
        replica = self.new_replica(Phase.STARTING)
        ready_s = self.now_s + self.cold_starts_s[self.created_after_start]
        self.created_after_start += 1
        self.schedule(ready_s, EventClass.READY, replica.id)

    def on_ready(self, replica: Replica) -> None:
        if replica.phase is Phase.STARTING:
            replica.phase = Phase.READY
            replica.ready_from_s = self.now_s
            self.dispatch_heads()

    def next_victim(self) -> Replica:
        starting = self.in_phase(Phase.STARTING)
        if starting:
            return max(starting, key=lambda r: r.id)  # ids are in order of creation
        return max(self.in_phase(Phase.READY), key=lambda r: (r.ready_from_s, r.id))

    def remove_one(self) -> None:
        victim = self.next_victim()
        victim.ready_until_s = self.now_s
        # OPEN: busy means that work has not ended; a worker that goes on after a 504 whose slot is free keeps it so.
        if victim.works:
            victim.phase = Phase.DRAINING
        else:
            self.end_replica(victim)

    def end_replica(self, replica: Replica) -> None:
        replica.phase = Phase.REMOVED
        replica.removed_s = self.now_s

    # --- ticks

    def load(self) -> int:
        """The number that the signal is made of, at this moment."""
        held = sum(len(replica.holds) for replica in self.in_phase(Phase.STARTING, Phase.READY))
        return held + len(self.queue) if self.deployment.api is Api.V2 else held

    def signal(self) -> float:
        window_s = self.deployment.utilization_window_s
        if window_s == 0:
            return self.load()
        return time_average(self.levels, max(0.0, self.now_s - window_s), self.now_s)

    def on_tick(self, tick: int) -> None:
        deployment = self.deployment
        ready = len(self.in_phase(Phase.READY))
        current = ready + len(self.in_phase(Phase.STARTING))
        signal = self.signal()
        unclamped = unclamped_count(
            signal,
            current=current,
            ready=ready,
            concurrency=deployment.max_concurrent_requests,
            target_percent=deployment.target_utilization_percent,
            over=deployment.utilization_over,
        )
        if deployment.autoscaler is Autoscaler.FIXED:
            unclamped = deployment.max_replicas  # OPEN: there is no unclamped number under `fixed`; the count stands in
        desired = min(max(unclamped, deployment.min_replicas), deployment.max_replicas)
        self.desired_by_tick.append(desired)
        new, self.timer = decide(
            tick=tick,
            desired_by_tick=self.desired_by_tick,
            current=current,
            timer=self.timer,
            period_s=deployment.refresh_period_s,
            delay_s=_scale_down_delay_s(deployment),
            rule=deployment.scale_down_rule,
            step=ScaleStep.JUMP if deployment.autoscaler is Autoscaler.FIXED else deployment.scale_step,
        )
        for _ in range(new - current):
            self.create_replica()
        for _ in range(current - new):
            self.remove_one()
        self.ticks.append(TickRow(self.now_s, signal, unclamped, desired, new))
        self.schedule((tick + 1) * deployment.refresh_period_s, EventClass.TICK, tick + 1)


def _scale_down_delay_s(deployment: Deployment) -> float | None:
    """None is the default of v2, which is a number of ticks.

    OPEN: a delay that is given is compared as a product under both APIs, even one of 20 periods under v2.
    """
    if deployment.scale_down_delay_s is None and deployment.api is Api.V1:
        return 60.0
    return deployment.scale_down_delay_s


# --- what is measured


def _result(simulation: _Simulation, duration_s: float, warm_up_s: float) -> ReferenceResult:
    requests, replicas = simulation.requests, simulation.replicas
    counted = [r for r in requests if warm_up_s <= r.arrival_s < duration_s]
    answered_503 = sum(r.outcome is Outcome.STATUS_503 for r in counted)
    return ReferenceResult(
        dispatch_s=[r.dispatch_s for r in requests],
        start_work_s=[r.start_work_s for r in requests],
        finish_s=[r.finish_s for r in requests],
        outcome=[r.outcome for r in requests],
        cause=[r.cause for r in requests],
        replica=[NO_REPLICA if r.replica is None else r.replica.id for r in requests],
        replica_rows=simulation.replica_rows,
        ticks=simulation.ticks,
        paid_s=sum(overlap_s(r.created_s, r.removed_s, 0.0, duration_s) for r in replicas),
        ready_s=sum(overlap_s(r.ready_from_s, r.ready_until_s, warm_up_s, duration_s) for r in replicas),
        fraction_503=answered_503 / len(counted) if counted else math.nan,
    )
