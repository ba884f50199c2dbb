"""The main job on the real parts: simulator, lab with real scoring servers, Locust, validation and report.

A run that comes out `invalid` (the machine was too busy for the generator) is repeated once; a `fail` never is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.lab

EXIT_FAIL, EXIT_NO_VERDICT = 1, 3


def surgeproof(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli.root", *arguments], cwd=folder, capture_output=True, text=True, timeout=280
    )


def run(scenario: str, folder: Path, *options: str) -> tuple[Path, dict[str, Any]]:
    for attempt in ("first", "second"):
        out = folder / attempt
        done = surgeproof("run", scenario, "--output", "json", "--out", str(out), *options, folder=folder)
        assert done.returncode in (0, EXIT_FAIL, EXIT_NO_VERDICT), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        if document["validate"]["verdict"] != "invalid":
            break
    return out, document


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    return run("quickstart", tmp_path_factory.mktemp("quickstart"))


def assert_passed(out: Path, document: dict[str, Any]) -> None:
    validation = document["validate"]
    assert validation["verdict"] == "pass", validation["reasons"]
    assert validation["observed"]["fraction_503"] > 0.02
    predicted = validation["predicted"]["fraction_503"]
    assert predicted["prediction_low"] <= validation["observed"]["fraction_503"] <= predicted["prediction_high"]
    assert validation["generator"]["valid"]
    books = validation["books"]
    assert books["planned"] == books["sent"] + sum(
        books[name] for name in ("skipped_late", "dropped_max_inflight", "not_reached", "unaccounted")
    )
    assert books["sent"] == books["ok"] + books["status_503"], books
    assert document["replay"]["replicas"]["observed"]
    assert Path(document["report"]["path"]).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    names = {path.name for path in out.iterdir()}
    assert names >= {
        "scenario.yaml", "schedule.parquet", "requests.parquet", "replicas.parquet", "summary.json", "validation.json",
        "report.html",
    }  # fmt: skip


def test_quickstart_passes_with_real_replicas(quickstart: tuple[Path, dict[str, Any]]) -> None:
    out, document = quickstart
    assert_passed(out, document)
    table = pq.read_table(out / "requests.parquet")
    exec_ms = [value for value in table.column("exec_ms").to_pylist() if value is not None and value == value]
    assert len(exec_ms) == document["validate"]["books"]["ok"]  # every answer came from a scoring server


@pytest.mark.parametrize(
    "options",
    [
        ("--autoscale-target-utilization", "90"),
        ("--scenario", "cold_start"),
    ],
    ids=lambda options: " ".join(options),
)
def test_the_same_run_does_not_pass_when_one_setting_of_the_scenario_is_wrong(
    quickstart: tuple[Path, dict[str, Any]], options: tuple[str, str], tmp_path: Path
) -> None:
    out, _ = quickstart
    name, value = options
    if name == "--scenario":
        text = (out / "scenario.yaml").read_text(encoding="utf-8")
        old, new = {"cold_start": ("mean: 6s", "mean: 9s")}[value]
        assert old in text
        (tmp_path / "changed.yaml").write_text(text.replace(old, new), encoding="utf-8")
        value = str(tmp_path / "changed.yaml")
    done = surgeproof("validate", str(out), name, value, "--output", "json", folder=tmp_path)
    document = json.loads(done.stdout)
    assert (done.returncode, document["verdict"]) == (EXIT_FAIL, "fail")
    assert document["reasons"]


@pytest.mark.long
def test_the_real_trace_passes_with_real_replicas(tmp_path: Path) -> None:
    assert_passed(*run("azure-llm-code", tmp_path))


def test_a_deliberately_small_deployment_is_predicted_and_observed(tmp_path: Path) -> None:
    out, document = run(
        "quickstart", tmp_path, "--autoscale-min-replicas", "1", "--duration", "18s", "--replicas", "simulated"
    )
    assert out.is_dir()
    validation = document["validate"]
    assert validation["verdict"] == "pass", validation["reasons"]
    assert validation["observed"]["fraction_503"] > 0.1
    assert document["simulate"]["fraction_503"]["value"] > 0.1
