"""Pods that had a place and lost it, and pods that were never made."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.state import condition
from loadtest.observe.troubles.containers import name_of
from loadtest.observe.troubles.findings import Cause, Finding
from loadtest.observe.troubles.snapshot import Json, Snapshot


def eviction_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """By the pod's own state, or by the event of the eviction while its container is still being stopped."""
    status = pod.get("status") or {}
    said = [str(status.get("message") or "")] if status.get("reason") == "Evicted" else []
    said += [str(e.get("message") or "") for e in snapshot.events_of(pod) if e.get("reason") == "Evicted"]
    if said:
        evidence = (said[0] or "no message", f"node {(pod.get('spec') or {}).get('nodeName')}")
        yield Finding(cause=Cause.EVICTED, pods=(name_of(pod),), evidence=evidence)


def node_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A node that does not report, with the pods on it; by the pod's own condition where nodes cannot be seen."""
    node_name = (pod.get("spec") or {}).get("nodeName")
    node = next((n for n in snapshot.nodes or [] if name_of(n) == node_name), None)
    if node_name is None:
        return
    ready = condition(node, "Ready") if node is not None else {}
    disrupted = condition(pod, "DisruptionTarget")
    if node is not None and ready.get("status") == "True" and disrupted.get("reason") != "DeletionByTaintManager":
        return
    gone_from_sight = (pod.get("status") or {}).get("reason") == "NodeLost"
    if node is None and not gone_from_sight and disrupted.get("reason") != "DeletionByTaintManager":
        return
    evidence = [f"node {node_name}: Ready is {ready.get('status', 'unknown')} ({ready.get('message') or 'it is gone'})"]
    if since := ready.get("lastTransitionTime"):
        evidence.append(f"since {since}")
    yield Finding(cause=Cause.NODE_LOST, pods=(name_of(pod),), evidence=tuple(evidence), measured={"node": node_name})


def creation_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """ReplicaSets that may not make their pods."""
    for replica_set in snapshot.replicasets:
        failure = condition(replica_set, "ReplicaFailure")
        if failure.get("status") == "True":
            message = str(failure.get("message") or "")
            cause = Cause.QUOTA_EXCEEDED if "exceeded quota" in message else Cause.CREATION_REFUSED
            yield Finding(cause=cause, pods=(), evidence=(message or "no message",))
