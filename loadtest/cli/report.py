"""`surgeproof report`: the capacity report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Output, OutputOption


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder that a replay has written.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Write RUN/report.html: what happened, how it compares with the prediction, and what every number means.

    A run without a verdict is validated first.

    Example: surgeproof report runs/quickstart-20261122-101500
    """
    from loadtest.report import validation_of, write_run_report
    from loadtest.runfolder import open_run_folder
    from planner.cli.output import emit_json

    folder = open_run_folder(run)
    validation = validation_of(folder)
    path = write_run_report(folder, validation)
    if output is Output.JSON:
        emit_json({"command": "report", "path": str(path), "verdict": validation["verdict"]})
    else:
        print(f"Verdict: {validation['verdict']}")
        print(path)
