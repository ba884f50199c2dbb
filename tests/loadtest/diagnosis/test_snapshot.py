"""What is read of an API server, and what is not; what becomes of a right that is missing."""

from __future__ import annotations

from typing import Any, cast

import pytest

from loadtest.observe.api import CredentialsRefused, KubernetesApi, Refused, Unreachable
from loadtest.observe.diagnosis import diagnose, take_snapshot
from loadtest.observe.diagnosis.snapshot import HEAD_BYTES, INIT_TAIL_LINES
from tests.loadtest.diagnosis.objects import aged, ago, box, ended, node, pod, status, unschedulable, waiting

DEPLOYMENT = {
    "metadata": {"name": "blue", "uid": "uid-blue"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "blue"}}},
}
ROOT = "/api/v1/namespaces/ml"


def owned(thing: dict[str, Any], owner: str) -> dict[str, Any]:
    thing["metadata"] |= {"ownerReferences": [{"uid": owner, "controller": True}], "labels": {"app": "blue"}}
    return thing


class Server:
    """Answers from a table, and writes down what it was asked."""

    namespace = "ml"

    def __init__(self, *pods: dict[str, Any], refused: tuple[str, ...] = (), error: Exception | None = None) -> None:
        self.refused, self.error = refused, error or Refused(403, "Forbidden", "not for you")
        self.asked: list[str] = []
        self.logs: list[dict[str, object]] = []
        self.said = "a log"
        self.table: dict[str, Any] = {
            "/apis/apps/v1/namespaces/ml/deployments/blue": DEPLOYMENT,
            "/apis/apps/v1/namespaces/ml/replicasets": [owned({"metadata": {"uid": "uid-set"}}, "uid-blue")],
            f"{ROOT}/pods": [*pods, pod(name="stranger")],
            f"{ROOT}/events": [],
            "/api/v1/nodes": [node()],
            "/api/v1/pods": [pod(name="far") | {"metadata": {"name": "far", "namespace": "other"}}],
        }

    def get(self, path: str, **query: object) -> dict[str, Any]:
        self._ask(path)
        found = self.table[path]
        return {"items": found} if isinstance(found, list) else found

    def text(self, path: str, **query: object) -> str:
        self._ask(path)
        self.logs.append({"pod": path.split("/")[-2], **query})
        return self.said

    def headers(self, path: str) -> dict[str, str]:
        return {}

    def _ask(self, path: str) -> None:
        self.asked.append(path)
        if path.endswith(self.refused or ("no such path",)):
            raise self.error


def seen(server: Server) -> Any:
    return take_snapshot(cast(KubernetesApi, server), DEPLOYMENT)


CRASHED = pod(status(state=waiting("CrashLoopBackOff"), last=ended(3)), name="crashed")
DOWN = pod(status(state={"terminated": ended(3)}), name="down")


def test_the_pods_of_the_deployment_and_the_logs_that_tell_something() -> None:
    mine = [owned(thing, "uid-set") for thing in (CRASHED, DOWN, pod(name="up", ready=True), pod(name="young"))]
    server = Server(*mine)
    taken = seen(server)
    assert [p["metadata"]["name"] for p in taken.pods] == ["crashed", "down", "up", "young"]
    assert [p["metadata"]["name"] for p in taken.other_pods] == ["stranger"]
    assert set(taken.logs) == {
        ("crashed", "previous"),
        ("down", "previous"),
        ("up", "current"),
        ("young", "current"),
    }
    asked = {str(log["pod"]): log for log in server.logs}
    assert asked["crashed"]["previous"] == "true"
    assert "previous" not in asked["down"]
    assert asked["young"]["limitBytes"] == HEAD_BYTES
    assert all(log["container"] == "inference-server" and log["timestamps"] == "true" for log in server.logs)
    assert not any("secret" in path for path in server.asked)
    assert "/api/v1/pods" not in server.asked


def test_a_long_log_of_a_young_pod_is_read_at_both_ends() -> None:
    server = Server(owned(pod(name="young"), "uid-set"))
    server.said = "x" * HEAD_BYTES
    seen(server)
    assert ["tailLines" in log for log in server.logs] == [False, True]


