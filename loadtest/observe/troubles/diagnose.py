"""All causes that a snapshot shows: per pod the first group that says anything, since one trouble brings others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loadtest.observe.troubles.containers import (
    configuration_findings,
    crash_findings,
    image_findings,
    memory_findings,
)
from loadtest.observe.troubles.findings import Finding, joined
from loadtest.observe.troubles.placement import creation_findings, eviction_findings, node_findings
from loadtest.observe.troubles.probes import probe_findings
from loadtest.observe.troubles.scheduling import scheduling_findings
from loadtest.observe.troubles.scoring import run_findings
from loadtest.observe.troubles.snapshot import Json, Snapshot

OfPod = Callable[[Snapshot, Json], Iterator[Finding]]

IN_ORDER: tuple[OfPod, ...] = (
    eviction_findings,
    node_findings,
    scheduling_findings,
    image_findings,
    configuration_findings,
    memory_findings,
    probe_findings,
    crash_findings,
)


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """Empty for a healthy Deployment, and for one whose replicas are merely starting."""
    found: list[Finding] = [*creation_findings(snapshot)]
    for pod in snapshot.pods:
        found += _first(snapshot, pod)
    return joined([*found, *run_findings(snapshot)])


def _first(snapshot: Snapshot, pod: Json) -> list[Finding]:
    leaving = bool(pod["metadata"].get("deletionTimestamp"))
    for look in IN_ORDER:
        if leaving and look is not node_findings:
            continue  # on its way out: only its node can be to blame
        if said := list(look(snapshot, pod)):
            return said
    return []
