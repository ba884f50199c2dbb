"""Replicas that are the pods of a real Deployment: the lab asks for a number of them, Kubernetes does the rest.

Everything happens on the event loop; the watchers' threads and the calls that scale only hand over to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import CrashLoop, Phase, Replica, Traffic
from loadtest.lab.pod_scaler import Scaler
from loadtest.lab.pod_server import PodServer
from loadtest.lab.pod_trouble import StartTrouble
from loadtest.observe.api import KubernetesApi
from loadtest.observe.observer import Connection
from loadtest.observe.resources import Resource
from loadtest.observe.state import Counts, Replicas
from loadtest.observe.state import Phase as PodPhase
from loadtest.observe.watching import Change, Gap, MissingRight, Watcher
from planner.errors import InputError

LOOK_PERIOD_S = 0.2
LISTED_WITHIN_S = 20.0


@dataclass(eq=False)
class _Seen:
    """A pod of the namespace as last seen; created_s: when it was first seen, listed: because it was there before.

    replica: what it is to the front end, if a ReplicaSet of the Deployment controls it.
    """

    thing: Mapping[str, Any]
    created_s: float
    listed: bool
    replica: Replica | None = None
    in_service: bool = False


class PodFleet:
    """As `Fleet` to the lab. on_error ends the lab, as when the right to scale was taken away."""

    slow_starts = 0
    crash_loops: list[CrashLoop] = []  # noqa: RUF012 (always empty: `surgeproof diagnose` tells why pods crash)

    def __init__(
        self,
        connection: Connection,
        traffic: Traffic,
        log: EventLog,
        on_change: Callable[[], None],
        on_error: Callable[[BaseException], None],
        on_progress: Callable[[str], None],
        start_limit_s: float,
    ) -> None:
        self._api: KubernetesApi = connection.api
        self._deployment = connection.deployment
        self._name = str(self._deployment["metadata"]["name"])
        self._traffic, self._log, self._on_change, self._on_progress = traffic, log, on_change, on_progress
        self._start_limit_s = start_limit_s
        self._loop = asyncio.get_running_loop()
        found = int((self._deployment.get("spec") or {}).get("replicas", 1))
        self._scaler = Scaler(self._api, self._name, found, log, on_error, on_progress)
        self._state = Replicas(str(self._deployment["metadata"]["uid"]))
        self._pods: dict[str, _Seen] = {}
        self._next_id = 0
        self._missing: list[str] = []
        self._watchers = [self._watcher(r) for r in (Resource.DEPLOYMENTS, Resource.REPLICASETS, Resource.PODS)]
        self.replicas: dict[int, Replica] = {}

    @property
    def current(self) -> int:
        """What was asked for last: Kubernetes is on its way there."""
        return self._scaler.wanted

    @property
    def seen(self) -> Counts:
        return self._state.counts()

    @property
    def lost(self) -> int:
        """A pod may be seen to go before the smaller count that explains it."""
        return max(0, min(self.seen.lost, self.current - self.seen.ready))

    @property
    def pending(self) -> int:
        return self.seen.pending

    def count(self, *phases: Phase) -> int:
        seen = self.seen
        counts = {Phase.STARTING: seen.starting, Phase.READY: seen.ready, Phase.DRAINING: seen.terminating}
        return sum(counts.get(phase, 0) for phase in phases)

    async def start_initial(self, count: int, on_healthy: Callable[[], None]) -> None:
        """Returns when exactly `count` pods are there, ready and answering. Raises InputError with the reason."""
        for watcher in self._watchers:
            watcher.start()
        await asyncio.to_thread(self._wait_listed)
        self._scaler.start()
        self.scale_to(count)
        told, give_up_s = 0, self._loop.time() + self._start_limit_s
        trouble = StartTrouble(self._api, self._deployment, self._on_progress)
        while not self._is_exactly(count):
            await asyncio.sleep(LOOK_PERIOD_S)
            while told < min(self.seen.ready, count):
                told += 1
                on_healthy()
            if await trouble.look(self._waiting_for()):
                raise InputError(f"{self._name}: {trouble.reason}")
            if self._loop.time() > give_up_s:
                why = trouble.reason or f"surgeproof diagnose --deployment {self._name} may say why"
                ready = f"{min(self.seen.ready, count)} of {count} pods ready after {self._start_limit_s:g} s"
                raise InputError(f"{self._name}: {ready}: {why}")
        await self._check_reachable()

    def scale_to(self, count: int) -> None:
        if count != self.current or self._state.desired != count:
            self._scaler.ask_for(count)
        self._on_change()

    def drained(self, replica_id: int) -> None:
        """Of a pod that is gone nothing is kept once its last request has ended."""
        replica = self.replicas.get(replica_id)  # one that was in service twice may be told twice
        if replica is not None and replica.phase is not Phase.READY:
            replica.empty.set()
            self._forget_if_over(replica)

    def reload(self) -> None:
        raise InputError("the lab's replicas are pods: roll out a new version of the Deployment in place of a reload")

    async def stop(self) -> None:
        """Let go of everything; the Deployment gets the count back that it was found with."""
        await self._scaler.stop()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        for watcher in self._watchers:
            watcher.stop()
        self._api.close()

    # What the watchers tell.

    def _watcher(self, resource: Resource) -> Watcher:
        return Watcher(
            self._api,
            resource,
            self._api.namespace,
            lambda change: self._hand_over(self._changed, change),
            lambda gap: self._hand_over(self._note_gap, gap),
            self._on_missing,
            lambda sentence: self._hand_over(self._note_problem, sentence),
        )

    def _on_missing(self, right: MissingRight) -> None:
        self._missing.append(right.sentence)
        self._hand_over(self._note_missing, right.sentence)

    def _hand_over(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)

    def _note_gap(self, gap: Gap) -> None:
        self._log.add("gap", resource=gap.resource.label, from_s=gap.from_s, to_s=gap.to_s, why=gap.why)

    def _note_missing(self, sentence: str) -> None:
        self._log.add("missing_right", sentence=sentence)

    def _note_problem(self, sentence: str) -> None:
        self._log.add("problem", sentence=sentence)
        self._on_progress(f"{self._name}: {sentence}")

    def _wait_listed(self) -> None:
        for watcher in self._watchers:
            if not watcher.wait_listed(LISTED_WITHIN_S):
                raise InputError(f"{self._api.server}: {watcher.resource.label} could not be listed")
        if self._missing:
            raise InputError(
                f"{self._missing[0].partition(':')[0]}: "
                "surgeproof observe --print-rbac --with-scaling prints the rights that are needed"
            )

    def _changed(self, change: Change) -> None:
        thing, gone = change.object, change.type == "DELETED"
        if change.resource is Resource.DEPLOYMENTS:
            if thing["metadata"]["uid"] == self._state.deployment_uid:
                self._state.deployment_changed(None if gone else thing)
        elif change.resource is Resource.REPLICASETS:
            self._state.set_changed(thing)
        else:
            self._state.pod_changed(thing, change.seen_s, deleted=gone)
            pod = self._pods.setdefault(thing["metadata"]["uid"], _Seen(thing, change.seen_s, change.listed))
            pod.thing = thing
        self._bring_in_line()
        self._on_change()

    def _bring_in_line(self) -> None:
        """The front end's view with the cluster's: ready pods are in service, all others are not.

        A pod may be seen before the ReplicaSet that makes it one of ours.
        """
        for uid, pod in list(self._pods.items()):
            known = self._state.pods.get(uid)
            phase = None if known is None else known.phase
            if pod.replica is None and phase is not None and known is not None and self._state.is_mine(known):
                pod.replica = self._new_replica(pod)
            if pod.replica is not None:
                is_ready = phase is PodPhase.READY
                if is_ready and not pod.in_service:
                    self._put_in_service(pod, pod.replica)
                elif not is_ready and pod.in_service:
                    self._take_out(pod, pod.replica)
                if phase is None and pod.replica.phase is not Phase.GONE:  # also one that was evicted and still listed
                    pod.replica.phase = Phase.GONE
                    pod.replica.server.ended.set()
                    self._forget_if_over(pod.replica)
            if known is None:
                del self._pods[uid]

    def _new_replica(self, pod: _Seen) -> Replica:
        server = PodServer(self._api.namespace, pod.thing)
        replica = Replica(id=self._next_id, created_s=pod.created_s, cold_start_s=None, server=server, pod=server.name)
        self._next_id += 1
        self.replicas[replica.id] = replica
        self._note(replica, "created", drawn_cold_start_s=None)
        return replica

    def _put_in_service(self, pod: _Seen, replica: Replica) -> None:
        pod.in_service, replica.server = True, PodServer(self._api.namespace, pod.thing)
        replica.phase, replica.ready_s = Phase.READY, self._loop.time()
        if not pod.listed and replica.real_start_s is None:
            replica.real_start_s = replica.ready_s - replica.created_s
        replica.empty.clear()
        self._note(replica, "ready", drawn_cold_start_s=None, real_start_s=replica.real_start_s)
        self._traffic.put_in_service(replica.id)

    def _take_out(self, pod: _Seen, replica: Replica) -> None:
        pod.in_service, replica.phase = False, Phase.DRAINING
        self._note(replica, "draining")
        self._traffic.take_out(replica.id)

    def _forget_if_over(self, replica: Replica) -> None:
        if replica.phase is Phase.GONE and replica.empty.is_set():
            self.replicas.pop(replica.id, None)
            self._note(replica, "gone")

    def _note(self, replica: Replica, phase: str, **fields: object) -> None:
        self._log.add("replica", replica=replica.id, phase=phase, pod=replica.pod, port=replica.server.port, **fields)

    # Whether they come up.

    def _is_exactly(self, count: int) -> bool:
        wanted = Counts(desired=count, ready=count, starting=0, pending=0, terminating=0, lost=0)
        return replace(self.seen, lost=0) == wanted

    def _waiting_for(self) -> set[str]:
        return {pod.replica.pod or "" for pod in self._pods.values() if pod.replica is not None and not pod.in_service}

    async def _check_reachable(self) -> None:
        """One that answers is enough: then the others are no matter of the route."""
        ready = [pod.replica.server for pod in self._pods.values() if pod.replica is not None and pod.in_service]
        servers = [server for server in ready if isinstance(server, PodServer)]
        troubles = await asyncio.gather(*(server.why_unhealthy() for server in servers))
        if troubles and all(troubles):
            raise InputError(
                f"{self._name}: {servers[0].name} is ready, but {servers[0].host}:{servers[0].port} does not answer "
                f"from here ({troubles[0]}): run the lab inside the cluster, or route to its pods"
            )
