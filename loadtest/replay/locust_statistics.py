"""Locust's own statistics, for its tables and web UI; verdicts rest on the segments."""

from __future__ import annotations

from typing import Any

from loadtest.replay.answers import Answer
from planner.model import Outcome


class StatusError(Exception):
    """What Locust's failure table shows for a request; made once per kind."""


_FAILURES = {outcome: StatusError(outcome.name.lower().replace("_", " ")) for outcome in Outcome}


class LocustStatistics:
    """Fires Locust's `request` event. A client's retries have a row of their own."""

    def __init__(self, request_event: Any, name: str) -> None:
        self._fire = request_event.fire
        self._names = (name, f"{name} (retries)")

    def add(self, answer: Answer, attempt: int) -> None:
        self._fire(
            request_type="POST",
            name=self._names[attempt > 0],
            response_time=(answer.finish_ns - answer.sent_ns) / 1e6,
            response_length=answer.length,
            response=None,
            context={},
            exception=None if answer.outcome is Outcome.OK else _FAILURES[answer.outcome],
        )
