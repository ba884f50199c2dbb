"""What a diagnosis says: causes, their titles, the words of Azure's own troubleshooting guide, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Cause(StrEnum):
    INIT_RAISED = "init_raised"
    IMPORT_RAISED = "import_raised"
    MEMORY_LIMIT = "memory_limit"
    CRASHED = "crashed"
    IMAGE_NOT_FOUND = "image_not_found"
    IMAGE_NOT_AUTHORISED = "image_not_authorised"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    CONFIGURATION_MISSING = "configuration_missing"
    DOES_NOT_FIT = "does_not_fit"
    PROBE_FAILS = "probe_fails"
    PROBE_TOO_STRICT = "probe_too_strict"
    EVICTED = "evicted"
    NODE_LOST = "node_lost"
    QUOTA_EXCEEDED = "quota_exceeded"
    CREATION_REFUSED = "creation_refused"
    RUN_RAISED = "run_raised"


@dataclass(frozen=True)
class Words:
    """title: what a person reads. azure: what Azure's guide calls it. next_step: what it says to do."""

    title: str
    azure: str
    next_step: str


WORDS: Mapping[Cause, Words] = {
    Cause.INIT_RAISED: Words(
        "init() raised an exception",
        "The container crashes when init() fails (CrashLoopBackOff; a client sees 502)",
        "Mend init() in score.py: the line is in the evidence. `surgeproof lab --score-dir` runs it here.",
    ),
    Cause.IMPORT_RAISED: Words(
        "score.py could not be imported",
        "An import or syntax error in the scoring script (CrashLoopBackOff; a client sees 502)",
        "Mend score.py or add the missing package to the environment: the line is in the evidence.",
    ),
    Cause.MEMORY_LIMIT: Words(
        "The container hit its memory limit",
        "PodOutOfMemory: the deployment needs more memory than its limit",
        "Raise the memory limit (v1: memory_gb_limit; v2: resources.limits.memory or the instance type), or load less.",
    ),
    Cause.CRASHED: Words(
        "The container ended by itself",
        "The container crashes (CrashLoopBackOff)",
        "Read the log of the container that ended: kubectl logs --previous.",
    ),
    Cause.IMAGE_NOT_FOUND: Words(
        "The image does not exist",
        "Image pull error: the image or its tag was not found in the registry",
        "Correct the image's name and tag, or push it.",
    ),
    Cause.IMAGE_NOT_AUTHORISED: Words(
        "The registry refused the pull",
        "Image pull error: not authorised (the cluster lacks the rights to pull, such as AcrPull)",
        "Give the cluster's identity the right to pull (for ACR: az aks update --attach-acr), or set imagePullSecrets.",
    ),
    Cause.REGISTRY_UNREACHABLE: Words(
        "The registry did not answer",
        "Image pull error: the registry cannot be reached from the node",
        "Check the registry's name, DNS, firewall and private endpoints as the node sees them.",
    ),
    Cause.CONFIGURATION_MISSING: Words(
        "Something that the pod refers to is missing",
        "The container cannot be created (CreateContainerConfigError, FailedMount)",
        "Create what the evidence names, or take the reference out of the deployment.",
    ),
    Cause.DOES_NOT_FIT: Words(
        "No node has room for the replica",
        "PodUnschedulable: the cluster has not the resources that the deployment requests",
        "Lower the requests or add nodes (the cluster autoscaler must be on: azureml-fe never adds nodes).",
    ),
    Cause.PROBE_FAILS: Words(
        "The probe fails though the scoring server runs",
        "The container is not ready: its liveness or readiness probe fails",
        "Correct the probe's path and port: the scoring server answers GET / on 5001.",
    ),
    Cause.PROBE_TOO_STRICT: Words(
        "The probe gives up before init() has ended",
        "The container is restarted by its liveness probe: its limits are too small for init()",
        "Raise initial_delay (v1: initial_delay_seconds) or failure_threshold above the measured time of init().",
    ),
    Cause.EVICTED: Words(
        "The pod was evicted",
        "Evicted: the node ran out of a resource, or the pod used more than it may",
        "Raise the limit that the evidence names or use less; on a full node raise the requests.",
    ),
    Cause.NODE_LOST: Words(
        "The pod's node is lost",
        "NodeNotReady: the node no longer answers the cluster",
        "Look at the node (kubectl describe node); the replica comes back with it, or is replaced.",
    ),
    Cause.QUOTA_EXCEEDED: Words(
        "The namespace's quota allows no further pod",
        "Quota exceeded: the resource quota of the namespace is used up",
        "Raise the ResourceQuota of the namespace, or lower the requests or the maximum of replicas.",
    ),
    Cause.CREATION_REFUSED: Words(
        "The cluster refused to create the pod",
        "FailedCreate: the pod could not be created",
        "Read the evidence: an admission rule or a limit range of the namespace refuses the pod.",
    ),
    Cause.RUN_RAISED: Words(
        "run() raised an exception",
        "An exception in run() (500 from the container, 502 from the front end): fix score.py",
        "Mend run(): these are errors of the model, no matter of capacity, and no number of replicas helps.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One cause, in one or several pods. evidence: sentences with their numbers; measured: the numbers alone."""

    cause: Cause
    pods: tuple[str, ...]
    evidence: tuple[str, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding of each cause: pods together, evidence of the first that has it, each sentence once."""
    by_cause: dict[Cause, list[Finding]] = {}
    for finding in findings:
        by_cause.setdefault(finding.cause, []).append(finding)
    return [
        Finding(
            cause=cause,
            pods=tuple(dict.fromkeys(pod for f in same for pod in f.pods)),
            evidence=tuple(dict.fromkeys(sentence for f in same[:1] for sentence in f.evidence)),
            measured=same[0].measured,
        )
        for cause, same in sorted(by_cause.items(), key=lambda item: list(Cause).index(item[0]))
    ]


def findings_document(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """As JSON, with the words for people."""
    return [
        {
            "cause": str(finding.cause),
            "title": WORDS[finding.cause].title,
            "pods": list(finding.pods),
            "evidence": list(finding.evidence),
            "next_step": WORDS[finding.cause].next_step,
            "azure": WORDS[finding.cause].azure,
            "measured": dict(finding.measured),
        }
        for finding in findings
    ]
