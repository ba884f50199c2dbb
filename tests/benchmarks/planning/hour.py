"""An hour of a bursty trace at 200 requests per second, planned by the command as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.__main__ import Goals
from tests.benchmarks.table import print_table

HOUR_S = 3600
MEAN_RPS = 200
SEED = 7
GOALS_S = {"1%": 30, "0.1%": 600}

SCENARIO = """\
schema_version: 1
name: hour
duration: {duration}
traffic: {{arrivals: {{trace: {{file: hour.csv}}}}}}
service_time: {{distribution: lognormal, mean: 100ms, cv: 0.6}}
deployment:
  {{autoscale_min_replicas: 4, autoscale_max_replicas: 40, autoscale_target_utilization: 70, scoring_timeout_ms: 5000}}
cold_start: {{distribution: lognormal, mean: 40s, cv: 0.3}}
slo: {{max_503: {max_503}, p99_latency: 2s}}
seed: 1
"""


def section(quick: bool, goals: Goals) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        duration_s = 300 if quick else HOUR_S
        count = write_trace(folder / "hour.csv", duration_s)
        print(f"### A trace of {count:,} requests in {duration_s} s, 14 bursts of 20 to 120 s\n")
        for max_503, goal_s in GOALS_S.items():
            plan, seconds = planned(folder, max_503, duration_s)
            rows.append(row(max_503, plan, seconds))
            goals.at_most(f"An hour at 200 per second, SLO {max_503}: seconds to a decided answer", seconds, goal_s)
    print_table(
        ("SLO", "settings", "simulated", "requests", "seconds", "verdict", "recommended", "503s", "after 30 s"), rows
    )


def write_trace(path: Path, duration_s: int) -> int:
    """A slow wave of half an hour with bursts of 1.3 to 2 times the rate; returns the number of requests."""
    generator = np.random.default_rng(SEED)
    rate = MEAN_RPS * (1 + 0.25 * np.sin(2 * np.pi * np.arange(duration_s) / 1800))
    for _ in range(14):
        start, length = generator.integers(0, max(1, duration_s - 150)), generator.integers(20, 120)
        rate[start : start + length] *= generator.uniform(1.3, 2.0)
    counts = generator.poisson(rate * MEAN_RPS / rate.mean())
    times_s = np.sort(np.repeat(np.arange(duration_s), counts) + generator.random(counts.sum()))
    np.savetxt(path, times_s, fmt="%.6f", header="time_s", comments="")
    return len(times_s)


def planned(folder: Path, max_503: str, duration_s: int) -> tuple[dict[str, Any], float]:
    """The plan and its wall time: reading the trace, compiling nothing."""
    scenario = folder / "hour.yaml"
    scenario.write_text(SCENARIO.format(duration=f"{duration_s}s", max_503=max_503))
    out = folder / f"plan-{max_503}"
    command = [sys.executable, "-m", "planner.cli.root", "plan", str(scenario), "--out", str(out), "--no-questions"]
    started = time.perf_counter()
    ended = subprocess.run([*command, "--output", "json"], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    assert ended.returncode in (0, 3), ended.stderr
    plan: dict[str, Any] = json.loads(ended.stdout)
    return plan, seconds


def row(max_503: str, plan: dict[str, Any], seconds: float) -> tuple[str, ...]:
    search, best = plan["search"], plan["recommended"]
    fraction, hours = best["fraction_503"], best["replica_hours"]["value"]
    chosen = (
        f"min {best['autoscale_min_replicas']}, max {best['autoscale_max_replicas']}, "
        f"target {best['autoscale_target_utilization']}: {hours:.4g} replica-hours"
    )
    early = "".join(
        f"{e['replica_hours']['value']:.4g} replica-hours, {e['fraction_503']['value']:.3%}"
        for e in search["best_after"]
    )
    return (
        max_503,
        f"{search['settings']:,}",
        f"{search['simulated']}",
        f"{search['requests'] / 1e6:,.0f} M",
        f"{seconds:.0f}",
        f"{plan['verdict']}, P {plan['probability_near_cheapest']:.3f}",
        chosen,
        f"{fraction['value']:.3%} ({fraction['low']:.3%} to {fraction['high']:.3%})",
        early or "decided before",
    )
