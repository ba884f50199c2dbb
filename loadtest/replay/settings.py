"""What a replay worker needs to know, carried by environment variables. The endpoint key is read, never written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.replay.endpoint import KEY_VARIABLE
from planner.errors import InputError

MAX_IN_FLIGHT = 4096
"""Requests that may be out at one time; one more is dropped, and the run is invalid."""

CUTOFF_S = 1.0
"""A request this late is skipped, so that a stall of the generator does not become a burst nobody planned."""

CLIENT_SLACK_S = 5.0
"""The client waits this much longer than the front end can take, so that a 504 is never seen as a timeout."""


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """The settings of one worker. start_by_parent: T0 comes from stdin, not two seconds from now."""

    url: str
    schedule: Path
    segment: Path
    timeout_s: float
    warm_sockets: int = 16
    max_in_flight: int = MAX_IN_FLIGHT
    cutoff_s: float = CUTOFF_S
    max_requests: int | None = None
    start_by_parent: bool = False
    key: str | None = field(default=None, repr=False)

    def to_environment(self) -> dict[str, str]:
        """Every setting but the key, which the worker inherits."""
        return {
            "SURGEPROOF_URL": self.url,
            "SURGEPROOF_SCHEDULE": str(self.schedule),
            "SURGEPROOF_SEGMENT": str(self.segment),
            "SURGEPROOF_TIMEOUT_S": repr(self.timeout_s),
            "SURGEPROOF_WARM_SOCKETS": str(self.warm_sockets),
            "SURGEPROOF_MAX_IN_FLIGHT": str(self.max_in_flight),
            "SURGEPROOF_CUTOFF_S": repr(self.cutoff_s),
            "SURGEPROOF_MAX_REQUESTS": "" if self.max_requests is None else str(self.max_requests),
            "SURGEPROOF_START_BY_PARENT": "1" if self.start_by_parent else "",
        }

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> WorkerSettings:
        def number(name: str, default: str) -> float:
            text = environ.get(name) or default
            try:
                return float(text)
            except ValueError:
                raise InputError(f"{name} = {text}, must be a number") from None

        limit = environ.get("SURGEPROOF_MAX_REQUESTS")
        return cls(
            url=_required(environ, "SURGEPROOF_URL"),
            schedule=Path(_required(environ, "SURGEPROOF_SCHEDULE")),
            segment=Path(_required(environ, "SURGEPROOF_SEGMENT")),
            timeout_s=number("SURGEPROOF_TIMEOUT_S", "70"),
            warm_sockets=int(number("SURGEPROOF_WARM_SOCKETS", "16")),
            max_in_flight=int(number("SURGEPROOF_MAX_IN_FLIGHT", str(MAX_IN_FLIGHT))),
            cutoff_s=number("SURGEPROOF_CUTOFF_S", str(CUTOFF_S)),
            max_requests=int(number("SURGEPROOF_MAX_REQUESTS", "")) if limit else None,
            start_by_parent=bool(environ.get("SURGEPROOF_START_BY_PARENT")),
            key=environ.get(KEY_VARIABLE) or None,
        )


def _required(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name):
        return value
    raise InputError(f"{name} is not set; see the top of loadtest/replay/locustfile.py")
