"""After a failure `validate` says when the 503s came, where an endpoint tells nothing else of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loadtest.runfolder import RunFolder
from loadtest.validate.observed import observe
from loadtest.validate.refusals import refusals
from loadtest.validate.verdict import validate
from planner.model import NO_CAUSE, Cause, Outcome
from planner.records import write_requests
from planner.scenario import Scenario
from tests.loadtest.measured_run import measured_run, written

FOREIGN: dict[str, object] = {
    "duration": "20s",
    "traffic.rate": [{"from": "0s", "rps": 24}],
    "service_time": "120ms",
    "deployment": {"autoscaler": "fixed", "num_replicas": 3, "max_request_wait_time": "200ms"},
}


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return written(tmp_path, "foreign", FOREIGN)


def run_of(path: Path, scenario: Scenario, *, held_up_s: float = 0.0, cause: int = NO_CAUSE) -> RunFolder:
    """A run of an endpoint that only answers. held_up_s: how much later than the wait limit each fifth 503 came."""
    folder = measured_run(path, scenario, scenario, sees_inside=False)
    folder.replicas.unlink()
    log = folder.read_requests()
    refused = np.flatnonzero(log.outcome == Outcome.STATUS_503)
    finish_s, causes = log.finish_s.copy(), log.cause.copy()
    finish_s[refused] = log.sent_s[refused] + 0.2
    finish_s[refused[::5]] += held_up_s
    causes[refused] = cause
    write_requests(folder.requests, replace(log, finish_s=finish_s, cause=causes))
    return folder


def test_a_wrong_wait_limit_fails_and_the_limit_of_the_endpoint_is_said(tmp_path: Path, scenario: Scenario) -> None:
    folder = run_of(tmp_path / "run", scenario)
    wrong = replace(scenario, deployment=replace(scenario.deployment, max_request_wait_s=0.4))
    document = validate(folder, wrong, scenario, replicates=600, alternative_replicates=2).document
    assert document["verdict"] == "fail"
    n = document["observed"]["answers_503"]
    assert (
        f"In the median the {n} 503s came 200 ms after they were sent, 95 % of them within 200 ms. "
        "The scenario's wait limit is 400 ms." in " ".join(document["reasons"])
    )


def test_a_front_end_that_was_held_up_shows_in_the_tail(tmp_path: Path, scenario: Scenario) -> None:
    said = refusals(observe(run_of(tmp_path / "run", scenario, held_up_s=1.3), scenario), scenario)
    assert said is not None
    assert "came 200 ms after they were sent, 95 % of them within 1500 ms. The scenario's wait limit is 200 ms." in said


def test_a_pass_does_not_say_it(tmp_path: Path, scenario: Scenario) -> None:
    folder = run_of(tmp_path / "run", scenario)
    document = validate(folder, scenario, scenario, replicates=600, alternative_replicates=2).document
    assert document["verdict"] == "pass"
    assert "wait limit" not in " ".join(document["reasons"])


def test_known_causes_and_no_503_at_all_say_nothing(tmp_path: Path, scenario: Scenario) -> None:
    told = run_of(tmp_path / "told", scenario, cause=Cause.AT_MAX_REPLICAS)
    assert refusals(observe(told, scenario), scenario) is None
    idle = written(tmp_path, "idle", FOREIGN | {"traffic.rate": [{"from": "0s", "rps": 1}]})
    seen = observe(run_of(tmp_path / "quiet", idle), idle)
    assert seen.n_503 == 0
    assert refusals(seen, idle) is None
