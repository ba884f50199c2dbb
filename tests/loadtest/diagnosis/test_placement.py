"""Places on nodes: what an autoscaler says, claims without a volume, nodes that refuse a pod; rollouts that stop."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.observe.diagnosis import Cause, Finding, Snapshot, diagnose
from loadtest.observe.diagnosis.document import document
from tests.loadtest.diagnosis.objects import NOW, aged, ago, creating, event, node, pod, snapshot, unschedulable
from tests.loadtest.diagnosis.test_causes import replica_set

SMALL = [node(cpu="100m")]


def only(taken: Snapshot) -> Finding:
    (finding,) = diagnose(taken)
    return finding


def unplaced(*events: dict[str, Any]) -> Snapshot:
    waits = aged(unschedulable("0/3 nodes are available: 3 Insufficient cpu."))
    return snapshot(waits, events=list(events), nodes=SMALL)


def test_a_node_that_is_on_its_way_is_no_failure_and_is_told() -> None:
    said = "pod triggered scale-up: [{aks-cpu-1-vmss 1->2 (max: 5)}]"
    known = document(unplaced(event("TriggeredScaleUp", said, seconds_ago=120)), "ml")
    assert (known["health"], known["findings"], known["replicas"]["pending"]) == ("starting", [], 1)
    words = f"a node was asked for 120 s ago and is on its way, says the cluster autoscaler: {said}"
    assert known["waiting"] == [{"pod": "blue-1", "for_s": 1800, "state": words}]


def test_a_node_that_was_asked_for_before_the_scheduler_has_spoken() -> None:
    """A pod without any condition PodScheduled."""
    silent = aged(pod(phase="Pending", containerStatuses=[]))
    del silent["spec"]["nodeName"]
    asked = event("TriggeredScaleUp", "pod triggered scale-up", seconds_ago=400)
    known = document(snapshot(silent, events=[asked]), "ml")
    assert (known["health"], known["findings"]) == ("starting", [])
    assert known["waiting"][0]["state"].startswith("a node was asked for 400 s ago and is on its way, says the cluster")
    (finding,) = document(snapshot(silent), "ml")["findings"]
    assert finding["evidence"][0] == "no node is chosen for it yet"


def test_a_node_of_karpenter_is_on_its_way_since_the_first_time_it_was_nominated() -> None:
    said = "Pod should schedule on: nodeclaim/default-tn8fg"
    again = event(
        "Nominated", said, count=12, seconds_ago=20, firstTimestamp=ago(500), source={"component": "karpenter"}
    )
    known = document(unplaced(again), "ml")
    assert known["health"] == "starting"
    assert (
        "asked for 500 s ago and is on its way, says Karpenter (node auto provisioning)" in known["waiting"][0]["state"]
    )
    late = only(unplaced(again | {"firstTimestamp": ago(1400)}))
    assert (late.cause, late.measured["asked_s_ago"]) == (Cause.NO_NODE_ADDED, 1400)
    assert late.evidence[0].startswith("the node that was asked for has not come: ")


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("pod didn't trigger scale-up: 1 max node group size reached", "raise its max-count"),
        ("pod didn't trigger scale-up: 1 in backoff after failed scale-up", "The last attempt to add a node failed"),
        ("pod didn't trigger scale-up: 3 Insufficient cpu", "Add a node pool whose nodes have what a pod requests"),
    ],
)
def test_why_the_cluster_autoscaler_adds_no_node(words: str, step: str) -> None:
    finding = only(unplaced(event("NotTriggerScaleUp", words, count=40)))
    assert finding.cause == Cause.NO_NODE_ADDED
    assert finding.evidence[0] == f"the cluster autoscaler is on and adds no node: {words}"
    assert "the scheduler: 0/3 nodes are available: 3 Insufficient cpu" in finding.evidence
    assert step in finding.next_step


def test_why_karpenter_adds_no_node() -> None:
    words = 'Failed to schedule pod, incompatible with nodepool "default", all available instance types exceed limits'
    finding = only(unplaced(event("FailedScheduling", words, reportingComponent="karpenter")))
    assert (finding.cause, "spec.limits" in finding.next_step) == (Cause.NO_NODE_ADDED, True)
    by_scheduler = event("FailedScheduling", "0/3 nodes are available", source={"component": "default-scheduler"})
    assert only(unplaced(by_scheduler)).cause == Cause.DOES_NOT_FIT


def test_the_autoscalers_newest_word_counts() -> None:
    asked = event("TriggeredScaleUp", "pod triggered scale-up", seconds_ago=1000)
    refused = event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached", seconds_ago=400)
    again = event("TriggeredScaleUp", "pod triggered scale-up", seconds_ago=60)
    assert only(unplaced(asked, refused)).cause == Cause.NO_NODE_ADDED
    assert diagnose(unplaced(asked, refused, again)) == []
    assert only(unplaced(asked)).cause == Cause.NO_NODE_ADDED


@pytest.mark.parametrize(
    "words",
    [
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        '0/3 nodes are available: persistentvolumeclaim "models" not found.',
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind.",
    ],
)
def test_a_claim_without_a_volume_is_no_lack_of_room(words: str) -> None:
    volumes = [{"name": "m", "persistentVolumeClaim": {"claimName": "models"}}]
    about = {"kind": "PersistentVolumeClaim", "name": "models", "uid": "uid-claim"}
    failed = event("ProvisioningFailed", 'storageclass "fast" not found') | {"involvedObject": about}
    finding = only(snapshot(aged(unschedulable(words, volumes=volumes)), events=[failed]))
    assert (finding.cause, finding.measured["claims"]) == (Cause.CLAIM_NOT_BOUND, ["models"])
    assert finding.evidence[1:] == ("the pod's claims: models", 'ProvisioningFailed: storageclass "fast" not found')
    assert diagnose(snapshot(aged(unschedulable(words), 20))) == []


def rejected(reason: str, message: str, **more: Any) -> dict[str, Any]:
    return aged(pod(phase="Failed", reason=reason, message=message, containerStatuses=[], **more))


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("OutOfcpu", Cause.NODE_REFUSED),
        ("OutOfnvidia.com/gpu", Cause.NODE_REFUSED),
        ("UnexpectedAdmissionError", Cause.NODE_REFUSED),
        ("NodeAffinity", Cause.NODE_REFUSED),
        ("NodeShutdown", Cause.NODE_SHUTDOWN),
        ("Terminated", Cause.NODE_SHUTDOWN),
        ("Preempting", Cause.PREEMPTED),
    ],
)
def test_a_pod_that_its_node_refused_or_ended(reason: str, cause: Cause) -> None:
    finding = only(snapshot(rejected(reason, "Pod was rejected: the words of the node")))
    assert finding.cause == cause
    assert f"({reason}): Pod was rejected: the words of the node" in finding.evidence[0]
    assert finding.evidence[0].startswith("node node-1 ")


def test_a_refusal_that_is_over_is_no_finding() -> None:
    """The pod stays until somebody deletes it, and others took its place."""
    there = pod(name="blue-2", ready=True)
    taken = snapshot(rejected("OutOfcpu", "no cpu"), there)
    one = {"metadata": {"name": "blue", "uid": "uid-blue"}, "spec": {"replicas": 1}}
    assert diagnose(snapshot(*taken.pods, deployment=one)) == []
    recent = aged(rejected("OutOfcpu", "no cpu"), 60)
    assert only(snapshot(recent, there, deployment=one)).cause == Cause.NODE_REFUSED


def deployment(*, replicas: int = 3, **more: Any) -> dict[str, Any]:
    status = more.pop("status", {})
    made = {"name": "blue", "uid": "uid-blue", "creationTimestamp": ago(more.pop("age", 5000))}
    return {"metadata": made, "spec": {"replicas": replicas, **more}, "status": status}


GIVEN_UP = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "blue-1" has timed out progressing.',
}


def test_a_paused_deployment_without_pods() -> None:
    paused = deployment(paused=True)
    finding = only(Snapshot(deployment=paused, taken_at=NOW))
    assert finding.cause == Cause.DEPLOYMENT_PAUSED
    assert finding.evidence == ("spec.paused is true; replicas wanted: 3, pods: none",)
    ready = [pod(name=f"blue-{n}", ready=True) for n in range(3)]
    assert diagnose(Snapshot(deployment=paused, pods=ready, taken_at=NOW)) == []


def test_a_rollout_that_was_given_up_and_what_its_pods_wait_for() -> None:
    given_up = deployment(replicas=1, status={"conditions": [GIVEN_UP]}, progressDeadlineSeconds=60)
    finding = only(snapshot(creating(100), deployment=given_up))
    assert (finding.cause, finding.pods) == (Cause.PROGRESS_DEADLINE, ("blue-1",))
    assert finding.evidence == (
        f"the rollout made no progress for 60 s (progressDeadlineSeconds): {GIVEN_UP['message']}",
        "pod blue-1: container inference-server is waiting (ContainerCreating)",
    )
    assert diagnose(snapshot(pod(ready=True), deployment=given_up)) == []


def test_a_rollout_that_was_given_up_before_it_made_a_pod() -> None:
    finding = only(Snapshot(deployment=deployment(status={"conditions": [GIVEN_UP]}), taken_at=NOW))
    assert (finding.cause, finding.pods) == (Cause.PROGRESS_DEADLINE, ())
    assert finding.evidence[1] == "replicas wanted: 3, pods: 0"


def test_pods_that_nobody_makes() -> None:
    warned = event("Odd", "the controller sulks", about="blue", type="Warning")
    finding = only(Snapshot(deployment=deployment(), events=[warned], taken_at=NOW))
    assert (finding.cause, finding.pods) == (Cause.NOT_KNOWN, ())
    assert finding.evidence[0] == "replicas wanted: 3, pods: 0"
    assert "Odd (1 times): the controller sulks" in finding.evidence
    changed = deployment()
    changed["metadata"]["managedFields"] = [{"time": ago(100)}]
    assert diagnose(Snapshot(deployment=changed, taken_at=NOW)) == []


FORBIDDEN = 'pods "blue-1-x" is forbidden: '


@pytest.mark.parametrize(
    ("words", "rule", "step"),
    [
        (
            f'{FORBIDDEN}violates PodSecurity "restricted": runAsNonRoot != true',
            "pod_security",
            "securityContext",
        ),
        ('admission webhook "validation.gatekeeper.sh" denied the request: [azurepolicy-x]', "policy_denies", "policy"),
        (
            'Internal error occurred: failed calling webhook "x": failed to call webhook: context deadline exceeded',
            "webhook_fails",
            "does not answer",
        ),
        (
            f"{FORBIDDEN}ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression",
            "policy_denies",
            "policy",
        ),
        (
            f'{FORBIDDEN}error looking up service account ml/scoring: serviceaccount "scoring" not found',
            "service_account",
            "ServiceAccount",
        ),
        (f"{FORBIDDEN}maximum cpu usage per Container is 1, but limit is 2", "limit_range", "LimitRange"),
    ],
)
def test_which_rule_refuses_the_pod(words: str, rule: str, step: str) -> None:
    finding = only(snapshot(replicasets=[replica_set(words)]))
    assert (finding.cause, finding.measured) == (Cause.CREATION_REFUSED, {"rule": rule})
    assert step in finding.next_step


@pytest.mark.parametrize(
    ("reason", "message", "cause", "evidence"),
    [
        ("Evicted", "The node was low on resource: memory.", "evicted", "The node was low on resource: memory."),
        ("NodeLost", "gone", "node_lost", "node node-1 was lost while it ran the pod (NodeLost): gone"),
        ("Foo", "bar", "not_known", "pod blue-1 has ended: Foo: bar"),
        ("", "", "not_known", "pod blue-1 has ended: no reason given"),
    ],
)
def test_the_only_pod_has_ended_for_whatever_reason(reason: str, message: str, cause: str, evidence: str) -> None:
    known = document(snapshot(rejected(reason, message)), "ml")
    assert (known["health"], [finding["cause"] for finding in known["findings"]]) == ("unhealthy", [cause])
    assert evidence in known["findings"][0]["evidence"]


def test_a_pod_that_has_just_ended_is_told_while_another_may_come() -> None:
    known = document(snapshot(aged(rejected("Foo", "bar"), 100)), "ml")
    assert (known["health"], known["findings"]) == ("starting", [])
    state = "it has ended (Foo: bar), and no other pod has taken its place"
    assert known["waiting"] == [{"pod": "blue-1", "for_s": 100, "state": state}]
