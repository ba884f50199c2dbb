"""Clocks of several machines: how far apart two of them are, and whether one was set or stood still. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loadtest.replay.segment import Note

PING_ROUNDS = 10
LARGEST_UNCERTAINTY_S = 0.005
"""With a slower network between master and worker nobody can say that two workers start together."""

CLOCK_STEP_NS = 50_000_000
STALL_NS = 500_000_000
"""What a worker finds worth a note: its wall clock set by this much, itself asleep for this much too long."""


@dataclass(frozen=True, kw_only=True)
class Offset:
    """A worker's monotonic clock less the master's, known to within half the round trip of the fastest ping."""

    offset_ns: int
    uncertainty_ns: int


def offset_from(pings: list[tuple[int, int, int]]) -> Offset:
    """The offset from pings (sent, worker's time, received), nanoseconds: the fastest one is the surest (Cristian).

    F. Cristian, Probabilistic clock synchronization, Distributed Computing 3 (1989): the error is at most half the
    round trip, less its least possible time.
    """
    sent, there, received = min(pings, key=lambda ping: ping[2] - ping[0])
    return Offset(offset_ns=there - (sent + received) // 2, uncertainty_ns=(received - sent + 1) // 2)


class ClockWatch:
    """Looked at every so often, it notices a wall clock that was set and a process that stood still."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._last_ns: int | None = None
        self._gap_ns = 0

    def notice(self, monotonic_ns: int, wall_ns: int) -> list[tuple[Note, int, int]]:
        """What has happened since the last look: (what, when on the monotonic clock, how much)."""
        found = []
        gap_ns = wall_ns - monotonic_ns
        if self._last_ns is not None:
            asleep_ns = monotonic_ns - self._last_ns - self._period_ns
            if asleep_ns >= STALL_NS:
                found.append((Note.STALL, self._last_ns, asleep_ns))
            if abs(step_ns := gap_ns - self._gap_ns) >= CLOCK_STEP_NS:
                found.append((Note.CLOCK_STEP, monotonic_ns, step_ns))
        self._last_ns, self._gap_ns = monotonic_ns, gap_ns
        return found
