"""`surgeproof export`: the recommended settings of a plan, ready to apply."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from planner.azureml_export import Format, Names
from planner.cli.options import Output, OutputOption
from planner.errors import InputError
from planner.model import Api


def command(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The folder that `surgeproof plan` has written, or its plan.json.")
    ],
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="v2: a deployment's YAML or az commands; v1: deploymentconfig.json or Python code."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="File to write to. Default: stdout.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the deployment (v2). Default: blue.", show_default=False)
    ] = None,
    endpoint_name: Annotated[
        str | None, typer.Option("--endpoint-name", help="Of its endpoint (v2). Default: my-endpoint.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the settings that a plan recommends as Azure takes them, and say on stderr what cannot be carried over.

    Example: surgeproof export plans/launch-spike --format online-deployment --out deployment.yml
    """
    from planner.azureml_export import export
    from planner.cli.output import console, emit_json
    from planner.plan_folder import read_plan, recommendation
    from planner.writing import check_writable, write_whole

    names = _names(form, name, endpoint_name)
    if out is not None:
        check_writable(out, "--out")
    document, source = read_plan(plan)
    exported = export(recommendation(document, source), form, names)
    if out is not None:
        if os.path.realpath(out) == os.path.realpath(source):
            raise InputError(f"--out {out}: is the plan itself, choose another file")
        write_whole(out, exported.text.encode())
    if output is Output.JSON:
        result = {"command": "export", "format": str(form), "file": out, "text": exported.text}
        emit_json(result | {"warnings": list(exported.warnings)})
        return
    for warning in exported.warnings:
        console.print(f"warning: {warning}", markup=False, soft_wrap=True)
    print(exported.text if out is None else f"{out}\n", end="")


def _names(form: Format, name: str | None, endpoint_name: str | None) -> Names:
    given = {"--name": name, "--endpoint-name": endpoint_name}
    for option, value in given.items():
        if value is not None and form.api is Api.V1:
            raise InputError(f"{option} {value}: not used with --format {form}, which names no deployment")
    return Names(Names.deployment if name is None else name, Names.endpoint if endpoint_name is None else endpoint_name)
