"""One pod for each cause, and the sentences that name it."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.cli.diagnose_view import show
from loadtest.observe.diagnosis import Cause, Snapshot, diagnose, findings_document
from loadtest.observe.diagnosis.document import document
from loadtest.observe.diagnosis.words import WORDS
from loadtest.observe.init_time import BEGUN, DONE
from tests.loadtest.diagnosis.objects import (
    NOW,
    USERS,
    ago,
    ended,
    event,
    log,
    node,
    pod,
    snapshot,
    status,
    unschedulable,
    waiting,
    wrapped,
)

PREVIOUS, CURRENT = ("blue-1", "previous"), ("blue-1", "current")
READY = "Readiness probe failed: "


def only(taken: Snapshot) -> tuple[Cause, str]:
    (finding,) = diagnose(taken)
    return finding.cause, "\n".join(finding.evidence)


def test_init_raised() -> None:
    crashed = pod(status(state=waiting("CrashLoopBackOff"), last=ended(3), restarts=4))
    said = log("User's init function failed", wrapped("invoke_init", USERS.format(function="init")))
    cause, evidence = only(snapshot(crashed, logs={PREVIOUS: said}))
    assert cause == Cause.INIT_RAISED
    assert evidence.startswith("ValueError: no weights (model.py, line 3, in load)\n")
    assert "exit code 3" in evidence
    assert "restarts so far: 4" in evidence
    assert 'raise ValueError("no weights")' in evidence


def test_import_raised() -> None:
    crashed = pod(status(state=waiting("CrashLoopBackOff"), last=ended(3)))
    said = (
        'Traceback (most recent call last):\n  File "/score/score.py", line 3\n    def (:\n        ^\nSyntaxError: bad'
    )
    taken = snapshot(crashed, logs={PREVIOUS: log(wrapped("load_script", said, "UserScriptImportException"))})
    cause, evidence = only(taken)
    assert cause == Cause.IMPORT_RAISED
    assert evidence.startswith("SyntaxError: bad (score.py, line 3)\n")


def test_a_crash_whose_log_may_not_be_read_is_still_told() -> None:
    cause, evidence = only(snapshot(pod(status(state=waiting("CrashLoopBackOff"), last=ended(3)))))
    assert (cause, "exit code 3" in evidence, "log cannot be read" in evidence) == (Cause.CRASHED, True, True)


def test_a_container_that_was_killed_for_memory() -> None:
    cause, evidence = only(snapshot(pod(status(state=waiting("CrashLoopBackOff"), last=ended(137, "OOMKilled")))))
    assert cause == Cause.MEMORY_LIMIT
    assert "exit code 137 (SIGKILL), reason OOMKilled; the memory limit is 2Gi" in evidence


def test_a_worker_that_was_killed_for_memory() -> None:
    said = log(*["2026 E [1] gunicorn.error - Worker (pid:6) was sent SIGKILL! Perhaps out of memory?"] * 2)
    cause, evidence = only(snapshot(pod(), logs={CURRENT: said}))
    assert (cause, "the memory limit is 2Gi" in evidence, ": 2, last at" in evidence) == (
        Cause.MEMORY_LIMIT,
        True,
        True,
    )


def test_a_worker_that_took_too_long_is_no_matter_of_memory() -> None:
    said = log("[CRITICAL] WORKER TIMEOUT (pid:6)", "Worker (pid:6) was sent SIGKILL! Perhaps out of memory?")
    cause, evidence = only(snapshot(pod(), logs={CURRENT: said}))
    assert (cause, "WORKER_TIMEOUT" in evidence) == (Cause.CRASHED, True)


PULL = 'failed to resolve reference "registry.example/scoring:1": '


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        (f"{PULL}pulling from host registry.example failed with status code [manifests 1]: 401 Unauthorized", "na"),
        (f"{PULL}failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden", "na"),
        (f"{PULL}pull access denied, repository does not exist or may require authorization", "na"),
        (f"{PULL}registry.example/scoring:1: not found", "nf"),
        (f'{PULL}failed to do request: Head "https://registry.example/v2/": dial tcp: no such host', "ur"),
        (f"{PULL}failed to do request: dial tcp 10.0.0.4:443: i/o timeout", "ur"),
        (f'{PULL}failed to do request: Head "https://registry.example/v2/denied/manifests/1": EOF', "ur"),
        ("failed to extract layer: write /var/lib/containerd/x: no space left on device", "pf"),
        (f"{PULL}no match for platform in manifest", "pf"),
        (f"{PULL}unexpected status from HEAD request: 429 Too Many Requests", "pf"),
    ],
)
def test_images(message: str, cause: str) -> None:
    named = {
        "na": Cause.IMAGE_NOT_AUTHORISED,
        "nf": Cause.IMAGE_NOT_FOUND,
        "ur": Cause.REGISTRY_UNREACHABLE,
        "pf": Cause.IMAGE_PULL_FAILED,
    }
    pull = f'Failed to pull image "registry.example/scoring:1": {message}'
    at_once = snapshot(pod(status(state=waiting("ErrImagePull", message))))
    by_event = snapshot(pod(status(state=waiting("ImagePullBackOff", "Back-off"))), events=[event("Failed", pull)])
    assert [only(taken)[0] for taken in (at_once, by_event)] == [named[cause]] * 2
    assert message[:80] in only(by_event)[1]


def test_an_image_of_which_nobody_says_why_is_not_laid_to_the_registry() -> None:
    """Events are gone after an hour, and older nodes say the reason in nothing else."""
    cause, evidence = only(snapshot(pod(status(state=waiting("ImagePullBackOff", 'Back-off pulling image "x"')))))
    assert cause == Cause.IMAGE_PULL_FAILED
    assert evidence == 'image registry.example/scoring:1: ImagePullBackOff\nBack-off pulling image "x"'


def test_an_image_that_is_never_pulled_and_not_there() -> None:
    said = 'Container image "x" is not present with pull policy of Never'
    assert only(snapshot(pod(status(state=waiting("ErrImageNeverPull", said)))))[0] == Cause.IMAGE_NOT_FOUND


def test_what_the_pod_refers_to() -> None:
    missing = pod(status(state=waiting("CreateContainerConfigError", 'secret "key" not found')))
    assert only(snapshot(missing)) == (
        Cause.CONFIGURATION_MISSING,
        'CreateContainerConfigError: secret "key" not found',
    )
    mounting = pod(status(state=waiting("ContainerCreating")))
    events = [event("FailedMount", 'MountVolume.SetUp failed for volume "m": configmap "m" not found', count=3)]
    assert only(snapshot(mounting, events=events))[0] == Cause.CONFIGURATION_MISSING


FAILED_MOUNT = "MountVolume.SetUp failed: failed to sync configmap cache: timed out waiting for the condition"


def test_a_mount_that_failed_and_then_did_not_hides_no_crash() -> None:
    """The event stays for an hour."""
    crashed = pod(status(state=waiting("CrashLoopBackOff"), last=ended(7), restarts=4))
    events = [event("FailedMount", FAILED_MOUNT, count=5, seconds_ago=100)]
    assert only(snapshot(crashed, events=events))[0] == Cause.CRASHED
    first = pod(status(state={"terminated": ended(7)}))
    assert only(snapshot(first, events=events))[0] == Cause.CRASHED


def test_a_mount_that_failed_once_or_was_got_past_is_no_finding() -> None:
    young = pod(status(state=waiting("ContainerCreating")))
    assert diagnose(snapshot(young, events=[event("FailedMount", FAILED_MOUNT, count=2)])) == []
    pulling = [event("FailedMount", FAILED_MOUNT, count=3), event("Pulling", "Pulling image", seconds_ago=5)]
    assert diagnose(snapshot(young, events=pulling)) == []
    assert diagnose(snapshot(young, events=[event("FailedMount", FAILED_MOUNT, count=9, seconds_ago=3000)])) == []


def test_an_init_container_that_fails_is_told_and_one_that_is_done_is_not() -> None:
    done = {"name": "storage", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    failed = {"name": "storage", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    waits = status(state=waiting("PodInitializing"))
    assert diagnose(snapshot(pod(waits, initContainerStatuses=[done]))) == []
    cause, evidence = only(
        snapshot(pod(waits, initContainerStatuses=[failed]), logs={PREVIOUS: log("no such container")})
    )
    assert (cause, "container storage ended with exit code 1" in evidence) == (Cause.CRASHED, True)
    assert "its log ends with: no such container" in evidence


def test_what_does_not_fit() -> None:
    there = pod(ready=True, name="blue-2")
    there["spec"]["containers"][0]["resources"]["requests"] = {"cpu": "1800m", "memory": "1Gi"}
    other = pod(ready=True, name="other")
    nodes = [node(), node("node-2", cpu="300m")]
    taken = snapshot(unschedulable(), there, other_pods=[], nodes=nodes)
    cause, evidence = only(taken)
    assert cause == Cause.DOES_NOT_FIT
    assert "the scheduler: 0/1 nodes are available: 1 Insufficient cpu" in evidence
    assert "a pod requests cpu 0.5, memory 1024 Mi" in evidence
    assert "cpu: at most 0.3 free on one of 2 nodes: too little" in evidence
    assert "memory: at most 8192 Mi free on one of 2 nodes\n" in evidence
    assert "0 more such replicas would fit" in evidence
    assert "pods of other namespaces cannot be seen" in evidence
    assert "cannot be seen" not in only(snapshot(unschedulable(), other_pods=[other], sees_all_pods=True))[1]


def test_how_many_would_fit() -> None:
    (finding,) = diagnose(snapshot(unschedulable(), nodes=[node(), node("node-2", memory="2500Mi")]))
    assert finding.measured["would_fit"] == 4 + 2
    assert finding.measured["too_little_of"] == []
    assert finding.evidence[-1].startswith("that counts requests, node selector and taints alone")


def test_a_sidecar_requests_beside_the_server_and_an_init_container_before_it() -> None:
    asked = {"requests": {"cpu": "250m", "memory": "2Gi"}}
    before, beside = ({"name": "c", "resources": asked}, {"name": "c", "resources": asked, "restartPolicy": "Always"})
    assert "a pod requests cpu 0.5, memory 2048 Mi" in only(snapshot(unschedulable(initContainers=[before])))[1]
    assert "a pod requests cpu 0.75, memory 3072 Mi" in only(snapshot(unschedulable(initContainers=[beside])))[1]


@pytest.mark.parametrize(
    ("spec", "where", "said"),
    [
        ({"nodeSelector": {"agentpool": "gpu"}}, node(), "nodeSelector is agentpool=gpu, and the node has agentpool=c"),
        ({"nodeSelector": {"zone": "1"}}, node(), "the node has no label zone"),
        (
            {},
            node(taints=[{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]),
            "its taint sku=gpu:NoSchedule is not tolerated",
        ),
        ({}, node(unschedulable=True), "it is cordoned"),
    ],
)
def test_what_but_room_keeps_a_pod_off_a_node(spec: dict[str, Any], where: dict[str, Any], said: str) -> None:
    (finding,) = diagnose(snapshot(unschedulable(**spec), nodes=[where]))
    assert said in "\n".join(finding.evidence)
    assert finding.measured["would_fit"] == 0


def test_a_taint_that_is_tolerated_keeps_nobody_off() -> None:
    tainted = node(taints=[{"key": "sku", "value": "gpu", "effect": "NoSchedule"}])
    for toleration in ({"operator": "Exists"}, {"key": "sku", "value": "gpu", "effect": "NoSchedule"}):
        (finding,) = diagnose(snapshot(unschedulable(tolerations=[toleration]), nodes=[tainted]))
        assert finding.measured["would_fit"] == 4


def test_nodes_that_may_not_be_seen() -> None:
    assert "nodes cannot be seen" in only(snapshot(unschedulable(), nodes=None))[1]


def test_a_readiness_probe_that_asks_where_nobody_listens() -> None:
    asked = pod(container={"readinessProbe": {"httpGet": {"path": "/", "port": 5999}, "periodSeconds": 1}})
    refused = READY + 'Get "http://10.0.0.9:5999/": dial tcp 10.0.0.9:5999: connect: connection refused'
    said = log("Server Port: 5001", BEGUN, DONE)
    cause, evidence = only(snapshot(asked, events=[event("Unhealthy", refused, count=7)], logs={CURRENT: said}))
    assert cause == Cause.PROBE_FAILS
    assert "nothing listens where the probe asks" in evidence
    assert "the readinessProbe asks port 5999, but the scoring server listens on 5001" in evidence
    assert "7 failures so far" in evidence


@pytest.mark.parametrize(
    ("message", "how"),
    [
        ("HTTP probe failed with statuscode: 404", "answered with HTTP 404"),
        ('Get "http://x": context deadline exceeded (Client.Timeout exceeded)', "not answered within its timeout"),
    ],
)
def test_how_a_probe_fails(message: str, how: str) -> None:
    taken = snapshot(
        pod(), events=[event("Unhealthy", READY + message)], logs={CURRENT: log(BEGUN, DONE, seconds_ago=90)}
    )
    cause, evidence = only(taken)
    assert (cause, how in evidence) == (Cause.PROBE_FAILS, True)


def test_a_probe_that_fails_while_init_is_at_work_is_no_failure() -> None:
    failed = [event("Unhealthy", READY + "connection refused", count=60)]
    assert diagnose(snapshot(pod(), events=failed, logs={CURRENT: log(BEGUN)})) == []
    assert diagnose(snapshot(pod(), events=failed, logs={CURRENT: log(BEGUN, DONE, seconds_ago=5)})) == []
    assert diagnose(snapshot(pod(), events=failed)) == []


def test_an_init_that_does_not_end() -> None:
    cause, evidence = only(snapshot(pod(), logs={CURRENT: log(BEGUN, seconds_ago=900)}))
    assert (cause, "running for 900 s" in evidence) == (Cause.INIT_DOES_NOT_END, True)


def killed(seconds_ago: float = 20, probe: str = "liveness") -> dict[str, Any]:
    message = f"Container inference-server failed {probe} probe, will be restarted"
    return event("Killing", message, seconds_ago=seconds_ago)


def test_a_liveness_probe_that_is_too_strict_for_init() -> None:
    restarted = pod(status(last=ended(137, started=67, finished=30), restarts=2))
    slow = pod(ready=True, name="blue-2")
    logs = {
        PREVIOUS: log(BEGUN, seconds_ago=55),
        ("blue-2", "current"): log(BEGUN, seconds_ago=120) + "\n" + log(DONE, seconds_ago=75),
    }
    cause, evidence = only(snapshot(restarted, slow, events=[killed()], logs=logs))
    assert cause == Cause.PROBE_TOO_STRICT
    assert "gives up 35 s after the container's start (initial delay 20 s + 3 failures x 5 s)" in evidence
    assert "ended after 37 s" in evidence
    assert "init() had been running for 24.9 s" in evidence
    assert "where it could end, init() took 45.0 s" in evidence
    assert "restarts so far: 2" in evidence


def test_a_liveness_probe_that_fails_though_the_server_is_up() -> None:
    restarted = pod(status(last=ended(137)))
    cause, evidence = only(snapshot(restarted, events=[killed()], logs={PREVIOUS: log(BEGUN, DONE)}))
    assert (cause, "though the scoring server runs" in evidence) == (Cause.PROBE_FAILS, True)


def test_a_liveness_probe_on_the_wrong_port_is_not_called_too_strict() -> None:
    restarted = pod(status(last=ended(137)), container={"livenessProbe": {"httpGet": {"port": 5999}}})
    cause, evidence = only(snapshot(restarted, events=[killed()], logs={PREVIOUS: log("Server Port: 5001", BEGUN)}))
    assert (cause, "asks port 5999" in evidence) == (Cause.PROBE_FAILS, True)


def test_what_a_probe_only_notices_is_not_laid_to_it() -> None:
    out_of_memory = pod(status(last=ended(137, "OOMKilled")))
    assert only(snapshot(out_of_memory, events=[killed()]))[0] == Cause.MEMORY_LIMIT


def test_an_evicted_pod() -> None:
    message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi."
    gone = pod(phase="Failed", reason="Evicted", message=message, startTime=ago(100))
    cause, evidence = only(snapshot(gone))
    assert (cause, "the resource is memory: the node ran out of it" in evidence) == (Cause.EVICTED, True)
    leaving = snapshot(pod(), events=[event("Evicted", "Usage of EmptyDir volume exceeds the limit")])
    assert only(leaving)[0] == Cause.EVICTED
    gone["status"]["startTime"] = ago(5000)
    replaced = pod(name="blue-2", ready=True)
    wanted = {"metadata": {"name": "blue", "uid": "uid-blue"}, "spec": {"replicas": 1}}
    assert diagnose(snapshot(gone, replaced, deployment=wanted)) == []
    assert only(snapshot(gone))[0] == Cause.EVICTED  # no other pod has taken its place


def test_a_lost_node() -> None:
    lost = node()
    why = "Kubelet stopped posting node status."
    lost["status"]["conditions"] = [
        {"type": "Ready", "status": "Unknown", "message": why, "lastTransitionTime": ago(40)}
    ]
    cause, evidence = only(snapshot(pod(), nodes=[lost]))
    assert (cause, evidence) == (Cause.NODE_LOST, f"node node-1: Ready is Unknown ({why})\nfor 40 s")
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = ago(10)
    assert only(snapshot(leaving, nodes=[lost]))[0] == Cause.NODE_LOST
    assert only(snapshot(pod(), nodes=[node("node-2")]))[0] == Cause.NODE_LOST
    unseen = snapshot(pod(), nodes=None, events=[event("NodeNotReady", "Node is not ready")])
    assert only(unseen)[0] == Cause.NODE_LOST


def replica_set(message: str) -> dict[str, Any]:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    return {"metadata": {"name": "blue-1"}, "status": {"conditions": [condition]}}


def test_pods_that_could_not_be_made() -> None:
    quota = 'pods "blue-1-x" is forbidden: exceeded quota: few, requested: cpu=2, used: cpu=7, limited: cpu=8'
    (finding,) = diagnose(snapshot(replicasets=[replica_set(quota)]))
    assert (finding.cause, finding.pods) == (Cause.QUOTA_EXCEEDED, ())
    assert finding.measured == {"requested": "cpu=2", "used": "cpu=7", "limited": "cpu=8"}
    refused = 'pods "blue-1-x" is forbidden: violates PodSecurity "restricted"'
    cause, evidence = only(snapshot(replicasets=[replica_set(refused)]))
    assert (cause, evidence) == (
        Cause.CREATION_REFUSED,
        'pods are forbidden: violates PodSecurity "restricted"',
    )


def test_exceptions_in_run() -> None:
    said = log(*[wrapped("invoke_run", USERS.format(function="run"))] * 3)
    (finding,) = diagnose(snapshot(pod(ready=True), logs={CURRENT: said}))
    assert finding.cause == Cause.RUN_RAISED
    assert (
        finding.evidence[0]
        == "ValueError: no weights (model.py, line 3, in load), so often in the newest lines of the logs: 3"
    )
    assert "500" in finding.evidence[1]
    assert "no capacity problem" in finding.evidence[1]
    assert finding.measured == {"times": 3, "exception": "ValueError: no weights", "file": "model.py", "line": 3}
    old = log(wrapped("invoke_run", USERS.format(function="run")), seconds_ago=7200)
    assert diagnose(snapshot(pod(ready=True), logs={CURRENT: old})) == []


def test_exceptions_that_the_users_code_logs_itself_are_no_finding() -> None:
    assert diagnose(snapshot(pod(ready=True), logs={CURRENT: log(USERS.format(function="helper"))})) == []


@pytest.mark.parametrize(
    "fine",
    [
        pod(ready=True),
        pod(status(state=waiting("ContainerCreating"))),
        pod(status(state=waiting("PodInitializing"))),
        pod(status(), containerStatuses=[]),
        pod(status(last=ended(137, "OOMKilled", started=9000, finished=8000), restarts=1), ready=True),
        pod(status(last=ended(3, started=9000, finished=8000), restarts=1)),
    ],
)
def test_healthy_young_and_long_mended_pods_give_nothing(fine: dict[str, Any]) -> None:
    old = [killed(seconds_ago=3000), event("Evicted", "long ago", about="other")]
    assert diagnose(snapshot(fine, events=old)) == []


def test_pods_of_one_cause_are_told_together_and_what_differs_is_told() -> None:
    crashed = [pod(status(state=waiting("CrashLoopBackOff"), last=ended(3)), name=f"blue-{n}") for n in range(3)]
    said = wrapped("invoke_init", USERS.format(function="init"))
    logs = {(f"blue-{n}", "previous"): log(said.replace("no weights", "other") if n == 2 else said) for n in range(3)}
    (finding,) = diagnose(snapshot(*crashed, logs=logs))
    assert finding.pods == ("blue-0", "blue-1", "blue-2")
    assert finding.evidence[0].startswith("ValueError: no weights")
    assert finding.evidence[-1].startswith("blue-2: ValueError: other")
    assert len(finding.evidence) == 5


def test_every_cause_has_words() -> None:
    assert set(WORDS) == set(Cause)
    assert not any("CrashLoopBackOff" in w.azure.split() or "ErrImagePull" in w.azure for w in WORDS.values())
    assert all(words.title and words.azure and words.next_step for words in WORDS.values())


def test_the_document_of_a_finding() -> None:
    (entry,) = findings_document(diagnose(snapshot(unschedulable())))
    assert list(entry) == ["cause", "title", "pods", "evidence", "next_step", "azure", "measured"]
    assert "PodUnschedulable" in entry["azure"]
    assert "Couldn't Schedule because the kubernetes cluster didn't have available resources" in entry["azure"]


def test_where_no_replica_is_wanted_none_is_said_to_be_ready(capsys: pytest.CaptureFixture[str]) -> None:
    idle = Snapshot(deployment={"metadata": {"name": "blue"}, "spec": {"replicas": 0}}, taken_at=NOW)
    show(document(idle, "ml"))
    said = capsys.readouterr().out
    assert "0 wanted" in said
    assert "No replica is wanted" in said
    assert "every wanted replica is ready" not in said


@pytest.mark.parametrize(
    ("taken", "health"),
    [
        (snapshot(pod(ready=True)), "healthy"),
        (snapshot(pod()), "starting"),
        (snapshot(unschedulable()), "unhealthy"),
        (snapshot(pod(), missing_rights=["no right to list events in namespace ml: no"]), "unknown"),
        (snapshot(sees_pods=False, missing_rights=["no right to list pods in namespace ml: no"]), "unknown"),
    ],
)
def test_health(taken: Snapshot, health: str) -> None:
    said = document(taken, "ml")
    assert (said["health"], said["healthy"]) == (health, health == "healthy")
    assert sum(said["replicas"].values()) - said["replicas"]["desired"] == len(taken.pods)
