"""What a pod that is not ready waits for, since when, and what is said when that is too long and no cause fits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.placement.autoscalers import scale_up
from loadtest.observe.diagnosis.reading import (
    Json,
    condition,
    container_of,
    count,
    ended,
    has_ended,
    instant,
    is_ready,
    items,
    mapping,
    name_of,
    one_line,
    part,
    running_statuses,
    text,
    unfinished_init,
    when,
    whole,
)
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.words import Cause

MOST_WARNINGS = 3
_LAST_STEPS = ("Pulling", "Pulled", "Created", "Started", "Failed", "BackOff")


def waiting_since(pod: Json) -> datetime | None:
    """Its creation, its place on a node or the loss of its readiness: whichever was last.

    The time until a node was found is not counted against the pod.
    """
    scheduled, ready = condition(pod, "PodScheduled"), condition(pod, "Ready")
    stamps = [
        instant(pod, "metadata", "creationTimestamp"),
        instant(scheduled, "lastTransitionTime") if scheduled.get("status") == "True" else None,
        instant(ready, "lastTransitionTime"),
    ]
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def waits_s(snapshot: Snapshot, pod: Json) -> float | None:
    """None for a pod that tells no instant."""
    return snapshot.age_s(waiting_since(pod))


def has_waited_long(snapshot: Snapshot, pod: Json) -> bool:
    """Longer than a replica may take to start."""
    age_s = waits_s(snapshot, pod)
    return age_s is not None and age_s > snapshot.patience_s


def pull_since(snapshot: Snapshot, pod: Json, status: Json) -> datetime | None:
    """When the pull began that is under way for this container; None where none is."""
    if text(status, "state", "waiting", "reason") not in ("ContainerCreating", "PodInitializing"):
        return None
    name = text(status, "name")
    steps = [e for e in snapshot.events_of(pod, *_LAST_STEPS) if container_of(e) in ("", name)]
    return when(steps[-1]) if steps and text(steps[-1], "reason") == "Pulling" else None


def state_of(snapshot: Snapshot, pod: Json) -> str:
    """One sentence: what a pod waits for, by the API."""
    if has_ended(pod):
        return f"it has ended ({end_of(pod)}), and no other pod has taken its place"
    if _is_unplaced(pod):
        return _without_a_place(snapshot, pod)
    if not items(pod, "status", "containerStatuses") and not items(pod, "status", "initContainerStatuses"):
        return f"the kubelet of node {text(pod, 'spec', 'nodeName')} has reported nothing of it"
    if init := unfinished_init(pod):
        return f"init container {_container_state(snapshot, pod, init)}"
    unready = [status for status in running_statuses(pod) if part(status, "ready") is not True]
    if unready:
        return "; ".join(f"container {_container_state(snapshot, pod, status)}" for status in unready)
    words = [text(condition(pod, "Ready"), key) for key in ("reason", "message")]
    return f"its containers are ready, the pod is not ({one_line(': '.join(filter(None, words))) or 'no reason given'})"


def waiting_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """The end of every `may still be starting`: no cause fits, so what is known of the pod is told."""
    if is_ready(pod) or not has_waited_long(snapshot, pod) or _is_node_on_its_way(snapshot, pod):
        return
    waited_s = waits_s(snapshot, pod) or 0.0
    state = state_of(snapshot, pod)
    evidence = (state, f"it has waited for {waited_s:.0f} s; {_patience_words(snapshot)}", *_warnings(snapshot, pod))
    measured = {"waits_s": round(waited_s), "patience_s": snapshot.patience_s, "phase": text(pod, "status", "phase")}
    yield Finding(cause=Cause.NOT_KNOWN, pods=(name_of(pod),), evidence=evidence, measured=measured)


def over_since(snapshot: Snapshot, pod: Json) -> datetime | None:
    """When a pod ended, as far as it tells."""
    events = [when(event) for event in snapshot.events_of(pod, "Evicted")]
    stamps = [
        *events,
        instant(condition(pod, "DisruptionTarget"), "lastTransitionTime"),
        instant(condition(pod, "Ready"), "lastTransitionTime"),
        instant(pod, "status", "startTime"),
    ]
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def missing_findings(snapshot: Snapshot, wanted: int, living: int) -> Iterator[Finding]:
    """Fewer pods than wanted, for long, and no controller says why."""
    gone = [pod for pod in snapshot.pods if has_ended(pod)]
    changes = [_changed(snapshot.deployment), *(over_since(snapshot, pod) for pod in gone)]
    age_s = snapshot.age_s(max((change for change in changes if change is not None), default=None))
    if living >= wanted or age_s is None or age_s <= snapshot.patience_s:
        return
    ends = [f"pod {name_of(pod)} has ended: {end_of(pod)}" for pod in gone[:MOST_WARNINGS]]
    evidence = (
        f"replicas wanted: {wanted}, pods: {living}",
        f"nothing has changed at the Deployment or its pods for {age_s:.0f} s; {_patience_words(snapshot)}",
        *ends,
        *_warnings(snapshot, snapshot.deployment, *snapshot.replicasets),
    )
    measured = {"wanted": wanted, "pods": living, "unchanged_s": round(age_s)}
    yield Finding(cause=Cause.NOT_KNOWN, pods=(), evidence=evidence, measured=measured)


def _patience_words(snapshot: Snapshot) -> str:
    if snapshot.cold_start_s is not None and snapshot.patience_s == snapshot.cold_start_s:
        return f"other replicas took up to {snapshot.patience_s:.0f} s to start"
    return f"a start may take {snapshot.patience_s:.0f} s (--patience)"


def _changed(deployment: Json) -> datetime | None:
    """When anything was last written to it, the controllers' own notes included."""
    stamps = [instant(deployment, "metadata", "creationTimestamp")]
    stamps += [instant(entry, "time") for entry in items(deployment, "metadata", "managedFields")]
    stamps += [instant(entry, "lastUpdateTime") for entry in items(deployment, "status", "conditions")]
    return max((stamp for stamp in stamps if stamp is not None), default=None)


