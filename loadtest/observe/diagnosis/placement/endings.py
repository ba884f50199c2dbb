"""Pods that had a place and lost it: evicted, refused by their node, ended by its shutdown, or preempted.

The kubelet's reasons are those of pkg/kubelet: lifecycle/predicate.go, nodeshutdown, preemption, eviction.
"""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import Json, condition, has_ended, name_of, one_line, text
from loadtest.observe.diagnosis.snapshot import RECENT_S, Snapshot
from loadtest.observe.diagnosis.waits import are_missing, over_since
from loadtest.observe.diagnosis.words import Cause

_RESOURCES = {
    "ephemeral": "ephemeral-storage",
    "emptydir": "ephemeral-storage",
    "memory": "memory",
    "disk": "ephemeral-storage",
    "pid": "pids",
    "inodes": "inodes",
}

_SHUTDOWN = ("NodeShutdown", "Shutdown", "Terminated")
_PREEMPTED = ("Preempting", "PreemptionByScheduler")
_REFUSED = (
    "UnexpectedAdmissionError",
    "NodeAffinity",
    "NodeName",
    "NodePorts",
    "TaintToleration",
    "TopologyAffinityError",
    "SMTAlignmentError",
    "InvalidNodeInfo",
    "PodOSSelectorNodeLabelDoesNotMatch",
    "PodOSNotSupported",
    "AppArmor",
    "SysctlForbidden",
    "UnknownReason",
    "UnexpectedPredicateFailureType",
    "VolumeAttachmentLimitExceeded",
)
_OUT_OF = "OutOf"
"""OutOfcpu, OutOfmemory, OutOfpods, OutOfnvidia.com/gpu: the node had less than the scheduler believed."""


def eviction_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """Evicted pods stay until somebody deletes them, so old ones tell nothing of now unless replicas are missing. While
    the containers of one are being stopped only an event says so."""
    said = [text(pod, "status", "message")] if text(pod, "status", "reason") == "Evicted" else []
    said += [text(event, "message") for event in snapshot.events_of(pod, "Evicted")]
    is_over = not snapshot.is_recent(over_since(snapshot, pod), RECENT_S)
    if not said or (is_over and not (has_ended(pod) and are_missing(snapshot))):
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


def ending_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """Of a pod that has ended. It stays until somebody deletes it, so an old one counts only while replicas are
    missing."""
    reason = text(pod, "status", "reason")
    disruption = condition(pod, "DisruptionTarget")
    if not has_ended(pod) or reason == "Evicted":
        return
    if reason in _SHUTDOWN:
        cause, what = Cause.NODE_SHUTDOWN, "ended the pod as it shut down"
    elif reason in _PREEMPTED or disruption.get("reason") in _PREEMPTED:
        cause, what = Cause.PREEMPTED, "ended the pod for a more important one"
    elif reason == "NodeLost":
        cause, what = Cause.NODE_LOST, "was lost while it ran the pod"
    elif reason in _REFUSED or reason.startswith(_OUT_OF):
        cause, what = Cause.NODE_REFUSED, "refused the pod"
    else:
        return
    since = over_since(snapshot, pod)
    if not snapshot.is_recent(since, RECENT_S) and not are_missing(snapshot):
        return
    node = text(pod, "spec", "nodeName")
    said = one_line(text(pod, "status", "message") or text(disruption, "message")) or "no message given"
    age_s = snapshot.age_s(since)
    yield Finding(
        cause=cause,
        pods=(name_of(pod),),
        evidence=(
            f"node {node or '(not named)'} {what} ({reason or text(disruption, 'reason')}): {said}",
            *([] if age_s is None else [f"{age_s:.0f} s ago"]),
        ),
        measured={"node": node, "reason": reason},
    )
