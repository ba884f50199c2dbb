"""`surgeproof compare`: two runs side by side, and whether they differ by more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Output, OutputOption


def command(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="The run folder of a replay: the one before.")],
    run_b: Annotated[Path, typer.Argument(metavar="RUN_B", help="Another run folder: the one after.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Also write the JSON there.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare two runs: what was set, what came back, and whether the difference is more than chance.

    Each run is simulated many times on the requests that it really sent, since 503s come in bursts. The verdict is
    `different`, `no difference seen` or `cannot tell`. Exit code 0; 3: one of them has no answer to compare.

    Example: surgeproof compare runs/before runs/after
    """
    from loadtest.cli.compare_view import compared, show
    from loadtest.results.comparison import is_comparable
    from planner.cli.output import emit_json

    document = compared(run_a, run_b, out)
    if output is Output.JSON:
        emit_json(document)
    else:
        show(document)
    raise typer.Exit(0 if is_comparable(document) else 3)