def _is_unplaced(pod: Json) -> bool:
    scheduled = condition(pod, "PodScheduled").get("status")
    is_reported = items(pod, "status", "containerStatuses") or items(pod, "status", "initContainerStatuses")
    return scheduled == "False" or not (scheduled or is_reported or text(pod, "spec", "nodeName"))


def _without_a_place(snapshot: Snapshot, pod: Json) -> str:
    if (up := scale_up(snapshot, pod)) is not None and not up.is_refused:
        return up.sentence
    scheduled = condition(pod, "PodScheduled")
    if not scheduled:
        return "no node is chosen for it yet"
    said = one_line(text(scheduled, "message")) or "no reason given"
    return f"the scheduler has no node for it ({text(scheduled, 'reason')}: {said})"


def _is_node_on_its_way(snapshot: Snapshot, pod: Json) -> bool:
    up = scale_up(snapshot, pod) if _is_unplaced(pod) else None
    return up is not None and not up.is_refused and not up.is_late


def _container_state(snapshot: Snapshot, pod: Json, status: Json) -> str:
    name = text(status, "name")
    if (since := pull_since(snapshot, pod, status)) is not None:
        age_s = snapshot.age_s(since) or 0.0
        return f"{name} waits: the pull of its image has run for {age_s:.0f} s, since {since:%H:%M:%S} UTC"
    for state in ("waiting", "terminated"):
        if said := mapping(status, "state", state):
            words = ": ".join(filter(None, (text(said, "reason"), one_line(text(said, "message")))))
            return f"{name} is {'down' if state == 'terminated' else 'waiting'} ({words or 'no reason given'})"
    if part(status, "state", "running"):
        ran_s = snapshot.age_s(instant(status, "state", "running", "startedAt"))
        how = "runs" if ran_s is None else f"has run for {ran_s:.0f} s"
        restarts = f", after {text(status, 'restartCount')} restarts" if ended(status) else ""
        return f"{name} {how}{restarts} and is not ready"
    return f"{name} is in no state that the kubelet tells"


def end_of(pod: Json) -> str:
    words = (text(pod, "status", "reason"), one_line(text(pod, "status", "message")))
    return ": ".join(filter(None, words)) or "no reason given"


def _warnings(snapshot: Snapshot, *things: Json) -> list[str]:
    """The newest warning of each reason; the newest first."""
    warned = [e for thing in things for e in snapshot.events_of(thing) if text(e, "type") == "Warning"]
    newest = {text(event, "reason"): event for event in sorted(warned, key=lambda e: str(when(e)))}
    told = sorted(newest.values(), key=lambda e: str(when(e)), reverse=True)[:MOST_WARNINGS]
    lines = [f"{text(e, 'reason')} ({count([e])} times): {one_line(text(e, 'message'))}" for e in told]
    return lines or ["no warning event tells of it"]


def live_pods(snapshot: Snapshot) -> list[Json]:
    """Replicas, ready or on their way: neither ended nor being deleted."""
    return [p for p in snapshot.pods if not has_ended(p) and not part(p, "metadata", "deletionTimestamp")]


def wanted_replicas(snapshot: Snapshot) -> int:
    wanted = whole(snapshot.deployment, "spec", "replicas")
    return 1 if wanted is None else wanted


def are_missing(snapshot: Snapshot, *, ready: bool = False) -> bool:
    """Whether fewer pods live than are wanted. ready: fewer that are ready."""
    living = live_pods(snapshot)
    return len([pod for pod in living if is_ready(pod)] if ready else living) < wanted_replicas(snapshot)
