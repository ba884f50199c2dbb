"""`surgeproof replicas`: the published rule and what it costs. Imports neither numba nor scipy, nor numpy."""

from typing import Annotated

import typer

from planner.cli.options import Output, OutputOption
from planner.replicas import DEFAULT_MAX_CONCURRENT, DEFAULT_TARGET_UTILIZATION, DEFAULT_WAIT_MS


def command(
    target_rps: Annotated[str, typer.Option(metavar="RPS", help="Requests per second.")],
    request_time: Annotated[str, typer.Option(metavar="SECONDS", help="Of one request; with a unit, 250ms.")],
    max_concurrent: Annotated[
        str, typer.Option(metavar="N", help="Requests a replica works on at once.")
    ] = DEFAULT_MAX_CONCURRENT,
    target_utilization: Annotated[
        str, typer.Option(metavar="FRACTION", help="Above 0, at most 1, as in the published rule.")
    ] = DEFAULT_TARGET_UTILIZATION,
    max_request_wait_time: Annotated[
        str, typer.Option(metavar="MS", help="Milliseconds that a request may queue before it gets 503.")
    ] = DEFAULT_WAIT_MS,
    output: OutputOption = Output.TABLE,
) -> None:
    """How many replicas the published rule gives, and the 503s it leaves under Poisson arrivals.

    Example: surgeproof replicas --target-rps 20 --request-time 10 --max-concurrent 1 --target-utilization 0.7
    """
    from planner.cli.output import emit_json
    from planner.replicas import document, read_sizing, text

    sizing = read_sizing(target_rps, request_time, max_concurrent, target_utilization, max_request_wait_time)
    if output is Output.JSON:
        emit_json(document(sizing))
    else:
        print(text(sizing))
