"""The intervals of a calibration, carried into predictions by the calibrated scenario.

`calibrate` writes them into the scenario file, one comment line for each setting, which needs no key of the format.
A prediction then draws the setting anew for each replicate: what a run cannot tell widens its prediction interval.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

from loadtest.validate.resampling import Z
from planner.draws import Stream, block_generator
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file.files import OWN_COMMENT

MARK = f"{OWN_COMMENT}calibrated-interval: "

OVERHEAD, SERVICE_TIME, COLD_START = "deployment.router_overhead", "service_time.mean", "cold_start.mean"

VALUE_OF: dict[str, Callable[[Scenario], float]] = {
    OVERHEAD: lambda scenario: scenario.deployment.router_overhead_s,
    SERVICE_TIME: lambda scenario: scenario.service_time.mean_s,
    COLD_START: lambda scenario: scenario.cold_start.mean_s,
}
"""The settings whose intervals are carried, in seconds."""

_BLOCK = 1 << 40
"""Of the timing stream: far from the blocks that the timing noise uses."""

_SMALLEST_FACTOR = 0.05


@dataclass(frozen=True, kw_only=True)
class CalibratedInterval:
    """A setting in seconds: the value that the calibrated scenario has, and the 95 % interval."""

    setting: str
    value: float
    low: float
    high: float

    def line(self) -> str:
        return MARK + json.dumps(asdict(self))

    def holds_for(self, scenario: Scenario) -> bool:
        """Whether the scenario still has the value that was calibrated."""
        return abs(VALUE_OF[self.setting](scenario) - self.value) <= 1e-6 + 1e-4 * self.value


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One replicate's settings: the overhead in seconds (None: as the scenario has it), and factors of its times."""

    overhead_s: float | None = None
    service_factor: float = 1.0
    cold_start_factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The intervals that hold for a scenario; by_hand: those whose setting was changed since."""

    intervals: tuple[CalibratedInterval, ...] = ()
    by_hand: tuple[CalibratedInterval, ...] = ()

    def of(self, setting: str) -> CalibratedInterval | None:
        return next((interval for interval in self.intervals if interval.setting == setting), None)

    def drawn(self, seed: int, replicate: int) -> Drawn:
        """Values from these intervals, each a function of seed and replicate."""
        if not self.intervals:
            return Drawn()
        z = dict(zip(VALUE_OF, standard_draws(seed, replicate, len(VALUE_OF)), strict=True))
        value = {i.setting: spread(i.value, i.low, i.high, z[i.setting]) for i in self.intervals}
        return Drawn(
            overhead_s=value.get(OVERHEAD),
            service_factor=self._factor(SERVICE_TIME, value),
            cold_start_factor=self._factor(COLD_START, value),
        )

    def _factor(self, setting: str, drawn: dict[str, float]) -> float:
        interval = self.of(setting)
        if interval is None or interval.value == 0:  # no factor changes times of 0
            return 1.0
        return max(_SMALLEST_FACTOR, drawn[setting] / interval.value)


EXACT = Carried()
"""Nothing is uncertain."""


def carried_by(scenario: Scenario) -> Carried:
    """The intervals that stand in a scenario's file. A damaged line is an InputError."""
    lines = dict.fromkeys(line for line in scenario.text.splitlines() if line.startswith(MARK))
    found = [_read(line, scenario) for line in lines]
    return Carried(
        intervals=tuple(interval for interval in found if interval.holds_for(scenario)),
        by_hand=tuple(interval for interval in found if not interval.holds_for(scenario)),
    )


def standard_draws(seed: int, replicate: int, n: int) -> list[float]:
    """Normal draws for what is uncertain in one replicate; apart from its timing noise."""
    return [float(z) for z in block_generator(seed, replicate, Stream.TIMING, _BLOCK).standard_normal(n)]


def spread(value: float, low: float, high: float, z: float) -> float:
    """A normal draw z around value, with either half as wide as the 95 % interval [low, high] has it; at least 0."""
    half = max(0.0, high - value) if z > 0 else max(0.0, value - low)
    return max(0.0, value + z / Z * half)


def _read(line: str, scenario: Scenario) -> CalibratedInterval:
    try:
        found = CalibratedInterval(**json.loads(line.removeprefix(MARK)))
        numbers = [float(number) for number in (found.low, found.value, found.high)]
        if found.setting not in VALUE_OF or not all(map(math.isfinite, numbers)) or numbers != sorted(numbers):
            raise ValueError(line)
    except (ValueError, TypeError, RecursionError):
        raise InputError(
            f"{scenario.source or scenario.name}: the line `{line[:48]}…` that carries a calibrated interval is "
            "damaged: calibrate again, or take the line out, and the setting counts as exact"
        ) from None
    if numbers[0] < 0:
        raise InputError(f"{scenario.source or scenario.name}: {found.setting} has low = {numbers[0]}, at least 0")
    return found
