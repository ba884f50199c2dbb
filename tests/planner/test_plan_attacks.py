"""Plans, their folders and their options in the hands of somebody clumsy: one sentence, never an internal error."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.arrivals import MarkovModulatedPoisson
from planner.cli.ranges import read_range
from planner.cli.root import run
from planner.errors import InputError
from planner.model import Slo
from planner.plan.questions.bench import Bench, Trial
from planner.plan.questions.highest import highest_spike
from planner.report.plan.page import render_plan
from planner.report.plan.shape import check_shape
from planner.report.plan.tables import rule_table
from planner.scenario_file import load
from planner.sim.replications import SERIAL

from .report import plan_samples as samples

Place = tuple[str | int, ...]

SPIKE = samples.shipped_spike()
PLAN = samples.plan_of(SPIKE, questions=samples.questions(), robust=samples.robust())
PLAN["published_rule"]["at_mean_rate"] = samples.rule(rate="mean")
WRONG: tuple[Any, ...] = (None, True, "x", "", -1, 1.5, 1e308, 2**70, [], {}, [[]], [None], {"value": 1}, 0)


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a document, of lists the first two."""
    if place:
        yield place
    inside = value.items() if isinstance(value, dict) else list(enumerate(value))[:2] if isinstance(value, list) else ()
    for name, part in inside:
        yield from places(part, (*place, name))


def edited(place: Place, value: Any) -> dict[str, Any]:
    """The plan with another value in one place, or without it."""
    document = copy.deepcopy(PLAN)
    *path, last = place
    inside: Any = document
    for name in path:
        inside = inside[name]
    if value == "GONE":
        del inside[last]
    else:
        inside[last] = value
    return document


@pytest.mark.parametrize("plan", ["feasible", "robust", "infeasible", "undecided", "without_slo", "unresolved"])
def test_plans_have_the_shape_that_their_report_needs(plan: str) -> None:
    make = {"feasible": samples.plan_of, "robust": lambda s: samples.plan_of(s, robust=samples.robust())}
    check_shape(json.loads(json.dumps(make.get(plan, getattr(samples, plan, None))(SPIKE))), "plan.json")


def test_a_plan_with_any_other_value_is_shown_or_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planner.report.plan.page.plan_pictures", lambda document: {})  # 0.2 s each
    edits = [(place, value) for place in places(PLAN) for value in ("GONE", *WRONG)]
    refused = 0
    for place, value in edits[::53]:
        document = edited(place, value)
        message = refusal(document)
        if message is None:
            render_plan(document, SPIKE)
        else:
            refused += 1
            assert message.startswith(named(place[:1])), (place, value)
    assert refused > 40


def refusal(document: dict[str, Any]) -> str | None:
    try:
        check_shape(document, "plan.json")
    except InputError as error:
        return str(error)
    return None


def named(place: Place) -> str:
    return f"plan.json: {place[0]}"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("verdict",), "yes", 'plan.json: verdict = "yes", must be feasible or infeasible or undecided'),
        (("slo", "max_fraction_503"), 1, "plan.json: slo.max_fraction_503 = 1, must be a number above 0 and below 1"),
        (("frontier", 1, "reason"), None, "plan.json: frontier[1].reason = null, must be a text"),
        (("recommended", "fraction_503", "high"), 2, "fraction_503.high = 2, must be a number from 0 to 1"),
        (("recommended", "fraction_503", "low"), float("inf"), "fraction_503.low = Infinity, must be a number from 0"),
        (("neighbours", 0, "worker_count"), 0, "worker_count = 0, must be a whole number from 1 to 10000"),
        (("map", "simulated"), [[True]], "plan.json: map.simulated = [1], must be 24 rows of 11 values"),
        (("search", "seconds"), "GONE", "plan.json: search.seconds is missing: not the document of a plan"),
        (("warnings",), ["x" * 99, 3], "plan.json: warnings[1] = 3, must be a text"),
        (("reasons",), "x" * 99, f'plan.json: reasons = "{"x" * 59}…, must be a list'),
    ],
)
def test_what_is_wrong_in_a_plan_is_named(place: Place, value: Any, message: str) -> None:
    with pytest.raises(InputError) as refused:
        check_shape(edited(place, value), "plan.json")
    assert message in str(refused.value)


def test_report_of_an_edited_plan_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(edited(("questions", "remedies"), 7)))
    assert run(["report", str(tmp_path)]) == InputError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{tmp_path / 'plan.json'}: questions.remedies = 7, must be a list\n"


def test_a_rule_that_gives_no_replicas_has_no_method() -> None:
    rule = samples.rule(replicas=None, method=None, steady_state_method=None, fraction_503=None, replica_hours=None)
    made = rule_table(samples.plan_of(SPIKE, published_rule=rule))
    assert made is not None
    assert made.methods == []


@pytest.mark.parametrize("text", ["\u0661..\u0663", "\uff12"])  # Arabic and wide digits
def test_ranges_are_of_plain_digits(text: str) -> None:
    with pytest.raises(InputError, match="must be a number, a range or a list"):
        read_range("autoscale-min-replicas", text, 1, 100)


def test_bursts_from_nothing_are_a_spike_as_any_other() -> None:
    arrivals = MarkovModulatedPoisson(np.array([0.0, 60.0]), np.array([0.1, 0.1]), 60.0)
    scenario = dataclasses.replace(load("quickstart"), arrivals=arrivals, slo=Slo(max_fraction_503=0.99))
    bench = Bench(executor=SERIAL, replications=2)
    own = Trial.of(scenario, bench.run(scenario, 2, "own"))
    answer = highest_spike(own, scenario, bench)
    assert answer["base_rps"] == 0
    assert answer["tried"] > 1


UNCERTAIN = """
schema_version: 1
name: uncertain
duration: 10s
traffic: {arrivals: poisson, rps: 5}
service_time: {distribution: exponential, mean: {low: 80ms, mid: 100ms, high: 200ms}}
deployment: {api: v1, autoscaler: fixed, num_replicas: 3}
slo: {max_503: 1%}
seed: 1
"""


@pytest.mark.parametrize("mode", ["--as-is", "--exhaustive"])
@pytest.mark.parametrize("option", [["--worlds", "3"], ["--kept-in", "80%"], ["--least-regret"]])
def test_options_about_worlds_are_not_ignored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, option: list[str]
) -> None:
    path = tmp_path / "uncertain.yaml"
    path.write_text(UNCERTAIN)
    assert run(["plan", str(path), mode, *option, "--out", str(tmp_path / "plan")]) == InputError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"{option[0]}: only used by the search, {mode} takes every input at its mid"
    assert not (tmp_path / "plan").exists()
