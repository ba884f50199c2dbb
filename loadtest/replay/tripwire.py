"""When a replay has to stop by itself: a refused key, a lost endpoint. Fed with every outcome as it comes."""

from __future__ import annotations

from loadtest.replay.segment import EndReason
from planner.model import Outcome

LOST_AFTER_ERRORS = 20
LOST_AFTER_S = 2.0
"""An endpoint is lost after that many connection errors in a row which span at least that time."""

UNAUTHORIZED = frozenset({401, 403})


class Tripwire:
    """Watches outcomes in the order in which they arrive."""

    def __init__(self) -> None:
        self._any_accepted = False
        self._errors = 0
        self._first_error_ns = 0

    def saw(self, outcome: Outcome, status: int, now_ns: int) -> EndReason | None:
        """The reason to stop, if there is one now."""
        if outcome is Outcome.CONNECTION_ERROR:
            if self._errors == 0:
                self._first_error_ns = now_ns
            self._errors += 1
            lasted_s = (now_ns - self._first_error_ns) / 1e9
            return EndReason.ENDPOINT_LOST if self._errors >= LOST_AFTER_ERRORS and lasted_s >= LOST_AFTER_S else None
        if outcome is Outcome.TIMEOUT:
            return None
        self._errors = 0
        if status in UNAUTHORIZED and not self._any_accepted:
            return EndReason.UNAUTHORIZED
        self._any_accepted = self._any_accepted or outcome is Outcome.OK
        return None
