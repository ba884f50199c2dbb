"""Whether a scenario was calibrated on the very run that judges it: then a pass proves nothing.

`calibrate` writes the identity of its run into the scenario file, in a comment line that needs no key of the format.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from loadtest.runfolder import RunFolder
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file.files import OWN_COMMENT

MARK = f"{OWN_COMMENT}calibrated-from: "
"""How the line begins that names a run; a scenario that was calibrated twice has two of them."""

SENTENCE = (
    "In-sample: the scenario was calibrated on this very run, so that a pass proves nothing: validate another run."
)


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What tells one run from all others. Two runs of one schedule differ in the instants at which they sent."""

    schedule_sha256: str
    sent_sha256: str
    started_at: str | None

    def same_run(self, other: RunIdentity) -> bool:
        return (self.schedule_sha256, self.sent_sha256) == (other.schedule_sha256, other.sent_sha256)

    def line(self) -> str:
        return MARK + json.dumps(asdict(self))


def identity(folder: RunFolder) -> RunIdentity:
    """The identity of the run that a folder holds."""
    return RunIdentity(
        schedule_sha256=folder.read_schedule().sha256,
        sent_sha256=hashlib.sha256(folder.read_requests().sent_s.astype("<f8").tobytes()).hexdigest(),
        started_at=folder.read_summary().get("started_at"),
    )


def origins(scenario: Scenario) -> list[RunIdentity]:
    """The runs that a scenario was calibrated on."""
    lines = [line for line in scenario.text.splitlines() if line.startswith(MARK)]
    return [_read(line, scenario) for line in dict.fromkeys(lines)]


def is_in_sample(folder: RunFolder, scenario: Scenario) -> bool:
    calibrated_on = origins(scenario)
    return bool(calibrated_on) and any(identity(folder).same_run(run) for run in calibrated_on)


def _read(line: str, scenario: Scenario) -> RunIdentity:
    try:
        return RunIdentity(**json.loads(line.removeprefix(MARK)))
    except (ValueError, TypeError, RecursionError):
        raise InputError(
            f"{scenario.source or scenario.name}: the line `{line[:40]}…` that says on which run the scenario was "
            "calibrated is damaged: calibrate again, or take the line out and know that a verdict may be in-sample"
        ) from None
