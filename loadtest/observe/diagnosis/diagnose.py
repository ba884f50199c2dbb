"""All causes that a snapshot shows: per pod the first group that says anything, since one trouble brings others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loadtest.observe.diagnosis.containers.crashes import crash_findings
from loadtest.observe.diagnosis.containers.init_containers import init_container_findings
from loadtest.observe.diagnosis.containers.probes import probe_findings
from loadtest.observe.diagnosis.containers.readiness import gate_findings, sidecar_findings
from loadtest.observe.diagnosis.containers.scoring import run_findings
from loadtest.observe.diagnosis.findings import Finding, joined
from loadtest.observe.diagnosis.placement.endings import ending_findings, eviction_findings
from loadtest.observe.diagnosis.placement.nodes import node_findings
from loadtest.observe.diagnosis.placement.scheduling import scheduling_findings
from loadtest.observe.diagnosis.preparation.configuration import configuration_findings
from loadtest.observe.diagnosis.preparation.images import image_findings, slow_pull_findings
from loadtest.observe.diagnosis.preparation.sandbox import sandbox_findings
from loadtest.observe.diagnosis.preparation.volumes import volume_findings
from loadtest.observe.diagnosis.reading import Json, has_ended, name_of, part
from loadtest.observe.diagnosis.rollout import creation_findings, paused_findings, unexplained_findings
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.waits import live_pods, waiting_findings

OfPod = Callable[[Snapshot, Json], Iterator[Finding]]

IN_ORDER: tuple[OfPod, ...] = (
    eviction_findings,
    node_findings,
    scheduling_findings,
    sandbox_findings,
    volume_findings,
    image_findings,
    configuration_findings,
    init_container_findings,
    probe_findings,
    sidecar_findings,
    crash_findings,
    gate_findings,
    slow_pull_findings,
)


def diagnose(snapshot: Snapshot) -> list[Finding]:
    """Empty for a healthy Deployment, and for one whose replicas are merely starting. Raises nothing, whatever the
    objects lack."""
    found = [*creation_findings(snapshot), *paused_findings(snapshot)]
    for pod in snapshot.pods:
        found += _first(snapshot, pod)
    if not found:
        found += unexplained_findings(snapshot)
    told = {name for finding in found for name in finding.pods}
    for pod in live_pods(snapshot):
        if name_of(pod) not in told:
            found += waiting_findings(snapshot, pod)
    return joined([*found, *run_findings(snapshot)])


def _first(snapshot: Snapshot, pod: Json) -> list[Finding]:
    if has_ended(pod):
        groups: tuple[OfPod, ...] = (eviction_findings, ending_findings)  # another one takes its place
    elif part(pod, "metadata", "deletionTimestamp"):
        groups = (node_findings,)  # on its way out: only its node can be to blame
    else:
        groups = IN_ORDER
    return next((said for look in groups if (said := list(look(snapshot, pod)))), [])
