"""The main job in one call: simulate a scenario, stand its endpoint up on this machine, replay it, validate, report."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loadtest.lab.options import KEY_VARIABLE, ReplicaKind, check_replicas
from loadtest.lab.process import LabProcess
from loadtest.observe.target import ClusterTarget
from loadtest.replay.conclude import ReplayResult
from loadtest.replay.credential_settings import CredentialSettings, Kind
from loadtest.replay.plan import ReplayOptions
from loadtest.replay.run import replay
from loadtest.replay.session import OnProgress
from loadtest.report import write_run_report
from loadtest.runfolder import RunFolder, create_run_folder
from loadtest.scratch import scratch_folder
from loadtest.validate.verdict import validate_run
from planner.cli.simulation import simulate
from planner.errors import WorkersLostError
from planner.percent import percent
from planner.scenario import Scenario
from planner.scenario_file import save_copy

EXIT_NO_VERDICT, EXIT_INTERRUPTED = 3, 130


@dataclass(frozen=True, kw_only=True)
class PipelineResult:
    """The documents of the commands that ran, keyed as `run` prints them, and how the command should end."""

    document: dict[str, Any]
    folder: RunFolder
    exit_code: int


def run_pipeline(
    scenario: Scenario,
    *,
    replicas: ReplicaKind = ReplicaKind.REAL,
    cluster: ClusterTarget | None = None,
    scale_deployment: bool = False,
    start_limit_s: float | None = None,
    replications: int | None = None,
    out: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    live: Callable[[], AbstractContextManager[OnProgress | None]] = nullcontext,
) -> PipelineResult:
    """Run everything against a lab of this process's own, which has ended when this returns."""
    # Refused now rather than after the simulation.
    check_replicas(
        scenario.deployment.max_replicas,
        replicas,
        cluster,
        scale_deployment=scale_deployment,
        start_limit_s=start_limit_s,
    )
    if cluster is not None:
        _check_cluster(cluster)
    if out is not None:
        create_run_folder(scenario.name, out)
    say(f"1/5 simulating {scenario.name}")
    simulation = simulate(scenario, replications)
    if simulation["workers_lost"]:
        raise WorkersLostError(simulation["workers_lost"])
    if simulation["interrupted"]:
        raise KeyboardInterrupt
    predicted = simulation["fraction_503"]["value"]
    late = simulation["fraction_504"]["value"]
    others = f"; 504s {percent(late)}" if late else ""
    say(f"    predicted 503s, on average over the traffic that the scenario may bring: {percent(predicted)}{others}")
    for warning in simulation["warnings"]:
        say(f"    warning: {warning}")
    say(f"2/5 starting the lab ({scenario.deployment.initial_count} {replicas} replicas)")
    replayed = _replay_in_lab(scenario, replicas, cluster, start_limit_s, out, say, live)
    document = {"command": "run", "simulate": simulation, "replay": replayed.document}
    if replayed.message:
        say(f"    {replayed.message}")
    if replayed.exit_code == EXIT_INTERRUPTED or replayed.document["observed"]["fraction_503"] is None:
        return PipelineResult(
            document=document, folder=replayed.folder, exit_code=replayed.exit_code or EXIT_NO_VERDICT
        )
    say(f"    run folder: {replayed.folder.path}")
    say("4/5 validating: simulating the requests that were really sent")
    validation = validate_run(replayed.folder, scenario)
    say("5/5 writing the report")
    report = write_run_report(replayed.folder, validation.document, simulation)
    document |= {"validate": validation.document, "report": {"path": str(report)}, "run": str(replayed.folder.path)}
    return PipelineResult(document=document, folder=replayed.folder, exit_code=validation.exit_code)


def _check_cluster(target: ClusterTarget) -> None:
    from loadtest.observe.scaling import connect_to_scale  # the Kubernetes client takes half a second

    connect_to_scale(target).api.close()


def _say_indented(say: Callable[[str], None], line: str) -> None:
    say(f"    {line}")


def _replay_in_lab(
    scenario: Scenario,
    replicas: ReplicaKind,
    cluster: ClusterTarget | None,
    start_limit_s: float | None,
    out: Path | None,
    say: Callable[[str], None],
    live: Callable[[], AbstractContextManager[OnProgress | None]],
) -> ReplayResult:
    with scratch_folder() as folder:
        path = save_copy(scenario, folder)
        lab_says = partial(_say_indented, say)
        lab = LabProcess(path, replicas=replicas, cluster=cluster, start_limit_s=start_limit_s, on_progress=lab_says)
        with lab:
            say(f"3/5 replaying {scenario.name} for {scenario.duration_s:g} s against {lab.url}")
            before = os.environ.get(KEY_VARIABLE)
            os.environ[KEY_VARIABLE] = lab.key  # the environment is the only way in which a key travels
            try:
                with live() as on_progress:
                    key = CredentialSettings(kind=Kind.KEY_VARIABLE)
                    options = ReplayOptions(credentials=key, cluster=cluster, is_lab=True)
                    return replay(scenario, lab.url, out=out, options=options, on_progress=on_progress)
            finally:
                os.environ.pop(KEY_VARIABLE)
                if before is not None:
                    os.environ[KEY_VARIABLE] = before
