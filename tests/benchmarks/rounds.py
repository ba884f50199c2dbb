"""Interleaved rounds: what disturbs the machine disturbs all programs, so ratios within a round can be trusted.

Times are CPU times: every program has one thread, and neither waits nor other processes count.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.cases import Work


@dataclass(frozen=True)
class Measured:
    """What one program did, round by round."""

    works: Sequence[Work]
    seconds: Sequence[float]

    @property
    def rates_rps(self) -> list[float]:
        """Requests per second of each round."""
        return [work.requests / seconds for work, seconds in zip(self.works, self.seconds, strict=True)]

    @property
    def median_rps(self) -> float:
        return statistics.median(self.rates_rps)

    def times_faster_than(self, other: Measured) -> float:
        """Median over the rounds of the ratio of both rates."""
        return statistics.median(a / b for a, b in zip(self.rates_rps, other.rates_rps, strict=True))

    @property
    def fraction_503(self) -> float:
        return sum(work.n_503 for work in self.works) / sum(work.requests for work in self.works)

    @property
    def mean_wait_s(self) -> float:
        return sum(work.waited_s for work in self.works) / sum(work.requests for work in self.works)


def interleaved(programs: Mapping[str, Callable[[int], Work]], rounds: int) -> dict[str, Measured]:
    """Runs every program once a round, each time with the round's number as its seed."""
    works: dict[str, list[Work]] = {name: [] for name in programs}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, program in programs.items():
            _show(f"round {number + 1} of {rounds}: {name} ")
            gc.collect()  # nobody pays for what the program before has left
            started = time.process_time()
            works[name].append(program(number))
            seconds[name].append(time.process_time() - started)
    _show("")
    return {name: Measured(works[name], seconds[name]) for name in programs}


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
