"""Pods that wait: a start for as long as starts may take, a finding after that."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.cli.diagnose_view import show
from loadtest.observe.diagnosis import Cause, Finding, Snapshot, diagnose
from loadtest.observe.diagnosis.document import document
from loadtest.observe.diagnosis.snapshot import longest_cold_start_s
from loadtest.observe.init_time import BEGUN, DONE
from tests.loadtest.diagnosis.objects import (
    aged,
    ago,
    box,
    creating,
    ended,
    event,
    log,
    pod,
    snapshot,
    status,
    unschedulable,
    waiting,
)

CURRENT = ("blue-1", "current")


def only(taken: Snapshot) -> Finding:
    (finding,) = diagnose(taken)
    return finding


@pytest.mark.parametrize(
    ("waits", "state"),
    [
        (creating, "container inference-server is waiting (ContainerCreating)"),
        (lambda s: aged(pod(box()), s), "container inference-server has run for 1800 s and is not ready"),
        (lambda s: aged(pod(containerStatuses=[]), s), "the kubelet of node node-1 has reported nothing of it"),
    ],
)
def test_what_no_cause_fits_is_a_start_for_five_minutes_and_a_finding_after(waits: Any, state: str) -> None:
    young = document(snapshot(waits(290)), "ml")
    assert (young["health"], young["findings"]) == ("starting", [])
    assert young["waiting"] == [{"pod": "blue-1", "for_s": 290, "state": state}]
    finding = only(snapshot(waits(310)))
    assert finding.cause == Cause.NOT_KNOWN
    assert finding.evidence[0] == state
    assert finding.evidence[1] == "it has waited for 310 s; a start may take 300 s (--patience)"
    assert document(snapshot(waits(310)), "ml")["health"] == "unhealthy"


def test_what_is_not_known_comes_with_the_newest_warning_of_each_reason() -> None:
    events = [
        event("FailedSync", "an old error", type="Warning", seconds_ago=900),
        event("FailedSync", "error syncing pod", type="Warning", count=7),
        event("Odd", "something odd", type="Warning", seconds_ago=200),
        event("Scheduled", "assigned", type="Normal"),
    ]
    evidence = only(snapshot(creating(), events=events)).evidence
    assert evidence[2:] == ("FailedSync (7 times): error syncing pod", "Odd (1 times): something odd")
    assert only(snapshot(creating())).evidence[2] == "no warning event tells of it"


def test_the_time_until_a_node_was_found_is_not_counted() -> None:
    placed = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": ago(100)}]
    assert diagnose(snapshot(aged(pod(box(), conditions=placed)))) == []


def test_a_pod_that_has_just_lost_its_readiness_does_not_wait_since_its_creation() -> None:
    lost = aged(pod(box()))
    lost["status"]["conditions"][0]["lastTransitionTime"] = ago(20)
    assert diagnose(snapshot(lost)) == []


def test_rights_that_are_missing_may_be_why_the_cause_is_not_known() -> None:
    said = document(snapshot(creating(), missing_rights=["no right to list events in namespace ml: no"]), "ml")
    assert (said["health"], [finding["cause"] for finding in said["findings"]]) == ("unknown", ["not_known"])


def ready(seconds: float, ready_after_s: float, **more: Any) -> dict[str, Any]:
    there = aged(pod(box(ready=True), ready=True, name="blue-2", **more), seconds)
    there["status"]["conditions"][0]["lastTransitionTime"] = ago(seconds - ready_after_s)
    return there


def test_a_measured_cold_start_is_waited_for() -> None:
    assert longest_cold_start_s({}, [ready(5000, 420)], {}) == 420
    by_log = {("blue-2", "current"): log(BEGUN, seconds_ago=5000 - 300) + "\n" + log(DONE, seconds_ago=5000 - 700)}
    assert longest_cold_start_s({}, [ready(5000, 900)], by_log) == pytest.approx(700, abs=1)
    patient = snapshot(creating(400), ready(5000, 420), patience_s=420.0, cold_start_s=420.0)
    assert diagnose(patient) == []
    late = only(snapshot(creating(430), ready(5000, 420), patience_s=420.0, cold_start_s=420.0))
    assert late.evidence[1] == "it has waited for 430 s; other replicas took up to 420 s to start"


def test_a_readiness_that_came_back_later_is_no_cold_start() -> None:
    """Ten hours from creation to the newest readiness; else a pod could be starting for ten hours."""
    assert longest_cold_start_s({}, [ready(40_000, 36_000)], {}) is None
    restarted = ready(5000, 420)
    restarted["status"]["containerStatuses"][0]["restartCount"] = 1
    assert longest_cold_start_s({}, [restarted], {}) is None
    slow = {"spec": {"progressDeadlineSeconds": 2000}}
    assert longest_cold_start_s(slow, [ready(5000, 1500)], {}) == 1500


def test_a_pull_that_takes_long_is_told_with_its_beginning() -> None:
    pulling = event("Pulling", "Pulling image", seconds_ago=1790)
    finding = only(snapshot(creating(), events=[pulling]))
    assert (finding.cause, finding.measured["pulled_s"]) == (Cause.IMAGE_STILL_PULLED, 1790)
    assert finding.evidence[0].endswith("has run for 1790 s, since 09:30:10 UTC")
    young = document(snapshot(creating(100), events=[event("Pulling", "Pulling image", seconds_ago=90)]), "ml")
    assert young["health"] == "starting"
    assert "the pull of its image has run for 90 s" in young["waiting"][0]["state"]
    pulled = [pulling, event("Pulled", "Successfully pulled", seconds_ago=600)]
    assert only(snapshot(creating(), events=pulled)).cause == Cause.NOT_KNOWN


def beside(name: str, *, before: bool = False, **more: Any) -> dict[str, Any]:
    key = "initContainers" if before else "containers"
    return {key: [*([] if before else [{"name": "inference-server"}]), {"name": name, **more}]}


PROBE = 'Readiness probe failed: Get "http://10.0.0.9:15021/healthz/ready": dial tcp 10.0.0.9:15021: connection refused'
READY_LOG = {CURRENT: log(BEGUN, DONE, seconds_ago=600)}


def test_a_sidecar_is_not_taken_for_the_server() -> None:
    meshed = aged(pod(box(ready=True), box("istio-proxy"), spec=beside("istio-proxy")))
    events = [event("Unhealthy", PROBE, count=99, container="istio-proxy")]
    finding = only(snapshot(meshed, events=events, logs=READY_LOG))
    assert finding.cause == Cause.SIDECAR_NOT_READY
    assert finding.evidence[0] == "container istio-proxy is not ready; the scoring server (inference-server) is ready"
    assert "failures of its probe so far: 99; the last: Readiness" in finding.evidence[1]
    assert "15021" in finding.evidence[1]
    young = aged(pod(box(ready=True), box("istio-proxy", runs_s=30), spec=beside("istio-proxy")), 40)
    assert diagnose(snapshot(young, events=events, logs=READY_LOG)) == []


def test_the_servers_own_probe_is_blamed_though_a_sidecars_fails_too() -> None:
    meshed = aged(pod(box(), box("istio-proxy"), spec=beside("istio-proxy")))
    own = "Readiness probe failed: HTTP probe failed with statuscode: 404"
    events = [
        event("Unhealthy", own, count=5, container="inference-server", seconds_ago=30),
        event("Unhealthy", PROBE, count=99, container="istio-proxy"),
    ]
    finding = only(snapshot(meshed, events=events, logs=READY_LOG))
    assert (finding.cause, finding.measured["failures"]) == (Cause.PROBE_FAILS, 5)


def test_a_sidecar_that_its_own_probe_ends() -> None:
    restarted = box("istio-proxy") | {"lastState": {"terminated": ended(137)}, "restartCount": 3}
    meshed = aged(pod(box(ready=True), restarted, spec=beside("istio-proxy")), 100)
    killed = event("Killing", "Container istio-proxy failed liveness probe, will be restarted", container="istio-proxy")
    finding = only(snapshot(meshed, events=[killed], logs=READY_LOG))
    assert (finding.cause, finding.measured["container"]) == (Cause.SIDECAR_NOT_READY, "istio-proxy")
    assert "is ended by its own probe" in finding.evidence[0]


def test_the_server_is_the_container_that_the_pods_annotation_names() -> None:
    """Istio may put its proxy first, and names the application then."""
    spec = {"containers": [{"name": "istio-proxy"}, {"name": "model"}]}
    meshed = aged(pod(box("istio-proxy", ready=True), box("model"), spec=spec))
    meshed["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "model"}
    events = [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500", container="model")]
    assert only(snapshot(meshed, events=events, logs=READY_LOG)).cause == Cause.PROBE_FAILS


def test_a_readiness_gate_that_nobody_meets() -> None:
    gated = aged(pod(box(ready=True), spec={"readinessGates": [{"conditionType": "x.example/ready"}]}))
    gated["status"]["conditions"][0] |= {"reason": "ReadinessGatesNotReady", "message": "the status of pod readiness"}
    finding = only(snapshot(gated, logs=READY_LOG))
    assert (finding.cause, finding.measured["gates"]) == (Cause.READINESS_GATE, ["x.example/ready"])
    assert finding.evidence[1] == "x.example/ready: nobody has set the condition"
    assert diagnose(snapshot(aged(gated, 100), logs=READY_LOG)) == []


def test_a_scheduling_gate_that_stays() -> None:
    words = "Scheduling is blocked due to non-empty scheduling gates"
    gated = unschedulable(words, schedulingGates=[{"name": "queue"}])
    gated["status"]["conditions"][-1]["reason"] = "SchedulingGated"
    finding = only(snapshot(aged(gated)))
    assert (finding.cause, finding.measured["gates"]) == (Cause.SCHEDULING_GATED, ["queue"])
    young = document(snapshot(aged(gated, 60)), "ml")
    assert (young["health"], young["findings"]) == ("starting", [])
    assert "SchedulingGated" in young["waiting"][0]["state"]


def initial(*statuses: dict[str, Any], seconds: float = 1800.0, **more: Any) -> dict[str, Any]:
    spec = beside("storage-initializer", before=True, **more)
    waits = box(reason="PodInitializing")
    return aged(pod(waits, phase="Pending", spec=spec, initContainerStatuses=list(statuses)), seconds)


def test_an_init_container_that_runs_on() -> None:
    running = initial(box("storage-initializer", runs_s=1790))
    logs = {("blue-1", "init"): log("downloading the model")}
    finding = only(snapshot(running, logs=logs))
    assert finding.cause == Cause.INIT_CONTAINER_DOES_NOT_END
    assert finding.evidence[0].startswith("init container storage-initializer has run for 1790 s, number 1 of 1")
    assert finding.evidence[1] == "its log ends with: downloading the model"
    young = document(snapshot(initial(box("storage-initializer", runs_s=90), seconds=100)), "ml")
    assert (young["health"], young["findings"]) == ("starting", [])
    assert young["waiting"][0]["state"].startswith("init container storage-initializer has run for 90 s")


def test_an_init_container_whose_image_is_not_there_or_that_crashes() -> None:
    missing = box("storage-initializer") | {"state": waiting("ErrImagePull", "reg.example/i:1: not found")}
    assert only(snapshot(initial(missing))).cause == Cause.IMAGE_NOT_FOUND
    down = status(state=waiting("CrashLoopBackOff"), last=ended(9), restarts=3) | {"name": "storage-initializer"}
    finding = only(snapshot(initial(down)))
    assert (finding.cause, finding.measured["container"]) == (Cause.CRASHED, "storage-initializer")


def test_a_sidecar_among_the_init_containers_is_done_when_it_has_started() -> None:
    started = box("storage-initializer") | {"started": True}
    assert only(snapshot(initial(started, restartPolicy="Always"))).cause == Cause.NOT_KNOWN
    slow = box("storage-initializer") | {"started": False}
    finding = only(snapshot(initial(slow, restartPolicy="Always")))
    assert finding.cause == Cause.INIT_CONTAINER_DOES_NOT_END
    assert "has not passed its startup probe" in finding.evidence[0]


def test_a_sidecar_among_the_init_containers_that_is_not_ready() -> None:
    proxy = box("storage-initializer") | {"started": True}
    meshed = initial(proxy, restartPolicy="Always")
    meshed["status"]["containerStatuses"] = [box(ready=True)]
    failed = event("Unhealthy", PROBE, count=9)
    failed["involvedObject"]["fieldPath"] = "spec.initContainers{storage-initializer}"
    finding = only(snapshot(meshed, events=[failed], logs=READY_LOG))
    assert (finding.cause, finding.measured["probe_failures"]) == (Cause.SIDECAR_NOT_READY, 9)


def test_what_a_person_reads_of_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    show(document(snapshot(creating(40)), "ml"))
    said = " ".join(capsys.readouterr().out.split())
    assert "What waits for more than 300 s (--patience) becomes a finding." in said
    assert "blue-1, for 40 s: container inference-server is waiting (ContainerCreating)." in said
