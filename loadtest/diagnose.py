"""The document of `surgeproof diagnose`: one look at a Deployment, and what it says of its health."""

from __future__ import annotations

from typing import Any

from loadtest.observe.target import ClusterTarget
from planner.errors import InputError, NoVerdictError

HEALTHY, STARTING, UNHEALTHY, UNKNOWN = "healthy", "starting", "unhealthy", "unknown"
EXIT_CODES = {HEALTHY: 0, STARTING: 3, UNHEALTHY: 1, UNKNOWN: 3}


def diagnose_deployment(target: ClusterTarget) -> dict[str, Any]:
    """health: healthy (every wanted replica is ready, nothing was found), unhealthy (something was found), starting
    (replicas are missing and nothing says why: too early to tell), unknown (nothing was found, but rights are missing
    without which a cause could not be seen)."""
    from loadtest.observe.api import ApiError, Refused
    from loadtest.observe.troubles import diagnose, findings_document, take_snapshot
    from loadtest.observe.observer import connect

    connection = connect(target)
    try:
        snapshot = take_snapshot(connection.api, connection.deployment)
    except Refused as error:
        raise InputError(f"{error}: surgeproof observe --print-rbac prints the rights that are needed") from None
    except ApiError as error:
        raise NoVerdictError(f"the API server was lost: {error}") from None
    finally:
        connection.api.close()
    findings = findings_document(diagnose(snapshot))
    replicas = _replicas(snapshot)
    is_short = replicas["ready"] < replicas["desired"]
    if findings:
        health = UNHEALTHY
    elif is_short:
        health = UNKNOWN if snapshot.missing_rights else STARTING
    else:
        health = HEALTHY
    return {
        "command": "diagnose",
        "deployment": snapshot.deployment["metadata"]["name"],
        "namespace": connection.api.namespace,
        "replicas": replicas,
        "health": health,
        "healthy": health == HEALTHY,
        "findings": findings,
        "missing_rights": snapshot.missing_rights,
    }


def _replicas(snapshot: Any) -> dict[str, int]:
    from loadtest.observe.state import Phase, phase_of

    phases = [phase_of(pod) for pod in snapshot.pods]
    counted = {str(phase): phases.count(phase) for phase in Phase}
    return {"desired": int((snapshot.deployment.get("spec") or {}).get("replicas", 1)), **counted}
