"""`surgeproof calibrate` from a run folder to its document and the files it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtest.calibrate import cold_start, overhead, pod, policy, service_time
from loadtest.calibrate.evidence import CLOCK, POLICY, Evidence, check_times, gather
from loadtest.calibrate.finding import CONFIDENCE, Finding, Part
from loadtest.calibrate.prediction_error import errors, in_sample_verdict
from loadtest.calibrate.writing import check_out, values_file, write_document, write_scenario
from loadtest.runfolder import RunFolder
from loadtest.validate.in_sample import identity
from planner.scenario import Scenario
from planner.sim.replications import SERIAL, Executor

EXIT_DONE, EXIT_NOTHING = 0, 3


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """evidence: what it rests on; scenario: as calibrated; document: what the command prints."""

    evidence: Evidence
    parts: tuple[Part, ...]
    scenario: Scenario
    document: dict[str, Any]

    @property
    def exit_code(self) -> int:
        """Something was measured, or nothing."""
        return EXIT_DONE if self.document["scenario"] else EXIT_NOTHING


def calibrate(
    folder: RunFolder, out: Path, *, executor: Executor = SERIAL, on_done: Callable[[], object] = lambda: None
) -> Calibration:
    """Measure every setting that the run tells, and write the scenario (nothing where it tells none)."""
    check_out(out)
    evidence = gather(folder)
    check_times(evidence)
    parts, scenario = _measured(evidence, out, executor, on_done)
    findings = [finding for part in parts for finding in part.findings]
    told = any(finding.identified for finding in findings)
    prediction_error, removed = errors(evidence, parts, scenario, executor, on_done)
    run = identity(folder)
    document = {
        "command": "calibrate",
        "run": str(folder.path),
        "scenario": str(out) if told else None,
        "calibrated_from": asdict(run),
        "settings": [_setting(f, removed.get(part.name)) for part in parts for f in part.findings],
        "prediction_error": prediction_error,
        "in_sample_verdict": in_sample_verdict(evidence, scenario, executor, on_done) if told else None,
        "warnings": _warnings(evidence, parts),
    }
    if told:
        write_scenario(evidence, parts, scenario, out)
        write_document(document, out)
    return Calibration(evidence=evidence, parts=parts, scenario=scenario, document=document)


def calibrate_run(folder: RunFolder, out: Path) -> Calibration:
    """Calibrate on all cores, with a progress bar."""
    from planner.cli.progress import progress
    from planner.cli.simulation import prepare_simulator
    from planner.executors import executor_for

    prepare_simulator()
    with executor_for(None) as executor, progress("calibrating", None) as advance:
        return calibrate(folder, out, executor=executor, on_done=advance)


def _measured(
    evidence: Evidence, out: Path, executor: Executor, on_done: Callable[[], object]
) -> tuple[tuple[Part, ...], Scenario]:
    """What is measured directly comes first: the policy is then judged by it."""
    parts = [
        service_time.measure(evidence, values_file(out)),
        overhead.router_overhead(evidence),
        cold_start.measure(evidence),
    ]
    scenario = _applied(parts, evidence.scenario)
    parts.append(pod.worker_count(evidence, scenario, executor))
    scenario = _applied(parts[-1:], scenario)
    policies = policy.measure(evidence, scenario, executor, on_done)
    return (*parts, *policies), _applied(policies, scenario)


def _applied(parts: Sequence[Part], scenario: Scenario) -> Scenario:
    for part in parts:
        scenario = part.apply(scenario)
    return scenario


def _setting(finding: Finding, removed: dict[str, float] | None) -> dict[str, Any]:
    return {
        "setting": finding.setting,
        "before": finding.before,
        "after": finding.after,
        "low": finding.low,
        "high": finding.high,
        "confidence": CONFIDENCE,
        "unit": finding.unit,
        "identified": finding.identified,
        "changed": finding.changed,
        "n": finding.n,
        "from": finding.measured_from,
        "why": finding.why,
        "removes": removed if finding.changed else None,
    }


def _warnings(evidence: Evidence, parts: Sequence[Part]) -> list[str]:
    unfit = {evidence.unfit[use] for use in (CLOCK, POLICY) if use in evidence.unfit}
    return [*sorted(unfit), *(warning for part in parts for warning in part.warnings)]
