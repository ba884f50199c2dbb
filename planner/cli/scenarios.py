"""`surgeproof scenarios`: what comes with Surgeproof."""

from planner.cli.options import Output, OutputOption


def command(output: OutputOption = Output.TABLE) -> None:
    """List the scenarios that come with Surgeproof.

    Example: surgeproof scenarios
    """
    from planner.cli.output import emit_json, print_table
    from planner.scenario_file import shipped

    found = shipped()
    if output is Output.JSON:
        emit_json({"scenarios": [{"name": name, "shows": shows} for name, shows in found]})
    else:
        print_table(("scenario", "shows"), found)
