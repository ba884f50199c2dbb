"""Containers that ended, or whose image or configuration is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loadtest.observe.state import is_true
from loadtest.observe.troubles.findings import Cause, Finding
from loadtest.observe.troubles.snapshot import CURRENT, PREVIOUS, Json, Snapshot
from loadtest.observe.troubles.tracebacks import INIT_FAILED, in_user_code, without_stamps

RECENT_S = 600.0
"""A container that ended longer ago, and runs and is ready since, is no finding any more."""

_IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CONFIGURATION_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
_NOT_AUTHORISED = re.compile(r"\b401\b|\b403\b|unauthorized|forbidden|denied|authori[sz]ation|authentication", re.I)
_NOT_FOUND = re.compile(r"not found|manifest unknown|no such image|is not present|couldn't parse image|invalid", re.I)
OUT_OF_MEMORY = "was sent SIGKILL! Perhaps out of memory?"
"""What gunicorn says of a worker that the kernel killed."""

PROBE_KILLED = re.compile(r"failed (liveness|startup) probe", re.I)


def image_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    for status in statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in _IMAGE_REASONS:
            continue
        said = [str(waiting.get("message") or "")]
        said += [
            str(e.get("message") or "") for e in snapshot.events_of(pod) if e.get("reason") in ("Failed", "BackOff")
        ]
        told = max(said, key=lambda text: (bool(_NOT_AUTHORISED.search(text) or _NOT_FOUND.search(text)), len(text)))
        text = " ".join(said)
        if _NOT_AUTHORISED.search(text):
            cause = Cause.IMAGE_NOT_AUTHORISED
        elif _NOT_FOUND.search(text) or waiting["reason"] in ("InvalidImageName", "ErrImageNeverPull"):
            cause = Cause.IMAGE_NOT_FOUND
        else:
            cause = Cause.REGISTRY_UNREACHABLE
        image = str(status.get("image") or "")
        yield Finding(
            cause=cause,
            pods=(name_of(pod),),
            evidence=(f"image {image}: {waiting['reason']}", _short(told)),
            measured={"image": image},
        )


def configuration_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """What the pod refers to: named by the kubelet, so that no Secret is read."""
    said = []
    for status in statuses(pod):
        waiting = (status.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _CONFIGURATION_REASONS:
            said.append(f"{waiting['reason']}: {waiting.get('message') or ''}")
    if not is_true(pod, "Ready") and not any((s.get("state") or {}).get("running") for s in statuses(pod)):
        mounts = [e for e in snapshot.events_of(pod) if e.get("reason") in ("FailedMount", "FailedAttachVolume")]
        said += [f"{event['reason']}: {event.get('message') or ''}" for event in mounts]
    if said:
        yield Finding(cause=Cause.CONFIGURATION_MISSING, pods=(name_of(pod),), evidence=tuple(map(_short, said[:2])))


def memory_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """The kernel killed a worker and gunicorn started another, again and again: the container itself never ends."""
    killed = without_stamps(snapshot.logs.get((name_of(pod), CURRENT), "")).count(OUT_OF_MEMORY)
    for status in statuses(pod)[:1] if killed and not is_true(pod, "Ready") else []:
        limit = _limit(pod, status, "memory")
        yield Finding(
            cause=Cause.MEMORY_LIMIT,
            pods=(name_of(pod),),
            evidence=(
                f"{killed} worker processes were killed by the kernel before init() had returned, in a container that "
                f"never ends; the memory limit is {limit or 'not set'}",
            ),
            measured={"workers_killed": killed, "memory_limit": limit},
        )


def crash_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    killed = [str(e.get("message") or "") for e in snapshot.events_of(pod) if e.get("reason") == "Killing"]
    if any(PROBE_KILLED.search(message) for message in killed):
        return  # told by the probes
    for status in statuses(pod):
        ended = _ended(status)
        if ended is None or not _matters(snapshot, pod, ended):
            continue
        log = without_stamps(snapshot.logs.get((name_of(pod), PREVIOUS), ""))
        yield _crash(pod, status, ended, log)


def _crash(pod: Json, status: Json, ended: Json, log: str) -> Finding:
    code, restarts = ended.get("exitCode"), int(status.get("restartCount") or 0)
    times = f"exit code {code}, reason {ended.get('reason')}, {restarts} restarts"
    raised = in_user_code(log)
    limit = _limit(pod, status, "memory")
    if ended.get("reason") == "OOMKilled" or OUT_OF_MEMORY in log:
        return Finding(
            cause=Cause.MEMORY_LIMIT,
            pods=(name_of(pod),),
            evidence=(f"{times}; the memory limit is {limit or 'not set'}",),
            measured={"exit_code": code, "memory_limit": limit, "restarts": restarts},
        )
    if raised:
        last = raised[-1]
        cause = Cause.INIT_RAISED if INIT_FAILED in log else Cause.IMPORT_RAISED
        measured = {"exit_code": code, "exception": last.exception, "file": last.file, "line": last.line}
        evidence = (last.sentence, times, last.text)
        return Finding(cause=cause, pods=(name_of(pod),), evidence=evidence, measured=measured | {"restarts": restarts})
    lines = [line for line in log.splitlines() if line.strip()]
    said = (f'its log ends with "{lines[-1][:200]}"',) if lines else ("its log could not be read, or is empty",)
    return Finding(
        cause=Cause.CRASHED,
        pods=(name_of(pod),),
        evidence=(times, *said),
        measured={"exit_code": code, "restarts": restarts},
    )


def _ended(status: Json) -> Json | None:
    now = (status.get("state") or {}).get("terminated")
    return now or (status.get("lastState") or {}).get("terminated")


def _matters(snapshot: Snapshot, pod: Json, ended: Json) -> bool:
    if not is_true(pod, "Ready"):
        return True
    try:
        finished = datetime.fromisoformat(str(ended.get("finishedAt")))
    except ValueError:
        return False
    return (snapshot.taken_at - finished).total_seconds() < RECENT_S


def _limit(pod: Json, status: Json, resource: str) -> str | None:
    for container in (pod.get("spec") or {}).get("containers") or []:
        if container.get("name") == status.get("name"):
            value = ((container.get("resources") or {}).get("limits") or {}).get(resource)
            return None if value is None else str(value)
    return None


def statuses(pod: Json) -> list[Json]:
    return list((pod.get("status") or {}).get("containerStatuses") or [])


def name_of(thing: Json) -> str:
    return str(thing["metadata"]["name"])


def _short(text: Any) -> str:
    return " ".join(str(text).split())[:400]
