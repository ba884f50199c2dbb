"""The command `report`, on a plan folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.cli.root import run
from planner.errors import InputError
from planner.scenario_file import save_copy

from . import plan_samples as samples
from .html_page import Page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete plan folder."""
    scenario = samples.shipped_spike()
    folder = tmp_path / "plan"
    folder.mkdir()
    save_copy(scenario, folder)
    (folder / "plan.json").write_text(json.dumps(samples.plan_of(scenario)))
    return folder


def test_command_writes_the_page_and_prints_its_path_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Can the promise be kept? Verdict: feasible",
        str(folder / "report.html"),
    ]
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "Capacity plan: launch-spike" in page.text


def test_command_prints_one_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(folder), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"command": "report", "path": str(folder / "report.html"), "verdict": "feasible"}


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "plan.json"
    document = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in document.items() if value != "GONE"}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "plan.json").write_text("{"), "plan.json: "),
        (lambda folder: (folder / "plan.json").write_text("[" * 100_000), "plan.json: "),
        (lambda folder: (folder / "plan.json").write_bytes(b"\xff"), "plan.json: "),
        (lambda folder: (folder / "plan.json").write_text("[]"), "plan.json: "),
        (lambda folder: edited(folder, command="simulate"), "plan.json: "),
        (lambda folder: edited(folder, frontier="GONE"), "plan.json: frontier is missing"),
        (lambda folder: edited(folder, recommended=3), "plan.json: recommended = 3, must be an object"),
        (lambda folder: (folder / "scenario.yaml").unlink(), "scenario.yaml"),
        (lambda folder: (folder / "report.html").mkdir(), "report.html: cannot be written"),
    ],
)
def test_command_refuses_a_broken_folder_in_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    spoil(folder)
    assert run(["report", str(folder)]) == InputError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
