"""No run of a scenario that `simulate` accepts ends `validate`, `calibrate` or `compare` with an internal error."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from loadtest.calibrate.calibration import calibrate
from loadtest.cli import calibrate_view, compare_view, validate_view
from loadtest.results.comparison import compare_runs
from loadtest.runfolder import RunFolder
from loadtest.validate.verdict import kept, validate
from planner.errors import SurgeproofError
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.sim.engine import simulate_replicate
from tests.anything.estimates import check_estimates
from tests.anything.scenarios import Document, fast, scenarios, write
from tests.loadtest.simulated_run import write_run

FAST = settings(fast(6), derandomize=True)
MANY = fast(1000)

ANY_SCENARIO = scenarios(uncertain=False)
LATE_S = st.sampled_from([0.0, 0.02])


def check(document: Document, trace: str, late_s: float) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            scenario = load(write(folder, document, trace))
        except SurgeproofError:
            return
        if not simulate_replicate(scenario, 0).n and not scenario.arrivals.expected_count > 5:
            return  # a replay needs a request
        runs = [_written(folder / name, scenario, number, late_s) for number, name in enumerate(("a", "b"))]
        if None in runs:
            event("not replayed")
            return
        for run in runs:
            assert run is not None
            _validated(run, scenario)
        _calibrated(RunFolder(folder / "a"))
        compared = compare_runs(folder / "a", folder / "b", replicates=5)
        event(f"compare: {compared['verdict']}")
        json.dumps(compared, allow_nan=False)
        compare_view.show(compared)


def _written(path: Path, scenario: Scenario, number: int, late_s: float) -> RunFolder | None:
    try:
        return write_run(path, scenario, number=number, late_s=late_s)
    except SurgeproofError:
        return None


def _validated(run: RunFolder, scenario: Scenario) -> None:
    validation = validate(run, scenario, load(str(run.scenario)), replicates=600, alternative_replicates=5)
    event(f"validate: {validation.verdict.word}")
    document = kept(validation, run).document
    check_estimates(document)
    for statistic in document["statistics"]:
        assert statistic["low"] <= statistic["high"], statistic
        assert 0 < statistic["p_value"] <= 1, statistic
    validate_view.show(document)


def _calibrated(run: RunFolder) -> None:
    try:
        document = calibrate(run, run.path / "calibrated.yaml").document
    except SurgeproofError as refused:
        event(f"calibrate: {refused}"[:60])
        return
    json.dumps(document, allow_nan=False)
    check_estimates(document)
    for setting in document["settings"]:
        low, high = setting["low"], setting["high"]
        assert isinstance(low, str) or None in (low, high) or low <= high, setting
    calibrate_view.show(document)
    if document["scenario"]:
        calibrated = load(document["scenario"])
        validate(run, calibrated, load(str(run.scenario)), replicates=600, alternative_replicates=2)


@FAST
@given(ANY_SCENARIO, LATE_S)
def test_no_run_ends_with_an_internal_error(scenario: tuple[Document, str], late_s: float) -> None:
    check(*scenario, late_s)


@pytest.mark.verify
@pytest.mark.timeout(0)
@MANY
@given(ANY_SCENARIO, LATE_S)
def test_no_run_of_a_thousand_does(scenario: tuple[Document, str], late_s: float) -> None:
    check(*scenario, late_s)
