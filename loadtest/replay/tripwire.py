"""When a replay has to stop by itself: a refused key, a lost endpoint, errors. Fed with every outcome as it comes."""

from __future__ import annotations

from collections import deque

from loadtest.replay.segment import EndReason
from loadtest.replay.settings import ErrorLimit
from planner.model import Outcome

LOST_AFTER_ERRORS = 20
LOST_AFTER_S = 2.0
"""An endpoint is lost after that many connection errors in a row which span at least that time."""

UNAUTHORIZED = frozenset({401, 403})


class Tripwire:
    """Watches outcomes in the order in which they arrive. had_access: whether the key has ever been accepted."""

    def __init__(self, limit: ErrorLimit) -> None:
        self._errors = 0
        self._first_error_ns = 0
        self._window = _Window(limit)
        self._is_fine = {Outcome.OK} if limit.count_503s else {Outcome.OK, Outcome.STATUS_503}

    def saw(self, outcome: Outcome, status: int, now_ns: int) -> EndReason | None:
        """The reason to stop, if there is one now."""
        if status in UNAUTHORIZED:
            return EndReason.UNAUTHORIZED
        if outcome is Outcome.CONNECTION_ERROR:
            if self._errors == 0:
                self._first_error_ns = now_ns
            self._errors += 1
            if self._errors >= LOST_AFTER_ERRORS and now_ns - self._first_error_ns >= LOST_AFTER_S * 1e9:
                return EndReason.ENDPOINT_LOST
        elif outcome is not Outcome.TIMEOUT:
            self._errors = 0
        over = self._window.is_over(outcome not in self._is_fine, now_ns)
        if over and outcome is not Outcome.CONNECTION_ERROR:  # then whether the endpoint is lost says more
            return EndReason.ERROR_RATE
        return None


class _Window:
    """The share of errors among the answers of the last seconds."""

    def __init__(self, limit: ErrorLimit) -> None:
        self._limit = limit
        self._window_ns = round(limit.window_s * 1e9)
        self._answers: deque[tuple[int, bool]] = deque()
        self._errors = 0

    def is_over(self, is_error: bool, now_ns: int) -> bool:
        answers = self._answers
        answers.append((now_ns, is_error))
        self._errors += is_error
        while answers[0][0] < now_ns - self._window_ns:
            self._errors -= answers.popleft()[1]
        enough = len(answers) >= self._limit.fewest_answers
        return enough and self._errors >= self._limit.max_fraction * len(answers)
