"""Options that several commands share. An option that overrides a scenario's setting carries the setting's name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from planner.scenario import Scenario


class Output(StrEnum):
    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="json: one document on stdout and nothing else there.")
]
ScenarioArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO", help="A path (it contains / or ends in .yaml or .yml) or the name of a shipped scenario."
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder to write to. Default: runs/NAME-TIME.")]

_OVERRIDES = "Instead of the scenario's settings"

AutoscaleMinReplicas = Annotated[
    str | None, typer.Option("--autoscale-min-replicas", metavar="N", rich_help_panel=_OVERRIDES)
]
AutoscaleMaxReplicas = Annotated[
    str | None, typer.Option("--autoscale-max-replicas", metavar="N", rich_help_panel=_OVERRIDES)
]
AutoscaleTargetUtilization = Annotated[
    str | None,
    typer.Option(
        "--autoscale-target-utilization", metavar="PERCENT", help="As Azure has it: 70.", rich_help_panel=_OVERRIDES
    ),
]
InitialReplicas = Annotated[
    str | None,
    typer.Option("--initial-replicas", metavar="N", help="Ready replicas at the start.", rich_help_panel=_OVERRIDES),
]
DurationOption = Annotated[
    str | None,
    typer.Option("--duration", metavar="TIME", help="For example 90s, 5m, 1h30m.", rich_help_panel=_OVERRIDES),
]
SeedOption = Annotated[str | None, typer.Option("--seed", metavar="N", rich_help_panel=_OVERRIDES)]
MOST_REPLICATIONS = 100_000
"""All are kept in memory, 20 kB and more each."""

ReplicationsOption = Annotated[
    int | None,
    typer.Option("--replications", min=2, max=MOST_REPLICATIONS, metavar="N", help="Simulated runs of the scenario."),
]

_WHERE = "Where it is computed (changes no result)"

CoresOption = Annotated[
    int | None,
    typer.Option(
        "--cores",
        min=1,
        max=1024,
        metavar="N",
        help="Of this machine. Default: all that the process may use.",
        rich_help_panel=_WHERE,
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="A running Dask cluster, instead of this machine's cores. Needs surgeproof\\[dask].",
        rich_help_panel=_WHERE,
    ),
]


def load_scenario(
    name_or_path: str,
    *,
    autoscale_min_replicas: object = None,
    autoscale_max_replicas: object = None,
    autoscale_target_utilization: object = None,
    initial_replicas: object = None,
    duration: object = None,
    seed: object = None,
    others: Mapping[str, object] | None = None,
) -> Scenario:
    """The scenario with the given options in place of its settings; an option is read as YAML reads a word.

    others: further overrides, by their dotted path.
    """
    from planner.scenario_file import load

    options = {
        "deployment.autoscale_min_replicas": autoscale_min_replicas,
        "deployment.autoscale_max_replicas": autoscale_max_replicas,
        "deployment.autoscale_target_utilization": autoscale_target_utilization,
        "deployment.initial_replicas": initial_replicas,
        "duration": duration,
        "seed": seed,
        **(others or {}),
    }
    return load(name_or_path, {path: value for path, value in options.items() if value is not None})
