"""The calibrated scenario as files: the YAML, a JSON document beside it, and measured times where they are used."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from loadtest.calibrate.evidence import Evidence
from loadtest.calibrate.finding import Finding, Part
from loadtest.calibrate.service_time import VALUES_COLUMN
from loadtest.validate.carried import SERVICE_TIME, VALUE_OF, CalibratedInterval, carried_by
from loadtest.validate.in_sample import identity, origins
from planner import __version__
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.files import FILE_REFERENCES
from planner.scenario_file.overrides import override
from planner.scenario_file.problems import value_at
from planner.scenario_file.yaml_text import dump
from planner.writing import check_writable

FIRST_LINE = "# Calibrated by surgeproof"
LONGEST_NAME = 64
SUFFIX = "-calibrated"


def values_file(out: Path) -> str:
    """Where measured times go, as the scenario names it."""
    return f"{out.stem}-service-times.csv"


def check_out(out: Path) -> None:
    """Refuse to write over anything but an earlier calibration."""
    if out.suffix not in (".yaml", ".yml"):
        raise InputError(f"--out {out}: a scenario file ends in .yaml or .yml")
    check_writable(out, "--out")
    try:
        if out.exists() and not out.read_text(encoding="utf-8").startswith(FIRST_LINE):
            raise InputError(f"--out {out}: is there already, and no calibrated scenario")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--out {out}: cannot be written ({error})") from None


def write_scenario(evidence: Evidence, parts: Sequence[Part], expected: Scenario, out: Path) -> None:
    """Write the scenario and read it back: what stands in the file is what was judged."""
    changes = {path: value for part in parts for path, value in part.overrides.items()}
    name = evidence.scenario.name.removesuffix(SUFFIX)[: LONGEST_NAME - len(SUFFIX)] + SUFFIX
    document = override(evidence.document, changes)
    document = {"name": name} | document | {"name": name}
    _move_references(document, evidence.folder.path, out.parent, exempt=values_file(out))
    text = "\n".join([*_comments(evidence, parts, expected), dump(document)])
    values_s = [value for part in parts for value in part.values_s]
    try:
        if values_s:
            lines = [VALUES_COLUMN, *(f"{value:.9f}" for value in values_s)]
            (out.parent / values_file(out)).write_text("\n".join(lines) + "\n", encoding="utf-8")
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    written = load(out)
    if written.deployment != expected.deployment:
        raise AssertionError(f"{out} says {written.deployment}, judged was {expected.deployment}")
    for one, other in ((written.service_time, expected.service_time), (written.cold_start, expected.cold_start)):
        if type(one) is not type(other) or abs(one.mean_s - other.mean_s) > 1e-6 + 1e-4 * other.mean_s:
            raise AssertionError(f"{out} says {one.describe()}, judged was {other.describe()}")


def write_document(document: Mapping[str, Any], out: Path) -> None:
    """The JSON document of the command, beside the scenario."""
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    try:
        out.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out.with_suffix('.json')}: cannot be written ({error.strerror or error})") from None


def _move_references(document: dict[str, Any], home: Path, target: Path, *, exempt: str) -> None:
    """Files that the scenario names relative to the run folder, relative to where the new one lies."""
    for path in FILE_REFERENCES:
        file = value_at(document, path)
        if not isinstance(file, str) or PurePath(file).is_absolute() or file == exempt:
            continue
        value_at(document, path[:-1])[path[-1]] = Path(os.path.relpath(home / file, target)).as_posix()


def _comments(evidence: Evidence, parts: Sequence[Part], expected: Scenario) -> list[str]:
    run = identity(evidence.folder)
    findings = [finding for part in parts for finding in part.findings]
    earlier = [origin.line() for origin in origins(evidence.scenario) if not origin.same_run(run)]
    measured = [f for f in findings if f.identified or f.changed]
    unknown = [f for f in findings if not f.identified and not f.changed]
    began = f", started {run.started_at}" if run.started_at else ""
    return [
        f"{FIRST_LINE} {__version__} from the run {evidence.folder.path.absolute().name}{began}.",
        *earlier,
        run.line(),
        *(interval.line() for interval in _intervals(evidence, findings, expected)),
        "# Measured, with 95 % intervals:",
        *(f"#   {described(finding)}" for finding in measured),
        *(["# Not told by this run, kept:"] if unknown else []),
        *(f"#   {finding.setting}: {_one_line(finding.why)}" for finding in unknown),
        "",
    ]


def _intervals(evidence: Evidence, findings: Sequence[Finding], expected: Scenario) -> list[CalibratedInterval]:
    """What `validate` carries on: of this run, and of an earlier one for what this run does not tell."""
    measured = {}
    for finding in findings:
        setting = SERVICE_TIME if finding.setting == "service_time.factor" else finding.setting
        if setting not in VALUE_OF or not isinstance(finding.low, float) or not isinstance(finding.high, float):
            continue
        value = VALUE_OF[setting](expected)
        unit = value / float(finding.after or 1) if finding.setting == "service_time.factor" else 1.0
        low, high = min(value, finding.low * unit), max(value, finding.high * unit)
        measured[setting] = CalibratedInterval(setting=setting, value=value, low=low, high=high)
    earlier = [i for i in carried_by(evidence.scenario).intervals if i.holds_for(expected)]
    return [*measured.values(), *(i for i in earlier if i.setting not in measured)]


def described(finding: Finding) -> str:
    unit = f" {finding.unit}" if finding.unit else ""
    change = f"{shown(finding.before)}{unit} -> {shown(finding.after)}{unit}"
    if not finding.changed:
        change = f"{shown(finding.before)}{unit}, kept"
    interval = ""
    if finding.low is not None or finding.high is not None:
        interval = f" ({shown(finding.low)} to {shown(finding.high)}{unit}; n = {finding.n})"
    return f"{finding.setting}: {change}{interval}, from {finding.measured_from}"


def shown(value: object) -> str:
    """A value as people read it; None is an open end."""
    if value is None:
        return "?"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
