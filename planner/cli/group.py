"""The commands by name. A command's module is imported when the command is run, not before.

So `surgeproof --help` imports none of them, and none pays for what another needs.
"""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from planner import __version__

COMMANDS = {
    "replicas": ("planner.cli.replicas", "The published sizing rule, and the 503s it leaves under Poisson arrivals."),
    "simulate": ("planner.cli.simulate", "Predicts 503s, latency, replicas and cost of a scenario, with intervals."),
    "plan": ("planner.cli.plan", "Finds the cheapest settings that keep the SLO, and says why not the others."),
    "lab": ("loadtest.cli.lab", "Serves a scenario's endpoint on this machine, with azureml-fe's behaviour."),
    "replay": ("loadtest.cli.replay", "Sends a scenario's requests to an endpoint at their real times, with Locust."),
    "replay-worker": ("loadtest.cli.replay_worker", "Sends a share of a replay that another machine leads."),
    "validate": ("loadtest.cli.validate", "Compares a replay with its prediction and gives a verdict."),
    "calibrate": ("loadtest.cli.calibrate", "Writes a scenario with what a run has measured, each with its interval."),
    "compare": ("loadtest.cli.compare", "Says in what two runs differ, and whether by more than chance."),
    "report": ("loadtest.cli.report", "Writes the capacity report of a run."),
    "run": ("loadtest.cli.run", "All of it against the lab: simulate, lab, replay, validate, report."),
    "observe": (
        "loadtest.cli.observe",
        "Watches the replicas of a live endpoint on Kubernetes, and why some do not come.",
    ),
    "diagnose": ("loadtest.cli.diagnose", "Says why replicas of a live endpoint did not come up, and what to do."),
    "selftest": ("loadtest.cli.selftest", "Measures the rates to which this machine's send times can be trusted."),
    "export": ("planner.cli.export", "Prints a plan's recommended settings, ready to apply to Azure ML."),
    "scenarios": ("planner.cli.scenarios", "Lists the scenarios that come with Surgeproof."),
    "schema": ("planner.cli.schema", "Prints the JSON Schema of scenario files."),
}
"""Name -> (module with a function `command`, one line of help)."""


class LazyGroup(TyperGroup):
    """A group whose commands are only names and one line of help until one is to be run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _imported(name), rest

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None  # typer would end without a word


def _imported(name: str) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name)(importlib.import_module(COMMANDS[name][0]).command)
    return typer.main.get_command(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"surgeproof {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Sizes, simulates and load-tests Azure ML endpoints on AKS, so that a burst does not turn into HTTP 503s.

    Start with: surgeproof run quickstart
    """


def make_group() -> Any:
    """The command line as typer sees it."""
    app = typer.Typer(name="surgeproof", cls=LazyGroup, add_completion=False)
    app.callback()(_root)
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    for name, (_, summary) in COMMANDS.items():
        group.add_command(TyperCommand(name, help=summary, short_help=summary))
    return group
