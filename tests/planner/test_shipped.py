"""The scenarios that come with Surgeproof."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

import planner
from planner.cli.output import emit_json
from planner.queueing import WaitLimitQueue
from planner.scenario_file import json_schema, load, shipped
from planner.workload import arrival_times

FOLDER = Path(__file__).parents[2] / "scenarios"
NAMES = [path.stem for path in sorted(FOLDER.glob("*.yaml"))]


def test_all_are_listed_with_what_they_show() -> None:
    assert [name for name, _ in shipped()] == NAMES
    assert {"quickstart", "launch-spike", "steady-poisson", "morning-ramp", "azure-llm-code"} <= set(NAMES)
    assert all(len(shows) > 20 for _, shows in shipped())


def test_an_installed_wheel_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shipped_scenarios").mkdir()
    (tmp_path / "shipped_scenarios" / "only.yaml").write_text("shows: From the wheel.\n")
    monkeypatch.setattr(planner, "__file__", str(tmp_path / "__init__.py"))
    assert shipped() == [("only", "From the wheel.")]


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_without_a_warning_and_fits_the_schema(name: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=scenario.schema.json\n")
    assert list(Draft202012Validator(json_schema()).iter_errors(yaml.safe_load(text))) == []
    scenario = load(name)
    assert scenario.name == name
    assert scenario.warnings == ()
    assert scenario.slo is not None


def test_the_published_schema_is_the_generated_one(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json(json_schema())
    assert (FOLDER / "scenario.schema.json").read_text() == capsys.readouterr().out


@pytest.mark.parametrize("name", ["quickstart", "azure-llm-code"])
def test_what_runs_with_real_replicas_fits_a_laptop(name: str) -> None:
    scenario = load(name)
    assert scenario.duration_s <= 90
    assert scenario.deployment.max_replicas <= 10
    arrivals = arrival_times(scenario, 0)
    assert 300 <= len(arrivals) <= 1200


def test_quickstart_lasts_a_minute() -> None:
    assert load("quickstart").duration_s == 60


def test_the_shipped_rows_of_the_azure_trace_carry_their_licence() -> None:
    folder = FOLDER / "traces" / "azure-llm-2023"
    assert "Attribution 4.0 International" in (folder / "LICENSE.CC-BY-4.0.txt").read_text(encoding="utf-8-sig")
    assert "Splitwise" in (folder / "README.md").read_text(encoding="utf-8")
    rows = (folder / "code-18h40.csv").read_text().splitlines()
    assert rows[0] == "TIMESTAMP,ContextTokens,GeneratedTokens"
    assert len(rows) == 700


def test_steady_poisson_is_the_row_it_claims_to_be() -> None:
    scenario = load("steady-poisson")
    rate = scenario.arrivals.expected_count / scenario.duration_s
    queue = WaitLimitQueue(
        scenario.deployment.max_replicas, rate, scenario.service_time.mean_s, scenario.deployment.max_request_wait_s
    )
    assert queue.fraction_503 == pytest.approx(0.11756, abs=5e-6)
    assert "0.11756" in scenario.shows
