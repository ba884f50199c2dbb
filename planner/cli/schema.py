"""`surgeproof schema`: the JSON Schema of scenario files."""

from planner.cli.options import Output, OutputOption


def command(output: OutputOption = Output.JSON) -> None:
    """Print the JSON Schema of scenario files, with which an editor completes and checks them.

    Example: surgeproof schema > scenario.schema.json
    """
    from planner.cli.output import emit_json
    from planner.scenario_file import json_schema

    emit_json(json_schema())
