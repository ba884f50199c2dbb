"""What `surgeproof selftest` may be asked to try. Imports nothing heavy: the command line shows its defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.errors import InputError

RATES_RPS = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 4000.0)
SECONDS = 5.0
MOST_RATE_RPS = 20_000
MOST_SECONDS = 60.0
MOST_PROCESSES = 64
MOST_REQUESTS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SelftestOptions:
    """What is tried. rates_rps: requests per second of all processes together; seconds: of each replay."""

    rates_rps: Sequence[float] = RATES_RPS
    seconds: float = SECONDS
    processes: int = 1

    def __post_init__(self) -> None:
        problems = [
            f"--rates {rate:g}: must be from 1 to {MOST_RATE_RPS} requests per second"
            for rate in self.rates_rps
            if not 1 <= rate <= MOST_RATE_RPS
        ]
        if not self.rates_rps:
            problems.append("--rates: names no rate")
        if not 1 <= self.seconds <= MOST_SECONDS:
            problems.append(f"--seconds {self.seconds:g}: must be from 1 to {MOST_SECONDS:g}")
        if not 1 <= self.processes <= MOST_PROCESSES:
            problems.append(f"--processes {self.processes}: must be from 1 to {MOST_PROCESSES}")
        if problems:
            raise InputError(*problems)
        if (total := sum(self.rates_rps) * self.seconds) > MOST_REQUESTS:
            raise InputError(f"--rates, --seconds: {total:,.0f} requests in all, at most {MOST_REQUESTS:,} are sent")


def parse_rates(text: str) -> tuple[float, ...]:
    """`50,100,2000` as rising rates without repetition."""
    try:
        return tuple(sorted({float(word) for word in text.split(",") if word.strip()}))
    except ValueError:
        raise InputError(f"--rates {text}: must be numbers with commas between them, such as 50,200,1000") from None
