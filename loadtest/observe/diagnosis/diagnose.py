"""All causes that a snapshot shows: per pod the first group that says anything, since one trouble brings others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loadtest.observe.diagnosis.crashes import crash_findings
from loadtest.observe.diagnosis.findings import Finding, joined
from loadtest.observe.diagnosis.images import configuration_findings, image_findings
from loadtest.observe.diagnosis.placement import creation_findings, eviction_findings, node_findings
from loadtest.observe.diagnosis.probes import probe_findings
from loadtest.observe.diagnosis.reading import Json, has_ended, part
from loadtest.observe.diagnosis.scheduling import scheduling_findings
from loadtest.observe.diagnosis.scoring import run_findings
from loadtest.observe.diagnosis.snapshot import Snapshot

OfPod = Callable[[Snapshot, Json], Iterator[Finding]]

IN_ORDER: tuple[OfPod, ...] = (
    eviction_findings,
    node_findings,
    scheduling_findings,
    image_findings,
    configuration_findings,
    probe_findings,
    crash_findings,
)


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """Empty for a healthy Deployment, and for one whose replicas are merely starting. Raises nothing, whatever the
    objects lack."""
    found = [*creation_findings(snapshot)]
    for pod in snapshot.pods:
        found += _first(snapshot, pod)
    return joined([*found, *run_findings(snapshot)])


def _first(snapshot: Snapshot, pod: Json) -> list[Finding]:
    if has_ended(pod):
        groups: tuple[OfPod, ...] = (eviction_findings,)  # another one takes its place
    elif part(pod, "metadata", "deletionTimestamp"):
        groups = (node_findings,)  # on its way out: only its node can be to blame
    else:
        groups = IN_ORDER
    return next((said for look in groups if (said := list(look(snapshot, pod)))), [])
