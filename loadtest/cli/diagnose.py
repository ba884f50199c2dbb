"""`surgeproof diagnose`: why replicas of a live endpoint did not come up."""

from __future__ import annotations

from typing import Annotated

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
    patience: Annotated[
        str,
        typer.Option(
            "--patience",
            metavar="TIME",
            help="A pod may be starting for so long, or for as long as the ready ones took; then what it waits for is "
            "a finding.",
        ),
    ] = "5m",
    output: OutputOption = Output.TABLE,
) -> None:
    """Say why replicas of a Deployment did not come up: cause, evidence, next step. Reads only.

    Exit code: 0 healthy, 1 something was found, 3 the cluster does not say why replicas are missing, or not yet.

    Example: surgeproof diagnose --kube-context staging --namespace ml --deployment blue
    """
    from loadtest.cli.diagnose_view import show
    from loadtest.observe.diagnosis.document import EXIT_CODES, diagnose_deployment
    from planner.cli.output import emit_json
    from planner.units import seconds

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
    try:
        patience_s = seconds(patience)
    except ValueError as bound:
        raise InputError(f"--patience {patience}: {bound}") from None
    if patience_s <= 0:
        raise InputError(f"--patience {patience}: must be above 0")
    document = diagnose_deployment(target, patience_s)
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    raise typer.Exit(EXIT_CODES[document["health"]])
