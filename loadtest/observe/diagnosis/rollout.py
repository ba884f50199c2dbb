"""What the Deployment and its replica sets say: pods that may not be made, a pause, a rollout that was given up."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loadtest.observe.diagnosis.findings import OTHER, Finding, Kind, kind_of
from loadtest.observe.diagnosis.reading import condition, name_of, one_line, part, text, whole
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.diagnosis.waits import are_missing, live_pods, missing_findings, state_of, wanted_replicas
from loadtest.observe.diagnosis.words import Cause

MOST_STATES = 3

_RULES = (
    Kind(
        "webhook_fails",
        re.compile(r"failed calling webhook"),
        "The admission webhook that the evidence names does not answer, and nothing is admitted without it: look at "
        "its Service and pods (`kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations`).",
    ),
    Kind(
        "policy_denies",
        re.compile(r"admission webhook .* denied the request|denied request: |denied by azurepolicy|azurepolicy-"),
        "Meet the policy that the evidence names (on AKS often Azure Policy), or ask whoever owns it for an exemption.",
    ),
    Kind(
        "pod_security",
        re.compile(r"violates PodSecurity"),
        "Meet the namespace's Pod Security level in the pod's securityContext, or lower the level (the namespace's "
        "label pod-security.kubernetes.io/enforce).",
    ),
    Kind(
        "service_account",
        re.compile(r"serviceaccount .* not found|error looking up service account"),
        "Create the ServiceAccount that the evidence names, or take it out of the deployment.",
    ),
    Kind(
        "limit_range",
        re.compile(r"(maximum|minimum) \S+ usage per|LimitRange"),
        "Bring the requests and limits within the namespace's LimitRange, or change it.",
    ),
)
"""Which rule refuses a pod, by the API server's words."""


def creation_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """What keeps a ReplicaSet, or the Deployment, from making its pods."""
    for thing in [*snapshot.replicasets, snapshot.deployment]:
        failure, progress = condition(thing, "ReplicaFailure"), condition(thing, "Progressing")
        if failure.get("status") != "True":
            if progress.get("reason") != "ReplicaSetCreateError" or progress.get("status") != "False":
                continue
            failure = progress
        message = one_line(text(failure, "message")) or "the controller gives no reason"
        is_quota = "exceeded quota" in message or "must specify" in message
        cause = Cause.QUOTA_EXCEEDED if is_quota else Cause.CREATION_REFUSED
        numbers = {k: found[1] for k in ("requested", "used", "limited") if (found := _amounts(k).search(message))}
        rule = OTHER if is_quota else kind_of(_RULES, message)
        measured = numbers | ({} if rule is OTHER else {"rule": rule.name})
        yield Finding(cause=cause, pods=(), evidence=(_without_pod(message),), measured=measured, step=rule.step)
        return


def paused_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """A paused Deployment makes no replica set, and so no pods where it has none yet."""
    if part(snapshot.deployment, "spec", "paused") is not True or not are_missing(snapshot) or live_pods(snapshot):
        return
    wanted = wanted_replicas(snapshot)
    yield Finding(
        cause=Cause.DEPLOYMENT_PAUSED,
        pods=(),
        evidence=(f"spec.paused is true; replicas wanted: {wanted}, pods: none",),
        measured={"wanted": wanted, "pods": 0},
    )


def unexplained_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Where nothing else says why: a rollout that Kubernetes has given up, or pods that nobody makes."""
    progress = condition(snapshot.deployment, "Progressing")
    wanted, living = wanted_replicas(snapshot), live_pods(snapshot)
    updated = whole(snapshot.deployment, "status", "updatedReplicas")
    is_behind = are_missing(snapshot, ready=True) or (updated is not None and updated < wanted)
    if progress.get("reason") == "ProgressDeadlineExceeded" and progress.get("status") == "False" and is_behind:
        deadline_s = whole(snapshot.deployment, "spec", "progressDeadlineSeconds") or 600
        unready = [pod for pod in living if condition(pod, "Ready").get("status") != "True"]
        states = [f"pod {name_of(pod)}: {state_of(snapshot, pod)}" for pod in unready[:MOST_STATES]]
        none = f"replicas wanted: {wanted}, pods: {len(living)}"
        yield Finding(
            cause=Cause.PROGRESS_DEADLINE,
            pods=tuple(name_of(pod) for pod in unready),
            evidence=(
                f"the rollout made no progress for {deadline_s} s (progressDeadlineSeconds): "
                f"{one_line(text(progress, 'message')) or 'no message given'}",
                *(states or [none]),
            ),
            measured={"wanted": wanted, "pods": len(living), "progress_deadline_s": deadline_s},
        )
    else:
        yield from missing_findings(snapshot, wanted, len(living))


def _amounts(kind: str) -> re.Pattern[str]:
    return re.compile(rf"{kind}: (.+?)(?=, (?:requested|used|limited): |$)")


def _without_pod(message: str) -> str:
    """Its name is a new one at each attempt."""
    return re.sub(r'pods "[^"]*" is forbidden: ', "pods are forbidden: ", message)
