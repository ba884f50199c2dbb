"""Objects as the API gives them, of a Deployment `blue` that was looked at at 10:00."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from loadtest.observe.diagnosis.snapshot import Snapshot

NOW = datetime(2026, 11, 22, 10, 0, 0, tzinfo=UTC)
SERVER = "/opt/lib/python3.11/site-packages/azureml_inference_server_http/server"


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def status(
    *, state: dict[str, Any] | None = None, last: dict[str, Any] | None = None, restarts: int = 0
) -> dict[str, Any]:
    return {
        "name": "inference-server",
        "state": state or {"running": {"startedAt": ago(60)}},
        "lastState": {"terminated": last} if last else {},
        "restartCount": restarts,
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "Error", *, started: float = 60, finished: float = 30) -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "startedAt": ago(started), "finishedAt": ago(finished)}


def pod(
    *statuses: dict[str, Any],
    name: str = "blue-1",
    ready: bool = False,
    container: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    conditions: list[dict[str, Any]] | None = None,
    **more: Any,
) -> dict[str, Any]:
    server = {
        "name": "inference-server",
        "image": "registry.example/scoring:1",
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 5001}},
        "livenessProbe": {"httpGet": {"path": "/", "port": 5001}, "initialDelaySeconds": 20, "periodSeconds": 5},
    }
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {"nodeName": "node-1", "containers": [server | (container or {})], **(spec or {})},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}, *(conditions or [])],
            "containerStatuses": list(statuses or [status()]),
            **more,
        },
    }


def unschedulable(message: str = "0/1 nodes are available: 1 Insufficient cpu.", **spec: Any) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    waits = pod(spec=spec, conditions=[condition], phase="Pending", containerStatuses=[])
    waits["spec"].pop("nodeName")
    return waits


def node(name: str = "node-1", *, cpu: str = "2", memory: str = "8Gi", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"agentpool": "cpu"}},
        "spec": more,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def event(
    reason: str,
    message: str,
    *,
    about: str = "blue-1",
    count: int = 1,
    seconds_ago: float = 20,
    container: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    """container: of which the event speaks, as the kubelet names it."""
    path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    return {
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": ago(seconds_ago),
        "involvedObject": {"uid": f"uid-{about}"} | path,
        **more,
    }


def box(
    name: str = "inference-server", *, reason: str = "", ready: bool = False, runs_s: float = 1800.0
) -> dict[str, Any]:
    """The status of a container: waiting for this reason, or running for so long."""
    state = waiting(reason) if reason else {"running": {"startedAt": ago(runs_s)}}
    return {"name": name, "state": state, "lastState": {}, "restartCount": 0, "ready": ready}


def aged(thing: dict[str, Any], seconds: float = 1800.0) -> dict[str, Any]:
    """The same pod, created so long ago."""
    thing["metadata"]["creationTimestamp"] = thing["status"]["startTime"] = ago(seconds)
    return thing


def creating(seconds: float = 1800.0) -> dict[str, Any]:
    """A pod whose container is being made since it was created."""
    return aged(pod(box(reason="ContainerCreating"), phase="Pending"), seconds)


def snapshot(*pods: dict[str, Any], **more: Any) -> Snapshot:
    deployment = {"metadata": {"name": "blue", "uid": "uid-blue"}, "spec": {"replicas": max(1, len(pods))}}
    fields: dict[str, Any] = {"deployment": deployment, "pods": list(pods), "nodes": [node()], "taken_at": NOW}
    return Snapshot(**(fields | more))


def log(*lines: str, seconds_ago: float = 30) -> str:
    return "\n".join(f"{ago(seconds_ago)[:-1]}.123456789Z {line}" for line in "\n".join(lines).split("\n"))


def wrapped(call: str, user_traceback: str, wrapper: str = "UserScriptException") -> str:
    """As the server logs an exception of the user's code: with its own around it."""
    body = user_traceback.removeprefix("Traceback (most recent call last):\n")
    return (
        "2026-11-22 09:59:30,000 E [7] azmlinfsrv - Encountered Exception Traceback (most recent call last):\n"
        f'  File "{SERVER}/user_script.py", line 119, in {call}\n'
        "    self._user()\n"
        f"{body}\n"
        "\n"
        "The above exception was the direct cause of the following exception:\n"
        "\n"
        "Traceback (most recent call last):\n"
        f'  File "{SERVER}/aml_blueprint.py", line 109, in setup\n'
        "    self.user_script.call()\n"
        f"azureml_inference_server_http.server.user_script.{wrapper}: Caught an unhandled exception\n"
    )


USERS = """Traceback (most recent call last):
  File "/score/..2026_11_22/score.py", line 12, in {function}
    load("weights")
  File "/score/..2026_11_22/model.py", line 3, in load
    raise ValueError("no weights")
  File "/opt/lib/python3.11/site-packages/torch/x.py", line 1, in deep
    pass
ValueError: no weights"""
