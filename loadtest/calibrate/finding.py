"""What a calibration says of one setting, and the change of the scenario that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from planner.scenario import Scenario

CONFIDENCE = 0.95

Value = float | int | str | None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One setting: what it was, what the run measured, and the interval.

    before, after, low, high: in `unit`; low or high None: not bounded on that side. after is `before` where the run
    does not contradict it. measured_from: the data; why: one sentence that carries the decision.
    """

    setting: str
    before: Value
    after: Value
    low: Value = None
    high: Value = None
    unit: str | None
    identified: bool
    n: int
    measured_from: str
    why: str

    @property
    def changed(self) -> bool:
        return self.after != self.before


@dataclass(frozen=True, kw_only=True)
class Part:
    """Findings that change the scenario together: a service time has a mean, a CV and a distribution.

    overrides: dotted path in the scenario file -> new value; apply: the same change of a Scenario. Without a change
    overrides is empty and apply gives back what it is given.
    """

    name: str
    findings: tuple[Finding, ...]
    overrides: Mapping[str, object] = field(default_factory=dict)
    apply: Callable[[Scenario], Scenario] = lambda scenario: scenario
    values_s: tuple[float, ...] = ()
    """Measured times that the scenario reads from a file beside it."""
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return bool(self.overrides)


def unknown(setting: str, before: Value, unit: str | None, source: str, why: str, n: int = 0) -> Finding:
    """A setting that the run says nothing about: kept."""
    return Finding(
        setting=setting,
        before=before,
        after=before,
        unit=unit,
        identified=False,
        n=n,
        measured_from=source,
        why=why,
    )
