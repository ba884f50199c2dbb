"""Sandboxes that cannot be made: the pod's network, above all addresses that ran out, and the container runtime."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding, Kind, kind_of
from loadtest.observe.diagnosis.preparation.volumes import lasting
from loadtest.observe.diagnosis.reading import Json, count, is_ready, name_of, one_line, text
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.words import Cause

_EVENTS = ("FailedCreatePodSandBox", "NetworkNotReady")
_NO_ADDRESS = Kind(
    "no_address",
    re.compile(
        r"no available addresses|no available address pools|not enough IPs available|no IP addresses available"
        r"|failed to assign an IP address|SubnetIsFull|InsufficientSubnetSize|IP space exhausted",
        re.I,
    ),
)
"""Of Azure's plugin and its address service (azure-container-networking), of host-local, which kubenet uses, of AWS."""
_KINDS = (
    _NO_ADDRESS,
    Kind(
        "runtime_class",
        re.compile(r"no runtime for .* is configured|RuntimeHandler .* not supported|unknown runtime handler", re.I),
        "The node's container runtime does not know the handler of the pod's RuntimeClass: use nodes that have it, or "
        "take runtimeClassName out of the pod.",
    ),
    Kind(
        "pause_image",
        re.compile(r"failed to (get|pull) (sandbox|pause) image|sandbox image", re.I),
        "The node cannot pull the pause image: check its way to that registry (firewall, DNS).",
    ),
    Kind(
        "network_plugin",
        re.compile(r"cni|network", re.I),
        "The node's network plugin fails: look at its pods and log on that node (`kubectl get pods -n kube-system -o "
        "wide`).",
    ),
)
_ID = re.compile(r'"?[0-9a-f]{64}"?')


def sandbox_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A node that has just come up fails a few times until its network plugin runs."""
    if is_ready(pod) or not (failed := lasting(snapshot, pod, *_EVENTS)):
        return
    said = _ID.sub("…", text(failed[-1], "message"))
    evidence = (one_line(f"{text(failed[-1], 'reason')}: {said}"), f"failures so far: {count(failed)}")
    node = text(pod, "spec", "nodeName")
    kind = kind_of(_KINDS, said)
    cause = Cause.NO_ADDRESS_LEFT if kind is _NO_ADDRESS else Cause.SANDBOX_FAILS
    yield Finding(
        cause=cause,
        pods=(name_of(pod),),
        evidence=(*evidence, f"on node {node}"),
        measured={"kind": kind.name, "failures": count(failed), "node": node},
        step=kind.step,
    )
