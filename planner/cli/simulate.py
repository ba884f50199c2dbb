"""`surgeproof simulate`: the predicted 503s, latency, replicas and cost of a scenario."""

from __future__ import annotations

import typer

from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    DurationOption,
    InitialReplicas,
    Output,
    OutputOption,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    load_scenario,
)


def command(
    scenario: ScenarioArgument,
    output: OutputOption = Output.TABLE,
    replications: ReplicationsOption = None,
    autoscale_min_replicas: AutoscaleMinReplicas = None,
    autoscale_max_replicas: AutoscaleMaxReplicas = None,
    autoscale_target_utilization: AutoscaleTargetUtilization = None,
    initial_replicas: InitialReplicas = None,
    duration: DurationOption = None,
    seed: SeedOption = None,
) -> None:
    """Predict a scenario's 503s, latency, replicas and cost, each with its interval.

    Exit code 0: the SLO is kept (or there is none), 1: it is broken, 3: its bound lies inside an interval.

    Example: surgeproof simulate launch-spike --autoscale-min-replicas 8
    """
    plan = load_scenario(
        scenario,
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
        duration=duration,
        seed=seed,
    )
    from planner.cli.output import emit_json
    from planner.cli.simulate_view import show
    from planner.cli.simulation import exit_code, simulate

    document = simulate(plan, replications)
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    raise typer.Exit(exit_code(document))
