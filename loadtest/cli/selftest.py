"""`surgeproof selftest`: the rates to which this machine's send times can be trusted."""

from __future__ import annotations

from typing import Annotated

import typer

from loadtest.selftest.options import RATES_RPS, SelftestOptions, parse_rates
from planner.cli.options import Output, OutputOption

RATES = ",".join(f"{rate:g}" for rate in RATES_RPS)


def command(
    rates: Annotated[str, typer.Option(help="Requests per second to try, with commas.")] = RATES,
    seconds: Annotated[float, typer.Option(help="Of each replay.")] = SelftestOptions.seconds,
    processes: Annotated[int, typer.Option(help="Worker processes that share the rate.")] = SelftestOptions.processes,
    output: OutputOption = Output.TABLE,
) -> None:
    """Replay Poisson arrivals against a server on this machine, faster and faster, beside a bare timer loop.

    Exit code: 0, or 3 if not even the lowest rate gives a valid run.

    Example: surgeproof selftest --rates 100,500,1000
    """
    from loadtest.cli.selftest_view import live_status, show
    from loadtest.selftest.search import run_selftest
    from planner.cli.output import emit_json

    options = SelftestOptions(rates_rps=parse_rates(rates), seconds=seconds, processes=processes)
    with live_status() as say:
        result = run_selftest(options, say=say)
    if output is Output.JSON:
        emit_json(result.document)
    else:
        show(result.document)
    raise typer.Exit(result.exit_code)
