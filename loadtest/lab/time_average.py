"""The time average of a number that changes in steps."""

from __future__ import annotations

from collections import deque


class TimeAverage:
    """Remembers the steps of a number that is 0 at the start, and averages it over intervals that end now."""

    def __init__(self, start_s: float) -> None:
        self._steps: deque[tuple[float, float]] = deque([(start_s, 0.0)])

    def note(self, now_s: float, value: float) -> None:
        """The number is `value` from now_s on."""
        self._steps.append((now_s, value))

    def forget(self, before_s: float) -> None:
        """Drop the steps that no interval starting at before_s or later needs."""
        while len(self._steps) > 1 and self._steps[1][0] <= before_s:
            self._steps.popleft()

    def over(self, start_s: float, end_s: float) -> float:
        """The average over [start_s, end_s); an empty interval has the last value."""
        if end_s <= start_s:
            return self._steps[-1][1]
        total = 0.0
        until = end_s
        for at, value in reversed(self._steps):
            since = max(at, start_s)
            if since < until:
                total += value * (until - since)
                until = since
            if at <= start_s:
                break
        return total / (end_s - start_s)
