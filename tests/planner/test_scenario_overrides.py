"""Options in place of a scenario's settings, and copies that keep both."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from planner.arrivals import Renewal
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from tests.planner.scenario_documents import TEXT, document, trace_traffic, with_trace, written


def test_a_mistyped_name_suggests_another() -> None:
    with pytest.raises(InputError, match=r"quikstart: no shipped scenario of this name; did you mean quickstart\?"):
        load("quikstart")


def test_an_option_replaces_a_setting_under_either_name(tmp_path: Path) -> None:
    changed = document()
    changed["deployment"] = {"min_instances": 2, "max_instances": 8, "request_timeout_ms": 5000}
    path = written(tmp_path, changed)
    scenario = load(path, {"deployment.autoscale_min_replicas": "6", "seed": "7"})
    assert scenario.deployment.min_replicas == 6
    assert scenario.seed == 7


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"deployment.autoscale_target_utilization": "0.7"}, "--autoscale-target-utilization = 0.7, must be"),
        ({"deployment.autoscale_min_replicas": "50"}, "--autoscale-min-replicas = 50, must be at most"),
        ({"deployment.autoscale_max_replicas": 2}, "--autoscale-max-replicas = 2, must be at least"),
        ({"deployment.initial_replicas": "x"}, "--initial-replicas = x, must be an integer, at least 0"),
        ({"duration": 5}, "--duration = 5, needs a unit"),
        ({"duration": "100000h"}, "--duration = 100000h, must be at most 7d"),
        ({"deployment.autoscale_max_replicas": 10**30}, f"--autoscale-max-replicas = {10**30}, must be"),
        ({"seed": "-1"}, "--seed = -1, must be an integer"),
        ({"seed": "!!bool x"}, "--seed = !!bool x, must be an integer"),
        ({"seed": "[" * 500}, "--seed = [[["),
    ],
)
def test_a_bad_option_is_named_not_the_file(tmp_path: Path, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        load(written(tmp_path, TEXT), overrides)
    assert str(raised.value).startswith(message)


def test_an_option_for_the_autoscaler_is_refused_where_there_is_none(tmp_path: Path) -> None:
    path = written(tmp_path, document() | {"deployment": {"num_replicas": 3}})
    with pytest.raises(InputError, match="--autoscale-min-replicas = 2, not used with autoscaler: fixed"):
        load(path, {"deployment.autoscale_min_replicas": 2, "deployment.autoscaler": "fixed"})


@pytest.mark.parametrize(
    ("duration", "edges", "rights"),
    [("5m", [0, 300], [20]), ("8m", [0, 300, 480], [20, 140]), ("40m", [0, 300, 600, 2400], [20, 140, 20])],
)
def test_another_duration_cuts_or_extends_the_rates(
    tmp_path: Path, duration: str, edges: list[float], rights: list[float]
) -> None:
    scenario = load(written(tmp_path, TEXT), {"duration": duration})
    assert isinstance(scenario.arrivals, Renewal)
    assert scenario.arrivals.profile.time_s.tolist() == edges
    assert scenario.arrivals.profile.right_rps.tolist() == rights
    assert scenario.warnings == ()


@pytest.mark.parametrize(("duration", "edges", "rights"), [("10m", [0, 600], [10]), ("30m", [0, 1200, 1800], [20, 20])])
def test_another_duration_keeps_the_slope_of_a_ramp(
    tmp_path: Path, duration: str, edges: list[float], rights: list[float]
) -> None:
    ramp = document() | {"traffic": {"arrivals": "poisson", "rate": [{"from": "0s", "rps": 0, "to_rps": 20}]}}
    scenario = load(written(tmp_path, ramp), {"duration": duration})
    assert isinstance(scenario.arrivals, Renewal)
    assert scenario.arrivals.profile.time_s.tolist() == edges
    assert scenario.arrivals.profile.right_rps.tolist() == rights


def test_another_duration_cuts_a_trace(tmp_path: Path) -> None:
    with_trace(tmp_path)
    path = written(
        tmp_path, document() | {"duration": "8s", "traffic": trace_traffic(**{"for": "16s", "time_scale": 0.5})}
    )
    assert load(path).arrivals.fixed_count == 40
    assert load(path, {"duration": "2s"}).arrivals.fixed_count == 16


# Copies


def warned(scenario: Scenario) -> list[str]:
    """The warnings without where the scenario lies, and where a copy has its files."""
    return [text.removeprefix(f"{scenario.source}: ").removeprefix("inputs/") for text in scenario.warnings]


def same(a: Any, b: Any) -> bool:
    """Equality that looks into arrays and dataclasses; where it was read from does not count."""
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if dataclasses.is_dataclass(a):
        of_the_file = ("source", "text", "warnings") if isinstance(a, Scenario) else ()
        names = [f.name for f in dataclasses.fields(a) if f.name not in of_the_file]
        if isinstance(a, Scenario) and warned(a) != warned(b):
            return False
        return type(a) is type(b) and all(same(getattr(a, n), getattr(b, n)) for n in names)
    return bool(a == b)


def test_a_copy_is_verbatim_and_gives_the_same_scenario(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, TEXT))
    copy = save_copy(scenario, tmp_path / "runs" / "one")
    assert copy == tmp_path / "runs" / "one" / "scenario.yaml"
    assert copy.read_text() == TEXT
    assert same(load(copy), scenario)


@pytest.mark.parametrize(
    "overrides",
    [
        {"duration": "30s", "deployment.autoscale_min_replicas": "6", "seed": 3},
        {"duration": "7m", "deployment.autoscale_target_utilization": 55},
        {"duration": "90.5s", "deployment.initial_replicas": 5},
    ],
)
def test_a_copy_holds_the_options(tmp_path: Path, overrides: dict[str, Any]) -> None:
    scenario = load(written(tmp_path, TEXT), overrides)
    copy = save_copy(scenario, tmp_path / "run")
    assert copy.read_text().startswith("# ")
    assert same(load(copy), scenario)


def test_a_copy_takes_its_traces_along(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    home = with_trace(tmp_path / "home")
    path = written(home, document() | {"traffic": trace_traffic(rate_scale=1.5), "service_time": "trace"})
    scenario = load(path, {"duration": "8s"})
    copy = save_copy(scenario, tmp_path / "run")
    (home / "traces" / "t.csv").unlink()
    assert (tmp_path / "run" / "inputs" / "traces" / "t.csv").is_file()
    assert same(load(copy), scenario)
    assert same(load(save_copy(load(copy), tmp_path / "again")), scenario)


def test_a_copy_keeps_files_apart_that_would_meet_in_its_folder(tmp_path: Path) -> None:
    """`a.csv` is copied to `inputs/a.csv`, which the scenario may name too."""
    home = tmp_path / "home"
    (home / "inputs" / "inputs").mkdir(parents=True)
    for name, seconds in (("a.csv", 0.1), ("inputs/a.csv", 7), ("inputs/inputs/a.csv", 11)):
        (home / name).write_text(f"seconds\n{seconds}\n{2 * seconds}\n")
    empirical = {"distribution": "empirical"}
    times = {"service_time": empirical | {"file": "a.csv"}, "cold_start": empirical | {"file": "inputs/a.csv"}}
    scenario = load(written(home, document() | times))
    copied = load(save_copy(scenario, tmp_path / "run"))
    assert copied.service_time.mean_s == pytest.approx(0.15)
    assert copied.cold_start.mean_s == pytest.approx(10.5)
    assert same(load(save_copy(copied, tmp_path / "again")), copied)


def test_a_copy_stays_clear_of_the_files_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    parquet.write_table(pa.table({"service_time_s": [0.1, 0.3]}), tmp_path / "home" / "requests.parquet")
    service_time = {"distribution": "empirical", "file": "requests.parquet", "column": "service_time_s"}
    scenario = load(written(tmp_path / "home", document() | {"service_time": service_time}, "mine.yaml"))
    copy = save_copy(scenario, tmp_path / "run")
    (tmp_path / "run" / "requests.parquet").write_text("what the run has measured")
    assert same(load(copy), scenario)


def test_a_file_outside_the_scenarios_folder_gets_an_absolute_path(tmp_path: Path) -> None:
    with_trace(tmp_path)
    (tmp_path / "home").mkdir()
    traffic = {"arrivals": {"trace": {"file": "../traces/t.csv"}}}
    scenario = load(written(tmp_path / "home", document() | {"traffic": traffic}))
    copy = save_copy(scenario, tmp_path / "elsewhere" / "run")
    assert str(tmp_path / "traces" / "t.csv") in copy.read_text()
    assert same(load(copy), scenario)


def test_a_scenario_without_a_name_keeps_that_of_its_file(tmp_path: Path) -> None:
    unnamed = document()
    del unnamed["name"]
    scenario = load(written(tmp_path, unnamed, "black-friday.yaml"))
    assert scenario.name == "black-friday"
    assert same(load(save_copy(scenario, tmp_path / "run")), scenario)
