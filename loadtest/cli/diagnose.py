"""`surgeproof diagnose`: why replicas of a live endpoint did not come up."""

from __future__ import annotations

import typer

from loadtest.cli import cluster_options as k
from planner.cli.options import Output, OutputOption
from planner.errors import InputError


def command(
    kubeconfig: k.KubeconfigOption = None,
    kube_context: k.KubeContextOption = None,
    in_cluster: k.InClusterOption = False,
    namespace: k.NamespaceOption = None,
    deployment: k.DeploymentOption = None,
    deployment_selector: k.DeploymentSelectorOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say why replicas of a Deployment did not come up: cause, evidence, next step. Reads only.

    Exit code: 0 healthy, 1 something was found, 3 the cluster does not say why replicas are missing, or not yet.

    Example: surgeproof diagnose --kube-context staging --namespace ml --deployment blue
    """
    from loadtest.cli.diagnose_view import show
    from loadtest.observe.diagnosis.document import EXIT_CODES, diagnose_deployment
    from planner.cli.output import emit_json

    target = k.cluster_target(
        kubeconfig=kubeconfig,
        kube_context=kube_context,
        in_cluster=in_cluster,
        namespace=namespace,
        deployment=deployment,
        deployment_selector=deployment_selector,
    )
    if target is None:
        raise InputError("--deployment is missing: the Deployment whose replicas are meant (or --deployment-selector)")
    document = diagnose_deployment(target)
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    raise typer.Exit(EXIT_CODES[document["health"]])