def test_the_log_of_the_init_container_that_runs_is_read() -> None:
    waits = owned(pod(status(state=waiting("PodInitializing")), name="initial"), "uid-set")
    waits["status"]["initContainerStatuses"] = [box("done") | {"state": {"terminated": {"exitCode": 0}}}, box("fetch")]
    server = Server(waits)
    assert set(seen(server).logs) == {("initial", "init")}
    assert server.logs == [{"pod": "initial", "container": "fetch", "timestamps": "true", "tailLines": INIT_TAIL_LINES}]


def test_cold_starts_of_ready_pods_prolong_the_patience() -> None:
    there = owned(aged(pod(ready=True, name="up"), 5000), "uid-set")
    there["status"]["conditions"][0]["lastTransitionTime"] = ago(5000 - 420)
    taken = seen(Server(there))
    assert (taken.cold_start_s, taken.patience_s) == (420.0, 420.0)
    assert take_snapshot(cast(KubernetesApi, Server(there)), DEPLOYMENT, 900.0).patience_s == 900.0


def test_pods_elsewhere_are_counted_if_they_may_be_seen() -> None:
    waits = owned(unschedulable(), "uid-set")
    taken = seen(Server(waits))
    assert (taken.sees_all_pods, len(taken.other_pods)) == (True, 2)
    blind = seen(Server(waits, refused=("/api/v1/pods",)))
    assert (blind.sees_all_pods, len(blind.other_pods), blind.missing_rights) == (False, 1, [])


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/nodes", "no right to list nodes (cluster scope): not for you"),
        ("/events", "no right to list events in namespace ml: not for you"),
        ("/replicasets", "no right to list replicasets in namespace ml: not for you"),
        (f"{ROOT}/pods", "no right to list pods in namespace ml: not for you"),
        ("/log", "no right to get pods/log in namespace ml: not for you"),
        ("/deployments/blue", "no right to get deployments in namespace ml: not for you"),
    ],
)
def test_a_missing_right_is_named_once_and_the_rest_is_read(path: str, sentence: str) -> None:
    mine = [owned(CRASHED, "uid-set"), owned(pod(name="up", ready=True), "uid-set")]
    taken = seen(Server(*mine, refused=(path,)))
    assert taken.missing_rights == [sentence]
    assert taken.sees_pods == (path != f"{ROOT}/pods")
    assert [str(f.cause) for f in diagnose(taken)] == (["crashed"] if taken.sees_pods else [])


@pytest.mark.parametrize(
    "error", [Unreachable("gone"), CredentialsRefused(401, "Unauthorized", "expired"), Refused(503, "", "starting")]
)
@pytest.mark.parametrize("path", ["/events", "/deployments/blue", f"{ROOT}/pods"])
def test_a_server_that_is_lost_gives_no_half_a_snapshot(error: Exception, path: str) -> None:
    with pytest.raises(type(error)):
        seen(Server(owned(CRASHED, "uid-set"), refused=(path,), error=error))


def test_a_pod_that_went_away_before_its_log_was_read() -> None:
    gone = Server(owned(CRASHED, "uid-set"), refused=("/log",), error=Refused(404, "NotFound", "gone"))
    assert (seen(gone).logs, seen(gone).missing_rights) == ({}, [])


@pytest.mark.parametrize("error", [Unreachable("timed out"), Refused(500, "", "dial tcp: connection refused")])
def test_a_node_that_gives_no_logs_is_no_loss_of_the_server(error: Exception) -> None:
    server = Server(owned(CRASHED, "uid-set"), refused=("/log",), error=error)
    assert [str(finding.cause) for finding in diagnose(seen(server))] == ["crashed"]


def test_credentials_that_are_refused_for_a_log_are_told() -> None:
    with pytest.raises(CredentialsRefused):
        seen(Server(owned(CRASHED, "uid-set"), refused=("/log",), error=CredentialsRefused(401, "", "expired")))


def test_no_log_is_asked_of_a_node_that_does_not_report() -> None:
    server = Server(owned(pod(name="up", ready=True), "uid-set"))
    server.table["/api/v1/nodes"][0]["status"]["conditions"][0]["status"] = "Unknown"
    assert [str(finding.cause) for finding in diagnose(seen(server))] == ["node_lost"]
    assert server.logs == []
