"""`surgeproof simulate`: the predicted 503s, latency, replicas and cost of a scenario."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    CoresOption,
    DurationOption,
    InitialReplicas,
    Output,
    OutputOption,
    ReplicationsOption,
    ScenarioArgument,
    SchedulerOption,
    SeedOption,
    load_scenario,
)

Precision = Annotated[
    str | None,
    typer.Option(
        "--precision",
        metavar="PERCENT",
        help="Replications, 50 at least, until the interval of the 503s is this close to their fraction, for example "
        "10%. --replications is then the most.",
    ),
]
Assumptions = Annotated[
    bool, typer.Option("--assumptions", help="Also the failures under each other reading of what no source documents.")
]
WhatIfs = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="KEY=VALUE",
        help="Also the failures with another value in the scenario, on the same random numbers. Any number of times.",
    ),
]


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
    precision: Precision = None,
    assumptions: Assumptions = False,
    what_if: WhatIfs = None,
    scheduler: SchedulerOption = None,
    cores: CoresOption = None,
) -> None:
    """Predict a scenario's 503s, 504s, latency, replicas and cost, each with its interval.

    Exit code 0: the SLO is kept (or there is none), 1: it is broken, 3: its bound lies inside an interval,
    4: --replications ended it before the --precision.

    Example: surgeproof simulate launch-spike --autoscale-min-replicas 8 --what-if cold_start=0
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
    from planner.scenario_file.what_if import what_ifs

    document = simulate(
        plan,
        replications,
        precision=_read_precision(precision, replications),
        assumptions=assumptions,
        what_ifs=what_ifs(plan, what_if or []),
        scheduler=scheduler,
        cores=cores,
    )
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    if document["workers_lost"]:
        print(document["workers_lost"], file=sys.stderr)
    raise typer.Exit(exit_code(document))


def _read_precision(text: str | None, replications: int | None) -> float | None:
    """The precision as a fraction of the estimate."""
    from planner import units
    from planner.errors import InputError
    from planner.precision import FIRST_LOOK
    from planner.scenario_file.yaml_text import scalar

    if text is None:
        return None
    try:
        precision = units.fraction(scalar(text))
    except ValueError as bound:
        raise InputError(f"--precision = {text}, {bound}") from None
    if not 0 < precision < 1:
        raise InputError(f"--precision = {text}, must be above 0% and below 100%")
    if replications is not None and replications < FIRST_LOOK:
        raise InputError(f"--replications = {replications}, must be at least {FIRST_LOOK} with --precision")
    return precision
