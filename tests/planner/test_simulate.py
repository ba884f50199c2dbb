"""`surgeproof simulate`: the document, the tables, the exit codes, and Ctrl-C at any time."""

from __future__ import annotations

import ctypes
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planner.cli import root, simulation
from planner.model import Cause
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult
from planner.sim.replications import Executor, replicate

SCENARIO = """
schema_version: 1
name: small
duration: 30s
traffic: {{arrivals: poisson, rate: [{{from: 0s, rps: {rps}}}]}}
service_time: {{distribution: exponential, mean: 200ms}}
deployment: {{autoscaler: fixed, num_replicas: 3}}
slo: {{max_503: {max_503}, runs: 90%}}
"""


def scenario(folder: Path, *, rps: float = 9, max_503: str = "50%") -> str:
    path = folder / "small.yaml"
    path.write_text(SCENARIO.format(rps=rps, max_503=max_503))
    return str(path)


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = root.run(["simulate", *arguments, "--output", "json"])
    return code, json.loads(capsys.readouterr().out)


ESTIMATE = {"value", "low", "high", "confidence", "replications", "resolved"}


def test_the_document_has_its_names_and_every_number_its_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = document(capsys, scenario(tmp_path), "--replications", "60")
    assert code == 0
    assert said["requests"] == pytest.approx(60 * 30 * 9, rel=0.05)
    assert set(said["causes_503"]) == {cause.label for cause in Cause}
    names = ("fraction_503", "fraction_of_runs_within_slo", "latency_p99_s", "mean_replicas", "replica_hours")
    for estimate in [*(said[name] for name in names), *said["causes_503"].values()]:
        assert set(estimate) >= ESTIMATE
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
        assert (estimate["confidence"], estimate["replications"]) == (0.95, 60)
    assert said["fraction_503"]["resolved"]
    assert said["mean_replicas"]["value"] == 3
    assert said["causes_503"]["at_max_replicas"]["value"] == 1
    assert said["engine_seconds"] > 0
    assert said["provenance"]["seed"] == said["scenario"]["seed"]


@pytest.mark.parametrize(("rps", "max_503", "code"), [(9.0, "50%", 0), (9.0, "0.1%", 1), (1.0, "0.02%", 3)])
def test_the_exit_code_is_that_of_the_slo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rps: float, max_503: str, code: int
) -> None:
    assert document(capsys, scenario(tmp_path, rps=rps, max_503=max_503), "--replications", "50")[0] == code


def test_the_table_says_what_the_document_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["simulate", scenario(tmp_path, max_503="0.1%"), "--replications", "50"]) == 1
    shown = capsys.readouterr().out
    assert "The SLO is broken." in shown
    assert re.search(r"at_max_replicas +100 % +100 % to 100 %", shown)
    assert "50 replications" in shown


@pytest.mark.parametrize("done", [1, 25])
def test_ctrl_c_keeps_the_replications_that_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    def interrupted(plan: Scenario, count: int, executor: Executor, *, first: int) -> Iterator[ReplicateResult]:
        for number, result in enumerate(replicate(plan, count, executor, first=first)):
            if number == done:
                signal.raise_signal(signal.SIGINT)
            yield result

    monkeypatch.setattr(simulation, "replicate", interrupted)
    assert root.run(["simulate", scenario(tmp_path), "--replications", "60", "--output", "json"]) == 130
    shown = capsys.readouterr().out
    if done == 1:
        assert shown == "", "one replication has no interval"
    else:
        assert (json.loads(shown)["replications"], json.loads(shown)["interrupted"]) == (25, True)


def test_the_warm_up_is_left_out_of_all_but_the_paid_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.yaml"
    text = SCENARIO.format(rps=60, max_503="50%").replace(
        "{from: 0s, rps: 60}", "{from: 0s, rps: 60}, {from: 5s, rps: 1}"
    )
    path.write_text(text + "warm_up: 8s\n")
    said = document(capsys, str(path), "--replications", "30")[1]
    assert said["requests"] == pytest.approx(30 * 22, rel=0.15)
    assert said["fraction_503"]["value"] < 0.01
    assert said["fraction_of_runs_within_slo"]["value"] == 1
    assert said["latency_p99_s"]["value"] < 1.5
    assert said["mean_replicas"]["value"] == pytest.approx(3)
    assert said["replica_hours"]["value"] == pytest.approx(3 * 30 / 3600)
    path.write_text(text)
    assert document(capsys, str(path), "--replications", "30")[1]["fraction_503"]["value"] > 0.5


@pytest.mark.parametrize("breaks", [False, True])
def test_ctrl_c_in_a_callback_of_the_compiler_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, breaks: bool
) -> None:
    def compile_kernel() -> None:
        ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGINT))()
        if breaks:
            raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(simulation, "compile_kernel", compile_kernel)
    assert root.run(["simulate", scenario(tmp_path), "--output", "json"]) == 130
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "interrupted\n")
