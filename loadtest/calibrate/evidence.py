"""What a run holds that a calibration can use, and which of it is sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.runfolder import RunFolder
from loadtest.validate.observed import Observation, observe
from planner.errors import InputError
from planner.model import Outcome, ReplicaLog, RequestLog
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.yaml_text import parse

CLOCK, POLICY = "clock", "policy"
"""What a run may be unfit for: times told by the client's clock; the simulation of the whole run."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One run. document: the scenario file as parsed; unfit: why the run is unfit for CLOCK or POLICY, if it is."""

    folder: RunFolder
    scenario: Scenario
    document: dict[str, Any]
    log: RequestLog
    replicas: ReplicaLog | None
    seen: Observation
    unfit: Mapping[str, str]

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Answers 200 whose time in the worker is known."""
        return np.asarray((self.log.outcome == Outcome.OK) & np.isfinite(self.log.service_time_s))


def gather(folder: RunFolder) -> Evidence:
    """Read a run folder. A broken part is an InputError that names the file."""
    scenario = load(str(folder.scenario))
    document = parse(scenario.text, str(folder.scenario))
    log, seen = folder.read_requests(), observe(folder, scenario)
    return Evidence(
        folder=folder,
        scenario=scenario,
        document=document,
        log=log,
        replicas=folder.read_replicas(),
        seen=seen,
        unfit=_unfit(seen, scenario),
    )


def _unfit(seen: Observation, scenario: Scenario) -> dict[str, str]:
    summary = seen.summary
    unfit = {}
    if summary["generator"]["problems"]:
        unfit[CLOCK] = f"The generator did not keep up, so its clock readings are late: {_joined(summary, 'generator')}"
    policy = unfit.get(CLOCK)
    if summary["observed"]["problems"]:
        policy = policy or f"The model does not know these answers: {_joined(summary, 'observed')}"
    if summary.get("ended") != "complete":
        policy = policy or f"The run did not end by itself ({summary.get('ended')})."
    ready = ((summary.get("replicas") or {}).get("at_start") or {}).get("ready")
    if ready is None and seen.bin_ready is not None:
        ready = round(float(seen.bin_ready[0]))
    if ready is not None and ready != scenario.deployment.initial_count:
        policy = policy or (
            f"{ready} replicas were ready when the run began, the scenario starts with "
            f"{scenario.deployment.initial_count}."
        )
    if len(seen.sent_s) == 0 or seen.requests == 0:
        policy = "No request was sent and answered."
    if policy:
        unfit[POLICY] = policy
    return unfit


def _joined(summary: Mapping[str, Any], part: str) -> str:
    return " ".join(map(str, summary[part]["problems"]))


def check_times(evidence: Evidence) -> None:
    """A time in the worker that is negative can be no measurement."""
    times = evidence.log.service_time_s
    if len(bad := np.flatnonzero(times < 0)):
        raise InputError(
            f"{evidence.folder.requests}: row {bad[0] + 1} has service_time_s = {times[bad[0]]}, must be at least 0"
        )
