"""Pods that had a place and lost it, and pods that could not be made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from loadtest.observe.diagnosis.crashes import RECENT_S
from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import Json, condition, instant, is_ready, name_of, one_line, text, when
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.words import Cause

_RESOURCES = {
    "ephemeral": "ephemeral-storage",
    "emptydir": "ephemeral-storage",
    "memory": "memory",
    "disk": "ephemeral-storage",
    "pid": "pids",
    "inodes": "inodes",
}
_TAINTED = "DeletionByTaintManager"


def eviction_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """Evicted pods stay until somebody deletes them, so old ones tell nothing of now. While the containers of one are
    being stopped only an event says so."""
    said = [text(pod, "status", "message")] if text(pod, "status", "reason") == "Evicted" else []
    said += [text(event, "message") for event in snapshot.events_of(pod, "Evicted")]
    if not said or not snapshot.is_recent(_over_since(snapshot, pod), RECENT_S):
        return
    message = one_line(next(filter(None, said), "")) or "the kubelet gives no reason"
    resource = next((name for word, name in _RESOURCES.items() if word in message.lower()), None)
    node = text(pod, "spec", "nodeName")
    kind = "the node ran out of it" if "low on resource" in message else "the pod used more than it may"
    of = f"the resource is {resource}: {kind}" if resource else f"on node {node}"
    yield Finding(
        cause=Cause.EVICTED,
        pods=(name_of(pod),),
        evidence=(message, of, f"node {node}"),
        measured={"resource": resource, "node": node},
    )


def node_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A node that does not report, or is gone; by the pod's own conditions and events where nodes cannot be seen."""
    name = text(pod, "spec", "nodeName")
    if not name or text(pod, "status", "phase") == "Succeeded":
        return
    node = next((n for n in snapshot.nodes or [] if name_of(n) == name), None)
    told = [e for e in snapshot.events_of(pod, "NodeNotReady") if snapshot.is_recent(when(e), RECENT_S)]
    is_lost = text(pod, "status", "reason") == "NodeLost" or (
        condition(pod, "DisruptionTarget").get("reason") == _TAINTED and not is_ready(pod)
    )
    if node is not None:
        ready = condition(node, "Ready")
        if not ready or ready.get("status") == "True":
            return
        since = instant(ready, "lastTransitionTime")
        state = f"Ready is {text(ready, 'status')} ({one_line(text(ready, 'message')) or 'no reason given'})"
    elif snapshot.nodes is not None:
        since, state = None, "it is not among the cluster's nodes any more"
    elif is_lost or (told and not is_ready(pod)):
        since, state = (
            (when(told[-1]) if told else None),
            "its pods are marked as not ready, for the node does not report",
        )
    else:
        return
    evidence = [f"node {name}: {state}"]
    if (age_s := snapshot.age_s(since)) is not None:
        evidence.append(f"for {age_s:.0f} s")
    yield Finding(
        cause=Cause.NODE_LOST,
        pods=(name_of(pod),),
        evidence=tuple(evidence),
        measured={"node": name, "lost_for_s": None if age_s is None else round(age_s)},
    )


def creation_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """What keeps a ReplicaSet, or the Deployment, from making its pods."""
    for thing in [*snapshot.replicasets, snapshot.deployment]:
        failure = condition(thing, "ReplicaFailure")
        if failure.get("status") != "True":
            continue
        message = one_line(text(failure, "message")) or "the controller gives no reason"
        is_quota = "exceeded quota" in message or "must specify" in message
        cause = Cause.QUOTA_EXCEEDED if is_quota else Cause.CREATION_REFUSED
        numbers = {k: found[1] for k in ("requested", "used", "limited") if (found := _amounts(k).search(message))}
        yield Finding(cause=cause, pods=(), evidence=(_without_pod(message),), measured=numbers)
        return


def _amounts(kind: str) -> re.Pattern[str]:
    return re.compile(rf"{kind}: (.+?)(?=, (?:requested|used|limited): |$)")


def _without_pod(message: str) -> str:
    """Its name is a new one at each attempt."""
    return re.sub(r'pods "[^"]*" is forbidden: ', "pods are forbidden: ", message)


def _over_since(snapshot: Snapshot, pod: Json) -> datetime | None:
    events = [when(event) for event in snapshot.events_of(pod, "Evicted")]
    stamps = [
        *events,
        instant(condition(pod, "DisruptionTarget"), "lastTransitionTime"),
        instant(condition(pod, "Ready"), "lastTransitionTime"),
        instant(pod, "status", "startTime"),
    ]
    return max((stamp for stamp in stamps if stamp is not None), default=None)
