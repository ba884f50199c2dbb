"""Send times of the replay beside a bare timer loop and Locust's own ways, in one run: `make bench-replay`."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from loadtest.scratch import scratch_folder
from planner import __version__
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.replay import send_error, slow_server, trace, two_workers
from tests.benchmarks.table import print_table

SECTIONS = {
    "send-error": send_error.section,
    "slow-server": slow_server.section,
    "two-workers": two_workers.section,
    "trace": trace.section,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.replay", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; may be repeated")
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    print_machine(rounds)
    goals = Goals()
    for name in options.only or SECTIONS:
        with scratch_folder() as folder:
            SECTIONS[name](rounds, options.quick, folder, goals)
    print("### Goals\n")
    print_table(("", "measured", "goal", "kept"), goals.rows)


def print_machine(rounds: int) -> None:
    packages = ", ".join(f"{name} {version(name)}" for name in ("locust", "gevent", "numpy"))
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, surgeproof {__version__}, {packages}, Python {platform.python_version()},",
        end=" ",
    )
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start.")
    print(f"Medians of {rounds} interleaved rounds, ratios taken within a round; a stub server that notes arrivals.\n")


if __name__ == "__main__":
    main()
