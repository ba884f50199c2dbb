"""The replica count of a Deployment, set by the lab: the only writing to a cluster that there is."""

from __future__ import annotations

from loadtest.observe.api import ApiError, KubernetesApi, Refused
from loadtest.observe.observer import Connection, connect
from loadtest.observe.resources import Resource
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError

LABEL, ALLOWED = "surgeproof/lab-may-scale", "true"


def connect_to_scale(target: ClusterTarget) -> Connection:
    """A Deployment that a lab may scale. Raises InputError (NoVerdictError where the API server does not answer)."""
    connection = connect(target)
    name = str(connection.deployment["metadata"]["name"])
    try:
        check_may_scale(connection.api, name)
        check_scaled_by_nobody_else(connection.api, name)
    except BaseException:
        connection.api.close()
        raise
    return connection


def check_may_scale(api: KubernetesApi, name: str) -> None:
    """Refuse (InputError) outside a namespace whose label allows it."""
    namespace = api.namespace
    try:
        labels = api.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels") or {}
    except Refused as error:
        if error.status == 403:
            raise InputError(
                f"no right to get namespaces/{namespace}, whose label {LABEL} allows scaling: "
                "surgeproof observe --print-rbac --with-scaling prints the rights that are needed"
            ) from None
        raise InputError(f"--namespace {namespace}: {error}") from None
    except ApiError as error:
        raise InputError(f"the API server does not answer: {error}") from None
    if labels.get(LABEL) != ALLOWED:
        raise InputError(
            f"--scale-deployment: {name} lies in namespace {namespace}, which lacks the label that allows it: "
            f"kubectl label namespace {namespace} {LABEL}={ALLOWED}"
        )


def check_scaled_by_nobody_else(api: KubernetesApi, name: str) -> None:
    """Refuse (InputError) beside a HorizontalPodAutoscaler, as far as the rights show one."""
    try:
        hpas = api.get(Resource.HPAS.path(api.namespace)).get("items") or []
    except ApiError:
        return
    for hpa in hpas:
        about = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
        if (about.get("kind"), about.get("name")) == ("Deployment", name):
            raise InputError(
                f"--scale-deployment: HorizontalPodAutoscaler {hpa['metadata']['name']} scales {name} too, and the two "
                "would undo each other's work: delete it, or give the lab a Deployment of its own"
            )


def scale(api: KubernetesApi, name: str, replicas: int) -> None:
    """Set the replicas that a Deployment is to have. Raises ApiError."""
    api.patch(_path(api, name), {"spec": {"replicas": replicas}})


def _path(api: KubernetesApi, name: str) -> str:
    return f"{Resource.DEPLOYMENTS.path(api.namespace)}/{name}/scale"
