"""Tasks for worker processes, in a module of their own: a worker imports it, and needs neither pytest nor Dask."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from planner.model import FloatArray


def square(number: int) -> int:
    return number * number


def slowly(number: int) -> int:
    time.sleep(0.01)
    return number


def inverse(number: int) -> float:
    return 1 / number


def process_id(number: int) -> int:
    return os.getpid()


def deadly_from_three(number: int) -> int:
    if number >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@dataclass(frozen=True)
class DeadlyArrivals:
    """Traffic whose third replicate ends the process that simulates it."""

    expected_count: float = 0.0
    fixed_count: int | None = None
    is_random: bool = True

    def blocks(self, seed: int, replicate: int) -> Iterator[FloatArray]:
        deadly_from_three(replicate)
        return iter([])
