"""Comparisons of runs whose truth is known, because the "endpoints" were simulations with settings of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loadtest.cli.compare_view import show
from loadtest.results.chance import differences, with_endpoint_of
from loadtest.results.comparison import compare_runs, simulations
from loadtest.results.pair_verdict import Difference, Evidence, conclude
from loadtest.results.run_of_pair import behave_alike, settings_that_differ
from loadtest.runfolder import RunFolder
from planner.cli.root import run
from planner.errors import InputError
from planner.model import Outcome
from planner.records import write_requests
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.service import Scaled
from tests.loadtest.simulated_run import write_run

MakeScenario = Callable[..., Scenario]


@pytest.fixture(scope="module")
def quickstart() -> Scenario:
    return load("quickstart")


@pytest.fixture
def changed(tmp_path: Path, quickstart: Scenario) -> MakeScenario:
    """The quickstart scenario with texts of its file replaced: a run folder keeps the text, so it has to say so too."""

    def make(**replaced: str) -> Scenario:
        text = quickstart.text
        for old, new in replaced.items():
            lines = [line for line in text.splitlines() if line.strip().startswith(f"{old}:")]
            assert len(lines) == 1, old
            text = text.replace(lines[0], lines[0][: lines[0].index(old)] + f"{old}: {new}")
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.yaml"
        path.write_text(text)
        return load(str(path))

    return make


def compared(folder: Path, a: Scenario, b: Scenario, *, numbers: tuple[int, int] = (1, 2), **world: Any) -> Any:
    """The document of a comparison; `world` is how B's endpoint really behaves."""
    write_run(folder / "a", a, number=numbers[0])
    write_run(folder / "b", b, number=numbers[1], **world)
    return compare_runs(folder / "a", folder / "b")


def test_equal_runs_are_seldom_called_different(tmp_path: Path) -> None:
    """40 pairs at an error rate of 1 %, all three statistics together: four or more with chance 0.07 %.

    A third of the replicates are simulated, which makes the intervals a little noisier than the command's own.
    """
    scenario = load("quickstart", {"duration": "25s"})
    words = []
    for i in range(40):
        write_run(tmp_path / f"a{i}", scenario, number=2 * i)
        write_run(tmp_path / f"b{i}", scenario, number=2 * i + 1)
        words.append(compare_runs(tmp_path / f"a{i}", tmp_path / f"b{i}", replicates=100)["verdict"])
    assert words.count("different") <= 3, words
    assert words.count("cannot tell") <= 3, words


def test_a_changed_setting_is_seen_and_is_what_the_model_predicts(
    tmp_path: Path, quickstart: Scenario, changed: MakeScenario
) -> None:
    document = compared(tmp_path, quickstart, changed(min_instances="4"))
    assert document["verdict"] == "different"
    assert [s["setting"] for s in document["settings"]] == ["autoscale_min_replicas", "initial_replicas"]
    assert document["settings"][0] == {"setting": "autoscale_min_replicas", "before": 2, "after": 4}
    fraction = document["fraction_503"]
    assert fraction["difference"] == pytest.approx(fraction["b"] - fraction["a"])
    assert fraction["difference"] < fraction["chance_low"] < 0 < fraction["chance_high"]
    assert fraction["predicted_low"] <= fraction["difference"] <= fraction["predicted_high"] < 0
    assert document["same_requests"]
    assert "as the model predicts" in document["reasons"][1]
    json.dumps(document, allow_nan=False)


def test_an_effect_that_does_not_come_is_told_from_the_prediction(
    tmp_path: Path, quickstart: Scenario, changed: MakeScenario
) -> None:
    """The file of B says 8 replicas at the start, its endpoint has 2 as before: no difference, not as predicted."""
    document = compared(tmp_path, quickstart, changed(min_instances="8"), world=quickstart)
    assert document["verdict"] == "no difference seen"
    text = " ".join(document["reasons"])
    assert "not as the model predicts" in text
    assert "The model does not hold for run B" in text
    assert not document["fraction_503"]["model_holds"]["b"]["holds"]


def test_a_change_that_no_file_tells_is_seen(tmp_path: Path, quickstart: Scenario) -> None:
    """Equal files, but the second endpoint starts its replicas half as fast again."""
    slower = replace(quickstart, cold_start=Scaled(quickstart.cold_start, 1.6))
    document = compared(tmp_path, quickstart, quickstart, world=slower)
    assert document["verdict"] == "different"
    assert document["settings"] == []
    assert document["ready_replicas"]["mean_distance"] > document["ready_replicas"]["chance_high"]
    assert any("ready replicas" in reason for reason in document["reasons"])


