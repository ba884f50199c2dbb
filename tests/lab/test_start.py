"""What the command says while the initial replicas start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from loadtest.lab.lab import Lab
from loadtest.lab.options import LabOptions
from loadtest.lab.run import _Session
from planner.scenario_file import load

from .client import write_scenario
from .virtual_time import run_in_virtual_time


class SlowLab:
    """One replica is healthy at 5 s, the other at 25 s."""

    async def start(self, on_healthy: Callable[[], None]) -> None:
        for seconds in (5, 20):
            await asyncio.sleep(seconds)
            on_healthy()


def start(tmp_path: Path, stop_s: float | None = None) -> list[str]:
    said: list[str] = []

    def not_yet(*_: Any) -> None:
        raise AssertionError("nothing is ready")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[None] = loop.create_future()
        scenario = load(write_scenario(tmp_path, "autoscaler: fixed, num_replicas: 2"))
        session = _Session(scenario, LabOptions(), None, None, tmp_path / "score.py", said.append, not_yet, None)
        if stop_s is not None:
            loop.call_later(stop_s, stop.set_result, None)
        await session._start(cast(Lab, SlowLab()), stop)

    run_in_virtual_time(main())
    return said


def test_a_long_init_is_seen_to_be_waited_for(tmp_path: Path) -> None:
    assert start(tmp_path) == [
        "starting 2 real replicas",
        "starting replicas: 1 of 2 healthy",
        "starting replicas: 1 of 2 healthy, waiting for init(), 10 s so far",
        "starting replicas: 1 of 2 healthy, waiting for init(), 20 s so far",
        "starting replicas: 2 of 2 healthy",
    ]


def test_a_stop_ends_the_wait(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, stop_s=12)
