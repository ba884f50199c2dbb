"""`surgeproof replay`: sends a scenario's requests to a scoring URL at their times and writes a run folder."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    DurationOption,
    InitialReplicas,
    OutOption,
    Output,
    OutputOption,
    ScenarioArgument,
    SeedOption,
    load_scenario,
)


def command(
    scenario: ScenarioArgument,
    url: Annotated[str, typer.Option("--url", help="The full scoring URL, such as http://127.0.0.1:5001/score.")],
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A host that may be loaded though it is not this machine.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option("--max-requests", min=1, help="Send no more than this; needed with --allow-host.")
    ] = None,
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

    The endpoint key is read from the environment variable SURGEPROOF_ENDPOINT_KEY.

    Example: surgeproof replay quickstart --url http://127.0.0.1:5001/score
    """
    from loadtest.cli.replay_view import live_progress, show
    from loadtest.replay.run import replay

    plan = load_scenario(
        scenario,
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
        duration=duration,
        seed=seed,
    )
    with live_progress() as on_progress:
        result = replay(
            plan, url, out=out, allow_hosts=allow_host or (), max_requests=max_requests, on_progress=on_progress
        )
    show(result, output)
    raise typer.Exit(result.exit_code)
