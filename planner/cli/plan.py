"""`surgeproof plan`: the cheapest settings that keep the promise, and why."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from planner.cli.options import (
    CoresOption,
    DurationOption,
    InitialReplicas,
    OutOption,
    Output,
    OutputOption,
    ReplicationsOption,
    ScenarioArgument,
    SchedulerOption,
    SeedOption,
    load_scenario,
)

_SEARCHED = "What is searched: a number, a range or a list (4, 4..40, 50..90:5, 1,2,4)"

MinReplicas = Annotated[
    str | None, typer.Option("--autoscale-min-replicas", metavar="RANGE", rich_help_panel=_SEARCHED)
]
MaxReplicas = Annotated[
    str | None,
    typer.Option(
        "--autoscale-max-replicas",
        metavar="RANGE",
        help="Its end is the most that the cluster gives. Default: as many as may be of use, and no more than the "
        "scenario's file allows. Under fixed: the number of replicas.",
        rich_help_panel=_SEARCHED,
    ),
]
TargetUtilization = Annotated[
    str | None,
    typer.Option(
        "--autoscale-target-utilization", metavar="RANGE", help="Default: 30..100:5.", rich_help_panel=_SEARCHED
    ),
]
MaxConcurrent = Annotated[
    str | None,
    typer.Option(
        "--replica-max-concurrent-requests",
        metavar="RANGE",
        help="Each with as many workers (WORKER_COUNT). Default: the scenario's.",
        rich_help_panel=_SEARCHED,
    ),
]
Price = Annotated[
    float | None, typer.Option("--price", metavar="MONEY", help="Of one replica for an hour, in any currency.")
]
MostRequests = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        min=1,
        metavar="N",
        help="End the search after so many simulated requests with what is known, undecided if it is so (exit code 4).",
    ),
]
Exhaustive = Annotated[
    bool,
    typer.Option("--exhaustive", help="Simulate every setting --replications times (100) instead of searching."),
]
AsIs = Annotated[
    bool, typer.Option("--as-is", help="Search nothing: judge the scenario's own settings and ask about them.")
]
_UNCERTAIN = "Where the scenario has intervals ({low: 20s, mid: 35s, high: 60s})"
KeptIn = Annotated[
    str | None,
    typer.Option(
        "--kept-in",
        metavar="PERCENT",
        help="The cheapest that keeps the promise in so many worlds. Default: 90%.",
        rich_help_panel=_UNCERTAIN,
    ),
]
LeastRegret = Annotated[
    bool,
    typer.Option(
        "--least-regret", help="Instead, the one that the worst world regrets least.", rich_help_panel=_UNCERTAIN
    ),
]
Worlds = Annotated[
    int | None,
    typer.Option(
        "--worlds", min=1, max=1000, metavar="N", help="Drawn worlds. Default: 12.", rich_help_panel=_UNCERTAIN
    ),
]
Questions = Annotated[
    bool,
    typer.Option(
        "--questions/--no-questions", help="Also the published rule, and what the recommended setting survives."
    ),
]


def command(
    scenario: ScenarioArgument,
    output: OutputOption = Output.TABLE,
    out: OutOption = None,
    autoscale_min_replicas: MinReplicas = None,
    autoscale_max_replicas: MaxReplicas = None,
    autoscale_target_utilization: TargetUtilization = None,
    replica_max_concurrent_requests: MaxConcurrent = None,
    price: Price = None,
    questions: Questions = True,
    max_requests: MostRequests = None,
    exhaustive: Exhaustive = False,
    as_is: AsIs = False,
    replications: ReplicationsOption = None,
    kept_in: KeptIn = None,
    least_regret: LeastRegret = False,
    worlds: Worlds = None,
    initial_replicas: InitialReplicas = None,
    duration: DurationOption = None,
    seed: SeedOption = None,
    scheduler: SchedulerOption = None,
    cores: CoresOption = None,
) -> None:
    """The cheapest settings that keep a scenario's SLO, what else was tried, and why it was not taken.

    Exit code 0: found (or the scenario has no SLO), 1: nothing searched keeps it, 3: undecided, 4: --max-requests.

    Example: surgeproof plan launch-spike --autoscale-max-replicas 10..40 --price 0.096
    """
    from planner.cli.output import emit_json
    from planner.cli.plan_options import check_modes, read_price, read_ranges, read_robustness
    from planner.folders import new_folder

    planned = load_scenario(scenario, initial_replicas=initial_replicas, duration=duration, seed=seed)
    ranges = read_ranges(
        planned,
        min_replicas=autoscale_min_replicas,
        max_replicas=autoscale_max_replicas,
        target_percent=autoscale_target_utilization,
        max_concurrent=replica_max_concurrent_requests,
    )
    check_modes(exhaustive=exhaustive, as_is=as_is, replications=replications, max_requests=max_requests, ranges=ranges)
    at_mid_by = "--as-is" if as_is else "--exhaustive" if exhaustive else None
    robustness = read_robustness(
        planned, kept_in=kept_in, least_regret=least_regret, worlds=worlds, at_mid_by=at_mid_by
    )
    read_price(price)
    from planner.cli.plan_view import show
    from planner.cli.planning import Wanted, exit_code, make_plan, write_plan
    from planner.sim.replications import DEFAULT_REPLICATIONS

    folder = new_folder(planned.name, out)
    document = make_plan(
        planned,
        Wanted(
            ranges=ranges,
            price_per_replica_hour=price,
            most_requests=max_requests,
            exhaustive_runs=(replications or DEFAULT_REPLICATIONS) if exhaustive or as_is else None,
            as_is=as_is,
            **robustness,
            questions=questions,
            scheduler=scheduler,
            cores=cores,
        ),
    )
    write_plan(folder, document, planned)
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    if document["workers_lost"]:
        print(document["workers_lost"], file=sys.stderr)
    print(folder, file=sys.stderr if output is Output.JSON else sys.stdout)
    raise typer.Exit(exit_code(document))
