"""`surgeproof report`: the capacity report of a run or of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Output, OutputOption


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="RUN_OR_PLAN", help="The folder that a replay or `surgeproof plan` has written.")
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Write report.html into a run or plan folder, so that a colleague can read it.

    Of a run: what happened, how it compares with the prediction, and what every number means; one without a verdict is
    validated first. Of a plan: what it recommends, why, at what cost, and why not the others.

    Example: surgeproof report runs/quickstart-20261122-101500
    """
    from loadtest.report import write_report
    from planner.cli.output import emit_json
    from planner.report.plan.folder import is_plan_folder

    path, verdict = write_report(folder)
    if output is Output.JSON:
        emit_json({"command": "report", "path": str(path), "verdict": verdict})
    else:
        question = "Can the promise be kept?" if is_plan_folder(folder) else "Does the prediction hold?"
        print(f"{question} Verdict: {verdict}")
        print(path)
