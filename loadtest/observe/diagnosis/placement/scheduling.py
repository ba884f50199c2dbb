"""Pods that no node has a place for: which resource, which volume claim, which gate, and what the autoscaler says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.placement.autoscalers import scale_up
from loadtest.observe.diagnosis.placement.room import amounts_in_words, requests_of, room
from loadtest.observe.diagnosis.reading import Json, condition, items, name_of, one_line, text
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.waits import has_waited_long, waits_s
from loadtest.observe.diagnosis.words import Cause

CLAIM_PATIENCE_S = 60.0
"""A volume that is made at once for its claim (Immediate) is there by then, as a rule."""

_CLAIM = re.compile(
    r"unbound immediate|persistentvolumeclaim|bound to non-existent|didn't find available persistent volumes", re.I
)
"""The scheduler's words (plugins/volumebinding); a claim that is missing is named in them."""
_OF_CLAIMS = ("FailedBinding", "ProvisioningFailed", "WaitForFirstConsumer", "ExternalProvisioning")


def scheduling_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False":
        return
    if scheduled.get("reason") == "SchedulingGated":
        yield from _gated(snapshot, pod)
    elif scheduled.get("reason") == "Unschedulable":
        said = one_line(re.split(r"no new claims|preemption:", text(scheduled, "message"))[0].strip().rstrip(",."))
        said = said or "no reason given"
        waits = waits_s(snapshot, pod)
        if not _CLAIM.search(said):
            yield from _without_room(snapshot, pod, said)
        elif waits is None or waits > CLAIM_PATIENCE_S:
            yield _claim(snapshot, pod, said)


def _gated(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A gate is set to be removed by its controller, so it is named after a while only."""
    if not has_waited_long(snapshot, pod):
        return
    gates = [text(gate, "name") for gate in items(pod, "spec", "schedulingGates")]
    waited_s = waits_s(snapshot, pod) or 0.0
    evidence = (
        f"its scheduling gates are not removed: {', '.join(gates) or 'the pod names none'}",
        f"it has waited for {waited_s:.0f} s",
    )
    measured = {"gates": gates, "waits_s": round(waited_s)}
    yield Finding(cause=Cause.SCHEDULING_GATED, pods=(name_of(pod),), evidence=evidence, measured=measured)


def _claim(snapshot: Snapshot, pod: Json, said: str) -> Finding:
    volumes = items(pod, "spec", "volumes")
    claims = [name for volume in volumes if (name := text(volume, "persistentVolumeClaim", "claimName"))]
    told = [event for name in claims for event in snapshot.events_about("PersistentVolumeClaim", name, *_OF_CLAIMS)]
    lines = [f"{text(event, 'reason')}: {one_line(text(event, 'message'))}" for event in told[-2:]]
    names = f"the pod's claims: {', '.join(claims)}" if claims else "the pod names no claim"
    evidence = (f"the scheduler: {said}", names, *lines)
    return Finding(cause=Cause.CLAIM_NOT_BOUND, pods=(name_of(pod),), evidence=evidence, measured={"claims": claims})


def _without_room(snapshot: Snapshot, pod: Json, said: str) -> Iterator[Finding]:
    """While a node is on its way, a pod without room is no failure."""
    up = scale_up(snapshot, pod)
    if up is not None and not up.is_refused and not up.is_late:
        return
    wanted = requests_of(pod)
    evidence = [f"the scheduler: {said}", f"a pod requests {amounts_in_words(wanted)}"]
    measured: dict[str, Any] = {"requests": {name: float(value) for name, value in wanted.items()}}
    if snapshot.nodes is None:
        evidence.append("nodes cannot be seen (no right to list them), so what is free on them is not known")
    else:
        more, numbers = room(snapshot, pod, wanted)
        evidence += more
        measured |= numbers
    if up is None:
        yield Finding(cause=Cause.DOES_NOT_FIT, pods=(name_of(pod),), evidence=tuple(evidence), measured=measured)
        return
    first = f"the node that was asked for has not come: {up.sentence}" if up.is_late else up.sentence
    measured |= {"autoscaler": up.who, "asked_s_ago": None if up.for_s is None else round(up.for_s)}
    yield Finding(
        cause=Cause.NO_NODE_ADDED,
        pods=(name_of(pod),),
        evidence=(first, *evidence),
        measured=measured,
        step=up.step,
    )
