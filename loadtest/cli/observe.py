"""`surgeproof observe`: the replicas of a live endpoint, with what happens to them, as it happens."""

from __future__ import annotations

from typing import Annotated

import typer

from loadtest.cli import cluster_options as k
from planner.cli.options import OutOption, Output, OutputOption
from planner.errors import InputError


def command(
    kubeconfig: k.KubeconfigOption = None,
    kube_context: k.KubeContextOption = None,
    in_cluster: k.InClusterOption = False,
    namespace: k.NamespaceOption = None,
    deployment: k.DeploymentOption = None,
    deployment_selector: k.DeploymentSelectorOption = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End after this time, such as 10m. Default: Ctrl-C.")
    ] = None,
    print_rbac: Annotated[
        bool, typer.Option("--print-rbac", help="Print the smallest rights that observing needs, as YAML, and end.")
    ] = False,
    scaling: Annotated[
        bool, typer.Option("--with-scaling", help="With --print-rbac: also what `lab --scale-deployment` needs.")
    ] = False,
    out: OutOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Watch the replicas of a Deployment: wanted, starting, ready, terminating, lost, and the events that tell why.

    Reads only. Ctrl-C is the normal end. Writes cluster.jsonl and replicas.parquet.

    Example: surgeproof observe --kube-context staging --namespace ml --deployment blue
    """
    from planner.units import seconds

    if print_rbac:  # needs no Kubernetes client, so nothing of it is imported before
        from loadtest.observe.rbac import manifest

        print(manifest(namespace or "default", scaling=scaling), end="")
        return
    if scaling:
        raise InputError("--with-scaling: only says more with --print-rbac")

    from loadtest.cli.observe_view import LineView, show
    from loadtest.observe.watch_alone import observe_until_stopped

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
        for_s = None if for_ is None else seconds(for_)
    except ValueError as bound:
        raise InputError(f"--for {for_}: {bound}") from None
    if for_s is not None and for_s <= 0:
        raise InputError(f"--for {for_}: must be above 0")
    view = LineView(to_stderr=output is Output.JSON)
    show(observe_until_stopped(target, out, for_s, view.show), output)
