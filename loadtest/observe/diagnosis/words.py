"""The causes, and for each what a person reads, what Azure's troubleshooting guides call it, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """In the order in which they are told."""

    INIT_RAISED = "init_raised"
    IMPORT_RAISED = "import_raised"
    INIT_DOES_NOT_END = "init_does_not_end"
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
    """title: what a person reads. azure: what Azure's guides call it, where they do. next_step: what to do."""

    title: str
    azure: str
    next_step: str


WORDS: Mapping[Cause, Words] = {
    Cause.INIT_RAISED: Words(
        "init() raised an exception",
        "502: an error in init(); the container crashes (CrashLoopBackOff)",
        "Mend init() in score.py at the line that the evidence names; `surgeproof lab` with the same folder of code "
        "runs it on this machine.",
    ),
    Cause.IMPORT_RAISED: Words(
        "score.py could not be imported",
        "502: an import or syntax error in score.py; the container crashes (CrashLoopBackOff)",
        "Mend score.py at the line that the evidence names, or add the missing package to the environment.",
    ),
    Cause.INIT_DOES_NOT_END: Words(
        "init() does not end",
        "504 or 503: the container never becomes ready; the guides say to look for what hangs in score.py",
        "Look at what init() waits for: a download of the model, a host that cannot be reached, a lock.",
    ),
    Cause.MEMORY_LIMIT: Words(
        "The memory limit is too small",
        "PodOutOfMemory: the deployment was given less memory than it needs",
        "Raise the limit (v1: memory_gb_limit; v2: resources.limits.memory or the instance type), or load less in "
        "init().",
    ),
    Cause.CRASHED: Words(
        "The container ended",
        "502: the container crashes (CrashLoopBackOff)",
        "Read the log of the container that ended: `kubectl logs --previous POD`.",
    ),
    Cause.IMAGE_NOT_FOUND: Words(
        "The image is not there",
        "ErrImagePull, ImagePullBackOff: the image or its tag does not exist in the registry",
        "Correct the image's name or tag in the environment, or build and push it.",
    ),
    Cause.IMAGE_NOT_AUTHORISED: Words(
        "The registry refuses the pull",
        "ErrImagePull, ImagePullBackOff: the cluster's identity may not pull (for ACR: the role AcrPull)",
        "Let the cluster pull (for ACR: `az aks update --attach-acr REGISTRY`), or correct the imagePullSecrets.",
    ),
    Cause.REGISTRY_UNREACHABLE: Words(
        "The registry does not answer",
        "ErrImagePull, ImagePullBackOff: the registry cannot be reached from the node",
        "Check the registry's name, DNS, firewall and private endpoint as the node sees them.",
    ),
    Cause.CONFIGURATION_MISSING: Words(
        "What the pod refers to is missing",
        "CreateContainerConfigError, CreateContainerError, FailedMount: the container cannot be created",
        "Create what the evidence names, or take the reference to it out of the deployment.",
    ),
    Cause.DOES_NOT_FIT: Words(
        "No node has room for the replica",
        "PodUnschedulable; v1: \"Couldn't Schedule because the kubernetes cluster didn't have available resources "
        'after trying for 00:05:00"',
        "Lower the requests, or add nodes that fit (azureml-fe never adds nodes: the cluster autoscaler must be on).",
    ),
    Cause.PROBE_FAILS: Words(
        "The probe fails though the scoring server runs",
        "The container's liveness or readiness probe fails: the deployment does not become healthy",
        "Correct the probe's path and port: the scoring server answers GET / on its port (5001 as Azure starts it).",
    ),
    Cause.PROBE_TOO_STRICT: Words(
        "The probe gives up before init() has ended",
        "The container is restarted by its liveness probe (defaults of v1: initial delay 310 s, then 3 failures, 10 s "
        "apart; of v2: 10 s, then 30)",
        "Raise the probe's initial delay or its failure threshold until their sum is above what init() takes (v1: "
        "initial_delay_seconds; v2: liveness_probe.initial_delay).",
    ),
    Cause.EVICTED: Words(
        "The pod was evicted",
        "Evicted: the pod used more of a resource than it may, or its node ran out of it",
        "Raise the limit that the evidence names, or use less; where the node ran out, raise the requests to what is "
        "used.",
    ),
    Cause.NODE_LOST: Words(
        "The pod's node is lost",
        "NodeNotReady: the node no longer reports to the cluster",
        "Look at the node (`kubectl describe node NODE`); unless it comes back, its pods are replaced after 5 minutes.",
    ),
    Cause.QUOTA_EXCEEDED: Words(
        "The namespace's quota allows no further pod",
        "FailedCreate: the resource quota of the namespace is used up",
        "Raise the ResourceQuota of the namespace, or lower the requests or the greatest number of replicas.",
    ),
    Cause.CREATION_REFUSED: Words(
        "The cluster refuses to create the pod",
        "FailedCreate: a rule of the cluster or of the namespace refuses the pod",
        "Read in the evidence which rule (admission policy, limit range, pod security), and meet it or change it.",
    ),
    Cause.RUN_RAISED: Words(
        "run() raises exceptions",
        "500 of the container, 502 at azureml-fe: an exception in run(); to be mended in score.py",
        "Mend run() at the line that the evidence names. These are errors of the model, not of capacity: no number of "
        "replicas helps.",
    ),
}
