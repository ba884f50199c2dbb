"""`surgeproof plan` from end to end, on scenarios of some hundred requests."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from planner.cli import planning, root
from planner.cli.plan_options import read_ranges
from planner.cli.plan_progress import Watch
from planner.cli.planning import Wanted, exit_code, make_plan, write_plan
from planner.plan.search import Progress
from planner.scenario_file import load

FIXED = """
schema_version: 1
name: tiny
duration: 30s
traffic: {{arrivals: poisson, rps: {rps}}}
service_time: {{distribution: exponential, mean: {mean}}}
deployment: {{autoscaler: fixed, num_replicas: 4, max_request_wait_time: 1s}}
{slo}
"""

SCALED = """
schema_version: 1
name: tiny-spike
duration: 30s
traffic: {arrivals: poisson, rate: [{from: 0s, rps: 3}, {from: 10s, rps: 10}, {from: 20s, rps: 3}]}
service_time: {distribution: exponential, mean: 400ms}
deployment: {autoscale_min_replicas: 2, autoscale_max_replicas: 8, max_request_wait_time: 1s}
cold_start: 3s
slo: {max_503: 3%}
"""

FEW = [
    "--autoscale-min-replicas", "2..6", "--autoscale-max-replicas", "6,9", "--autoscale-target-utilization", "60,100",
]  # fmt: skip
COUNTS = ["--autoscale-max-replicas", "2..8"]


def fixed(folder: Path, *, rps: str = "6", mean: str = "400ms", slo: str = "slo: {max_503: 1%}") -> str:
    path = folder / "tiny.yaml"
    path.write_text(FIXED.format(rps=rps, mean=mean, slo=slo))
    return str(path)


@pytest.fixture
def scaled(tmp_path: Path) -> str:
    path = tmp_path / "spike.yaml"
    path.write_text(SCALED)
    return str(path)


def plan(capsys: pytest.CaptureFixture[str], path: str, *arguments: str) -> tuple[int, dict[str, Any], Path]:
    """Exit code, document and folder; the folder is said on stderr, last."""
    out = next(
        Path(path).parent / f"out-{i}" for i in itertools.count() if not (Path(path).parent / f"out-{i}").exists()
    )
    code = root.run(["plan", path, *arguments, "--output", "json", "--out", str(out), "--cores", "1"])
    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1].replace("\n", "").endswith(str(out)[-8:])
    said = json.loads(shown.out)
    assert json.loads((out / "plan.json").read_text()) == said
    return code, said, out


ENTRY = {
    "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_target_utilization",
    "replica_max_concurrent_requests", "worker_count", "fraction_503", "fraction_504", "fraction_failed",
    "fraction_of_runs_within_slo", "latency_p99_s", "latency_p99_with_504_s",
    "mean_replicas", "replica_hours", "cost_per_hour", "cost", "replications", "verdict", "reason", "is_fresh",
}  # fmt: skip
NAMES = {
    "command", "scenario", "slo", "verdict", "reasons", "binding_limit", "recommended", "probability_near_cheapest",
    "neighbours", "alternatives", "frontier", "rejected", "map", "search", "cost", "published_rule", "questions",
    "robust", "workers_lost", "interrupted", "warnings", "provenance", "same_in_every_run", "limits",
}  # fmt: skip
ESTIMATE = {"value", "low", "high", "confidence", "replications", "resolved"}


def test_the_document_has_its_names(scaled: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, out = plan(capsys, scaled, *FEW, "--price", "0.5")
    assert (code, said["verdict"], said["command"]) == (0, "feasible", "plan")
    assert set(said) == NAMES
    best = said["recommended"]
    assert set(best) == ENTRY | {"settings"}
    for name in ("fraction_503", "replica_hours", "cost_per_hour", "cost", "mean_replicas", "latency_p99_s"):
        assert set(best[name]) >= ESTIMATE
        assert best[name]["low"] <= best[name]["value"] <= best[name]["high"]
    assert best["fraction_503"]["high"] <= 0.03
    assert best["cost"]["value"] == pytest.approx(0.5 * best["replica_hours"]["value"])
    assert all(set(row) == ENTRY for part in ("neighbours", "alternatives", "frontier") for row in said[part])
    assert said["alternatives"]
    assert len(said["rejected"]) == said["search"]["settings"] - 1 == 18
    assert said["slo"] == {
        "max_fraction_503": 0.03, "p99_latency_s": None, "min_fraction_of_runs": None, "max_fraction_failed": None,
        "max_fraction_504": None, "ignores_504": False, "is_assumed": False,
    }  # fmt: skip
    assert 0.5 < said["probability_near_cheapest"] <= 1
    assert said["published_rule"] is not None
    assert set(said["questions"]) >= {"highest_rate", "remedies", "lose_one_replica"}
    assert said["search"]["stopped_by"] == "decided"
    assert said["search"]["seconds"] > 0
    assert said["interrupted"] is False
    assert {p.name for p in out.iterdir()} >= {"plan.json", "scenario.yaml", "report.html"}
    assert load(str(out / "scenario.yaml")).name == "tiny-spike"
    assert "</html>" in (out / "report.html").read_text()


def test_the_table_and_the_folder_come_on_stdout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fixed(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert root.run(["plan", path, *COUNTS, "--no-questions", "--cores", "1"]) == 0
    shown = capsys.readouterr().out
    folder = shown.splitlines()[-1]
    assert folder.startswith("runs/tiny-")
    said = json.loads((tmp_path / folder / "plan.json").read_text())
    assert f"{said['recommended']['autoscale_min_replicas']} replicas" in shown


def test_without_questions_there_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = plan(capsys, fixed(tmp_path), *COUNTS, "--no-questions")
    assert code == 0
    assert (said["questions"], said["published_rule"]) == (None, None)
    assert said["recommended"]["cost"] is None
    assert said["map"] is None
    best = said["recommended"]
    assert best["autoscale_min_replicas"] == best["autoscale_max_replicas"] in (4, 5)


@pytest.mark.parametrize(
    ("options", "slo", "code", "verdict"),
    [
        (["--autoscale-max-replicas", "1,2"], "slo: {max_503: 1%}", 1, "infeasible"),
        (["--autoscale-max-replicas", "1,2"], "", 0, "infeasible"),
        (["--autoscale-max-replicas", "2..8"], "", 0, "feasible"),
        (["--as-is", "--replications", "400"], "slo: {max_503: 1%}", 0, "feasible"),
        (["--as-is"], "slo: {max_503: 0.01%}", 1, "infeasible"),
        (["--as-is", "--replications", "2"], "slo: {max_503: 0.2%}", 3, "undecided"),
        (["--exhaustive", "--replications", "5", *COUNTS[:1], "3,4"], "slo: {max_503: 0.3%}", 3, "undecided"),
    ],
)
def test_exit_codes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    slo: str,
    code: int,
    verdict: str,
) -> None:
    found, said, _ = plan(capsys, fixed(tmp_path, slo=slo), *options, "--no-questions")
    assert found == code
    assert said["verdict"] == verdict
    assert said["slo"]["is_assumed"] is (not slo)
    assert any("has no slo; planned for at most 1 %" in w for w in said["warnings"]) is (not slo)
    if said["verdict"] == "infeasible":
        assert said["recommended"] is None
        assert all(any(c.isdigit() for c in reason) for reason in said["reasons"])
        assert said["binding_limit"] == "max_replicas"


def test_a_limit_of_requests_ends_with_4(scaled: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = plan(capsys, scaled, "--max-requests", "1", "--no-questions")
    assert (code, said["search"]["stopped_by"], said["interrupted"]) == (4, "budget", False)
    assert any(row["by"] == "budget" for row in said["rejected"])


def test_the_service_time_alone_is_too_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fixed(tmp_path, slo="slo: {max_503: 1%, p99_latency: 1s}")
    code, said, _ = plan(capsys, path, *COUNTS, "--no-questions")
    assert (code, said["binding_limit"]) == (1, "service_time")
    assert "the service time alone is above the promised p99 latency of 1 s" in said["reasons"][0]


def test_as_is_judges_the_scenarios_own_settings(scaled: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = plan(capsys, scaled, "--as-is", "--replications", "60")
    assert code == {"feasible": 0, "infeasible": 1, "undecided": 3}[said["verdict"]]
    assert said["search"]["settings"] == said["search"]["simulated"] == 1
    shown = said["recommended"] or said["rejected"][0]
    assert (shown["autoscale_min_replicas"], shown["autoscale_target_utilization"]) == (2, 70)
    assert shown["autoscale_max_replicas"] <= 8
    assert said["questions"] is not None
    assert said["published_rule"] is not None


def test_exhaustive_simulates_every_setting(scaled: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = plan(capsys, scaled, *FEW, "--exhaustive", "--replications", "40", "--no-questions")
    assert code == 0
    assert said["search"]["simulated"] == said["search"]["settings"] == 19
    assert {row["by"] for row in said["rejected"]} <= {"simulation", "same_runs"}
    assert said["search"]["replications"] <= 19 * 100


def test_the_same_seed_is_the_same_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = fixed(tmp_path)

    def without_times(said: dict[str, Any]) -> dict[str, Any]:
        said["search"].pop("seconds")
        said.pop("provenance")
        return said

    first, again, other = (
        without_times(plan(capsys, path, *COUNTS, "--no-questions", "--seed", seed)[1]) for seed in ("4", "4", "5")
    )
    assert first == again
    assert first["recommended"]["fraction_503"] != other["recommended"]["fraction_503"]


def test_a_silent_scenario_has_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = root.run(["plan", fixed(tmp_path, rps="0"), "--out", str(tmp_path / "out"), "--cores", "1"])
    assert code == 3
    assert "no request arrives in the time that counts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--autoscale-min-replicas", "4"], "--autoscale-min-replicas = 4, not used with autoscaler: fixed"),
        (["--autoscale-max-replicas", "4..2"], "--autoscale-max-replicas = 4..2, 4..2 ends at 2, below its start"),
        (["--price", "-1"], "--price = -1.0, must be from 0 to 1e+09"),
        (["--replications", "5"], "--replications = 5, only used with --exhaustive and --as-is"),
        (["--kept-in", "90%"], "--kept-in: tiny has no interval"),
        (["--initial-replicas", "x"], "--initial-replicas = x, must be an integer"),
    ],
)
def test_bad_options_end_with_2_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert root.run(["plan", fixed(tmp_path), *options, "--output", "json", "--out", str(out)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
    assert not out.exists()


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert root.run(["plan", fixed(tmp_path), *COUNTS, "--out", str(tmp_path)]) == 2
    assert "the folder is not empty, choose a new one" in capsys.readouterr().err


# Uncertain inputs


def uncertain(folder: Path) -> str:
    return fixed(folder, rps="{low: 4, mid: 6, high: 9}")


def test_uncertain_inputs_are_planned_over_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*COUNTS, "--worlds", "3", "--no-questions"]
    code, said, _ = plan(capsys, uncertain(tmp_path), *options, "--kept-in", "100%")
    robust = said["robust"]
    assert code in (0, 3)
    assert len(robust["worlds"]) == 1 + 2 + 3
    assert (robust["criterion"], robust["kept_in"], robust["matters_most"]) == ("kept", 1.0, "rate")
    assert said["reasons"][0] == robust["sentence"]
    all_kept = said["recommended"]["autoscale_min_replicas"]
    assert all(world["kept"] for world in robust["worlds"] if world["counts"])
    (rate,) = robust["inputs"]
    assert rate["replicas_low"] <= rate["replicas_mid"] <= rate["replicas_high"]
    assert rate["replicas_mid"] <= all_kept <= rate["replicas_high"]
    regret = plan(capsys, uncertain(tmp_path), *options, "--least-regret")[1]
    assert regret["robust"]["criterion"] == "least_regret"
    largest = {c["largest_regret_replica_hours"]: c["is_recommended"] for c in regret["robust"]["candidates"]}
    assert largest[min(largest)] is True


def test_no_setting_for_enough_worlds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--autoscale-max-replicas", "1..3", "--worlds", "3", "--kept-in", "100%", "--no-questions"]
    code, said, _ = plan(capsys, uncertain(tmp_path), *options)
    assert (code, said["verdict"], said["recommended"]) == (1, "infeasible", None)
    assert said["reasons"][0].startswith("No setting keeps the promise in 100 % of the 4 worlds")


# Ctrl-C


class Interrupting(Watch):
    """Ctrl-C at one of the calls."""

    at = 0
    calls = 0

    def __call__(self, progress: Progress) -> None:
        super().__call__(progress)
        Interrupting.calls += 1
        if Interrupting.calls == Interrupting.at:
            raise KeyboardInterrupt


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> type[Interrupting]:
    monkeypatch.setattr("planner.cli.plan_progress.Watch", Interrupting)
    return Interrupting


def run(path: str, interrupted: type[Interrupting], at: int, **wanted: Any) -> tuple[dict[str, Any] | None, int]:
    """The plan that Ctrl-C leaves at that call, None where nothing was known yet; and the calls that were made."""
    interrupted.at, interrupted.calls = at, 0
    scenario = load(path)
    counts = read_ranges(scenario, min_replicas=None, max_replicas="2..16", target_percent=None, max_concurrent=None)
    try:
        made = make_plan(scenario, Wanted(ranges=counts, questions=False, cores=1, worlds=2, **wanted))
    except KeyboardInterrupt:
        return None, interrupted.calls
    return made, interrupted.calls


def points(calls: int, most: int) -> list[int]:
    """Calls from the first to the last."""
    return sorted({1, calls, *(1 + i * (calls - 1) // (most - 1) for i in range(most))})


@pytest.mark.long
@pytest.mark.parametrize(
    ("slo", "wanted"),
    [
        ("1%", {}),
        ("1%", {"most_requests": 1}),
        ("20%", {"exhaustive_runs": 10}),
        ("20%", {"exhaustive_runs": 20, "as_is": True}),
    ],
    ids=str,
)
def test_ctrl_c_at_any_time_leaves_a_plan(
    tmp_path: Path, interrupted: type[Interrupting], slo: str, wanted: dict[str, Any]
) -> None:
    path = fixed(tmp_path, slo=f"slo: {{max_503: {slo}}}")
    whole, calls = run(path, interrupted, 0, **wanted)
    assert whole is not None
    assert whole["interrupted"] is False
    kept = []
    for at in points(calls, 10):
        made, _ = run(path, interrupted, at, **wanted)
        kept.append(made is not None)
        if made is None:
            continue
        assert (made["interrupted"], exit_code(made)) == (True, 130)
        folder = tmp_path / f"at-{at}"
        folder.mkdir()
        write_plan(folder, made, load(path))
        assert json.loads((folder / "plan.json").read_text()) == made
        assert len(made["rejected"]) + (made["recommended"] is not None) == made["search"]["settings"]
        assert made["verdict"] in ("undecided", "feasible")
    assert kept == sorted(kept)  # once something is known it is never lost
    assert kept[-1]


@pytest.mark.long
def test_ctrl_c_at_any_time_leaves_a_plan_over_worlds(tmp_path: Path, interrupted: type[Interrupting]) -> None:
    path = uncertain(tmp_path)
    whole, calls = run(path, interrupted, 0)
    assert whole is not None
    assert whole["robust"] is not None
    kept = []
    for at in points(calls, 6):
        made, _ = run(path, interrupted, at)
        kept.append(made is not None)
        if made is not None:
            assert (made["interrupted"], exit_code(made)) == (True, 130)
            json.dumps(made, allow_nan=False)
    assert kept == sorted(kept)
    assert kept.count(False) <= 2  # the first world's first look


def test_ctrl_c_before_anything_is_known_ends_with_130(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interrupted: type[Interrupting]
) -> None:
    interrupted.at, interrupted.calls = 3, 0
    assert root.run(["plan", fixed(tmp_path), *COUNTS, "--out", str(tmp_path / "out"), "--cores", "1"]) == 130
    shown = capsys.readouterr()
    assert "interrupted" in shown.err
    assert "Traceback" not in shown.err


def test_ctrl_c_while_a_limit_is_looked_for_keeps_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: type[Interrupting]
) -> None:
    def never(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(planning, "binding", never)
    path = fixed(tmp_path, rps="60")
    made, _ = run(path, interrupted, 0)
    assert made is not None
    assert (made["interrupted"], made["verdict"], made["recommended"], exit_code(made)) == (
        True,
        "undecided",
        None,
        130,
    )


def test_the_command_writes_what_ctrl_c_leaves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interrupted: type[Interrupting]
) -> None:
    interrupted.at, interrupted.calls = 190, 0
    code, said, out = plan(capsys, fixed(tmp_path), *COUNTS, "--no-questions")
    assert (code, said["interrupted"]) == (130, True)
    assert (out / "report.html").exists()
