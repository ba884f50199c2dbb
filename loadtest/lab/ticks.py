"""The autoscaler's ticks: at zero_s + k * period_s for k = 1, 2, ..., a product, so that they never drift."""

from __future__ import annotations

from collections.abc import Callable

from loadtest.lab.front_end import Clock, Timer


class Ticks:
    """Calls on_tick(k, time of tick k) at each tick; one that comes late is made up for, none is left out."""

    def __init__(self, clock: Clock, period_s: float, on_tick: Callable[[int, float], None]) -> None:
        self.period_s = period_s
        self.zero_s = clock.time()
        self.number = 0
        """Of the last tick that was."""
        self._clock = clock
        self._on_tick = on_tick
        self._timer: Timer | None = None

    @property
    def next_s(self) -> float:
        return self.zero_s + (self.number + 1) * self.period_s

    def count_from(self, zero_s: float) -> None:
        """Tick 1 is at zero_s + period_s from now on."""
        self.stop()
        self.zero_s, self.number = zero_s, 0
        self._timer = self._clock.call_at(self.next_s, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        at_s = self.next_s
        self.number += 1
        self._timer = self._clock.call_at(self.next_s, self._tick)
        self._on_tick(self.number, at_s)
