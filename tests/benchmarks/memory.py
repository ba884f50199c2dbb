"""Peak memory of one replicate of 24 hours, by its number of requests: `python -m tests.benchmarks.memory` (minutes).

Every size is a process of its own. The wider one serves more requests in the same time, not for longer: what is kept
for every second of the report is the same.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

from planner.arrivals import Renewal
from planner.model import Deployment
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential
from planner.sim.engine import compile_kernel, simulate_replicate
from tests.benchmarks.cases import DAY_S

REPLICAS = 1300
SERVICE_S = 0.1
BILLION = 1_000_000_000


def peak_bytes(requests: int) -> int:
    """Peak resident memory of a process that simulates about so many requests in one replicate."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "in-this-process", str(requests)]
    folder = Path(__file__).parents[2]
    return int(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout)


def simulate_day(requests: int) -> int:
    """The number of requests simulated; at a billion 89 % of the slots are busy."""
    scenario = Scenario(
        name="memory",
        shows="",
        duration_s=DAY_S,
        arrivals=Renewal(RateProfile.constant(requests / DAY_S, DAY_S)),
        service_time=Exponential(SERVICE_S),
        deployment=Deployment(min_replicas=REPLICAS, max_replicas=REPLICAS),
        cold_start=Deterministic(1.0),
    )
    return simulate_replicate(scenario, 0).n


def _own_peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():  # on Linux a process inherits ru_maxrss from the one that started it
        return 1024 * int(re.findall(r"VmHWM:\s*(\d+) kB", status.read_text())[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["in-this-process"]:
        simulate_day(int(arguments[1]))
        print(_own_peak_bytes())
        return
    compile_kernel()  # or the first process would compile it, in memory of its own
    most = int(float(arguments[0])) if arguments else BILLION
    print("| requests in one replicate | peak memory |\n|---|---|")
    for requests in (most // 10, most):
        print(f"| {requests:,} | {peak_bytes(requests) / 1e6:.0f} MB |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
