"""Which Deployment is meant."""

from __future__ import annotations

from typing import Any

from loadtest.observe.api import ApiError, KubernetesApi, Refused
from loadtest.observe.resources import Resource
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError, NoVerdictError

MOST_NAMED = 10


def find_deployment(api: KubernetesApi, target: ClusterTarget) -> dict[str, Any]:
    """The Deployment of a target. InputError where none or several fit, or a right is missing; NoVerdictError where the
    API server does not answer."""
    path = Resource.DEPLOYMENTS.path(api.namespace)
    try:
        if target.deployment is not None:
            return _by_name(api, path, target.deployment)
        return _by_labels(api, path, target.selector or "")
    except Refused as error:
        if error.status == 403:
            verb = "get" if target.deployment is not None else "list"
            raise InputError(
                f"no right to {verb} deployments in namespace {api.namespace}: surgeproof observe --print-rbac prints "
                "the rights that are needed"
            ) from None
        whom = f"--deployment-selector {target.selector}" if error.status == 400 and target.selector else api.server
        raise InputError(f"{whom}: {error}") from None
    except ApiError as error:
        raise NoVerdictError(f"the API server does not answer: {error}") from None


def _by_name(api: KubernetesApi, path: str, name: str) -> dict[str, Any]:
    try:
        return api.get(f"{path}/{name}")
    except Refused as error:
        if error.status != 404:
            raise
        raise InputError(f"--deployment {name}: not in namespace {api.namespace}{_those_there(api, path)}") from None


def _by_labels(api: KubernetesApi, path: str, selector: str) -> dict[str, Any]:
    found = api.get(path, labelSelector=selector).get("items") or []
    if len(found) == 1:
        return dict(found[0])
    if not found:
        raise InputError(
            f"--deployment-selector {selector}: fits no Deployment in namespace {api.namespace}"
            f"{_those_there(api, path)}"
        )
    raise InputError(
        f"--deployment-selector {selector}: fits {len(found)} Deployments: {_names(found)}; it must fit one"
    )


def _those_there(api: KubernetesApi, path: str) -> str:
    try:
        found = api.get(path, limit=100).get("items") or []
    except ApiError:
        return ""
    return f", which has {_names(found)}" if found else ", which has none"


def _names(things: list[dict[str, Any]]) -> str:
    names = sorted(str(thing["metadata"]["name"]) for thing in things)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
