"""When a client may try again: what `Retry-After` says, within bounds. Off unless the user asks for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_S = 1e9
"""Longer waits than thirty years are taken for thirty years."""


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header: whole seconds or an HTTP date. None if it is neither.

    now: seconds since 1970; a date that has passed asks for no wait.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:20]), LONGEST_S)
    if len(text) > 60 or not text[:3].isalpha():
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # asctime has no zone; HTTP dates are UTC
            moment = moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - now, 0.0), LONGEST_S)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """At most max_attempts sends of one request, the first included.

    Between two lies what the server asked for, else default_wait_s, doubled with each attempt and at most
    longest_wait_s. A server that asks for more than longest_wait_s is not asked again.
    """

    max_attempts: int = 3
    longest_wait_s: float = 30.0
    default_wait_s: float = 1.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts = {self.max_attempts}, must be at least 1")
        if not 0 <= self.default_wait_s <= self.longest_wait_s < LONGEST_S:
            raise ValueError(
                f"default_wait_s = {self.default_wait_s}, must be from 0 to longest_wait_s ({self.longest_wait_s})"
            )

    def wait_s(self, attempt: int, retry_after: str | None, now: float | None = None) -> float | None:
        """Seconds to wait after attempt number `attempt` (the first is 1), None to give up."""
        if attempt >= self.max_attempts:
            return None
        asked_s = retry_after_s(retry_after, time.time() if now is None else now)
        if asked_s is not None:
            return asked_s if asked_s <= self.longest_wait_s else None
        return min(self.default_wait_s * 2.0 ** min(attempt - 1, 60), self.longest_wait_s)
