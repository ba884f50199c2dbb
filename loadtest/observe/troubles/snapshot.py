"""What the API shows of one Deployment at one time: objects, and the logs of containers that are in trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from loadtest.observe.api import ApiError, KubernetesApi, Refused, Unreachable
from loadtest.observe.resources import Resource
from loadtest.observe.state import is_true, owner_uid

Json = dict[str, Any]

MOST_LOGS = 12
"""Of each kind: the first pods of a Deployment tell what all would."""
TAIL_LINES = 400
PREVIOUS, CURRENT = "previous", "current"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """nodes, other_pods: None where the right to see them is missing. logs: by pod and PREVIOUS or CURRENT."""

    deployment: Json
    replicasets: list[Json] = field(default_factory=list)
    pods: list[Json] = field(default_factory=list)
    other_pods: list[Json] | None = None
    events: list[Json] = field(default_factory=list)
    nodes: list[Json] | None = None
    logs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing_rights: list[str] = field(default_factory=list)
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def events_of(self, thing: Json) -> list[Json]:
        uid = thing["metadata"].get("uid")
        return [event for event in self.events if (event.get("involvedObject") or {}).get("uid") == uid]


def take_snapshot(api: KubernetesApi, deployment: Json) -> Snapshot:
    """Raises Unreachable, and Refused where not even the pods may be listed."""
    missing: list[str] = []
    name, namespace = str(deployment["metadata"]["name"]), api.namespace
    fresh = api.get(f"{Resource.DEPLOYMENTS.path(namespace)}/{name}")
    sets = [s for s in _items(api, Resource.REPLICASETS, namespace) if owner_uid(s) == fresh["metadata"]["uid"]]
    owners = {s["metadata"]["uid"] for s in sets}
    all_pods = _items(api, Resource.PODS, namespace)
    pods = [pod for pod in all_pods if owner_uid(pod) in owners]
    return Snapshot(
        deployment=fresh,
        replicasets=sets,
        pods=pods,
        other_pods=[pod for pod in all_pods if owner_uid(pod) not in owners],
        events=_if_allowed(api, Resource.EVENTS, namespace, missing) or [],
        nodes=_if_allowed(api, Resource.NODES, namespace, missing),
        logs=_logs(api, pods, missing),
        missing_rights=missing,
    )


def _items(api: KubernetesApi, resource: Resource, namespace: str) -> list[Json]:
    return list(api.get(resource.path(namespace)).get("items") or [])


def _if_allowed(api: KubernetesApi, resource: Resource, namespace: str, missing: list[str]) -> list[Json] | None:
    try:
        return _items(api, resource, namespace)
    except Refused as error:
        where = f"in namespace {namespace}" if resource.namespaced else "in the whole cluster"
        missing.append(f"no right to list {resource.label} {where} ({error})")
        return None


def _logs(api: KubernetesApi, pods: list[Json], missing: list[str]) -> dict[tuple[str, str], str]:
    """Of containers that ended the log before; of all that run the present one, for what it says of run()."""
    wanted = [(pod, PREVIOUS) for pod in pods if _has_ended_once(pod)][:MOST_LOGS]
    wanted += [(pod, CURRENT) for pod in pods if _runs(pod)][:MOST_LOGS]
    logs: dict[tuple[str, str], str] = {}
    for pod, which in wanted:
        name = str(pod["metadata"]["name"])
        path = f"{Resource.PODS.path(api.namespace)}/{name}/log"
        query: dict[str, object] = {"timestamps": "true", "tailLines": TAIL_LINES, "container": _container(pod)}
        query |= {"previous": "true"} if which == PREVIOUS else {}
        try:
            logs[name, which] = api.text(path, **query)
        except Unreachable:
            raise
        except ApiError as error:
            if isinstance(error, Refused) and error.status == 403:
                missing.append(f"no right to get pods/log in namespace {api.namespace} ({error})")
                return logs
    return logs


def _container(pod: Json) -> str:
    return str(((pod.get("spec") or {}).get("containers") or [{}])[0].get("name") or "")


def _has_ended_once(pod: Json) -> bool:
    return any(
        (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated")
        for status in (pod.get("status") or {}).get("containerStatuses") or []
    )


def _runs(pod: Json) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return is_true(pod, "Ready") or any((status.get("state") or {}).get("running") for status in statuses)
