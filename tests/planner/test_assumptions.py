"""The table of assumptions: its readings are the scenario file's, its reasons are true, the pages hold it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.arrivals import Recorded, Renewal
from planner.assumptions import ASSUMPTIONS, STAMPS, Alternative, alternatives
from planner.comparison import count_failures
from planner.model import Api, Autoscaler, Deployment, WhenNoReplica
from planner.rates import RateProfile
from planner.report.settings import assumption_rows
from planner.scaling.azureml_fe import window_ticks
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.schema import DeploymentBase
from planner.service import Deterministic, Exponential
from tests.planner.scenario_documents import TEXT, written

ROOT = Path(__file__).parents[2]
NO_KEY_OF_ITS_OWN = {"api", STAMPS}


def overloaded(**settings: Any) -> Scenario:
    """Ten seconds in which replicas are always too few, with 503s and 504s."""
    return Scenario(
        name="overloaded",
        shows="",
        duration_s=10.0,
        arrivals=Renewal(RateProfile.constant(30.0, 10.0)),
        service_time=Exponential(0.3),
        deployment=Deployment(**({"min_replicas": 2, "max_replicas": 8, "scoring_timeout_s": 0.6} | settings)),
        cold_start=Deterministic(1.0),
        seed=3,
    )


def readings(scenario: Scenario) -> dict[tuple[str, object], Alternative]:
    return {(a.assumption.setting, a.value): a for a in alternatives(scenario)}


def test_each_reading_is_what_the_scenario_file_makes_of_it(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    for (setting, value), alternative in readings(load(path)).items():
        if setting not in NO_KEY_OF_ITS_OWN:
            assert load(path, {f"deployment.{setting}": value}).deployment == alternative.scenario.deployment


def test_the_readings_are_seen_from_the_scenarios_own_value(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    changed = load(path, {"deployment.scale_step": "one", "deployment.utilization_window": "30s"})
    found = readings(changed)
    assert found["scale_step", "jump"].scenario.deployment == replace(changed.deployment, scale_step="jump")
    assert [value for setting, value in found if setting == "utilization_window"] == ["0s", "1s", "60s"]
    assert ("scale_step", "one") not in found


def test_the_other_api_changes_only_what_counts_as_utilization() -> None:
    for api in Api:
        deployment = overloaded(api=api).deployment
        (other,) = (a for (setting, _), a in readings(overloaded(api=api)).items() if setting == "api")
        changed = other.scenario.deployment
        assert changed.counts_queued is not deployment.counts_queued
        assert window_ticks(changed) == window_ticks(deployment)
        assert replace(changed, api=api, scale_down_delay_s=None) == deployment


def test_delays_that_are_the_same_are_no_other_reading() -> None:
    (same,) = (a for a in alternatives(overloaded(refresh_period_s=3.0)) if a.assumption.setting == "scale_down_delay")
    assert (same.value, same.moot) == (None, "there is no other reading here")


def test_a_delay_that_is_no_multiple_of_the_period_is_read_as_it_is_written() -> None:
    found = readings(overloaded(api=Api.V1, refresh_period_s=0.7))
    assert [value for setting, value in found if setting == "scale_down_delay"] == ["14s"]


def test_a_timeout_shorter_than_the_wait_limit_cannot_run_in_the_queue() -> None:
    found = readings(overloaded(scoring_timeout_s=0.4))
    assert found["scoring_timeout_from", None].moot


def test_whole_seconds_have_another_reading() -> None:
    spread, at_start = np.array([0.5, 1.2, 1.7]), np.array([0.0, 1.0, 1.0])
    recorded = replace(overloaded(), arrivals=Recorded(spread, "t.csv", at_start))
    other = readings(recorded)[STAMPS, "start_of_second"]
    assert other.moot is None
    assert next(iter(other.scenario.arrivals.blocks(0, 0))).tolist() == at_start.tolist()
    assert readings(overloaded())[STAMPS, None].moot


FIXED = {"autoscaler": Autoscaler.FIXED, "min_replicas": 3, "max_replicas": 3}


@pytest.mark.parametrize(
    ("settings", "moot", "not_moot"),
    [
        ({}, {"when_no_replica_is_ready"}, {"api", "scale_step", "dispatch", "utilization_window"}),
        ({"initial_replicas": 0}, set(), {"when_no_replica_is_ready"}),
        ({"worker_busy_after_504": False}, {"slot_busy_after_504"}, {"worker_busy_after_504"}),
        (FIXED | {"initial_replicas": 1}, {"scale_step"}, set()),
        (FIXED, {"api", "utilization_window", "utilization_over", "scale_down_rule", "scale_step"}, {"dispatch"}),
        ({"min_replicas": 1, "max_replicas": 1}, {"dispatch", "api", "scale_down_delay", "scale_step"}, set()),
        ({"min_replicas": 4, "max_replicas": 4, "initial_replicas": 1}, {"api", "scale_down_rule"}, {"scale_step"}),
    ],
)
def test_what_cannot_matter_says_why_and_changes_nothing(
    settings: dict[str, Any], moot: set[str], not_moot: set[str]
) -> None:
    scenario = overloaded(**settings)
    found = list(alternatives(scenario))
    reasons = {a.assumption.setting for a in found if a.moot}
    assert moot <= reasons
    assert not (not_moot & reasons)
    scenarios = [scenario, *(a.scenario for a in found if a.moot)]
    base, *others = (count_failures(scenarios, (which, 0)) for which in range(len(scenarios)))
    assert base.n_503 > 0
    assert all((other.n_503, other.causes.tolist()) == (base.n_503, base.causes.tolist()) for other in others)


def test_what_can_matter_changes_something() -> None:
    scenario = overloaded(initial_replicas=0)
    other = readings(scenario)["when_no_replica_is_ready", "reject"].scenario
    assert other.deployment.when_no_replica_is_ready is WhenNoReplica.REJECT
    base, rejecting = (count_failures([scenario, other], (which, 0)) for which in range(2))
    assert rejecting.n_503 > base.n_503


def test_the_report_marks_those_that_can_matter() -> None:
    rows = {row.label: row for row in assumption_rows(overloaded(**FIXED))}
    assert list(rows) == ["dispatch", "scoring_timeout_from", "worker_busy_after_504", "slot_busy_after_504"]
    assert rows["slot_busy_after_504"].value == "true"
    assert rows["dispatch"].note.endswith("readings: fewest_requests, round_robin, lowest_id")


def test_the_scenario_file_marks_the_same_settings() -> None:
    marked = {
        name
        for name, field in DeploymentBase.model_fields.items()
        if (field.description or "").startswith("assumption")
    }
    assert marked | {"scale_down_delay"} == {a.setting for a in ASSUMPTIONS} - NO_KEY_OF_ITS_OWN


def test_the_page_of_the_model_has_the_table() -> None:
    page = (ROOT / "docs" / "model.md").read_text()
    for assumption in ASSUMPTIONS:
        assert f"| `{assumption.setting}` | {assumption.unknown} | {assumption.choices} |" in page
