"""`surgeproof replay`: sends a scenario's requests to a scoring URL at their times and writes a run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from loadtest.cli import cluster_options as k
from loadtest.cli import replay_options as o
from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    DurationOption,
    InitialReplicas,
    OutOption,
    Output,
    OutputOption,
    SeedOption,
    load_scenario,
)
from planner.errors import InputError


def command(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENARIO",
            help="A path (it contains / or ends in .yaml or .yml) or the name of a shipped scenario.",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The full scoring URL, such as http://127.0.0.1:5001/score.")
    ] = None,
    dry_run: o.DryRunOption = False,
    retry: o.RetryOption = None,
    trace: o.TraceOption = None,
    format_: o.FormatOption = None,
    path: o.PathOption = None,
    method: o.MethodOption = None,
    status: o.StatusOption = None,
    stamps: o.StampsOption = None,
    dates: o.DatesOption = None,
    from_: o.FromOption = None,
    for_: o.ForOption = None,
    rate_scale: o.RateScaleOption = None,
    time_scale: o.TimeScaleOption = None,
    processes: o.ProcessesOption = None,
    expect_workers: o.ExpectWorkersOption = 0,
    master_bind: o.MasterBindOption = None,
    key_file: o.KeyFileOption = None,
    token_file: o.TokenFileOption = None,
    azure_identity: o.AzureIdentityOption = False,
    ca_file: o.CaFileOption = None,
    client_cert: o.ClientCertOption = None,
    client_key: o.ClientKeyOption = None,
    lab: o.LabOption = False,
    allow_host: o.AllowHostOption = None,
    max_requests: o.MaxRequestsOption = None,
    max_rps: o.MaxRpsOption = None,
    stop_at_errors: o.StopAtErrorsOption = None,
    count_503s: o.Count503sOption = False,
    fail_if: o.FailIfOption = None,
    junit: o.JunitOption = None,
    recover: o.RecoverOption = None,
    kubeconfig: k.KubeconfigOption = None,
    kube_context: k.KubeContextOption = None,
    in_cluster: k.InClusterOption = False,
    namespace: k.NamespaceOption = None,
    deployment: k.DeploymentOption = None,
    deployment_selector: k.DeploymentSelectorOption = None,
    out: OutOption = None,
    output: OutputOption = Output.TABLE,
    autoscale_min_replicas: AutoscaleMinReplicas = None,
    autoscale_max_replicas: AutoscaleMaxReplicas = None,
    autoscale_target_utilization: AutoscaleTargetUtilization = None,
    initial_replicas: InitialReplicas = None,
    duration: DurationOption = None,
    seed: SeedOption = None,
) -> None:
    """Send a scenario's requests to an endpoint at their planned times, whatever it answers, and keep the books.

    Example: surgeproof replay quickstart --url http://127.0.0.1:5001/score
    """
    from loadtest.cli.replay_view import finish, live_progress, say_plan, show_dry_run
    from loadtest.judged_replay import Judging

    judging = Judging.of(fail_if or (), junit)
    if recover is not None:
        if scenario is not None or url is not None:
            raise InputError("--recover DIR: the folder knows its scenario and URL, leave them out")
        raise typer.Exit(finish(judging.recover(recover), output))
    if scenario is None:
        raise InputError("SCENARIO is missing: the name of a shipped scenario (`surgeproof scenarios`) or a path")
    plan = load_scenario(
        scenario,
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
        duration=duration,
        seed=seed,
        others=o.traffic_overrides(
            trace,
            format_=format_,
            path=o.paths(path),
            method=o.words(method),
            status=o.words(status),
            stamps=stamps,
            dates=dates,
            from_=from_,
            for_=for_,
            rate_scale=rate_scale,
            time_scale=time_scale,
        ),
    )
    if dry_run:
        show_dry_run(plan, output)
        return
    if url is None:
        raise InputError("--url is missing: the full scoring URL, such as http://127.0.0.1:5001/score")
    o.set_tls(ca_file, client_cert, client_key)
    options = o.replay_options(
        processes=processes,
        expect_workers=expect_workers,
        master_bind=master_bind,
        allow_hosts=allow_host or (),
        max_requests=max_requests,
        max_rps=max_rps,
        retry=o.retry_policy(retry),
        is_lab=lab,
        errors=o.error_limit(stop_at_errors, count_503s),
        credentials=o.credential_settings(key_file, token_file, azure_identity),
        cluster=k.cluster_target(
            kubeconfig=kubeconfig,
            kube_context=kube_context,
            in_cluster=in_cluster,
            namespace=namespace,
            deployment=deployment,
            deployment_selector=deployment_selector,
        ),
    )
    raise typer.Exit(finish(judging.replay(plan, url, options, out, say_plan, live_progress), output))
