"""How a replay is sent: what every worker has to know. Plain data that travels from the master; never a secret."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from loadtest.replay.retry import RetryPolicy
from planner.errors import InputError

MAX_IN_FLIGHT = 4096
"""Requests that one worker may have out at one time; one more is dropped, and the run is invalid."""

CUTOFF_S = 1.0
"""A request this late is skipped, so that a stall of the generator does not become a burst nobody planned."""

CLIENT_SLACK_S = 5.0
"""The client waits this much longer than the front end can take, so that a 504 is never seen as a timeout."""


@dataclass(frozen=True, kw_only=True)
class ErrorLimit:
    """When errors end a run: at least max_fraction of the answers of a window, and fewest_answers of them in it.

    503s are what a replay measures: they count as errors only where count_503s says so. is_default: the user set none.
    """

    max_fraction: float = 0.5
    window_s: float = 10.0
    fewest_answers: int = 50
    count_503s: bool = False
    is_default: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction <= 1:
            raise InputError(f"--stop-at-errors {self.max_fraction:g}: must be above 0% and at most 100%")


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """url: the full scoring URL. warm_sockets: connections opened beforehand by all workers together.

    max_in_flight is each worker's; max_requests and max_rps bound all workers together, retries included.
    """

    url: str
    timeout_s: float
    warm_sockets: int = 16
    max_in_flight: int = MAX_IN_FLIGHT
    cutoff_s: float = CUTOFF_S
    max_requests: int | None = None
    max_rps: float | None = None
    retry: RetryPolicy | None = None
    errors: ErrorLimit = ErrorLimit()

    def to_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> ReplaySettings:
        known = {field.name: document[field.name] for field in fields(cls)}
        retry = known["retry"]
        known["retry"] = None if retry is None else RetryPolicy(**retry)
        known["errors"] = ErrorLimit(**known["errors"])
        return cls(**known)


def share(total: int | None, worker: int, workers: int) -> int | None:
    """What worker k of n gets of a number of things that are dealt out in turn."""
    return None if total is None else len(range(worker, total, workers))
