"""What the API shows of one Deployment at one time: objects, and logs as far as they may tell something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from loadtest.observe.api import ApiError, CredentialsRefused, KubernetesApi, Refused, Unreachable
from loadtest.observe.diagnosis.logs import newest
from loadtest.observe.diagnosis.reading import (
    Json,
    condition,
    ended_status,
    has_ended,
    instant,
    is_ready,
    items,
    main_container,
    name_of,
    part,
    statuses,
    text,
    unfinished_init,
    when,
    whole,
)
from loadtest.observe.init_time import DONE
from loadtest.observe.resources import Resource

MOST_LOGS = 12
"""Of each kind: the first pods of a Deployment tell what all would."""
TAIL_LINES = 1000
HEAD_BYTES = 2**18
INIT_TAIL_LINES = 50
PREVIOUS, CURRENT, INIT = "previous", "current", "init"

RECENT_S = 600.0
"""What is over for longer is no finding any more, such as an end of a container that runs since."""
PATIENCE_S = 300.0
"""A pod that is not ready may still be starting for so long, unless cold starts are measured to take longer."""

_OLDEST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """logs: with timestamps, by pod and PREVIOUS (of the container that ended), CURRENT (of the scoring server) or INIT
    (of the init container that runs).

    pods, events, nodes: None where the right to see them is missing. other_pods: that are not this Deployment's; of
    other namespaces only if sees_all_pods. patience_s: for so long a pod that is not ready may still be starting.
    cold_start_s: the longest that was measured, if any.
    """

    deployment: Json
    replicasets: list[Json] = field(default_factory=list)
    pods: list[Json] = field(default_factory=list)
    other_pods: list[Json] = field(default_factory=list)
    sees_pods: bool = True
    sees_all_pods: bool = False
    events: list[Json] = field(default_factory=list)
    nodes: list[Json] | None = None
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing_rights: list[str] = field(default_factory=list)
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    patience_s: float = PATIENCE_S
    cold_start_s: float | None = None

    def events_of(self, thing: Json, *reasons: str) -> list[Json]:
        """Oldest first; without reasons, of every reason."""
        return _sorted(self._by_uid.get(text(thing, "metadata", "uid"), []), reasons)

    def events_about(self, kind: str, name: str, *reasons: str) -> list[Json]:
        """Of an object of the namespace that is not read itself, oldest first."""
        wanted = (kind, name)
        return _sorted([e for e in self.events if (_about(e, "kind"), _about(e, "name")) == wanted], reasons)

    @cached_property
    def _by_uid(self) -> dict[str, list[Json]]:
        """A cluster of many pods has many events, and each pod is asked for its own again and again."""
        found: dict[str, list[Json]] = {}
        for event in self.events:
            if uid := _about(event, "uid"):
                found.setdefault(uid, []).append(event)
        return found

    def age_s(self, at: datetime | None) -> float | None:
        return None if at is None else (self.taken_at - at).total_seconds()

    def is_recent(self, at: datetime | None, within_s: float) -> bool:
        """Also where the instant is not known."""
        age_s = self.age_s(at)
        return age_s is None or age_s <= within_s

    def previous(self, pod: Json) -> str:
        return self.logs.get((name_of(pod), PREVIOUS), "")

    def current(self, pod: Json) -> str:
        return self.logs.get((name_of(pod), CURRENT), "")

    def of_init(self, pod: Json) -> str:
        return self.logs.get((name_of(pod), INIT), "")


def take_snapshot(api: KubernetesApi, deployment: Json, patience_s: float = PATIENCE_S) -> Snapshot:
    """patience_s: the least; where cold starts are measured to take longer, it is as long as they.

    Raises ApiError where the server does not answer or refuses the credentials; a missing right is written down.
    """
    look = _Look(api)
    uid = text(deployment, "metadata", "uid")
    path = f"{Resource.DEPLOYMENTS.path(api.namespace)}/{name_of(deployment)}"
    fresh = look.get("get deployments", path) or deployment
    sets = [s for s in look.list(Resource.REPLICASETS) or [] if _owner(s) == uid]
    every_pod, nodes = look.list(Resource.PODS), look.list(Resource.NODES)
    owners = {text(s, "metadata", "uid") for s in sets}
    sees_sets = "replicasets" not in look.refused
    pods = [p for p in every_pod or [] if (_owner(p) in owners if sees_sets else _fits(deployment, p))]
    others = [p for p in every_pod or [] if p not in pods]
    elsewhere = _pods_elsewhere(api) if any(_is_unschedulable(pod) for pod in pods) else None
    events = look.list(Resource.EVENTS) or []
    logs = _logs(look, pods, nodes)
    cold_start_s = longest_cold_start_s(fresh, pods, logs)
    return Snapshot(
        deployment=fresh,
        replicasets=sets,
        pods=pods,
        other_pods=others + (elsewhere or []),
        sees_pods=every_pod is not None,
        sees_all_pods=elsewhere is not None,
        events=events,
        nodes=nodes,
        logs=logs,
        missing_rights=look.missing,
        taken_at=datetime.now(UTC) + timedelta(seconds=_clock_difference_s(api)),
        patience_s=max(patience_s, cold_start_s or 0.0),
        cold_start_s=cold_start_s,
    )


def longest_cold_start_s(deployment: Json, pods: list[Json], logs: Mapping[tuple[str, str], str]) -> float | None:
    """From creation to the end of init(), of the pods that are ready and whose containers never ended.

    Where the log does not tell, to the newest readiness. A pod that was not ready in between has a later one, so what
    is above the Deployment's progress deadline (600 s unless set) is no measurement.
    """
    deadline_s = whole(deployment, "spec", "progressDeadlineSeconds") or 600
    measured: list[float] = []
    for pod in filter(is_ready, pods):
        created = instant(pod, "metadata", "creationTimestamp")
        if created is None or any(whole(status, "restartCount") for status in statuses(pod)):
            continue
        done = newest(logs.get((name_of(pod), CURRENT), ""), DONE)
        ready = instant(condition(pod, "Ready"), "lastTransitionTime")
        if done is not None:
            measured.append((done - created).total_seconds())
        elif ready is not None and (ready - created).total_seconds() <= deadline_s:
            measured.append((ready - created).total_seconds())
    return max((took_s for took_s in measured if took_s > 0.0), default=None)


class _Look:
    """Reads, and writes down what it may not."""

    def __init__(self, api: KubernetesApi) -> None:
        self.api = api
        self.missing: list[str] = []
        self.refused: set[str] = set()

    def get(self, right: str, path: str, in_namespace: bool = True, **query: object) -> Json | None:
        try:
            return self.api.get(path, **query)
        except Refused as error:
            self.note(error, right, in_namespace)
            return None

    def list(self, resource: Resource) -> list[Json] | None:
        path = resource.path(self.api.namespace)
        answer = self.get(f"list {resource.label}", path, resource.namespaced)
        if answer is None:
            self.refused.add(resource.label)
            return None
        return items(answer, "items")

    def note(self, error: Refused, right: str, in_namespace: bool = True) -> None:
        if isinstance(error, CredentialsRefused) or error.status >= 500:
            raise error
        if error.status == 403:
            where = f"in namespace {self.api.namespace}" if in_namespace else "(cluster scope)"
            sentence = f"no right to {right} {where}: {error}"
            if sentence not in self.missing:
                self.missing.append(sentence)


def _logs(look: _Look, pods: list[Json], nodes: list[Json] | None) -> dict[tuple[str, str], str]:
    """Of containers that ended, what they said; of those that run, for what they say of init(), run() and workers.

    The API server asks the node for a log: nothing is asked of nodes that do not report, and one that does not answer
    is no loss of the API server.
    """
    silent = {name_of(node) for node in nodes or [] if not is_ready(node)}
    asked = [pod for pod in pods if text(pod, "spec", "nodeName") not in silent]
    wanted = [(pod, PREVIOUS) for pod in asked if ended_status(pod)][:MOST_LOGS]
    wanted += [(pod, CURRENT) for pod in sorted(filter(_runs, asked), key=is_ready)][:MOST_LOGS]
    wanted += [(pod, INIT) for pod in asked if part(unfinished_init(pod), "state", "running")][:MOST_LOGS]
    logs: dict[tuple[str, str], str] = {}
    for pod, which in wanted:
        try:
            logs[name_of(pod), which] = _log(look.api, pod, which)
        except CredentialsRefused:
            raise
        except Refused as error:
            if error.status == 403:
                look.note(error, "get pods/log")
                return logs
        except Unreachable:
            return logs  # it took long: if the API server is lost, the next call says so
    return logs


def _log(api: KubernetesApi, pod: Json, which: str) -> str:
    path = f"{Resource.PODS.path(api.namespace)}/{name_of(pod)}/log"
    if which == PREVIOUS:
        status = ended_status(pod)
        query: dict[str, object] = {"container": text(status, "name"), "timestamps": "true", "tailLines": TAIL_LINES}
        if not part(status, "state", "terminated"):
            query["previous"] = "true"
        return api.text(path, **query)
    if which == INIT:
        name = text(unfinished_init(pod), "name")
        return api.text(path, container=name, timestamps="true", tailLines=INIT_TAIL_LINES)
    query = {"container": text(main_container(pod), "name"), "timestamps": "true"}
    if is_ready(pod):
        return api.text(path, tailLines=TAIL_LINES, **query)
    head = api.text(path, limitBytes=HEAD_BYTES, **query)
    is_all = len(head.encode()) < HEAD_BYTES
    return head if is_all else f"{head}\n{api.text(path, tailLines=TAIL_LINES, **query)}"


def _pods_elsewhere(api: KubernetesApi) -> list[Json] | None:
    """Pods of other namespaces, for the room that they take; not among the rights that are asked for."""
    try:
        every = items(api.get("/api/v1/pods", fieldSelector="status.phase!=Succeeded,status.phase!=Failed"), "items")
    except CredentialsRefused:
        raise
    except Refused:
        return None
    return [pod for pod in every if text(pod, "metadata", "namespace") != api.namespace]


def _clock_difference_s(api: KubernetesApi) -> float:
    """By how much the server's clock is ahead of this machine's, where it is by more than a Date tells."""
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(api.headers("/version").get("date", ""))
        difference_s = (date - datetime.now(UTC)).total_seconds()
    except (Refused, ValueError, TypeError):
        return 0.0
    return difference_s if abs(difference_s) > 2.0 else 0.0


def _sorted(events: Iterable[Json], reasons: tuple[str, ...]) -> list[Json]:
    kept = [event for event in events if not reasons or text(event, "reason") in reasons]
    return sorted(kept, key=lambda event: when(event) or _OLDEST)


def _about(event: Json, key: str) -> str:
    return text(event, "involvedObject", key)


def _owner(thing: Json) -> str | None:
    return next((text(o, "uid") for o in items(thing, "metadata", "ownerReferences") if o.get("controller")), None)


def _fits(deployment: Json, pod: Json) -> bool:
    """By the labels, where replica sets cannot be seen."""
    wanted = part(deployment, "spec", "selector", "matchLabels")
    labels = part(pod, "metadata", "labels")
    return isinstance(wanted, dict) and isinstance(labels, dict) and bool(wanted) and wanted.items() <= labels.items()


def _is_unschedulable(pod: Json) -> bool:
    return condition(pod, "PodScheduled").get("reason") == "Unschedulable"


def _runs(pod: Json) -> bool:
    return not has_ended(pod) and any(part(status, "state", "running") for status in statuses(pod))


__all__ = ["CURRENT", "INIT", "PATIENCE_S", "PREVIOUS", "RECENT_S", "ApiError", "Json", "Snapshot", "take_snapshot"]
