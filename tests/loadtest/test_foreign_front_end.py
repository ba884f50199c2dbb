"""Behind a front end that nobody here wrote and that only answers: HAProxy before real scoring servers.

A run calibrates the scenario, ten further runs with draws of their own are judged by it, and two wrong scenarios too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.runfolder import RunFolder
from planner.child import child_environment, module_command
from tests.loadtest.foreign_endpoint import foreign_endpoint, haproxy_version

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs HAProxy: apt-get install haproxy"),
]

REPLICAS, WAIT_S, RUNS = 3, 0.2, 10
SCENARIO = """\
schema_version: 1
name: foreign
shows: A front end that only answers.
duration: 16s
traffic:
  arrivals: poisson
  rate: [{{from: 0s, rps: 4}}, {{from: 4s, rps: 24}}]
service_time: {{distribution: lognormal, mean: 120ms, cv: 0.3}}
deployment:
  autoscaler: fixed
  num_replicas: {replicas}
  max_request_wait_time: {wait_ms}ms
  scoring_timeout_ms: 5000
  worker_count: 1
slo: {{max_503: 1%}}
seed: {seed}
"""


def scenario_file(path: Path, *, seed: int = 1, replicas: int = REPLICAS, wait_ms: int = 200) -> Path:
    path.write_text(SCENARIO.format(seed=seed, replicas=replicas, wait_ms=wait_ms), encoding="utf-8")
    return path


def surgeproof(*arguments: str) -> tuple[int, dict[str, Any]]:
    """A command as a user has it, in a process of its own."""
    command = [*module_command("planner.cli.root"), *arguments, "--output", "json"]
    if shutil.which("nice") is not None and "replay" not in arguments:
        command = ["nice", *command]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment(), check=False, timeout=240)
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def replayed(folder: Path, url: str, seed: int) -> RunFolder:
    """One valid run. A generator that this machine held up may try once more; a wrong answer may not."""
    scenario = scenario_file(folder.with_suffix(".yaml"), seed=seed)
    for out in (folder, folder.with_name(f"{folder.name}-again")):
        code, document = surgeproof("replay", str(scenario), "--url", url, "--out", str(out))
        if code == 0 and document["generator"]["valid"]:
            return RunFolder(out)
    raise AssertionError(f"the generator was invalid twice: {document['generator']['problems']}")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunFolder]]:
    """One run to calibrate on and RUNS to judge."""
    home = tmp_path_factory.mktemp("foreign")
    with foreign_endpoint(home / "endpoint", REPLICAS, WAIT_S) as url:
        yield [replayed(home / f"run-{number}", url, seed=100 + number) for number in range(1 + RUNS)]


@pytest.fixture(scope="module")
def calibrated(runs: list[RunFolder]) -> dict[str, Any]:
    code, document = surgeproof("calibrate", str(runs[0].path))
    assert code == 0
    return document


def test_calibrate_finds_the_overhead_from_answers_alone(calibrated: dict[str, Any]) -> None:
    found = next(s for s in calibrated["settings"] if s["setting"] == "deployment.router_overhead")
    print(f"\n{found['why']}")
    assert found["identified"]
    assert found["n"] >= 30
    assert 0.0005 < found["low"] <= found["after"] <= found["high"] < 0.02
    assert "cancels out" in found["why"]


def test_true_runs_pass_and_wrong_settings_do_not(
    runs: list[RunFolder], calibrated: dict[str, Any], tmp_path: Path
) -> None:
    """Of ten true runs one may fail by chance (1 % each: two or more have chance 0.4 %). Prints the docs' table."""
    print(f"\nHAProxy {haproxy_version()}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    passed = 0
    for run in runs[1:]:
        _, document = surgeproof("validate", str(run.path), "--scenario", calibrated["scenario"])
        print(f"{run.path.name}: {row(document)}")
        passed += document["verdict"] == "pass"
    wrong = {
        "four replicas": scenario_file(tmp_path / "replicas.yaml", replicas=4),
        "two replicas": scenario_file(tmp_path / "fewer.yaml", replicas=2),
        "wait limit 400 ms": scenario_file(tmp_path / "wait.yaml", wait_ms=400),
        "wait limit 100 ms": scenario_file(tmp_path / "shorter.yaml", wait_ms=100),
    }
    verdicts = {}
    for name, scenario in wrong.items():
        _, document = surgeproof("validate", str(runs[1].path), "--scenario", str(scenario))
        print(f"{name}: {row(document)}")
        verdicts[name] = document["verdict"]
    assert passed >= RUNS - 1
    assert verdicts == dict.fromkeys(wrong, "fail")


def row(document: dict[str, Any]) -> str:
    total = next(s for s in document["statistics"] if s["name"] == "fraction_503")
    overhead = next(u for u in document["uncertain"] if u["setting"] == "deployment.router_overhead")
    return (
        f"{100 * total['value']:.1f} % observed, {100 * total['low']:.1f} to {100 * total['high']:.1f} % predicted, "
        f"overhead {1e3 * overhead['value']:.1f} ms ({1e3 * overhead['low']:.1f} to {1e3 * overhead['high']:.1f} ms), "
        f"{document['verdict']}"
    )
