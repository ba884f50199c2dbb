"""Whatever fields of the objects are missing or damaged, and whatever a log says, a diagnosis is made."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.observe.diagnosis import diagnose, findings_document
from loadtest.observe.diagnosis.document import document
from loadtest.observe.diagnosis.logs import raised_in
from loadtest.observe.diagnosis.snapshot import Snapshot
from loadtest.observe.init_time import BEGUN, DONE
from tests.loadtest.diagnosis.objects import (
    NOW,
    USERS,
    aged,
    ago,
    box,
    ended,
    event,
    log,
    node,
    pod,
    status,
    unschedulable,
    waiting,
    wrapped,
)
from tests.loadtest.diagnosis.test_causes import killed, replica_set
from tests.loadtest.diagnosis.test_placement import GIVEN_UP
from tests.loadtest.diagnosis.test_waiting import beside

CRASHED = log("User's init function failed", wrapped("invoke_init", USERS.format(function="init")))
CLAIM = {"name": "m", "persistentVolumeClaim": {"claimName": "models"}}
WHOLE: dict[str, Any] = {
    "deployment": {
        "metadata": {"name": "blue", "uid": "u", "creationTimestamp": ago(9000), "managedFields": [{"time": ago(900)}]},
        "spec": {"replicas": 30, "paused": True, "progressDeadlineSeconds": 60},
        "status": {"readyReplicas": 1, "updatedReplicas": 1, "conditions": [GIVEN_UP]},
    },
    "replicasets": [replica_set("exceeded quota: few, requested: cpu=2, used: cpu=7, limited: cpu=8")],
    "pods": [
        pod(status(state=waiting("CrashLoopBackOff"), last=ended(3), restarts=4), name="crashed"),
        pod(status(last=ended(137)), name="blue-1"),
        pod(status(state=waiting("ImagePullBackOff", "401 Unauthorized")), name="image"),
        pod(status(state=waiting("CreateContainerConfigError", "missing")), name="configuration"),
        unschedulable(tolerations=[{"operator": "Exists"}], nodeSelector={"agentpool": "cpu"}),
        pod(phase="Failed", reason="Evicted", message="low on resource: memory", startTime=ago(9), name="evicted"),
        pod(name="slow"),
        pod(phase="Failed", reason="OutOfcpu", message="no cpu", startTime=ago(9), name="refused"),
        aged(pod(box(reason="ContainerCreating"), name="creating")),
        aged(pod(box(reason="ContainerCreating"), name="pulling")),
        aged(pod(box(ready=True), box("proxy"), name="meshed", spec=beside("proxy"))),
        aged(pod(box(reason="PodInitializing"), name="initial", initContainerStatuses=[box("storage-initializer")])),
        aged(pod(box(ready=True), name="gated", spec={"readinessGates": [{"conditionType": "x.example/ready"}]})),
        aged(unschedulable("pod has unbound immediate PersistentVolumeClaims", volumes=[CLAIM])),
        aged(pod(box(), name="unknown")),
        pod(name="ready", ready=True),
    ],
    "nodes": [node(), node("node-2", taints=[{"key": "sku", "value": "gpu", "effect": "NoSchedule"}])],
    "events": [
        killed(),
        event("Unhealthy", "Readiness probe failed: connection refused", about="slow"),
        event("Failed", "Failed to pull image", about="image"),
        event("NodeNotReady", "Node is not ready", about="ready"),
        event("FailedCreatePodSandBox", "No available addresses", about="creating", count=9),
        event("FailedMount", "mount error(115)", about="image", count=9, type="Warning"),
        event("Pulling", "Pulling image", about="pulling", seconds_ago=900),
        event("Unhealthy", "Readiness probe failed: connection refused", about="meshed", container="proxy"),
        event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
        event("Odd", "something odd", about="unknown", type="Warning"),
    ],
}
LOGS = {
    ("crashed", "previous"): CRASHED,
    ("slow", "current"): log("Server Port: 5001", BEGUN, DONE),
    ("ready", "current"): log(wrapped("invoke_run", USERS.format(function="run"))),
}
MISTAKES: list[Any] = [..., None, [], {}, "x", 7]
JUNK: list[Any] = [None, 0, -1, 1.5, True, "", "x", "NaN", "2026-99-99", [], [None], ["x"], {}, {"x": None}, [{}], [[]]]


def places(thing: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(thing, dict | list):
        inside = list(thing.items() if isinstance(thing, dict) else enumerate(thing))
    return [path, *(found for key, value in inside for found in places(value, (*path, key)))]


PLACES = [path for path in places(WHOLE) if len(path) > 2 or (path[:1] == ("deployment",) and path[1:])]


def damaged(paths: list[tuple[Any, ...]], values: list[Any]) -> Snapshot:
    whole = copy.deepcopy(WHOLE)
    for path, value in zip(paths, values, strict=False):
        thing: Any = whole
        try:
            for key in path[:-1]:
                thing = thing[key]
            if value is ...:
                del thing[path[-1]]
            else:
                thing[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # what was there is damaged already
    whole["pods"] = [entry for entry in whole["pods"] if isinstance(entry, dict)]
    return Snapshot(**whole, logs=LOGS, taken_at=NOW)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PLACES), min_size=1, max_size=8),
    st.lists(st.sampled_from([..., *JUNK]), min_size=8, max_size=8),
)
def test_damaged_objects(paths: list[tuple[Any, ...]], values: list[Any]) -> None:
    taken = damaged(paths, values)
    for entry in findings_document(diagnose(taken)):
        assert entry["evidence"]
        assert all(isinstance(line, str) and line for line in entry["evidence"])
    document(taken, "ml")


def test_each_place_damaged_once() -> None:
    for number, path in enumerate(PLACES):
        value = ... if number % 2 else MISTAKES[1 + number // 2 % (len(MISTAKES) - 1)]
        document(damaged([path], [value]), "ml")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*CRASHED.split("\n"), "", "\r", "x" * 5000, "  ", BEGUN, DONE, "\x00"]), max_size=60))
def test_logs_of_any_kind(lines: list[str]) -> None:
    said = "\n".join(lines)
    raised_in(said)
    diagnose(Snapshot(**WHOLE, logs={(name, w): said for name in ("crashed", "slow") for w in ("previous", "current")}))


def test_a_long_log_is_read_in_no_time() -> None:
    said = log(*["Traceback (most recent call last):", *['  File "x", line 1, in run'] * 20_000])
    assert raised_in(said) == []
    (raised,) = raised_in(said + "\n" + log("RecursionError: deep"))
    assert len(raised.traceback.split("\n")) < 50
