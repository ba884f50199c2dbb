"""The document of `surgeproof diagnose`: one look at a Deployment, and what it says of its health."""

from __future__ import annotations

from collections import Counter
from typing import Any

from loadtest.observe.api import ApiError, CredentialsRefused
from loadtest.observe.diagnosis.diagnose import diagnose
from loadtest.observe.diagnosis.findings import findings_document
from loadtest.observe.diagnosis.reading import condition, has_ended, is_ready, name_of, part, whole
from loadtest.observe.diagnosis.snapshot import PATIENCE_S, Json, Snapshot, take_snapshot
from loadtest.observe.diagnosis.waits import are_missing, live_pods, over_since, state_of, waits_s
from loadtest.observe.diagnosis.words import Cause
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError, NoVerdictError

HEALTHY, STARTING, UNHEALTHY, UNKNOWN = "healthy", "starting", "unhealthy", "unknown"
EXIT_CODES = {HEALTHY: 0, UNHEALTHY: 1, STARTING: 3, UNKNOWN: 3}
PHASES = ("ready", "starting", "pending", "terminating")


def diagnose_deployment(target: ClusterTarget, patience_s: float = PATIENCE_S) -> dict[str, Any]:
    """patience_s: a pod that is not ready may still be starting for so long, or for as long as others took.

    Raises InputError where the cluster or the Deployment cannot be had, NoVerdictError where the API is lost."""
    from loadtest.observe.observer import connect

    connection = connect(target)
    try:
        taken = take_snapshot(connection.api, connection.deployment, patience_s)
        return document(taken, connection.api.namespace)
    except CredentialsRefused as error:
        raise InputError(str(error)) from None
    except ApiError as error:
        raise NoVerdictError(f"the API server was lost: {error}") from None
    finally:
        connection.api.close()


def document(snapshot: Snapshot, namespace: str) -> dict[str, Any]:
    """health: healthy (every wanted replica is ready, and nothing was found), unhealthy (something was found), starting
    (replicas are missing, and nothing says why: too early to tell), unknown (rights are missing that would tell).

    waiting: what each pod of no finding waits for, while it is not ready. Without findings also pods that have
    ended and have not been replaced.
    """
    findings = findings_document(diagnose(snapshot))
    replicas = replica_counts(snapshot)
    is_known = any(finding["cause"] != Cause.NOT_KNOWN for finding in findings)
    if findings and (is_known or not snapshot.missing_rights):
        health = UNHEALTHY
    elif not snapshot.sees_pods:
        health = UNKNOWN
    elif replicas["ready"] >= replicas["desired"]:
        health = HEALTHY
    else:
        health = UNKNOWN if snapshot.missing_rights else STARTING
    return {
        "command": "diagnose",
        "deployment": name_of(snapshot.deployment),
        "namespace": namespace,
        "replicas": replicas,
        "health": health,
        "healthy": health == HEALTHY,
        "findings": findings,
        "waiting": _waiting(snapshot, findings),
        "patience_s": snapshot.patience_s,
        "cold_start_s": snapshot.cold_start_s,
        "missing_rights": snapshot.missing_rights,
    }


def _waiting(snapshot: Snapshot, findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = {pod for finding in findings for pod in finding["pods"]}
    live = [pod for pod in live_pods(snapshot) if not is_ready(pod)]
    gone = [] if findings or not are_missing(snapshot) else [pod for pod in snapshot.pods if has_ended(pod)]
    since = [waits_s(snapshot, pod) for pod in live] + [snapshot.age_s(over_since(snapshot, pod)) for pod in gone]
    return [
        {
            "pod": name_of(pod),
            "for_s": None if age_s is None else round(age_s),
            "state": state_of(snapshot, pod),
        }
        for pod, age_s in zip([*live, *gone], since, strict=True)
        if name_of(pod) not in told
    ]


def replica_counts(snapshot: Snapshot) -> dict[str, int]:
    """By phase; where pods cannot be seen, what the Deployment itself says is ready."""
    desired = whole(snapshot.deployment, "spec", "replicas")
    phases = Counter(phase for pod in snapshot.pods if (phase := _phase(pod)) is not None)
    counted = {phase: phases[phase] for phase in PHASES}
    if not snapshot.sees_pods:
        counted["ready"] = whole(snapshot.deployment, "status", "readyReplicas") or 0
    return {"desired": 1 if desired is None else desired, **counted}


def _phase(pod: Json) -> str | None:
    """None for a pod that has ended: it is a replica no more."""
    if has_ended(pod):
        return None
    if part(pod, "metadata", "deletionTimestamp"):
        return "terminating"
    if is_ready(pod):
        return "ready"
    return "pending" if condition(pod, "PodScheduled").get("reason") == "Unschedulable" else "starting"
