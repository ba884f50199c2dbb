"""`surgeproof calibrate`: a scenario with what a run has measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Output, OutputOption


def command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder that a replay has written.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The new scenario file.", show_default="RUN/calibrated.yaml")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Measure what a run tells of a scenario's settings, each with its interval, and write a scenario with them.

    Judge the new scenario by another run: on this one its verdict is in-sample. Exit code 3: the run tells nothing.

    Example: surgeproof calibrate runs/quickstart-20261122-101500
    """
    from loadtest.calibrate.calibration import calibrate_run
    from loadtest.cli.calibrate_view import show
    from loadtest.runfolder import open_run_folder
    from planner.cli.output import emit_json

    folder = open_run_folder(run)
    calibration = calibrate_run(folder, out or folder.path / "calibrated.yaml")
    if output is Output.JSON:
        emit_json(calibration.document)
    else:
        show(calibration.document)
    raise typer.Exit(calibration.exit_code)
