"""Pods whose node does not report any more, or is gone."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import Json, condition, instant, is_ready, name_of, one_line, text, when
from loadtest.observe.diagnosis.snapshot import RECENT_S, Snapshot
from loadtest.observe.diagnosis.words import Cause

_TAINTED = "DeletionByTaintManager"


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