def test_504s_are_compared_where_there_are_any(
    tmp_path: Path, quickstart: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same file twice, but the second endpoint answers 504 after half a second of work."""
    hasty = replace(quickstart, deployment=replace(quickstart.deployment, scoring_timeout_s=0.5))
    document = compared(tmp_path, quickstart, quickstart, world=hasty)
    assert document["verdict"] == "different"
    late, failed = document["fraction_504"], document["fraction_failed"]
    assert late["a"] == 0 < late["b"]
    assert late["difference"] > late["chance_high"]
    assert failed["difference"] == pytest.approx(late["difference"] + document["fraction_503"]["difference"])
    assert any(reason.startswith("504s: 0 % in run A, ") for reason in document["reasons"])
    assert not document["fraction_503"]["model_holds"]["b"]["holds"]
    show(document)
    shown = capsys.readouterr().out
    assert "requests that got 504" in shown
    assert "requests that failed (not 200)" in shown


def test_without_504s_they_have_no_share_in_the_error_rate(tmp_path: Path, quickstart: Scenario) -> None:
    document = compared(tmp_path, quickstart, quickstart)
    assert document["confidence"] == pytest.approx(1 - 0.01 / 3)
    assert document["fraction_504"]["difference"] == 0
    numbers = {name: value for name, value in document["fraction_503"].items() if name != "model_holds"}
    assert document["fraction_failed"] == pytest.approx(numbers)


def test_other_traffic_is_accounted_for(tmp_path: Path, quickstart: Scenario, changed: MakeScenario) -> None:
    """Another seed draws other requests: each run is simulated on those that it sent, and the endpoint is the same."""
    document = compared(tmp_path, quickstart, changed(seed="3"))
    assert document["verdict"] == "no difference seen"
    assert not document["same_requests"]
    assert [s["setting"] for s in document["settings"]] == ["seed"]
    assert "each on the requests that it sent (they differ)" in document["reasons"][0]


def test_longer_service_times_are_a_difference_though_each_run_is_simulated_with_its_own(
    tmp_path: Path, quickstart: Scenario, changed: MakeScenario
) -> None:
    longer = changed(service_time="{distribution: lognormal, mean: 350ms, cv: 0.5}")
    document = compared(tmp_path, quickstart, longer)
    assert document["verdict"] == "different"
    service = document["service_time_mean_s"]
    assert service["difference"] > service["chance_high"]
    assert any("mean service time" in reason for reason in document["reasons"])


def test_latencies_are_those_of_the_200_answers(tmp_path: Path, quickstart: Scenario) -> None:
    document = compared(tmp_path, quickstart, quickstart)
    summary = RunFolder(tmp_path / "a").read_summary()["observed"]
    for word in ("p50", "p90", "p99", "max"):
        for key, name in (("from_send_s", "latency_from_send_s"), ("from_schedule_s", "latency_from_schedule_s")):
            assert document["latency"][key][word]["a"] == pytest.approx(summary[name][word])
        row = document["latency"]["from_send_s"][word]
        assert row["chance_low"] <= row["difference"] <= row["chance_high"]
    assert document["latency"]["from_schedule_s"]["p50"]["chance_low"] is None
    assert "no generator" in document["latency"]["from_schedule_s"]["why_no_chance"]


def test_invalid_and_interrupted_runs_are_compared_and_named(tmp_path: Path, quickstart: Scenario) -> None:
    write_run(tmp_path / "a", quickstart, number=1)
    late = write_run(tmp_path / "b", quickstart, number=2, late_s=0.08)
    summary = late.read_summary()
    late.write_summary(summary | {"ended": "interrupted", "message": "Stopped by Ctrl-C."})
    document = compare_runs(tmp_path / "a", tmp_path / "b")
    assert document["verdict"] == "no difference seen"
    text = " ".join(document["reasons"])
    assert "run B is invalid: " in text
    assert "run B did not end by itself (interrupted): Stopped by Ctrl-C." in text
    assert document["a"]["doubts"] == []
    assert len(document["b"]["doubts"]) >= 2


def with_outcomes(folder: RunFolder, which: slice, outcome: Outcome, scenario: Scenario) -> None:
    """Rewrite the log so that those requests ended otherwise."""
    log = folder.read_requests()
    outcomes = log.outcome.copy()
    outcomes[which] = outcome
    finish_s, sent_s = log.finish_s.copy(), log.sent_s.copy()
    if not outcome.was_sent:
        sent_s[which], finish_s[which] = np.nan, np.nan
    write_requests(folder.requests, replace(log, outcome=outcomes, finish_s=finish_s, sent_s=sent_s))


def test_sends_that_nobody_knows_cannot_be_simulated(tmp_path: Path, quickstart: Scenario) -> None:
    write_run(tmp_path / "a", quickstart, number=1)
    with_outcomes(write_run(tmp_path / "b", quickstart, number=2), slice(100, 300), Outcome.UNACCOUNTED, quickstart)
    document = compare_runs(tmp_path / "a", tmp_path / "b")
    assert document["verdict"] == "cannot tell"
    assert "run B: of 200 of 833 planned requests nobody knows" in " ".join(document["reasons"])
    assert document["fraction_503"]["chance_low"] is None
    assert document["fraction_503"]["difference"] is not None
    assert document["replications"] is None


def test_answers_that_the_model_does_not_know_cannot_be_simulated(tmp_path: Path, quickstart: Scenario) -> None:
    write_run(tmp_path / "a", quickstart, number=1)
    folder = write_run(tmp_path / "b", quickstart, number=2)
    summary = folder.read_summary()
    observed = summary["observed"] | {"problems": ["238 of 258 requests ended in another way"]}
    folder.write_summary(summary | {"observed": observed})
    document = compare_runs(tmp_path / "a", tmp_path / "b")
    assert document["verdict"] == "cannot tell"
    assert "run B: 238 of 258 requests ended in another way" in document["reasons"]


def test_a_run_without_an_answer_leaves_nothing_to_compare(
    tmp_path: Path, quickstart: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "a", quickstart, number=1)
    with_outcomes(write_run(tmp_path / "b", quickstart, number=2), slice(None), Outcome.NOT_REACHED, quickstart)
    command = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert run([*command, "--output", "json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "cannot tell"
    assert "run B: no request that counts has an answer" in document["reasons"][0]
    assert document["fraction_503"]["b"] is None
    assert run(command) == 3
    assert "Verdict: cannot tell" in capsys.readouterr().out


def test_the_command_prints_tables_and_writes_json_only_where_it_is_told(
    tmp_path: Path, quickstart: Scenario, changed: MakeScenario, capsys: pytest.CaptureFixture[str]
) -> None:
    compared(tmp_path, quickstart, changed(target_utilization_percentage="60"))
    runs = [str(tmp_path / "a"), str(tmp_path / "b")]
    before = sorted(p.name for p in tmp_path.rglob("*"))
    assert run(["compare", *runs]) == 0
    plain = capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.rglob("*")) == before
    for part in ("autoscale_target_utilization", "requests that got 503", "from the plan, p99", "Verdict: "):
        assert part in plain
    out = tmp_path / "comparison.json"
    assert run(["compare", *runs, "--out", str(out), "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(out.read_text())


@pytest.mark.parametrize("out", ["", "missing/comparison.json"])
def test_a_file_that_cannot_be_written_is_refused_first(
    tmp_path: Path, out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", "x", "y", "--out", str(tmp_path / out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "--out" in said.err


def test_a_folder_that_is_none_or_the_same_is_bad_input(tmp_path: Path, quickstart: Scenario) -> None:
    folder = write_run(tmp_path / "a", quickstart)
    with pytest.raises(InputError, match="the same folder"):
        compare_runs(tmp_path / "a", tmp_path / "a" / ".." / "a")
    with pytest.raises(InputError, match="no such run folder"):
        compare_runs(tmp_path / "a", tmp_path / "b")
    folder.summary.write_text("{}")
    with pytest.raises(InputError, match="summary"):
        compare_runs(tmp_path / "a", write_run(tmp_path / "b", quickstart).path)


def test_settings_that_differ_are_told_in_azures_names_and_units(quickstart: Scenario, changed: MakeScenario) -> None:
    assert settings_that_differ(quickstart, quickstart) == []
    other = changed(max_queue_wait_ms="750", cold_start="{distribution: lognormal, mean: 9s, cv: 0.15}", duration="50s")
    told = {s["setting"]: (s["before"], s["after"]) for s in settings_that_differ(quickstart, other)}
    assert told["max_request_wait_time_ms"] == (500.0, 750.0)
    assert told["duration_s"] == (60.0, 50.0)
    assert told["cold_start"] == ("lognormal, mean 6 s, CV 0.15", "lognormal, mean 9 s, CV 0.15")


def test_progress_counts_every_simulated_run(tmp_path: Path, quickstart: Scenario, changed: MakeScenario) -> None:
    write_run(tmp_path / "a", quickstart, number=1)
    write_run(tmp_path / "b", changed(min_instances="3"), number=2)
    write_run(tmp_path / "c", quickstart, number=3)
    assert simulations(tmp_path / "a", tmp_path / "b") == 900
    assert simulations(tmp_path / "a", tmp_path / "c") == 600
    for other, runs in (("b", 6), ("c", 4)):
        done: list[int] = []
        compare_runs(tmp_path / "a", tmp_path / other, replicates=2, on_done=lambda done=done: done.append(1))  # type: ignore[misc]
        assert len(done) == runs


def test_the_endpoint_of_one_meets_the_traffic_of_the_other(quickstart: Scenario, changed: MakeScenario) -> None:
    other = changed(min_instances="4", duration="30s")
    mixed = with_endpoint_of(other, quickstart)
    assert (mixed.duration_s, mixed.deployment) == (30.0, quickstart.deployment)
    assert behave_alike(mixed, quickstart)
    assert not behave_alike(other, quickstart)


def test_replicates_with_the_same_number_share_their_draws_and_are_no_pair() -> None:
    a, b = np.array([0.0, 1.0, 2.0]), np.array([10.0, 20.0, np.nan])
    assert sorted(differences(a, b).tolist()) == [8.0, 9.0, 18.0, 20.0]


Interval = tuple[float, float]


def evidence(
    value: float, chance: Interval, predicted: Interval, *, holds: bool = True, alike: bool = False
) -> Evidence:
    fraction = Difference(
        name="fraction_503",
        a=0.1,
        b=0.1 + value,
        chance=chance,
        predicted=predicted,
        predicted_median=sum(predicted) / 2,
    )
    own = {"low": 0.0, "high": 0.2}
    none = Difference(name="fraction_504", a=0.0, b=0.0, chance=(0.0, 0.0))
    return Evidence(
        fraction_503=fraction,
        fraction_504=none,
        fraction_failed=fraction,
        error_rate=0.01,
        same_requests=True,
        alike=alike,
        simulated=300,
        model_holds={"a": own | {"holds": holds, "holds_503": holds}, "b": own | {"holds": True, "holds_503": True}},
    )


NONE = (-0.02, 0.02)


@pytest.mark.parametrize(
    ("value", "predicted", "holds", "word", "says"),
    [
        (0.05, (0.03, 0.07), True, "different", "It is as the model predicts"),
        (0.09, (0.03, 0.07), True, "different", "It is not as the model predicts"),
        (0.00, (0.03, 0.07), True, "no difference seen", "It is not as the model predicts"),
        (0.01, (0.005, 0.07), True, "cannot tell", "no effect would have looked like this as well"),
        (0.01, (-0.015, 0.025), True, "no difference seen", "too small to be told from chance"),
        (0.05, (0.03, 0.07), False, "cannot tell", "only beyond 3 times the chance interval"),
        (0.065, (0.03, 0.07), False, "different", "only beyond 3 times the chance interval"),
        (0.00, (0.03, 0.07), False, "no difference seen", "The model does not hold for run A"),
    ],
)
def test_the_word_follows_from_both_intervals(
    value: float, predicted: Interval, holds: bool, word: str, says: str
) -> None:
    verdict, reasons = conclude(evidence(value, NONE, predicted, holds=holds), [], [], ["a doubt"])
    assert verdict == word
    assert says in " ".join(reasons)
    assert reasons[-1] == "a doubt"


def test_without_any_503_it_is_said_that_there_was_none() -> None:
    none = replace(evidence(0.0, (-0.001, 0.001), (-0.001, 0.001), alike=True))
    none = replace(none, fraction_503=replace(none.fraction_503, a=0.0, b=0.0))
    verdict, reasons = conclude(none, [], [], [])
    assert verdict == "no difference seen"
    assert "Neither run saw a 503." in reasons[0]
