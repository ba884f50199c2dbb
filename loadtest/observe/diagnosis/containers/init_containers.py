"""Init containers that are still at work: everything else of the pod waits for them."""

from __future__ import annotations

from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.logs import last_line
from loadtest.observe.diagnosis.reading import (
    Json,
    container,
    container_of,
    instant,
    items,
    name_of,
    one_line,
    part,
    text,
    unfinished_init,
    whole,
)
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.waits import has_waited_long
from loadtest.observe.diagnosis.words import Cause


def init_container_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """One that runs for longer than a replica may take to start. Those that crash or wait are found like any other."""
    status = unfinished_init(pod)
    if not part(status, "state", "running") or not has_waited_long(snapshot, pod):
        return
    name = text(status, "name")
    every = [text(c, "name") for c in items(pod, "spec", "initContainers")]
    ran_s = snapshot.age_s(instant(status, "state", "running", "startedAt"))
    place = f", number {every.index(name) + 1} of {len(every)}" if name in every else ""
    said = last_line(snapshot.of_init(pod))
    probes = [e for e in snapshot.events_of(pod, "Unhealthy") if container_of(e) == name]
    is_sidecar = text(container(pod, name), "restartPolicy") == "Always"
    runs = "runs" if ran_s is None else f"has run for {ran_s:.0f} s"
    how = f"{runs} and has not passed its startup probe" if is_sidecar else runs
    yield Finding(
        cause=Cause.INIT_CONTAINER_DOES_NOT_END,
        pods=(name_of(pod),),
        evidence=(
            f"init container {name} {how}{place}; the scoring server starts after it",
            f"its log ends with: {one_line(said)}" if said else "its log cannot be read, or is empty",
            *(one_line(text(event, "message")) for event in probes[-1:]),
        ),
        measured={
            "container": name,
            "ran_s": None if ran_s is None else round(ran_s),
            "restarts": whole(status, "restartCount") or 0,
        },
    )
