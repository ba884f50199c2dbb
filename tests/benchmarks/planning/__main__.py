"""What a plan costs: beside looking at every setting, and for an hour of traffic: `make bench-plan`."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

from planner import __version__
from tests.benchmarks.__main__ import Goals
from tests.benchmarks.planning import effort, hour
from tests.benchmarks.table import print_table

SECTIONS = {"effort": effort.section, "hour": hour.section}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.planning", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it runs")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="a section; may be repeated")
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "scipy"))
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, surgeproof {__version__}, {packages}, Python {platform.python_version()},",
        end=" ",
    )
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start.\n")
    goals = Goals()
    for name in options.only or SECTIONS:
        SECTIONS[name](options.quick, goals)
    print("### Goals\n")
    print_table(("", "measured", "goal", "kept"), goals.rows)


if __name__ == "__main__":
    main()
