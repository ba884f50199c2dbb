"""What a replica runs: the interface that real and simulated scoring servers share, and the simulated one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Protocol

from loadtest.lab.http_client import Answer
from planner.model import Deployment

LONGEST_SLEEP_S = 1e9


class ScoringServerFailed(Exception):
    """It ended before it was healthy. str() is one sentence; `log_tail` the end of its log."""

    def __init__(self, sentence: str, log_tail: str) -> None:
        super().__init__(sentence)
        self.log_tail = log_tail


class ScoringServer(Protocol):
    """One scoring server, started at most once."""

    port: int | None
    pid: int | None
    ended: asyncio.Event
    """Set when it has ended, asked to or not."""

    async def start(self) -> None:
        """Returns when it is healthy with all its workers; raises ScoringServerFailed."""
        ...

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST /score; raises ConnectionBroken. Cancelling drops the work as far as the server allows it."""
        ...

    async def stop(self) -> None: ...

    def log(self) -> str: ...


class SimulatedServer:
    """A scoring server in this process: WORKER_COUNT workers, first come first served, that sleep as they are told.

    The router's overhead is spent in the worker, as in docs/model.md.
    """

    port: int | None = None
    pid: int | None = None

    def __init__(self, deployment: Deployment) -> None:
        self.ended = asyncio.Event()
        self._overhead_s = deployment.router_overhead_s
        self._workers = asyncio.Semaphore(deployment.worker_count)

    async def start(self) -> None:
        pass

    async def score(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            request = json.loads(body)
            service_time_s = float(request.get("service_time_s", 0.0))
            if not 0 <= service_time_s <= LONGEST_SLEEP_S:
                raise ValueError("nobody can sleep as long as that")
        except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
            return _answer(500, {"message": "An unexpected error occurred in scoring script."}, {})
        async with self._workers:
            await asyncio.sleep(self._overhead_s + service_time_s)
        document = {"request": request.get("request"), "slept_s": service_time_s}
        return _answer(200, document, {"x-ms-run-fn-exec-ms": f"{1000 * service_time_s:.3f}"})

    async def stop(self) -> None:
        self.ended.set()

    def log(self) -> str:
        return "a simulated replica keeps no log\n"


def _answer(status: int, document: dict[str, object], headers: dict[str, str]) -> Answer:
    failed = {"x-ms-run-function-failed": str(status != 200)}
    return Answer(status, {"content-type": "application/json"} | headers | failed, json.dumps(document).encode())
