"""What but the scoring server keeps a pod from being ready: other containers, and readiness gates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import (
    Json,
    condition,
    container_of,
    count,
    ended,
    instant,
    is_ready,
    items,
    main_container,
    name_of,
    one_line,
    part,
    running_statuses,
    server_status,
    text,
    when,
    whole,
)
from loadtest.observe.diagnosis.snapshot import RECENT_S, Snapshot
from loadtest.observe.diagnosis.waits import has_waited_long
from loadtest.observe.diagnosis.words import Cause

_NO_EVENT = "no event tells of its probe"
_KILLED_BY_PROBE = re.compile(r"failed (liveness|startup) probe", re.I)


def sidecar_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A container beside the server that runs and is not ready, or that its own probe ends.

    Events name the container in involvedObject.fieldPath. Where the server itself is down, that is told instead.
    """
    server = server_status(pod)
    is_down = not part(server, "state", "running") or (ended(server) and part(server, "ready") is not True)
    if is_ready(pod) or is_down:
        return
    for status in running_statuses(pod):
        name = text(status, "name")
        if name == text(main_container(pod), "name") or part(status, "ready") is True:
            continue
        killed = _recent(snapshot, pod, name, "Killing", _KILLED_BY_PROBE)
        failed = _recent(snapshot, pod, name, "Unhealthy")
        runs = bool(part(status, "state", "running"))
        if killed or (runs and part(status, "ready") is False and has_waited_long(snapshot, pod)):
            yield _not_ready(snapshot, pod, status, killed, failed)


def gate_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A gate is a condition that a controller outside is to set (KEP-580); the kubelet names those that are not."""
    ready = condition(pod, "Ready")
    if is_ready(pod) or text(ready, "reason") != "ReadinessGatesNotReady" or not has_waited_long(snapshot, pod):
        return
    gates = [text(gate, "conditionType") for gate in items(pod, "spec", "readinessGates")]
    unmet = [gate for gate in gates if condition(pod, gate).get("status") != "True"]
    states = [f"{gate}: {_gate_state(pod, gate)}" for gate in unmet]
    yield Finding(
        cause=Cause.READINESS_GATE,
        pods=(name_of(pod),),
        evidence=(
            f"the containers are ready, and these readiness gates are not met: {', '.join(unmet) or 'none is named'}",
            *(states or [one_line(text(ready, "message"))]),
        ),
        measured={"gates": unmet},
    )


def _not_ready(snapshot: Snapshot, pod: Json, status: Json, killed: list[Json], failed: list[Json]) -> Finding:
    name, server = text(status, "name"), text(main_container(pod), "name")
    ran_s = snapshot.age_s(instant(status, "state", "running", "startedAt"))
    runs = "does not run" if ran_s is None else f"has run for {ran_s:.0f} s"
    how = "is ended by its own probe" if killed else "is not ready"
    is_well = part(server_status(pod), "ready") is True
    beside = f"; the scoring server ({server}) is ready" if is_well else f", beside the scoring server ({server})"
    last = [one_line(text(event, "message")) for event in failed[-1:]]
    return Finding(
        cause=Cause.SIDECAR_NOT_READY,
        pods=(name_of(pod),),
        evidence=(
            f"container {name} {how}{beside}",
            *([f"failures of its probe so far: {count(failed)}; the last: {said}" for said in last] or [_NO_EVENT]),
            f"container {name} {runs}, restarts so far: {whole(status, 'restartCount') or 0}",
        ),
        measured={"container": name, "probe_failures": count(failed), "restarts": whole(status, "restartCount") or 0},
    )


def _recent(snapshot: Snapshot, pod: Json, name: str, reason: str, words: re.Pattern[str] | None = None) -> list[Json]:
    """Events of one container that are not over, oldest first."""
    events = [e for e in snapshot.events_of(pod, reason) if container_of(e) == name]
    kept = [e for e in events if words is None or words.search(text(e, "message"))]
    return kept if kept and snapshot.is_recent(when(kept[-1]), RECENT_S) else []


def _gate_state(pod: Json, gate: str) -> str:
    found = condition(pod, gate)
    if not found:
        return "nobody has set the condition"
    words = ": ".join(filter(None, (text(found, "reason"), one_line(text(found, "message")))))
    return f"it is {text(found, 'status')} ({words or 'no reason given'})"
