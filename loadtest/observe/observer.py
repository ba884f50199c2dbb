"""Watches one Deployment from its API server, in threads of its own, and writes down what it sees as it sees it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.observe import record
from loadtest.observe.api import ApiError, KubernetesApi, Refused
from loadtest.observe.clock import ANSWERS, ServerClock, measure
from loadtest.observe.diagnosis import diagnose, findings_document, take_snapshot
from loadtest.observe.finding import find_deployment
from loadtest.observe.init_time import init_seconds
from loadtest.observe.launches import Launches
from loadtest.observe.record import ClusterLog, Line
from loadtest.observe.resources import Resource
from loadtest.observe.state import Counts, Json, Phase, Replicas, condition, owner_uid
from loadtest.observe.target import ClusterTarget
from loadtest.observe.watching import Change, Gap, MissingRight, Watcher
from planner.errors import NoVerdictError

LISTED_WITHIN_S = 20.0
SHORTEST_TIME_BETWEEN_DIAGNOSES_S = 15.0
"""Each reads logs of containers that failed."""

FIRST_CLOCK_ANSWERS = 3
"""Enough for stamps of whole seconds; more follow in the background, a second for each."""

LOG_BYTES = 65536
"""From the start of a log: init() is at its beginning."""

OnLine = Callable[[Line], object]


@dataclass(frozen=True)
class Connection:
    """A cluster that answers, and the Deployment that is meant."""

    api: KubernetesApi
    deployment: dict[str, Any]


def connect(target: ClusterTarget) -> Connection:
    """Raises InputError where the cluster cannot be reached, or the Deployment not be found on it."""
    api = KubernetesApi(target)
    try:
        return Connection(api, find_deployment(api, target))
    except BaseException:
        api.close()
        raise


class ClusterObserver:
    """`start`, `stop`; between them every change goes into FOLDER/cluster.jsonl, each line of it to on_line.

    What goes wrong is written down like everything else: gaps, missing rights, problems.
    """

    def __init__(self, connection: Connection, folder: Path, *, on_line: OnLine = lambda line: None) -> None:
        self._api, self.deployment = connection.api, connection.deployment
        self._on_line = on_line
        self._replicas = Replicas(str(self.deployment["metadata"]["uid"]))
        self._launches = Launches()
        self._log = ClusterLog(folder)
        self._lock = threading.RLock()
        self._last: Counts | None = None
        self._pod_words: dict[str, tuple[object, ...]] = {}
        self._node_words: dict[str, str] = {}
        self._hpa_words: dict[str, tuple[object, ...]] = {}
        self._my_uids = {str(self.deployment["metadata"]["uid"])}
        self._early_events: list[tuple[Change, str]] = []
        self._to_read: queue.SimpleQueue[tuple[str, Json] | None] = queue.SimpleQueue()
        self._trouble = threading.Event()
        self._stopping = threading.Event()
        self._all_listed = False
        self._threads = [
            threading.Thread(target=work, name=f"cluster{work.__name__}", daemon=True)
            for work in (self._measure_clock, self._read_init_times, self._diagnose_trouble)
        ]
        self._watchers = [self._watcher(resource) for resource in Resource]

    @property
    def namespace(self) -> str:
        return self._api.namespace

    @property
    def name(self) -> str:
        return str(self.deployment["metadata"]["name"])

    @property
    def ready(self) -> int | None:
        return None if self._last is None else self._last.ready

    @property
    def lines(self) -> list[Line]:
        return self._log.lines

    def start(self) -> None:
        """Returns when the replicas that there are have been seen."""
        self._add(record.CLUSTER, time.monotonic(), deployment=self.name, namespace=self.namespace)
        self._measure_clock(FIRST_CLOCK_ANSWERS)
        for watcher in self._watchers:
            watcher.start()
        give_up_s = time.monotonic() + LISTED_WITHIN_S
        for watcher in self._watchers:
            if not watcher.wait_listed(max(0.0, give_up_s - time.monotonic())):
                self.stop()
                raise NoVerdictError(
                    f"{self._api.server}: {watcher.resource.label} of namespace {self.namespace} could not be listed "
                    f"within {LISTED_WITHIN_S:g} s"
                )
        with self._lock:
            self._all_listed = True
            self._note_counts(time.monotonic())
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take a last look, with a diagnosis, and end the threads. May be called twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._trouble.set()
        self._to_read.put(None)
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        for watcher in self._watchers:
            watcher.stop()
        self._diagnose()
        self._api.close()
        self._log.close()

    def _watcher(self, resource: Resource) -> Watcher:
        return Watcher(
            self._api, resource, self.namespace, self._on_change, self._on_gap, self._on_missing, self._on_problem
        )

    def _add(self, kind: str, at_s: float, **fields: object) -> None:
        self._log.add(kind, at_s, **fields)
        self._on_line(self._log.lines[-1])

    def _measure_clock(self, answers: int = ANSWERS) -> None:
        try:
            clock = measure(self._api, answers=answers, sleep=self._stopping.wait)
        except ApiError:
            clock = None
        if clock is None or self._stopping.is_set():
            return
        self._launches.clock = self._launches.clock or clock
        self._add(record.CLOCK, time.monotonic(), **_clock_fields(clock))

    # What the watchers tell, each from its own thread.

    def _on_change(self, change: Change) -> None:
        with self._lock:
            _HANDLERS[change.resource](self, change)
            self._note_counts(change.seen_s)

    def _on_gap(self, gap: Gap) -> None:
        self._add(record.GAP, gap.to_s, resource=gap.resource.label, from_s=gap.from_s, to_s=gap.to_s, why=gap.why)

    def _on_missing(self, right: MissingRight) -> None:
        self._add(record.RIGHT, time.monotonic(), sentence=right.sentence)

    def _on_problem(self, sentence: str) -> None:
        self._add(record.PROBLEM, time.monotonic(), sentence=sentence)

    def _deployment(self, change: Change) -> None:
        if change.object["metadata"]["uid"] == self._replicas.deployment_uid:
            self._replicas.deployment_changed(None if change.type == "DELETED" else change.object)

    def _replica_set(self, change: Change) -> None:
        self._replicas.set_changed(change.object)
        if owner_uid(change.object) == self._replicas.deployment_uid:
            self._my_uids.add(str(change.object["metadata"]["uid"]))
            self._tell_early_events()

    def _pod(self, change: Change) -> None:
        pod = self._replicas.pod_changed(change.object, change.seen_s, deleted=change.type == "DELETED")
        uid = str(change.object["metadata"]["uid"])
        was_ready = uid in self._launches.by_uid and self._launches.by_uid[uid].ready_s is not None
        launch = self._launches.pod_changed(change.object, change.seen_s, listed=change.listed)
        if not self._replicas.is_mine(pod):
            return
        self._my_uids.add(uid)
        self._tell_early_events()
        fields = _pod_fields(change.object, "gone" if change.type == "DELETED" else pod.phase or "ended")
        if (words := tuple(fields.values())) != self._pod_words.get(uid):
            self._pod_words[uid] = words
            self._add(record.POD, change.seen_s, uid=uid, **fields)
            self._add(record.LAUNCH, change.seen_s, uid=uid, launch=launch.document())
            if fields["reason"] or pod.phase is Phase.PENDING:
                self._trouble.set()
        if launch.ready_s is not None and not was_ready:
            self._to_read.put((uid, change.object))

    def _event(self, change: Change) -> None:
        event = change.object
        self._launches.event_seen(event, change.seen_s, listed=change.listed)
        about = str((event.get("involvedObject") or {}).get("uid"))
        if about in self._my_uids:
            self._tell_event(change)
        elif not change.listed:
            self._early_events = [*self._early_events[-200:], (change, about)]

    def _tell_early_events(self) -> None:
        """Events may come before the objects that they speak of."""
        mine = [change for change, about in self._early_events if about in self._my_uids]
        self._early_events = [entry for entry in self._early_events if entry[1] not in self._my_uids]
        for change in mine:
            self._tell_event(change)

    def _tell_event(self, change: Change) -> None:
        event, about = change.object, change.object.get("involvedObject") or {}
        if change.type == "DELETED":
            return
        self._add(
            record.EVENT,
            change.seen_s,
            type=str(event.get("type") or "Normal"),
            reason=str(event.get("reason") or ""),
            object=f"{about.get('kind')}/{about.get('name')}",
            message=str(event.get("message") or ""),
            count=int(event.get("count") or 1),
            before_the_run=change.listed,
        )
        if event.get("type") == "Warning" and not change.listed:
            self._trouble.set()

    def _node(self, change: Change) -> None:
        name = str(change.object["metadata"]["name"])
        status = condition(change.object, "Ready").get("status", "Unknown")
        word = "gone" if change.type == "DELETED" else "ready" if status == "True" else "not ready"
        if word != self._node_words.get(name):
            self._node_words[name] = word
            self._add(record.NODE, change.seen_s, node=name, state=word)

    def _hpa(self, change: Change) -> None:
        spec, status = change.object.get("spec") or {}, change.object.get("status") or {}
        about = spec.get("scaleTargetRef") or {}
        if (about.get("kind"), about.get("name")) != ("Deployment", self.name):
            return
        name = str(change.object["metadata"]["name"])
        words = (spec.get("minReplicas"), spec.get("maxReplicas"), status.get("desiredReplicas"))
        if words != self._hpa_words.get(name):
            self._hpa_words[name] = words
            least, most, desired = words
            self._add(record.HPA, change.seen_s, hpa=name, min=least, max=most, desired=desired)

    def _note_counts(self, at_s: float) -> None:
        counts = self._replicas.counts()
        if self._all_listed and counts != self._last:
            self._last = counts
            self._add(record.ROW, at_s, **vars(counts))

    # What only logs tell.

    def _read_init_times(self) -> None:
        """One short read for each launch; without the right to read logs init() is not told apart from its server."""
        while (entry := self._to_read.get()) is not None and not self._stopping.is_set():
            uid, pod = entry
            container = ((pod.get("spec") or {}).get("containers") or [{}])[0].get("name")
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}/log"
            query = {"container": container} if container else {}
            try:
                log = self._api.text(path, timestamps="true", limitBytes=LOG_BYTES, **query)
            except Refused as error:
                if error.status == 403:
                    self._add(record.RIGHT, time.monotonic(), sentence=_no_logs(self.namespace))
                    return
                continue
            except ApiError:
                continue
            with self._lock:
                launch = self._launches.by_uid[uid]
                launch.init_s = init_seconds(log)
            if launch.init_s is not None:
                self._add(record.LAUNCH, time.monotonic(), uid=uid, launch=launch.document())

    # Why a replica did not come up.

    def _diagnose_trouble(self) -> None:
        while not self._stopping.is_set():
            self._trouble.wait()
            self._trouble.clear()
            if not self._stopping.is_set():
                self._diagnose()
                self._stopping.wait(SHORTEST_TIME_BETWEEN_DIAGNOSES_S)

    def _diagnose(self) -> None:
        try:
            findings = diagnose(take_snapshot(self._api, self.deployment))
        except ApiError as error:
            self._on_problem(f"why replicas did not come up could not be read ({error})")
            return
        if findings:
            self._add(record.FINDINGS, time.monotonic(), findings=findings_document(findings))


_HANDLERS: dict[Resource, Callable[[ClusterObserver, Change], None]] = {
    Resource.DEPLOYMENTS: ClusterObserver._deployment,
    Resource.REPLICASETS: ClusterObserver._replica_set,
    Resource.PODS: ClusterObserver._pod,
    Resource.EVENTS: ClusterObserver._event,
    Resource.NODES: ClusterObserver._node,
    Resource.HPAS: ClusterObserver._hpa,
}


def _no_logs(namespace: str) -> str:
    return f"no right to get pods/log in namespace {namespace}: how long init() took cannot be read"


def _clock_fields(clock: ServerClock) -> dict[str, Any]:
    wall_s = time.time() - time.monotonic()
    return {
        "difference_s": round((clock.low_s + clock.high_s) / 2 - wall_s, 4),
        "uncertainty_s": round(clock.uncertainty_s, 4),
    }


def _pod_fields(pod: Any, phase: str) -> dict[str, Any]:
    """Phase, node, restarts, and why a container is not running."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    states = [status.get("state") or {} for status in statuses]
    waiting = [state["waiting"].get("reason") for state in states if state.get("waiting")]
    ended = [state["terminated"].get("reason") for state in states if state.get("terminated")]
    reason = (pod.get("status") or {}).get("reason")
    normal = (None, "ContainerCreating", "PodInitializing", "Completed")
    return {
        "pod": str(pod["metadata"]["name"]),
        "phase": str(phase),
        "node": (pod.get("spec") or {}).get("nodeName"),
        "restarts": sum(int(status.get("restartCount") or 0) for status in statuses),
        "reason": next((word for word in [reason, *waiting, *ended] if word not in normal), None),
    }
