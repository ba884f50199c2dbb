"""Containers that cannot be made: what they refer to is missing, or the runtime cannot start them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.reading import Json, name_of, one_line, statuses, text
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.words import Cause

_REASONS = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_CANNOT = re.compile(r"runAsNonRoot|run as root|exec format error|permission denied|executable file not found", re.I)
_MISSING = re.compile(r"not found|couldn't find key|references non-existent|no such file|missing", re.I)

OTHER_PLATFORM = re.compile(
    r"no match for platform in manifest|exec format error|does not match the specified platform"
)
"""containerd's words for an image without a variant for the node, and the kernel's for a program of another kind."""
PLATFORM_STEP = (
    "Build the image for the nodes' platform (`docker build --platform linux/amd64`; `kubectl get nodes -L "
    "kubernetes.io/arch` shows it), or choose nodes of the image's. A script needs `#!` and an interpreter in its "
    "first line."
)


def configuration_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """What is missing is named by the kubelet, so that no Secret is read for it."""
    waiting = [(text(s, "state", "waiting", "reason"), text(s, "state", "waiting", "message")) for s in statuses(pod)]
    said = [f"{reason}: {message}" for reason, message in waiting if reason in _REASONS]
    for cause in (Cause.CONFIGURATION_MISSING, Cause.CANNOT_START):
        of_cause = [words for words in dict.fromkeys(said) if _cause(words) is cause]
        if of_cause:
            yield Finding(
                cause=cause,
                pods=(name_of(pod),),
                evidence=tuple(one_line(words) for words in of_cause),
                step=PLATFORM_STEP if OTHER_PLATFORM.search(of_cause[0]) else "",
            )


def _cause(words: str) -> Cause:
    """RunContainerError is of the runtime, so nothing that the pod refers to is missing."""
    is_missing = _MISSING.search(words) and not _CANNOT.search(words) and not words.startswith("RunContainerError")
    return Cause.CONFIGURATION_MISSING if is_missing else Cause.CANNOT_START
