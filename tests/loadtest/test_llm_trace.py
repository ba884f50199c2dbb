"""The public trace of code completions, a minute of it, with token service times, through the main commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.cli import root

TRACE = Path(__file__).parents[2] / "scenarios" / "traces" / "azure-llm-2023" / "code-18h40.csv"

TEXT = """
name: code
traffic: {{arrivals: {{trace: {{file: {file}, {slice}}}}}}}
service_time: {{tokens: {{base: 60ms, per_context: 0.04ms, per_generated: 4ms}}}}
deployment: {{min_instances: 2, max_instances: 8, request_timeout_ms: 10000, router_overhead: 4ms}}
cold_start: {{distribution: lognormal, mean: 6s, cv: 0.2}}
slo: {{max_503: 1%, p99_latency: 5s, runs: 95%}}
"""


def scenario(folder: Path, part: str) -> str:
    path = folder / "code.yaml"
    path.write_text(TEXT.format(file=TRACE, slice=part))
    return str(path)


@pytest.mark.long
@pytest.mark.parametrize("part", ["from: 0s", "from: 10s, for: 20s"], ids=["whole file", "slice"])
@pytest.mark.parametrize("options", [(), ("--as-is",)], ids=["search", "as is"])
def test_simulate_and_plan(tmp_path: Path, part: str, options: tuple[str, ...]) -> None:
    path = scenario(tmp_path, part)
    assert root.run(["simulate", path, "--assumptions", "--cores", "1"]) in (0, 1, 3)
    assert root.run(["plan", path, *options, "--cores", "1", "--out", str(tmp_path / "plan")]) in (0, 1, 3)
    document = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert document["questions"]["highest_rate"]["sentence"]
    static = [row for row in document["frontier"] if row["autoscale_min_replicas"] == row["autoscale_max_replicas"]]
    assert all(row["replications"] == 1 and row["fraction_503"]["exact"] for row in static)


@pytest.mark.long
@pytest.mark.lab
def test_run_and_report(tmp_path: Path) -> None:
    out = tmp_path / "run"
    code = root.run(["run", scenario(tmp_path, "from: 10s, for: 20s"), "--out", str(out)])
    assert code in (0, 1, 3)
    assert root.run(["report", str(out)]) == 0
    assert (out / "report.html").exists()
