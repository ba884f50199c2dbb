"""`simulate --what-if` and `--assumptions`: other scenarios on the same random numbers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planner.assumptions import ASSUMPTIONS, STAMPS
from planner.cli import counterfactuals, root
from planner.comparison import ReplicateCounts, count_failures
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.what_if import what_if
from planner.service import Deterministic
from tests.planner.scenario_documents import TEXT, written
from tests.planner.scenario_documents import document as parsed
from tests.planner.test_simulate import ESTIMATE, document

SCALING = """
schema_version: 1
name: scaling
duration: 30s
traffic: {arrivals: poisson, rate: [{from: 0s, rps: 4}, {from: 10s, rps: 30}]}
service_time: {distribution: exponential, mean: 200ms}
deployment: {min_instances: 2, max_instances: 8, request_timeout_ms: 5000}
cold_start: 4s
"""


@pytest.fixture
def scaling(tmp_path: Path) -> str:
    path = tmp_path / "scaling.yaml"
    path.write_text(SCALING)
    return str(path)


# What if


def test_a_what_if_has_both_fractions_their_difference_and_causes(
    scaling: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = document(capsys, scaling, "--what-if", "cold_start=0", "--what-if", "seed=5", "--replications", "50")
    assert code == 0
    instant, seed = said["what_if"]
    assert (instant["setting"], instant["value"], instant["same_random_numbers"]) == ("cold_start", "0s", True)
    assert instant["fraction_503"]["value"] < said["fraction_503"]["value"]
    difference = instant["difference"]
    assert set(difference) == ESTIMATE
    assert difference["value"] == pytest.approx(instant["fraction_503"]["value"] - said["fraction_503"]["value"])
    assert difference["low"] < difference["value"] < difference["high"] < 0
    assert instant["causes_503"].keys() == said["causes_503"].keys()
    assert instant["causes_503"]["scale_up_lag"]["value"] < said["causes_503"]["scale_up_lag"]["value"]
    assert seed["same_random_numbers"] is False
    assert seed["difference"]["low"] < 0 < seed["difference"]["high"]


def test_a_what_if_is_the_scenario_with_that_setting(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = document(capsys, scaling, "--what-if", "autoscale_min_replicas=5", "--replications", "50")[1]
    alone = document(capsys, scaling, "--autoscale-min-replicas", "5", "--replications", "50")[1]
    assert said["what_if"][0]["fraction_503"] == alone["fraction_503"]
    assert said["what_if"][0]["causes_503"] == alone["causes_503"]


def test_a_what_if_comes_on_top_of_the_options(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--autoscale-min-replicas", "5", "--replications", "50"]
    said = document(capsys, scaling, *options, "--what-if", "min_instances=2")[1]
    assert said["what_if"][0]["fraction_503"] == document(capsys, scaling, "--replications", "50")[1]["fraction_503"]


def test_tables_of_what_ifs(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--what-if",
        "cold_start=0",
        "--what-if",
        "seed=5",
        "--what-if",
        "max_concurrent_requests_per_instance=2",
    ]
    root.run(["simulate", scaling, "--replications", "50", *options])
    shown = capsys.readouterr()
    rows = [line.split("  ")[0].strip() for line in shown.out.splitlines()]
    assert rows.count("as it is") == 1
    assert rows.count("cold_start=0") == 1
    assert "Another seed means other random numbers" in shown.out
    assert "warning: with max_concurrent_requests_per_instance=2: " in shown.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cold_strat=0", "unknown key; did you mean cold_start?"),
        ("autoscale_min_replica=8", "unknown key; did you mean autoscale_min_replicas?"),
        ("deployment.wroker_count=2", "unknown key; did you mean worker_count?"),
        ("..=2", "unknown key"),
        ("cold_start", "must be KEY=VALUE, for example cold_start=0"),
        ("cold_start=", "must be KEY=VALUE, for example cold_start=0"),
        ("service_time.mean=100", "needs a unit, for example 250ms, 20s, 5m or 1h30m"),
        ("autoscale_target_utilization=0.7", "must be an integer percent from 1 to 100; did you mean 70?"),
        ("autoscale_min_replicas=9", "must be at most max_instances (8)"),
        ("cold_start.mean=3s", "there is no cold_start.mean, cold_start = 4s"),
        (
            "deployment[0]=3",
            'there is no deployment[0], deployment = {"min_instances": 2, "max_instances": 8, "request_timeout...',
        ),
    ],
)
def test_a_bad_what_if_ends_with_2_before_any_simulation(
    scaling: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setattr("planner.cli.simulation.simulate", None)
    assert root.run(["simulate", scaling, "--what-if", text, "--output", "json"]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"--what-if {text}: {message}\n")


def test_a_what_if_without_requests_is_named(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = "traffic={arrivals: poisson, rps: 0}"
    assert root.run(["simulate", scaling, "--replications", "2", "--what-if", text]) == 3
    assert capsys.readouterr() == (
        "",
        f"--what-if {text}: no request arrives in the time that counts: there is nothing to estimate\n",
    )


def test_nothing_is_compared_with_a_scenario_without_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.cli.simulation.counterfactuals", None)
    path = tmp_path / "silent.yaml"
    path.write_text(SCALING.replace("rps: 4}, {from: 10s, rps: 30}", "rps: 0}"))
    assert root.run(["simulate", str(path), "--replications", "2", "--assumptions"]) == 3
    assert capsys.readouterr().err == "no request arrives in the time that counts: there is nothing to estimate\n"


def test_all_bad_what_ifs_are_said_at_once(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["simulate", scaling, "--what-if", "cold_strat=0", "--what-if", "seed=x"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "setting", "read"),
    [
        ("cold_start=0", "cold_start", lambda s: s.cold_start == Deterministic(0.0)),
        ("cold_start.mean=7s", "cold_start.mean", lambda s: s.cold_start.mean_s == 7),
        ("service_time.mean=100ms", "service_time.mean", lambda s: s.service_time.mean_s == 0.1),
        ("service_time=100ms", "service_time", lambda s: s.service_time == Deterministic(0.1)),
        ("deployment.worker_count=2", "deployment.worker_count", lambda s: s.deployment.worker_count == 2),
        ("min_instances=8", "deployment.min_instances", lambda s: s.deployment.min_replicas == 8),
        ("max_queue_wait_ms=0", "deployment.max_queue_wait_ms", lambda s: s.deployment.max_request_wait_s == 0),
        ("traffic.rate[1].rps=200", "traffic.rate[1].rps", lambda s: s.arrivals.profile.left_rps[1] == 200),
        ("cold_start={distribution: exponential, mean: 3s}", "cold_start", lambda s: s.cold_start.mean_s == 3),
        ("duration=10m", "duration", lambda s: s.duration_s == 600),
    ],
)
def test_a_key_is_a_path_or_a_name_of_the_deployment(
    tmp_path: Path, text: str, setting: str, read: Callable[[Any], bool]
) -> None:
    made = what_if(load(written(tmp_path, TEXT)), text)
    assert made.setting == setting
    assert read(made.scenario)


def test_a_list_has_no_entry_past_its_end(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rate\[3\].rps=1: there is no traffic.rate\[3\], traffic.rate = \["):
        what_if(load(written(tmp_path, TEXT)), "traffic.rate[3].rps=1")
    mmpp = parsed() | {"traffic": {"arrivals": {"mmpp": {"rates": [5, 50], "switching": [0.1, 0.1]}}}}
    made = what_if(load(written(tmp_path, mmpp)), "traffic.arrivals.mmpp.rates[1]=30")
    assert made.scenario.arrivals.expected_count == pytest.approx(1200 * 17.5)


# Assumptions


def test_every_assumption_is_there_with_numbers_or_a_reason(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = document(capsys, scaling, "--assumptions", "--replications", "20")[1]
    rows = said["assumptions"]
    assert {row["setting"] for row in rows} == {assumption.setting for assumption in ASSUMPTIONS}
    for row in rows:
        if row["cannot_matter"]:
            assert (row["fraction_503"], row["difference"]) == (None, None)
        else:
            assert row["value"] != row["scenario_value"] == row["default"]
            assert (set(row["fraction_503"]), set(row["difference"])) == (ESTIMATE, ESTIMATE)
    by_value = {(row["setting"], row["value"]): row for row in rows}
    assert by_value["when_no_replica_is_ready", "reject"]["cannot_matter"] == "a replica is ready at all times"
    assert by_value["api", "v1"]["difference"]["value"] > 0
    same = by_value["worker_busy_after_504", False]["difference"]
    assert (same["value"], same["resolved"]) == (0, False)
    assert same["low"] < 0 < same["high"]


def test_table_of_assumptions(scaling: str, capsys: pytest.CaptureFixture[str]) -> None:
    root.run(["simulate", scaling, "--assumptions", "--replications", "4"])
    shown = capsys.readouterr().out
    assert "when_no_replica_is_ready reject: cannot matter, a replica is ready at all times" in shown
    assert "the same in 4 runs" in shown


def test_the_other_reading_of_whole_seconds_is_always_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("time_s\n" + "".join(f"{second}\n" * 9 for second in range(20)))
    path = tmp_path / "trace.yaml"
    path.write_text("traffic: {arrivals: {trace: {file: t.csv}}}\nservice_time: 300ms\ndeployment: {num_replicas: 3}\n")
    key = "fraction_503_stamps_at_start_of_second"
    plain = document(capsys, str(path), "--replications", "2")[1]
    assert plain[key]["value"] > plain["fraction_503"]["value"]
    assert "assumptions" not in plain
    rows = document(capsys, str(path), "--replications", "2", "--assumptions")[1]
    (stamps,) = (row for row in rows["assumptions"] if row["setting"] == STAMPS)
    assert stamps["fraction_503"] == rows[key] == plain[key]


# Ctrl-C


@pytest.mark.parametrize(("done", "what_ifs", "replications"), [(70, 2, [50, 20]), (51, 1, [50]), (0, 0, [])])
def test_ctrl_c_keeps_the_comparisons_that_are_done(
    scaling: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    done: int,
    what_ifs: int,
    replications: list[int],
) -> None:
    counted: list[Any] = []

    def interrupted(scenarios: list[Scenario], task: tuple[int, int]) -> ReplicateCounts:
        if len(counted) == done:
            signal.raise_signal(signal.SIGINT)
        counted.append(task)
        return count_failures(scenarios, task)

    monkeypatch.setattr(counterfactuals, "count_failures", interrupted)
    options = ["--what-if", "cold_start=0", "--what-if", "cold_start=1s", "--assumptions", "--replications", "50"]
    code, said = document(capsys, scaling, *options)
    assert (code, said["interrupted"], said["replications"]) == (130, True, 50)
    assert [row["difference"]["replications"] for row in said["what_if"]] == replications
    assert all(row["cannot_matter"] for row in said["assumptions"])
