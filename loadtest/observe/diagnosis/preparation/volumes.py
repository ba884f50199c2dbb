"""Volumes that cannot be mounted: what is missing, and what the storage or the network refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding, Kind, kind_of
from loadtest.observe.diagnosis.reading import (
    Json,
    count,
    ended,
    is_ready,
    items,
    name_of,
    one_line,
    text,
    when,
    whole,
)
from loadtest.observe.diagnosis.snapshot import RECENT_S, Snapshot
from loadtest.observe.diagnosis.words import Cause

ATTEMPTS = 3
"""The kubelet tries again after 0.5 s, 1 s, 2 s and so on; on a busy node the first may fail for no lasting reason."""

_MOUNTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
_GENERAL = "Unable to attach or mount volumes"
"""The kubelet says so from time to time beside the event with the reason."""
AFTER_PREPARATION = ("Pulling", "Pulled", "Created", "Started")

_MISSING = re.compile(
    r"not found|references non-existent|does not exist|doesn't exist|mount error\(2\)|no such file or directory", re.I
)
_KINDS = (
    Kind(
        "access",
        re.compile(
            r"permission denied|mount error\(13\)|Authorization\w*(Failure|Mismatch)|\b403\b|access denied", re.I
        ),
        "The storage refuses access: check the account's key or role assignment, and its firewall as the node sees it.",
    ),
    Kind(
        "in_use",
        re.compile(r"Multi-Attach|already (exclusively )?attached|already used by pod|being detached", re.I),
        "The disk is attached to another node, and only one may have it: wait for the other pod to end, use a "
        "Deployment with strategy Recreate, or a volume that several nodes may mount (Azure Files).",
    ),
    Kind(
        "attachment_limit",
        re.compile(r"attachment limit|maximum number of data disks|exceed max volume count", re.I),
        "The node takes no further disk: use nodes that take more, or fewer volumes.",
    ),
    Kind(
        "network",
        re.compile(
            r"mount error\(11\d\)|operation now in progress|timed out|timeout|no route to host|could not resolve"
            r"|connection refused|host is down|deadline exceeded",
            re.I,
        ),
        "The node does not reach the storage: check its network rules (port 445 for SMB, 2049 for NFS), DNS, private "
        "endpoint and firewall.",
    ),
)
"""By words of the kubelet, of mount(8) and of Azure's drivers; mount errors are Linux' errno."""


def volume_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    if is_ready(pod) or not (failed := lasting(snapshot, pod, *_MOUNTS)):
        return
    telling = [event for event in failed if not text(event, "message").startswith(_GENERAL)] or failed
    message = text(telling[-1], "message")
    first = one_line(f"{text(telling[-1], 'reason')}: {message}")
    if _MISSING.search(message):
        yield Finding(cause=Cause.CONFIGURATION_MISSING, pods=(name_of(pod),), evidence=(first,))
        return
    kind = kind_of(_KINDS, message)
    yield Finding(
        cause=Cause.VOLUME_FAILS,
        pods=(name_of(pod),),
        evidence=(first, f"failures so far: {count(failed)}"),
        measured={"kind": kind.name, "failures": count(failed)},
        step=kind.step,
    )


def lasting(snapshot: Snapshot, pod: Json, *reasons: str) -> list[Json]:
    """These events, where the pod waits for it still and several attempts have failed; oldest first.

    An event outlives what it tells of by an hour, and a first attempt may fail for no lasting reason.
    """
    every = items(pod, "status", "containerStatuses") + items(pod, "status", "initContainerStatuses")
    failed = snapshot.events_of(pod, *reasons)
    past = snapshot.events_of(pod, *AFTER_PREPARATION)
    if any(map(_has_begun, every)) or past or not failed or not snapshot.is_recent(when(failed[-1]), RECENT_S):
        return []
    return failed if count(failed) >= ATTEMPTS else []


def _has_begun(status: Json) -> bool:
    """Network and volumes are there before the first container is made."""
    is_waiting = text(status, "state", "waiting", "reason") in ("ContainerCreating", "PodInitializing")
    return not is_waiting or bool(ended(status)) or bool(whole(status, "restartCount"))
