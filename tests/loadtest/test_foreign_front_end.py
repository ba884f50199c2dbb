"""Behind a front end that nobody here wrote and that only answers: HAProxy before real scoring servers.

A run calibrates the scenario. Ten further runs replay the calibrated one, each with its own draws, and have to pass;
one wrong setting has to fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from loadtest.calibrate.calibration import Calibration, calibrate
from loadtest.runfolder import RunFolder
from loadtest.validate.carried import OVERHEAD
from loadtest.validate.verdict import validate
from planner.child import child_environment, module_command
from planner.executors import executor_for
from planner.scenario_file import load
from planner.sim.replications import Executor
from tests.loadtest.foreign_endpoint import foreign_endpoint, haproxy_version

pytestmark = [
    pytest.mark.lab,
    pytest.mark.long,
    pytest.mark.timeout(1500),
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
  rate: [{from: 0s, rps: 4}, {from: 4s, rps: 24}]
service_time: {distribution: lognormal, mean: 120ms, cv: 0.3}
deployment:
  autoscaler: fixed
  num_replicas: 3
  max_request_wait_time: 200ms
  scoring_timeout_ms: 5000
  worker_count: 1
slo: {max_503: 1%}
seed: 100
"""


def replayed(folder: Path, text: str, url: str) -> RunFolder:
    """One valid run. A generator that this machine held up may try once more; a wrong answer may not."""
    scenario = folder.with_suffix(".yaml")
    scenario.write_text(text, encoding="utf-8")
    problems = []
    for out in (folder, folder.with_name(f"{folder.name}-again")):
        command = [*module_command("planner.cli.root"), "replay", str(scenario), "--url", url, "--out", str(out)]
        done = subprocess.run(
            [*command, "--output", "json"], capture_output=True, text=True, env=child_environment(), check=False
        )
        assert done.returncode in (0, 3), done.stderr
        problems = json.loads(done.stdout)["generator"]["problems"]
        if not problems:
            return RunFolder(out)
    raise AssertionError(f"the generator was invalid twice: {problems}")


@dataclass(frozen=True, kw_only=True)
class Session:
    """calibration: from the first run; runs: of the calibrated scenario."""

    calibration: Calibration
    runs: tuple[RunFolder, ...]
    executor: Executor


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home = tmp_path_factory.mktemp("foreign")
    with executor_for(None) as executor, foreign_endpoint(home / "endpoint", REPLICAS, WAIT_S) as url:
        first = replayed(home / "run-0", SCENARIO, url)
        calibration = calibrate(first, home / "calibrated.yaml", executor=executor)
        text = (home / "calibrated.yaml").read_text(encoding="utf-8")
        seeds = (text.replace("\nseed: 100\n", f"\nseed: {100 + number}\n") for number in range(1, RUNS + 1))
        runs = tuple(replayed(home / f"run-{k}", seeded, url) for k, seeded in enumerate(seeds, start=1))
        yield Session(calibration=calibration, runs=runs, executor=executor)


def test_calibrate_finds_the_overhead_from_answers_alone(session: Session) -> None:
    settings = session.calibration.document["settings"]
    found = next(s for s in settings if s["setting"] == OVERHEAD)
    print(f"\n{found['after']} s ({found['low']} to {found['high']} s): {found['why']}")
    assert found["identified"]
    assert found["n"] >= 30
    assert 0.0005 < found["low"] <= found["after"] <= found["high"] < 0.04
    assert "cancels out" in found["why"]


def test_true_runs_pass_and_one_wrong_setting_does_not(session: Session) -> None:
    """Of ten true runs one may fail by chance (1 % each: two or more have chance 0.4 %). Prints the docs' table."""
    print(f"\nHAProxy {haproxy_version()}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    verdicts = [judged(session, run, run.path.name) for run in session.runs]
    wrong: dict[str, dict[str, Any]] = {
        "two replicas": {"min_replicas": 2, "max_replicas": 2},
        "four replicas": {"min_replicas": 4, "max_replicas": 4},
        "wait limit 100 ms": {"max_request_wait_s": 0.1},
        "wait limit 400 ms": {"max_request_wait_s": 0.4},
    }
    refuted = {name: judged(session, session.runs[0], name, **settings) for name, settings in wrong.items()}
    assert sum(verdict == "pass" for verdict in verdicts) >= RUNS - 1, verdicts
    assert refuted == dict.fromkeys(wrong, "fail")


def judged(session: Session, run: RunFolder, name: str, **wrong: Any) -> str:
    """The verdict by the run's own scenario, with some settings wrong; prints a row of the table."""
    own = load(str(run.scenario))
    scenario = replace(own, deployment=replace(own.deployment, **wrong))
    document = validate(run, scenario, own, alternative_replicates=2, executor=session.executor).document
    total = next(s for s in document["statistics"] if s["name"] == "fraction_503")
    overhead = next(u for u in document["uncertain"] if u["setting"] == OVERHEAD)
    low_s, high_s = (overhead[end] or overhead["value"] for end in ("low", "high"))
    print(
        f"| {name} | {100 * total['value']:.1f} % | {100 * total['low']:.1f} to {100 * total['high']:.1f} % "
        f"| {1e3 * overhead['value']:.1f} ms | {1e3 * low_s:.1f} to {1e3 * high_s:.1f} ms "
        f"| {document['verdict']} |"
    )
    return str(document["verdict"])
