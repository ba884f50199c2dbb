"""Small objects as the API gives them."""

from __future__ import annotations

from typing import Any

DEPLOYMENT, SET = "uid-deployment", "uid-set"


def deployment(replicas: int, uid: str = DEPLOYMENT) -> dict[str, Any]:
    return {"metadata": {"name": "blue", "uid": uid}, "spec": {"replicas": replicas}}


def replica_set(owner: str = DEPLOYMENT, uid: str = SET) -> dict[str, Any]:
    return {"metadata": {"name": "blue-1", "uid": uid, "ownerReferences": [{"uid": owner, "controller": True}]}}


def pod(
    name: str, *, phase: str = "starting", owner: str = SET, created: str | None = None, **stamps: str
) -> dict[str, Any]:
    """phase: pending, starting, ready, terminating or failed. stamps: condition -> lastTransitionTime."""
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": stamps.get("PodScheduled")}]
    if phase == "pending":
        conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
    ready = "True" if phase in ("ready", "terminating") else "False"
    conditions.append({"type": "Ready", "status": ready, "lastTransitionTime": stamps.get("Ready")})
    metadata: dict[str, Any] = {
        "name": name,
        "uid": f"uid-{name}",
        "ownerReferences": [{"uid": owner, "controller": True}],
        "creationTimestamp": created,
    }
    if phase == "terminating":
        metadata["deletionTimestamp"] = "2026-11-22T10:00:00Z"
    return {
        "metadata": metadata,
        "spec": {},
        "status": {"phase": "Failed" if phase == "failed" else "Running", "conditions": conditions},
    }
