"""The cause that the lab names with each 503: the first that fits, in the order of docs/model.md."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import CrashLoop, Phase, Replica, Traffic
from loadtest.lab.lab import Lab
from planner.scenario_file import load

from .client import write_scenario
from .virtual_time import run_in_virtual_time

DEPLOYMENT = "autoscale_min_replicas: 1, autoscale_max_replicas: 4, max_request_wait_time: 500ms"


class Counted:
    """A fleet that consists of its counts; all its servers hang."""

    slow_starts, current, lost, pending = 0, 1, 0, 0

    def __init__(self) -> None:
        self.replicas: dict[int, Replica] = {}
        self.crash_loops: list[CrashLoop] = []

    async def start_initial(self, count: int, on_healthy: Callable[[], None]) -> None:
        pass

    def count(self, *phases: Phase) -> int:
        return 0

    def scale_to(self, count: int) -> None:
        pass

    def drained(self, replica_id: int) -> None:
        pass

    def reload(self) -> None:
        pass

    async def stop(self) -> None:
        pass


class Hanging:
    async def score(self, body: bytes, headers: object) -> None:
        await asyncio.sleep(3600)


@pytest.mark.parametrize(
    ("ready", "desired", "lost", "pending", "cause"),
    [
        (0, 4, 1, 1, "no_ready_replica"),
        (1, 4, 1, 1, "replica_lost"),
        (1, 4, 0, 1, "waiting_for_node"),
        (1, 4, 0, 0, "scale_up_lag"),
        (4, 4, 0, 0, "at_max_replicas"),
        (2, 2, 0, 0, "headroom_too_small"),
        (4, 4, 1, 0, "replica_lost"),
    ],
)
def test_the_first_that_fits(tmp_path: Path, ready: int, desired: int, lost: int, pending: int, cause: str) -> None:
    async def main() -> str:
        fleet = Counted()
        traffic: list[Traffic] = []

        def make_fleet(front_end: Traffic, on_change: Callable[[], None]) -> Any:
            traffic.append(front_end)
            return fleet

        log = EventLog(asyncio.get_running_loop().time)
        lab = Lab(load(write_scenario(tmp_path, DEPLOYMENT)), make_fleet, log)
        await lab.start(lambda: None)
        lab.ticks.stop()
        fleet.lost, fleet.pending, lab._desired = lost, pending, desired
        for i in range(ready):
            fleet.replicas[i] = Replica(id=i, created_s=0.0, cold_start_s=None, server=cast(Any, Hanging()))
            traffic[0].put_in_service(i)
        busy = [asyncio.create_task(lab.score(b"", {})) for _ in range(ready)]
        await asyncio.sleep(0)
        lab.ticks.stop()
        answer = await lab.score(b"", {})
        for task in busy:
            task.cancel()
        await lab.stop()
        assert answer.status == 503
        return answer.headers["x-surgeproof-cause"]

    assert run_in_virtual_time(main()) == cause
