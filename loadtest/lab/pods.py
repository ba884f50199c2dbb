"""Replicas that are the pods of a real Deployment: the lab asks for a number of them, Kubernetes does the rest.

Everything happens on the event loop; the watchers' threads and the calls that scale only hand over to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import CrashLoop, Phase, Replica, Traffic
from loadtest.lab.http_client import Answer, ConnectionBroken, encode_request, exchange
from loadtest.observe.api import ApiError, KubernetesApi, Refused
from loadtest.observe.diagnosis import Cause, diagnose, findings_document, take_snapshot
from loadtest.observe.observer import Connection
from loadtest.observe.resources import Resource
from loadtest.observe.scaling import scale
from loadtest.observe.state import Counts, Replicas
from loadtest.observe.state import Phase as PodPhase
from loadtest.observe.watching import Change, MissingRight, Watcher
from planner.errors import InputError, NoVerdictError

START_LIMIT_S = 300.0
LOOK_PERIOD_S = 0.2
DIAGNOSE_AFTER_S, DIAGNOSE_PERIOD_S = 10.0, 5.0
"""Why the initial replicas do not come up is asked from then on."""
RETRY_S = 0.5
REFUSALS_BEFORE_THE_END = 8
"""An API server that has just started refuses everything for a second or two, until it has read its roles."""
RESTORE_LIMIT_S = 5.0
DEFAULT_PORT = 5001
LISTED_WITHIN_S = 20.0


class PodServer:
    """The scoring server in a pod. `gone` ends what is still under way there: a dead pod's address answers nothing."""

    pid: int | None = None

    def __init__(self, namespace: str, pod: Mapping[str, Any]) -> None:
        self.ended = asyncio.Event()
        self.name = str(pod["metadata"]["name"])
        self.host = str((pod.get("status") or {}).get("podIP") or "")
        ports = ((pod.get("spec") or {}).get("containers") or [{}])[0].get("ports") or [{}]
        self.port: int | None = int(ports[0].get("containerPort") or DEFAULT_PORT)
        self._namespace = namespace

    async def start(self) -> None:
        """Kubernetes does that."""

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        return await self.ask(encode_request("POST", "/score", headers, body))

    async def ask(self, request: bytes) -> Answer:
        """Raises ConnectionBroken, also when the pod is gone."""
        assert self.port is not None
        asking = asyncio.ensure_future(exchange(self.port, request, self.host))
        ending = asyncio.ensure_future(self.ended.wait())
        try:
            await asyncio.wait({asking, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                raise ConnectionBroken("the pod is gone")
            return asking.result()
        finally:
            for task in (asking, ending):
                task.cancel()
            await asyncio.gather(asking, ending, return_exceptions=True)

    async def stop(self) -> None:
        self.ended.set()

    def log(self) -> str:
        return f"kubectl --namespace {self._namespace} logs {self.name}\n"


@dataclass(eq=False)
class _Pod:
    """A pod of ours as last seen, and the replica that it is to the front end."""

    thing: Mapping[str, Any]
    replica: Replica
    is_new: bool
    """It was seen to be created."""
    in_service: bool = False


@dataclass(frozen=True)
class _Seen:
    """A pod of the namespace as last seen, when it was first seen, and whether it was there already then."""

    thing: Mapping[str, Any]
    seen_s: float
    listed: bool


def _is_final(error: ApiError) -> bool:
    """Not one that passes: away, overloaded, just starting, a conflict."""
    return isinstance(error, Refused) and error.status < 500 and error.status not in (408, 409, 429)


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
    ) -> None:
        self._api: KubernetesApi = connection.api
        self._deployment = connection.deployment
        self._name = str(self._deployment["metadata"]["name"])
        self._traffic, self._log, self._on_change = traffic, log, on_change
        self._on_error, self._on_progress = on_error, on_progress
        self._loop = asyncio.get_running_loop()
        self._found = int((self._deployment.get("spec") or {}).get("replicas", 1))
        self._wanted = self._found
        self._has_scaled = False
        self._missing: list[str] = []
        self._wanted_changed = asyncio.Event()
        self._scaler: asyncio.Task[None] | None = None
        self._calling: asyncio.Future[None] | None = None
        self._state = Replicas(str(self._deployment["metadata"]["uid"]))
        self._pods: dict[str, _Pod] = {}
        self._seen: dict[str, _Seen] = {}
        self._next_id = 0
        self._watchers = [self._watcher(r) for r in (Resource.DEPLOYMENTS, Resource.REPLICASETS, Resource.PODS)]
        self.replicas: dict[int, Replica] = {}

    @property
    def current(self) -> int:
        """What was asked for last: Kubernetes is on its way there."""
        return self._wanted

    @property
    def seen(self) -> Counts:
        return self._state.counts()

    @property
    def lost(self) -> int:
        return self.seen.lost

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
        self._start_scaler()
        self.scale_to(count)
        began_s, told = self._loop.time(), 0
        next_diagnosis_s = began_s + DIAGNOSE_AFTER_S
        while not self._is_exactly(count):
            await asyncio.sleep(LOOK_PERIOD_S)
            while told < min(self.seen.ready, count):
                told += 1
                on_healthy()
            now_s = self._loop.time()
            if now_s >= next_diagnosis_s:
                next_diagnosis_s = now_s + DIAGNOSE_PERIOD_S
                await self._give_up_if_hopeless()
            if now_s - began_s > START_LIMIT_S:
                raise InputError(f"{self._name}: {self.seen.ready} of {count} pods ready after {START_LIMIT_S:g} s")
        await self._check_reachable()

    def scale_to(self, count: int) -> None:
        if count != self._wanted or self._state.desired != count:
            self._wanted = count
            self._wanted_changed.set()
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
        if self._scaler is not None:
            self._scaler.remove_done_callback(self._scaler_ended)
            self._scaler.cancel()
            await asyncio.gather(self._scaler, return_exceptions=True)
        if self._calling is not None:  # its thread goes on, and must not have the last word
            await asyncio.gather(self._calling, return_exceptions=True)
        await asyncio.to_thread(self._end)

    def _restore(self) -> None:
        give_up_s = time.monotonic() + RESTORE_LIMIT_S
        while True:
            try:
                return scale(self._api, self._name, self._found)
            except ApiError as error:
                if time.monotonic() > give_up_s:
                    self._on_progress(
                        f"{self._name}: could not be given its {self._found} replicas back ({error}): "
                        f"kubectl --namespace {self._api.namespace} scale deployment {self._name} "
                        f"--replicas={self._found}"
                    )
                    return None
            time.sleep(RETRY_S)

    def _end(self) -> None:
        if self._has_scaled:
            self._restore()
        for watcher in self._watchers:
            watcher.stop()
        self._api.close()

    # Scaling: one call at a time, always for the newest count.

    def _start_scaler(self) -> None:
        self._scaler = self._loop.create_task(self._keep_scaled())
        self._scaler.add_done_callback(self._scaler_ended)

    async def _keep_scaled(self) -> None:
        refusals = 0
        while True:
            await self._wanted_changed.wait()
            self._wanted_changed.clear()
            count = self._wanted
            self._has_scaled = True
            self._calling = asyncio.ensure_future(asyncio.to_thread(scale, self._api, self._name, count))
            try:
                await asyncio.shield(self._calling)
            except ApiError as error:
                refusals = refusals + 1 if _is_final(error) else 0
                if refusals >= REFUSALS_BEFORE_THE_END:
                    raise NoVerdictError(f"{self._name}: cannot be scaled ({error})") from None
                self._log.add("scale_failed", replicas=count, error=str(error))
                await asyncio.sleep(RETRY_S)
                self._wanted_changed.set()
            else:
                refusals = 0
                self._log.add("scaled", replicas=count)

    def _scaler_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)

    # What the watchers tell.

    def _watcher(self, resource: Resource) -> Watcher:
        def tell(kind: str) -> Callable[[Any], object]:
            return lambda said: self._hand_over(self._log_entry, kind, str(said))

        return Watcher(
            self._api,
            resource,
            self._api.namespace,
            lambda change: self._hand_over(self._changed, change),
            tell("gap"),
            self._on_missing,
            tell("problem"),
        )

    def _on_missing(self, right: MissingRight) -> None:
        self._missing.append(right.sentence)
        self._hand_over(self._log_entry, "missing_right", right.sentence)

    def _hand_over(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, *arguments)

    def _log_entry(self, kind: str, sentence: str) -> None:
        self._log.add(kind, what=sentence)

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
            self._pod_changed(change)
        self._bring_in_line()
        self._on_change()

    def _pod_changed(self, change: Change) -> None:
        uid = str(change.object["metadata"]["uid"])
        self._state.pod_changed(change.object, change.seen_s, deleted=change.type == "DELETED")
        if uid in self._state.pods:
            first = self._seen.get(uid)
            self._seen[uid] = _Seen(
                change.object, *((first.seen_s, first.listed) if first else (change.seen_s, change.listed))
            )
        else:
            self._seen.pop(uid, None)

    def _take_note_of_new_pods(self) -> None:
        """A pod may be seen before the ReplicaSet that makes it one of ours."""
        for uid, seen in self._seen.items():
            if uid not in self._pods and self._state.is_mine(self._state.pods[uid]):
                server = PodServer(self._api.namespace, seen.thing)
                replica = Replica(
                    id=self._next_id, created_s=seen.seen_s, cold_start_s=None, server=server, pod=server.name
                )
                self._next_id += 1
                self._pods[uid] = _Pod(seen.thing, replica, is_new=not seen.listed)
                self.replicas[replica.id] = replica
                self._note(replica, "created")
            elif uid in self._pods:
                self._pods[uid].thing = seen.thing

    def _bring_in_line(self) -> None:
        """The front end's view with the cluster's: ready pods are in service, all others are not."""
        self._take_note_of_new_pods()
        for uid, pod in list(self._pods.items()):
            known = self._state.pods.get(uid)
            is_ready = known is not None and known.phase is PodPhase.READY and self._state.is_mine(known)
            if is_ready and not pod.in_service:
                self._put_in_service(pod)
            elif not is_ready and pod.in_service:
                self._take_out(pod)
            if known is None:
                del self._pods[uid]
                pod.replica.phase = Phase.GONE
                pod.replica.server.ended.set()
                self._forget_if_over(pod.replica)

    def _put_in_service(self, pod: _Pod) -> None:
        replica = pod.replica
        server = PodServer(self._api.namespace, pod.thing)
        pod.in_service, replica.server = True, server
        replica.phase, replica.ready_s = Phase.READY, self._loop.time()
        if pod.is_new and replica.real_start_s is None:
            replica.real_start_s = replica.ready_s - replica.created_s
        replica.empty.clear()
        self._note(replica, "ready", real_start_s=replica.real_start_s)
        self._traffic.put_in_service(replica.id)

    def _take_out(self, pod: _Pod) -> None:
        pod.in_service, pod.replica.phase = False, Phase.DRAINING
        self._note(pod.replica, "draining")
        self._traffic.take_out(pod.replica.id)

    def _forget_if_over(self, replica: Replica) -> None:
        if replica.phase is Phase.GONE and replica.empty.is_set():
            self.replicas.pop(replica.id, None)
            self._note(replica, "gone")

    def _note(self, replica: Replica, phase: str, **fields: object) -> None:
        assert isinstance(replica.server, PodServer)
        self._log.add("replica", replica=replica.id, phase=phase, pod=replica.server.name, **fields)

    # Whether they come up.

    def _is_exactly(self, count: int) -> bool:
        wanted = Counts(desired=count, ready=count, starting=0, pending=0, terminating=0, lost=0)
        return replace(self.seen, lost=0) == wanted

    async def _give_up_if_hopeless(self) -> None:
        try:
            findings = await asyncio.to_thread(lambda: diagnose(take_snapshot(self._api, self._deployment)))
        except ApiError:
            return
        hopeless = [finding for finding in findings if finding.cause is not Cause.DOES_NOT_FIT]  # a node may come
        for finding in findings_document(hopeless)[:1]:
            evidence = " ".join(finding["evidence"][:1])
            raise InputError(f"{self._name}: {finding['title']}: {evidence} Next: {finding['next_step']}")

    async def _check_reachable(self) -> None:
        """One that answers is enough: then the others are no matter of the route."""
        servers = [pod.replica.server for pod in self._pods.values() if pod.in_service]
        asked = (
            asyncio.wait_for(s.ask(encode_request("GET", "/", {})), 3.0) for s in servers if isinstance(s, PodServer)
        )
        answers = await asyncio.gather(*asked, return_exceptions=True)
        if answers and not any(isinstance(answer, Answer) for answer in answers):
            first = servers[0]
            assert isinstance(first, PodServer)
            raise InputError(
                f"{self._name}: {first.name} is ready, but {first.host}:{first.port} does not answer from here "
                f"({answers[0] or type(answers[0]).__name__}): run the lab inside the cluster, or route to its pods"
            )
