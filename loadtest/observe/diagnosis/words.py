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
    REGISTRY_FIREWALL = "registry_firewall"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    IMAGE_PULL_FAILED = "image_pull_failed"
    IMAGE_STILL_PULLED = "image_still_pulled"
    CONFIGURATION_MISSING = "configuration_missing"
    CANNOT_START = "container_cannot_start"
    NO_ADDRESS_LEFT = "no_address_left"
    SANDBOX_FAILS = "sandbox_fails"
    VOLUME_FAILS = "volume_fails"
    CLAIM_NOT_BOUND = "claim_not_bound"
    DOES_NOT_FIT = "does_not_fit"
    NO_NODE_ADDED = "no_node_added"
    SCHEDULING_GATED = "scheduling_gated"
    INIT_CONTAINER_DOES_NOT_END = "init_container_does_not_end"
    PROBE_FAILS = "probe_fails"
    PROBE_TOO_STRICT = "probe_too_strict"
    SIDECAR_NOT_READY = "sidecar_not_ready"
    READINESS_GATE = "readiness_gate"
    EVICTED = "evicted"
    NODE_REFUSED = "node_refused"
    NODE_SHUTDOWN = "node_shutdown"
    PREEMPTED = "preempted"
    NODE_LOST = "node_lost"
    QUOTA_EXCEEDED = "quota_exceeded"
    CREATION_REFUSED = "creation_refused"
    DEPLOYMENT_PAUSED = "deployment_paused"
    PROGRESS_DEADLINE = "progress_deadline_exceeded"
    NOT_KNOWN = "not_known"
    RUN_RAISED = "run_raised"


@dataclass(frozen=True)
class Words:
    """title: what a person reads. azure: the error's name in Azure's guides and how they explain it; where they have
    none, that and Kubernetes' name. next_step: what to do.
    """

    title: str
    azure: str
    next_step: str


