"""Images that cannot be had, or are not there yet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.preparation.configuration import OTHER_PLATFORM, PLATFORM_STEP
from loadtest.observe.diagnosis.reading import Json, container, is_ready, name_of, one_line, statuses, text
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.waits import has_waited_long, pull_since
from loadtest.observe.diagnosis.words import Cause

_IMAGE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "ImageInspectError",
)


@dataclass(frozen=True)
class _Kind:
    """What a pull failed for. step: "" where the cause's own words fit."""

    cause: Cause
    words: re.Pattern[str]
    step: str = ""


_KINDS = (
    _Kind(Cause.IMAGE_PULL_FAILED, OTHER_PLATFORM, PLATFORM_STEP),
    _Kind(Cause.REGISTRY_FIREWALL, re.compile(r"client with IP\b|is not allowed access|aka\.ms/acr/firewall", re.I)),
    _Kind(
        Cause.IMAGE_PULL_FAILED,
        re.compile(r"no space left on device", re.I),
        "The node's disk is full: free it, use nodes with a larger one, or a smaller image.",
    ),
    _Kind(
        Cause.IMAGE_PULL_FAILED,
        re.compile(r"\b429\b|toomanyrequests|too many requests", re.I),
        "The registry limits how often it may be asked: pull with credentials, or from a registry of your own.",
    ),
    _Kind(
        Cause.IMAGE_PULL_FAILED,
        re.compile(r"x509:", re.I),
        "The node does not trust the registry's certificate: give the nodes its CA, or renew the certificate.",
    ),
    _Kind(
        Cause.IMAGE_NOT_AUTHORISED,
        re.compile(
            r"\b(401|403)\b|unauthori[sz]ed|forbidden|\bdenied\b|authori[sz]ation failed|authentication required", re.I
        ),
    ),
    _Kind(
        Cause.IMAGE_NOT_FOUND,
        re.compile(r"not found|NotFound|manifest unknown|no such image|not present|invalid reference|\b404\b", re.I),
    ),
    _Kind(
        Cause.REGISTRY_UNREACHABLE,
        re.compile(
            r"dial tcp|no such host|connection refused|connection reset|no route to host|network is unreachable"
            r"|timeout|timed out|deadline exceeded|RegistryUnavailable|\bEOF\b",
            re.I,
        ),
    ),
)
"""In this order within one error. ACR's firewall answers 403, and so is looked for before what is not authorised."""

_NEXT_ERROR = re.compile(r"rpc error: code = ")
_CODE = re.compile(r"^\w+ desc = ")
_ADDRESS = re.compile(r"https?://[^\s\"]+")


def image_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    for status in statuses(pod):
        reason = text(status, "state", "waiting", "reason")
        if reason not in _IMAGE:
            continue
        image = text(container(pod, text(status, "name")), "image") or text(status, "image")
        failed = [e for e in snapshot.events_of(pod, "Failed") if "Failed to pull" in text(e, "message")]
        said = [text(status, "state", "waiting", "message"), *(text(event, "message") for event in reversed(failed))]
        told = next((words for words in said if _kind(words, image) is not None), max(said, key=len))
        kind = _kind(told, image)
        yield Finding(
            cause=_by_reason(reason) if kind is None else kind.cause,
            pods=(name_of(pod),),
            evidence=(f"image {image}: {reason}", one_line(told)) if told else (f"image {image}: {reason}",),
            measured={"image": image, "http_status": _http_status(_bare(told, image))},
            step="" if kind is None else kind.step,
        )


def slow_pull_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """A pull that is under way for longer than a replica may take to start, of which no failure is told."""
    if is_ready(pod) or not has_waited_long(snapshot, pod):
        return
    for status in statuses(pod):
        since = pull_since(snapshot, pod, status)
        pulled_s = snapshot.age_s(since)
        if since is None or pulled_s is None or pulled_s <= snapshot.patience_s:
            continue
        image = text(container(pod, text(status, "name")), "image") or text(status, "image")
        yield Finding(
            cause=Cause.IMAGE_STILL_PULLED,
            pods=(name_of(pod),),
            evidence=(
                f"the pull of image {image} has run for {pulled_s:.0f} s, since {since:%H:%M:%S} UTC",
                f"on node {text(pod, 'spec', 'nodeName')}; no failure is told",
            ),
            measured={"image": image, "pulled_s": round(pulled_s)},
        )


def _bare(words: str, image: str) -> str:
    """Without names, which may contain any word."""
    return _ADDRESS.sub("", words.replace(image, "") if image else words)


def _kind(words: str, image: str) -> _Kind | None:
    """Of the first error of several: a registry that has no such tag may go on to ask for a token, and refuse it.

    The code of an error is looked at where its words say nothing: what is not there, containerd calls NotFound, and so
    also a platform.
    """
    errors = [error for error in _NEXT_ERROR.split(_bare(words, image)) if error.strip(" [:,")]
    for error in errors:
        for said in (_CODE.sub("", error), error):
            if found := next((kind for kind in _KINDS if kind.words.search(said)), None):
                return found
    return None


def _by_reason(reason: str) -> Cause:
    """Where no words say more: a full disk or a damaged layer is no fault of the registry's."""
    if reason in ("InvalidImageName", "ErrImageNeverPull"):
        return Cause.IMAGE_NOT_FOUND
    return Cause.REGISTRY_UNREACHABLE if reason == "RegistryUnavailable" else Cause.IMAGE_PULL_FAILED


def _http_status(words: str) -> int | None:
    found = re.search(r"\b(40[134])\b", words)
    return int(found[1]) if found else None
