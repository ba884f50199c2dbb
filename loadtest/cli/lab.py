"""`surgeproof lab`: a local endpoint with azureml-fe's behaviour."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from loadtest.cli import cluster_options as k
from loadtest.cli.start_limit import StartLimitOption, seconds_of
from loadtest.lab.options import Announcement, LabOptions, ReplicaKind
from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    InitialReplicas,
    Output,
    OutputOption,
    ScenarioArgument,
    SeedOption,
    load_scenario,
)
from planner.cli.output import console, emit_json


def command(
    scenario: ScenarioArgument,
    replicas: Annotated[
        ReplicaKind,
        typer.Option(
            help="real: azmlinfsrv processes. simulated: in the lab itself, many and fast. kubernetes: the pods of a "
            "Deployment, whose replica count the lab sets."
        ),
    ] = ReplicaKind.REAL,
    host: Annotated[str, typer.Option(help="A loopback address; no other is accepted.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 5001,
    log: Annotated[Path | None, typer.Option(help="Append every event to this file, as JSON lines.")] = None,
    score_dir: Annotated[Path | None, typer.Option(help="The folder of your own score.py.")] = None,
    scale_deployment: k.ScaleDeploymentOption = False,
    start_limit: StartLimitOption = None,
    kubeconfig: k.KubeconfigOption = None,
    kube_context: k.KubeContextOption = None,
    in_cluster: k.InClusterOption = False,
    namespace: k.NamespaceOption = None,
    deployment: k.DeploymentOption = None,
    deployment_selector: k.DeploymentSelectorOption = None,
    output: OutputOption = Output.TABLE,
    autoscale_min_replicas: AutoscaleMinReplicas = None,
    autoscale_max_replicas: AutoscaleMaxReplicas = None,
    autoscale_target_utilization: AutoscaleTargetUtilization = None,
    initial_replicas: InitialReplicas = None,
    seed: SeedOption = None,
) -> None:
    """A local endpoint with azureml-fe's behaviour, in front of real scoring servers. Ctrl-C ends it.

    Example: surgeproof lab quickstart --port 5001
    """
    from loadtest.lab.run import run_lab

    loaded = load_scenario(
        scenario,
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
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
    options = LabOptions(
        replicas=replicas,
        host=host,
        port=port,
        log=log,
        score_folder=score_dir,
        cluster=cluster,
        scale_deployment=scale_deployment,
        start_limit_s=seconds_of(start_limit),
    )
    with console.status(f"lab {loaded.name}", refresh_per_second=4) as status:
        show = status.update if console.is_terminal else partial(console.print, soft_wrap=True)
        run_lab(
            loaded,
            options,
            on_progress=show,
            on_ready=lambda announcement, key: _announce(announcement, key, output),
            on_status=status.update if console.is_terminal else None,
        )


def _announce(announcement: Announcement, generated_key: str | None, output: Output) -> None:
    if generated_key is not None:
        console.print(
            f"key (shown once; set {announcement.key_env} to choose your own): {generated_key}", soft_wrap=True
        )
    if output is Output.JSON:
        emit_json(asdict(announcement))
    else:
        print(f"{announcement.service}: {announcement.ready_replicas} {announcement.replicas} replicas ready")
        print(f"  POST {announcement.url}  with  Authorization: Bearer ${announcement.key_env}")
        print(f"  GET  {announcement.state_url}")
    sys.stdout.flush()
