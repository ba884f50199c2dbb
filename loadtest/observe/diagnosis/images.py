"""Containers that cannot be made: their image cannot be had, or what they refer to is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.crashes import RECENT_S
from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import (
    Json,
    container,
    ended,
    is_ready,
    items,
    name_of,
    one_line,
    statuses,
    text,
    when,
    whole,
)
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.words import Cause

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_CONFIGURATION = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_MOUNTS = ("FailedMount", "FailedAttachVolume")
_AFTER_MOUNTS = ("Pulling", "Pulled", "Created", "Started")
MOUNT_ATTEMPTS = 3
"""The kubelet tries again after 0.5 s, 1 s, 2 s and so on; on a busy node the first may fail for no lasting reason."""

_NOT_AUTHORISED = re.compile(
    r"\b(401|403)\b|unauthori[sz]ed|forbidden|\bdenied\b|authori[sz]ation failed|authentication required", re.I
)
_ADDRESS = re.compile(r"https?://[^\s\"]+")
_NOT_FOUND = re.compile(
    r"not found|NotFound|manifest unknown|no such image|not present|invalid reference|\b404\b", re.I
)
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|connection reset|no route to host|network is unreachable|timeout"
    r"|timed out|deadline exceeded|RegistryUnavailable|\bEOF\b",
    re.I,
)


def image_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    for status in statuses(pod):
        reason = text(status, "state", "waiting", "reason")
        if reason not in _IMAGE:
            continue
        image = text(container(pod, text(status, "name")), "image") or text(status, "image")
        failed = [e for e in snapshot.events_of(pod, "Failed") if "Failed to pull" in text(e, "message")]
        said = [text(status, "state", "waiting", "message"), *(text(event, "message") for event in reversed(failed))]
        told = next((words for words in said if _kind(_bare(words, image)) is not None), max(said, key=len))
        cause = _kind(_bare(told, image)) or _by_reason(reason)
        yield Finding(
            cause=cause,
            pods=(name_of(pod),),
            evidence=(f"image {image}: {reason}", one_line(told)) if told else (f"image {image}: {reason}",),
            measured={"image": image, "http_status": _http_status(_bare(told, image))},
        )


def configuration_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """What is missing is named by the kubelet, so that no Secret is read for it."""
    waiting = [(text(s, "state", "waiting", "reason"), text(s, "state", "waiting", "message")) for s in statuses(pod)]
    said = [f"{reason}: {message}" for reason, message in waiting if reason in _CONFIGURATION]
    if not said and not is_ready(pod) and (failed := _failed_mounts(snapshot, pod)):
        said = [f"{text(failed[-1], 'reason')}: {text(failed[-1], 'message')}"]
    if said:
        yield Finding(
            cause=Cause.CONFIGURATION_MISSING,
            pods=(name_of(pod),),
            evidence=tuple(one_line(words) for words in dict.fromkeys(said)),
        )


def _failed_mounts(snapshot: Snapshot, pod: Json) -> list[Json]:
    """Of a pod that waits for them still: an event outlives what it tells of by an hour."""
    every = items(pod, "status", "containerStatuses") + items(pod, "status", "initContainerStatuses")
    failed = snapshot.events_of(pod, *_MOUNTS)
    past = snapshot.events_of(pod, *_AFTER_MOUNTS)
    if any(map(_has_begun, every)) or past or not snapshot.is_recent(when(failed[-1]) if failed else None, RECENT_S):
        return []
    return failed if sum(whole(event, "count") or 1 for event in failed) >= MOUNT_ATTEMPTS else []


def _has_begun(status: Json) -> bool:
    """All volumes are mounted before the first container is made."""
    is_waiting = text(status, "state", "waiting", "reason") in ("ContainerCreating", "PodInitializing")
    return not is_waiting or bool(ended(status)) or bool(whole(status, "restartCount"))


def _bare(words: str, image: str) -> str:
    """Without names, which may contain any word."""
    return _ADDRESS.sub("", words.replace(image, "") if image else words)


def _kind(words: str) -> Cause | None:
    if _NOT_AUTHORISED.search(words):
        return Cause.IMAGE_NOT_AUTHORISED
    if _NOT_FOUND.search(words):
        return Cause.IMAGE_NOT_FOUND
    return Cause.REGISTRY_UNREACHABLE if _UNREACHABLE.search(words) else None


def _by_reason(reason: str) -> Cause:
    """Where no words say more: a full disk or a damaged layer is no fault of the registry's."""
    if reason in ("InvalidImageName", "ErrImageNeverPull"):
        return Cause.IMAGE_NOT_FOUND
    return Cause.REGISTRY_UNREACHABLE if reason == "RegistryUnavailable" else Cause.IMAGE_PULL_FAILED


def _http_status(words: str) -> int | None:
    found = re.search(r"\b(40[134])\b", words)
    return int(found[1]) if found else None
