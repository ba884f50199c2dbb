"""`surgeproof validate`: observed against predicted, a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import (
    AutoscaleMaxReplicas,
    AutoscaleMinReplicas,
    AutoscaleTargetUtilization,
    InitialReplicas,
    Output,
    OutputOption,
    load_scenario,
)


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder that a replay has written.")],
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Judge by this scenario instead of the one the run was made with.")
    ] = None,
    output: OutputOption = Output.TABLE,
    autoscale_min_replicas: AutoscaleMinReplicas = None,
    autoscale_max_replicas: AutoscaleMaxReplicas = None,
    autoscale_target_utilization: AutoscaleTargetUtilization = None,
    initial_replicas: InitialReplicas = None,
) -> None:
    """Simulate the requests that a run really sent, many times, and say whether the run looks like one of them.

    Exit code 0: pass, 1: fail, 3: undecided or invalid. The verdict is written to RUN/validation.json.

    Example: surgeproof validate runs/quickstart-20261122-101500
    """
    from loadtest.cli.validate_view import show
    from loadtest.runfolder import open_run_folder
    from loadtest.validate.verdict import validate_run
    from planner.cli.output import emit_json

    folder = open_run_folder(run)
    changed = load_scenario(
        scenario or str(folder.scenario),
        autoscale_min_replicas=autoscale_min_replicas,
        autoscale_max_replicas=autoscale_max_replicas,
        autoscale_target_utilization=autoscale_target_utilization,
        initial_replicas=initial_replicas,
    )
    validation = validate_run(folder, changed)
    if output is Output.JSON:
        emit_json(validation.document)
    else:
        show(validation.document)
        print(run)
    raise typer.Exit(validation.exit_code)
