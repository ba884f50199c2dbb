"""What is true of the settings of the autoscaled scenario of `plan_scenarios`: no formula covers them.

    python -m tests.statistical.plan_truth

simulates every candidate on the same draws and writes `data/plan_truth.csv`, in about ten minutes on one core.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from planner.draws import Stream
from planner.model import FloatArray
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.service import FromTrace
from planner.sim.engine import ReplicateResult, simulate_replicate, simulate_requests
from planner.workload import cold_starts, drawn

FILE = Path(__file__).parent / "data" / "plan_truth.csv"
SEED = 20261125
REPLICATIONS = 20_000
COLUMNS = ("min_replicas", "max_replicas", "target_percent", "requests", "n_503", "relative_error", "replica_hours")
NOTE_EVERY_S = 30.0


@dataclass(frozen=True)
class Row:
    """requests, n_503: over all replications. relative_error: standard error of the 503 fraction, as a share of it.

    replica_hours: paid, mean of a run.
    """

    requests: int
    n_503: int
    relative_error: float
    replica_hours: float

    @property
    def fraction_503(self) -> float:
        return self.n_503 / self.requests

    @classmethod
    def of(cls, runs: FloatArray) -> Row:
        """runs: requests, 503s and paid replica-seconds of each replication, shape (replications, 3)."""
        n, n_503, paid_s = runs.T
        residuals = n_503 - n_503.sum() / n.sum() * n
        error = math.sqrt(residuals @ residuals / (len(runs) - 1) * len(runs)) / max(float(n_503.sum()), 1.0)
        return cls(int(n.sum()), int(n_503.sum()), error, float(paid_s.mean()) / 3600)


def read() -> dict[Setting, Row]:
    with FILE.open(encoding="utf-8", newline="") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        return {_setting(line): _row(line) for line in lines}


def _setting(line: dict[str, str]) -> Setting:
    return Setting(*(int(line[name]) for name in COLUMNS[:3]))


def _row(line: dict[str, str]) -> Row:
    return Row(int(line["requests"]), int(line["n_503"]), float(line["relative_error"]), float(line["replica_hours"]))


def with_setting(scenario: Scenario, setting: Setting) -> Scenario:
    return dataclasses.replace(scenario, deployment=setting.applied_to(scenario.deployment))


def simulated(scenario: Scenario, replications: int) -> Row:
    """The truth of one setting by the ordinary way: each replicate draws for itself."""
    return Row.of(
        np.array([_counted(simulate_replicate(scenario, i, bin_s=scenario.duration_s)) for i in range(replications)])
    )


def simulated_together(
    scenario: Scenario, settings: Sequence[Setting], replications: int, note: bool = False
) -> dict[Setting, Row]:
    """Of all settings: the draws of a replicate, half of its time, are made once."""
    service_time = scenario.service_time
    assert not isinstance(service_time, FromTrace)
    deployed = [with_setting(scenario, setting) for setting in settings]
    runs = np.empty((len(settings), replications, 3))
    noted = started = time.monotonic()
    for replicate in range(replications):
        arrivals = list(scenario.arrivals.blocks(scenario.seed, replicate))
        services = _Kept(drawn(service_time, scenario.seed, replicate, Stream.SERVICE))
        starts = _Kept(cold_starts(scenario, replicate))
        for k, one in enumerate(deployed):
            result = simulate_requests(one, arrivals, iter(services), iter(starts), bin_s=scenario.duration_s)
            runs[k, replicate] = _counted(result)
        if note and time.monotonic() > noted + NOTE_EVERY_S:
            noted = time.monotonic()
            print(f"  {replicate + 1} of {replications} replications, {noted - started:.0f} s", file=sys.stderr)
    return {setting: Row.of(runs[k]) for k, setting in enumerate(settings)}


def _counted(result: ReplicateResult) -> tuple[float, float, float]:
    return result.n, result.n_503, result.paid_s


class _Kept(Iterable[FloatArray]):
    """Endless blocks that can be had again from the first one on."""

    def __init__(self, blocks: Iterator[FloatArray]) -> None:
        self._blocks = blocks
        self._seen: list[FloatArray] = []

    def __iter__(self) -> Iterator[FloatArray]:
        k = 0
        while True:
            if k == len(self._seen):
                self._seen.append(next(self._blocks))
            yield self._seen[k]
            k += 1


def header(scenario: Scenario, replications: int) -> list[str]:
    deployment = scenario.deployment
    return [
        "Made by `python -m tests.statistical.plan_truth`; do not edit.",
        f"Scenario {scenario.name} of tests/statistical/plan_scenarios.py: {scenario.duration_s:g} s, "
        f"{scenario.arrivals.describe()}, service {scenario.service_time.describe()}, cold start "
        f"{scenario.cold_start.describe()}, {deployment.autoscaler} ({deployment.api}), wait limit "
        f"{deployment.max_request_wait_s:g} s, tick every {deployment.refresh_period_s:g} s.",
        f"Seed {scenario.seed}, replicates 0 to {replications - 1}, the same for every setting.",
        f"Python {platform.python_version()}, NumPy {version('numpy')}, Numba {version('numba')}, "
        f"Surgeproof {version('surgeproof')}.",
        "requests, n_503: sums over the replicates. relative_error: standard error of n_503 / requests, as a share "
        "of it. replica_hours: paid, mean of a replicate.",
    ]


def write(scenario: Scenario, rows: dict[Setting, Row], replications: int) -> None:
    with FILE.open("w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {line}\n" for line in header(scenario, replications))
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for setting, row in sorted(rows.items()):
            place = setting.min_replicas, setting.max_replicas, setting.target_percent
            table.writerow((*place, row.requests, row.n_503, f"{row.relative_error:.4f}", f"{row.replica_hours:.7f}"))


def main() -> None:
    from tests.statistical.plan_scenarios import autoscaled

    case = autoscaled()
    scenario = dataclasses.replace(case.scenario, seed=SEED)
    write(scenario, simulated_together(scenario, case.settings, REPLICATIONS, note=True), REPLICATIONS)


if __name__ == "__main__":
    main()