WORDS: Mapping[Cause, Words] = {
    Cause.INIT_RAISED: Words(
        "init() raised an exception",
        "UserScriptInitFailed: init() in score.py raised an exception (also KubernetesCrashLoopBackOff; 502)",
        "Mend init() in score.py at the line that the evidence names; `surgeproof lab` with the same folder of code "
        "runs it on this machine.",
    ),
    Cause.IMPORT_RAISED: Words(
        "score.py could not be imported",
        "UserScriptImportError: score.py imports unavailable packages; UserScriptFunctionNotFound: it has no init() or "
        "run(); DeploymentCrashLoopBackOff: a syntax or import error (502)",
        "Mend score.py at the line that the evidence names, or add the missing package to the environment.",
    ),
    Cause.INIT_DOES_NOT_END: Words(
        "init() does not end",
        "ResourceNotReady: the initialization of the container takes too long",
        "Look at what init() waits for: a download of the model, a host that cannot be reached, a lock.",
    ),
    Cause.MEMORY_LIMIT: Words(
        "The memory limit is too small",
        "PodOutOfMemory: the memory limit given for the deployment is insufficient (also DeploymentCrashLoopBackOff)",
        "Raise the limit (v1: memory_gb_limit; v2: resources.limits.memory or the instance type), or load less in "
        "init().",
    ),
    Cause.CRASHED: Words(
        "The container ended",
        "KubernetesCrashLoopBackOff, ResourceNotReady: the container crashes, and scoring cannot happen (502)",
        "Read the log of the container that ended: `kubectl logs --previous POD`.",
    ),
    Cause.IMAGE_NOT_FOUND: Words(
        "The image is not there",
        "ImagePullLoopBackOff: the image cannot be downloaded; BadArgument, unable to download user container image: "
        "it might not be found",
        "Correct the image's name or tag in the environment, or build and push it.",
    ),
    Cause.IMAGE_NOT_AUTHORISED: Words(
        "The registry refuses the pull",
        "ImagePullLoopBackOff; ACRSecretError, ACRTokenExchangeFailed: the role assignment (AcrPull) is not there or "
        "not yet in force; ResourceNotFound, container registry authorization error",
        "Let the cluster pull (for ACR: `az aks update --attach-acr REGISTRY`), or correct the imagePullSecrets.",
    ),
    Cause.REGISTRY_FIREWALL: Words(
        "The registry's firewall lets the node's address not through",
        "ImagePullLoopBackOff; the registry's own words lead to https://aka.ms/acr/firewall",
        "Allow the address that the evidence names (for ACR: `az acr network-rule add`), or give the cluster's "
        "network a private endpoint to the registry. The role AcrPull is another matter.",
    ),
    Cause.REGISTRY_UNREACHABLE: Words(
        "The registry does not answer",
        "ImagePullLoopBackOff; ACRAuthenticationChallengeFailed: the cluster cannot reach the container registry",
        "Check the registry's name, DNS, firewall and private endpoint as the node sees them.",
    ),
    Cause.IMAGE_PULL_FAILED: Words(
        "The image cannot be pulled",
        "ImagePullLoopBackOff: the image cannot be downloaded from the container registry",
        "Read what the node says in the evidence; if it says nothing, ask soon after a new attempt, since events live "
        "for an hour: `kubectl describe pod POD`.",
    ),
    Cause.IMAGE_STILL_PULLED: Words(
        "The image is still being pulled",
        "ResourceNotReady, ImagePullLoopBackOff: the guides do not tell a long pull apart; in Kubernetes' words "
        "Pulling",
        "Wait, or look at why it takes long: the image's size, the node's disk and network, other pulls before "
        "it. A smaller image, or one that lies in the cluster's region, starts sooner.",
    ),
    Cause.CONFIGURATION_MISSING: Words(
        "What the pod refers to is missing",
        "the guides have no name for it; in Kubernetes' words CreateContainerConfigError, CreateContainerError, "
        "FailedMount",
        "Create what the evidence names, or take the reference to it out of the deployment.",
    ),
    Cause.CANNOT_START: Words(
        "The container cannot be started",
        "the guides have no name for it; in Kubernetes' words StartError, RunContainerError, CreateContainerError",
        "Correct what the evidence names: the command, the image's entry point, or the container's security context.",
    ),
    Cause.NO_ADDRESS_LEFT: Words(
        "No address is left for the pod",
        "the guides have no name for it; in Kubernetes' words FailedCreatePodSandBox; Azure calls a full subnet "
        "SubnetIsFull or InsufficientSubnetSize",
        "Give the pods more addresses: a larger subnet or pod subnet, fewer pods on a node (max-pods), or Azure "
        "CNI Overlay.",
    ),
    Cause.SANDBOX_FAILS: Words(
        "The pod's sandbox cannot be made",
        "the guides have no name for it; in Kubernetes' words FailedCreatePodSandBox",
        "Look at the node's network plugin and container runtime, which the evidence quotes (`kubectl get pods -n"
        " kube-system -o wide`).",
    ),
    Cause.VOLUME_FAILS: Words(
        "A volume cannot be mounted",
        "the guides have no name for it; in Kubernetes' words FailedMount, FailedAttachVolume",
        "Read in the evidence what the storage answered, and look at it from the node: `kubectl describe pod POD`.",
    ),
    Cause.CLAIM_NOT_BOUND: Words(
        "A volume claim has no volume",
        "the guides have no name for it; in Kubernetes' words unbound PersistentVolumeClaim",
        "Look at the claim (`kubectl describe pvc CLAIM`): its storage class, its size and zone, and whether it "
        "exists.",
    ),
    Cause.DOES_NOT_FIT: Words(
        "No node has room for the replica",
        "PodUnschedulable: insufficient resources in the cluster, or no node matches the node affinity selector (also "
        "OutOfQuota, Kubernetes quota); v1: \"Couldn't Schedule because the kubernetes cluster didn't have available "
        'resources after trying for 00:05:00"',
        "Lower the requests, or add nodes that fit (azureml-fe never adds nodes: the cluster autoscaler must be on).",
    ),
    Cause.NO_NODE_ADDED: Words(
        "The autoscaler adds no node for the replica",
        "PodUnschedulable: insufficient resources in the cluster; in the autoscaler's words NotTriggerScaleUp",
        "Add a node pool whose nodes have what a pod requests, with the labels and taints that it asks for, or "
        "lower the requests.",
    ),
    Cause.SCHEDULING_GATED: Words(
        "A scheduling gate holds the pod back",
        "the guides have no name for it; in Kubernetes' words SchedulingGated",
        "Look at the controller that set the gate and is to remove it (a queue such as Kueue, for example).",
    ),
    Cause.INIT_CONTAINER_DOES_NOT_END: Words(
        "An init container is still at work",
        "ResourceNotReady: the initialization of the container takes too long",
        "Look at what it waits for, a download for example: `kubectl logs POD -c CONTAINER`.",
    ),
    Cause.PROBE_FAILS: Words(
        "The probe fails though the scoring server runs",
        "ResourceNotReady: readiness or liveness probes are not set up correctly",
        "Correct the probe's path and port: the scoring server answers GET / on its port (5001 as Azure starts it).",
    ),
    Cause.PROBE_TOO_STRICT: Words(
        "The probe gives up before init() has ended",
        "ResourceNotReady: the initialization of the container takes so long that the probe fails beyond its threshold "
        "(defaults of v1: initial delay 310 s, then 3 failures, 10 s apart; of v2: 10 s, then 30)",
        "Raise the probe's initial delay or its failure threshold until their sum is above what init() takes (v1: "
        "initial_delay_seconds; v2: liveness_probe.initial_delay).",
    ),
    Cause.SIDECAR_NOT_READY: Words(
        "Another container of the pod is not ready",
        "ResourceNotReady: readiness or liveness probes are not set up correctly",
        "Look at the container that the evidence names, not at the scoring server: `kubectl logs POD -c CONTAINER`.",
    ),
    Cause.READINESS_GATE: Words(
        "A readiness gate is not met",
        "the guides have no name for it; in Kubernetes' words ReadinessGatesNotReady",
        "Look at the controller that is to set the condition (an ingress or load balancer controller, for "
        "example), or take the gate out of the pod.",
    ),
    Cause.EVICTED: Words(
        "The pod was evicted",
        "the guides have no name for it; in Kubernetes' words Evicted",
        "Raise the limit that the evidence names, or use less; where the node ran out, raise the requests to what is "
        "used.",
    ),
    Cause.NODE_REFUSED: Words(
        "The node refused the pod",
        "the guides have no name for it; in Kubernetes' words the pod's reason, such as OutOfcpu or "
        "UnexpectedAdmissionError",
        "Look at the node (`kubectl describe node NODE`): what it has left, its devices and labels. The pods that"
        " it refused stay until they are deleted.",
    ),
    Cause.NODE_SHUTDOWN: Words(
        "The pod's node shut down",
        "the guides have no name for it; in Kubernetes' words NodeShutdown, Terminated",
        "Look at why the node goes down: an upgrade, a scale-down, or a spot machine that is taken away. New pods"
        " come up on other nodes.",
    ),
    Cause.PREEMPTED: Words(
        "The pod had to make room for a more important one",
        "the guides have no name for it; in Kubernetes' words Preempted, Preempting",
        "Add room for both, or give the pod a higher priority class.",
    ),
    Cause.NODE_LOST: Words(
        "The pod's node is lost",
        "the guides have no name for it; in Kubernetes' words NodeNotReady",
        "Look at the node (`kubectl describe node NODE`); unless it comes back, its pods are replaced after 5 minutes.",
    ),
    Cause.QUOTA_EXCEEDED: Words(
        "The namespace's quota allows no further pod",
        "the guides have no name for it (their OutOfQuota means Azure's quotas and full nodes); in Kubernetes' words "
        "FailedCreate, exceeded quota",
        "Raise the ResourceQuota of the namespace, or lower the requests or the greatest number of replicas.",
    ),
    Cause.CREATION_REFUSED: Words(
        "The cluster refuses to create the pod",
        "the guides have no name for it; in Kubernetes' words FailedCreate",
        "Read in the evidence which rule (admission policy, limit range, pod security), and meet it or change it.",
    ),
    Cause.DEPLOYMENT_PAUSED: Words(
        "The Deployment is paused",
        "the guides have no name for it; in Kubernetes' words DeploymentPaused",
        "Resume it: `kubectl rollout resume deployment NAME`. While it is paused, a new version gets no pods.",
    ),
    Cause.PROGRESS_DEADLINE: Words(
        "Kubernetes has given up waiting for the rollout",
        "ResourceNotReady; in Kubernetes' words ProgressDeadlineExceeded",
        "Look at what the pods wait for, as the evidence tells it. If they only take long, raise "
        "progressDeadlineSeconds.",
    ),
    Cause.NOT_KNOWN: Words(
        "Replicas are not ready, and the cause is not known",
        "ResourceNotReady: the container does not come up",
        "Read what the evidence tells of the pod, and ask the cluster for the rest: `kubectl describe pod POD` "
        "and `kubectl logs POD`. If it only takes long, raise --patience.",
    ),
    Cause.RUN_RAISED: Words(
        "run() raises exceptions",
        "500 of the container, 502 at azureml-fe: an exception in run(); to be mended in score.py",
        "Mend run() at the line that the evidence names. These are errors of the model, not of capacity: no number of "
        "replicas helps.",
    ),
}
