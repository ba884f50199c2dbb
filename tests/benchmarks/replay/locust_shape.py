"""How people replay a trace with Locust: as many users in each second as it has requests, one a second each."""

from __future__ import annotations

import json
import os
from itertools import count
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, constant_throughput, task

COUNTS = json.loads(Path(os.environ["BENCHMARK_COUNTS"]).read_text())
"""Planned requests of each second."""
NUMBERS = count()


class OnePerSecond(FastHttpUser):
    wait_time = constant_throughput(1)

    @task
    def score(self) -> None:
        headers = {"Content-Type": "application/json", "x-ms-client-request-id": f"peer-{next(NUMBERS)}"}
        self.client.post("/score", data='{"request": 0, "service_time_s": 0.05}', headers=headers)


class CountsOfTheTrace(LoadTestShape):
    """The users of this second, all spawned at once."""

    def tick(self) -> tuple[int, float] | None:
        second = int(self.get_run_time())  # type: ignore[no-untyped-call]
        return (COUNTS[second], 1000.0) if second < len(COUNTS) else None
