"""The command `report`, on a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.runfolder import RunFolder
from loadtest.schedule import write_schedule
from planner.cli.root import run
from planner.errors import InputError
from planner.records import write_replicas, write_requests
from planner.scenario_file import load, save_copy

from .html_page import Page
from .samples import sample_report, schedule_of

SCENARIO = """\
schema_version: 1
name: small
shows: A run for the report.
duration: 4s
traffic: {arrivals: poisson, rps: 30}
service_time: {distribution: exponential, mean: 100ms}
deployment: {api: v2, autoscaler: fixed, num_replicas: 3, max_queue_wait_ms: 100}
slo: {max_503: 1%}
seed: 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A complete run folder with a verdict."""
    (tmp_path / "small.yaml").write_text(SCENARIO)
    scenario = load(tmp_path / "small.yaml")
    report = sample_report(scenario)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    save_copy(scenario, folder.path)
    write_schedule(folder.schedule, schedule_of(scenario, report.requests))
    write_requests(folder.requests, report.requests)
    assert report.replicas is not None
    write_replicas(folder.replicas, report.replicas)
    folder.write_summary(report.summary)
    folder.validation.write_text(json.dumps(report.validation))
    return folder


def test_command_writes_the_page_and_prints_its_path_last(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(folder.path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Does the prediction hold? Verdict: pass",
        str(folder.path / "report.html"),
    ]
    assert "Capacity report: small" in folder.report.read_text(encoding="utf-8")


def test_command_prints_one_document(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(folder.path), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"command": "report", "path": str(folder.report), "verdict": "pass"}


def test_command_judges_a_run_without_a_verdict_first(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.validation.unlink()
    assert run(["report", str(folder.path)]) == 0
    verdict = json.loads(folder.validation.read_text())
    assert verdict["predicted"]["fraction_503"]["replications"] >= 600
    assert f"Verdict: {verdict['verdict']}" in capsys.readouterr().out
    assert verdict["reasons"][0] in Page(folder.report.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: folder.requests.unlink(), "requests.parquet: no such file"),
        (lambda folder: folder.validation.write_text("{"), "validation.json: not a readable JSON file"),
        (lambda folder: folder.validation.write_text("[" * 100_000), "validation.json: not a readable JSON file"),
        (lambda folder: folder.validation.write_text("{}"), "validation.json: verdict is missing"),
        (lambda folder: folder.report.mkdir(), "report.html: cannot be written"),
    ],
)
def test_command_refuses_a_broken_folder_in_one_sentence(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    spoil(folder)
    assert run(["report", str(folder.path)]) == InputError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_command_refuses_a_folder_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path / "nothing")]) == 2
    assert "no such run folder" in capsys.readouterr().err
