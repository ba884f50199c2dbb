"""`surgeproof run`: all of it against the lab: simulate, lab, replay, validate, report."""

from __future__ import annotations

from typing import Annotated

import typer

from loadtest.cli import cluster_options as k
from loadtest.cli.start_limit import StartLimitOption, seconds_of
from loadtest.lab.options import ReplicaKind
from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    DurationOption,
    InitialReplicas,
    OutOption,
    Output,
    OutputOption,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    load_scenario,
)


def command(
    scenario: ScenarioArgument,
    replicas: Annotated[ReplicaKind, typer.Option(help="What stands behind the lab's front end.")] = ReplicaKind.REAL,
    out: OutOption = None,
    scale_deployment: k.ScaleDeploymentOption = False,
    start_limit: StartLimitOption = None,
    kubeconfig: k.KubeconfigOption = None,
    kube_context: k.KubeContextOption = None,
    in_cluster: k.InClusterOption = False,
    namespace: k.NamespaceOption = None,
    deployment: k.DeploymentOption = None,
    deployment_selector: k.DeploymentSelectorOption = None,
    output: OutputOption = Output.TABLE,
    replications: ReplicationsOption = None,
    autoscale_min_replicas: AutoscaleMinReplicas = None,
    autoscale_max_replicas: AutoscaleMaxReplicas = None,
    autoscale_target_utilization: AutoscaleTargetUtilization = None,
    initial_replicas: InitialReplicas = None,
    duration: DurationOption = None,
    seed: SeedOption = None,
) -> None:
    """Predict a scenario, serve it on this machine, replay it with Locust, compare, and write a report.

    Exit code: that of `validate` (0 pass, 1 fail, 3 undecided or invalid).

    Example: surgeproof run quickstart
    """
    from loadtest.cli.replay_view import live_progress
    from loadtest.cli.run_view import show
    from loadtest.pipeline import run_pipeline
    from planner.cli.output import console, emit_json

    plan = load_scenario(
        scenario,
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
        duration=duration,
        seed=seed,
    )
    cluster = k.cluster_target(
        kubeconfig=kubeconfig,
        kube_context=kube_context,
        in_cluster=in_cluster,
        namespace=namespace,
        deployment=deployment,
        deployment_selector=deployment_selector,
    )
    result = run_pipeline(
        plan,
        replicas=replicas,
        cluster=cluster,
        scale_deployment=scale_deployment,
        start_limit_s=seconds_of(start_limit),
        replications=replications,
        out=out,
        say=lambda line: console.print(line, markup=False),
        live=live_progress,
    )
    if output is Output.JSON:
        emit_json(result.document)
    else:
        show(result)
    raise typer.Exit(result.exit_code)
