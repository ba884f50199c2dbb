"""How far the API server's clock is from this machine's: from the Date of its answers, which is a whole second.

An answer with Date d that was made between two instants of ours says that the server's clock was in [d, d + 1) at one
of them. Asked around the turn of a second, a dozen answers narrow that down to about a round trip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from loadtest.observe.api import KubernetesApi

PATH = "/version"
"""Everybody who is authenticated may read it."""
ANSWERS = 14
NARROW_ENOUGH_S = 0.005


@dataclass(frozen=True, kw_only=True)
class ServerClock:
    """Bounds of the server's wall clock minus this machine's monotonic clock."""

    low_s: float
    high_s: float

    @property
    def uncertainty_s(self) -> float:
        """Half the width: the middle is at most so far off."""
        return (self.high_s - self.low_s) / 2

    def to_monotonic(self, epoch_s: float) -> float:
        """The instant on this machine's monotonic clock of a time by the server's."""
        return epoch_s - (self.low_s + self.high_s) / 2


def measure(
    api: KubernetesApi,
    *,
    answers: int = ANSWERS,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> ServerClock | None:
    """Takes up to a second for each answer. None where they carry no usable Date or contradict each other.

    Raises ApiError.
    """
    low_s, high_s = float("-inf"), float("inf")
    for i in range(answers):
        if i:
            if high_s - low_s <= NARROW_ENOUGH_S:
                break
            sleep(_until_a_turn(now(), (low_s + high_s) / 2))
        asked_s = now()
        date = api.headers(PATH).get("date")
        answered_s = now()
        try:
            server_s = parsedate_to_datetime(str(date)).timestamp()
        except (ValueError, TypeError):
            return None
        low_s, high_s = max(low_s, server_s - answered_s), min(high_s, server_s + 1 - asked_s)
        if low_s > high_s:
            return None  # a clock was set meanwhile
    return ServerClock(low_s=low_s, high_s=high_s)


def _until_a_turn(now_s: float, offset_s: float) -> float:
    """Until the server's clock, if the offset is right, turns to a new second: each answer then halves the doubt."""
    return -(now_s + offset_s) % 1.0
