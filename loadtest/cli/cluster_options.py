"""The options that say which deployment on which Kubernetes cluster is meant, told once for every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadtest.observe.target import ClusterTarget
from planner.errors import InputError

_PANEL = "Kubernetes"

KubeContextOption = Annotated[
    str | None, typer.Option("--kube-context", help="A context of the kubeconfig.", rich_help_panel=_PANEL)
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option("--kubeconfig", help="Default: $KUBECONFIG or ~/.kube/config.", rich_help_panel=_PANEL),
]
InClusterOption = Annotated[
    bool,
    typer.Option("--in-cluster", help="This runs in a pod: use its service account.", rich_help_panel=_PANEL),
]
NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", help="Default: the context's own.", rich_help_panel=_PANEL)
]
DeploymentOption = Annotated[
    str | None, typer.Option("--deployment", help="The Deployment behind the endpoint.", rich_help_panel=_PANEL)
]
DeploymentSelectorOption = Annotated[
    str | None,
    typer.Option(
        "--deployment-selector",
        help="In place of its name: labels that one Deployment alone carries, such as app=scoring.",
        rich_help_panel=_PANEL,
    ),
]
ScaleDeploymentOption = Annotated[
    bool,
    typer.Option(
        "--scale-deployment",
        help="Let the lab set the Deployment's replica count, in a namespace labelled surgeproof/lab-may-scale=true.",
        rich_help_panel=_PANEL,
    ),
]


def cluster_target(
    *,
    kubeconfig: Path | None = None,
    kube_context: str | None = None,
    in_cluster: bool = False,
    namespace: str | None = None,
    deployment: str | None = None,
    deployment_selector: str | None = None,
) -> ClusterTarget | None:
    """What the options say; None where none of them was given. Raises InputError for what does not go together."""
    given = (kubeconfig, kube_context, in_cluster or None, namespace, deployment, deployment_selector)
    if all(value is None for value in given):
        return None
    if in_cluster and (kubeconfig is not None or kube_context is not None):
        raise InputError(
            "--in-cluster: uses the pod's service account, so give neither --kubeconfig nor --kube-context"
        )
    if deployment is not None and deployment_selector is not None:
        raise InputError("--deployment and --deployment-selector: both name the Deployment, give one of them")
    if deployment is None and deployment_selector is None:
        raise InputError("--deployment is missing: the Deployment whose replicas are meant (or --deployment-selector)")
    if kubeconfig is not None and not kubeconfig.is_file():
        raise InputError(f"--kubeconfig {kubeconfig}: no such file")
    for option, value in (("--namespace", namespace), ("--deployment", deployment), ("--kube-context", kube_context)):
        if value is not None and not value.strip():
            raise InputError(f"{option}: must not be empty")
    return ClusterTarget(
        kubeconfig=kubeconfig,
        context=kube_context,
        in_cluster=in_cluster,
        namespace=namespace,
        deployment=deployment,
        selector=deployment_selector,
    )
