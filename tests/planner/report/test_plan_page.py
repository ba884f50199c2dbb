"""The report of a plan: its page says what the document says, in every kind of plan, and stands alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from planner.report.numbers import count, percent
from planner.report.plan import tables, words
from planner.report.plan.page import render_plan

from . import plan_samples as samples
from .html_page import Page

SPIKE = samples.shipped_spike()
FIXED = samples.fixed_scenario()


@pytest.fixture(scope="module")
def html() -> str:
    return render_plan(samples.plan_of(SPIKE, questions=samples.questions(), rejected=samples.rejected(1200)), SPIKE)


@pytest.mark.parametrize(
    ("document", "scenario", "expected", "absent"),
    [
        (
            samples.plan_of(SPIKE),
            SPIKE,
            [
                "kept? Yes min 17, max 28, target 80 %",
                "The promise At most 0.1 %",
                "99 % of the 200 answers within 2 s",
            ],
            ["What if?", "The promise, assumed"],
        ),
        (
            samples.infeasible(SPIKE),
            SPIKE,
            ["kept? No", "a higher maximum may help", "The nearest misses", "as the scenario has them"],
            ["What to set", "recommended"],
        ),
        (samples.infeasible(SPIKE, "cold_start"), SPIKE, ["the replicas asked for come too late"], []),
        (
            samples.undecided(SPIKE),
            SPIKE,
            ["kept? Undecided min 17", "The budget ended the search before it was decided.", "may flatter it a little"],
            ["Checked afresh", "times as many"],
        ),
        (
            samples.without_slo(SPIKE),
            SPIKE,
            ["The promise, assumed At most 0.1 %", "The scenario promises nothing"],
            ["Cost per hour", "a replica-hour", "within 2 s"],
        ),
        (
            samples.unresolved(SPIKE),
            SPIKE,
            ["0 % at most 0.00100 %: too few runs saw one", "Grey cells are unknown."],
            ["0 % 0 to"],
        ),
        (
            samples.fixed(FIXED),
            FIXED,
            ["kept? Yes 16 replicas", "replicas 4 16", "instance_ count", "Replicas, always"],
            ["over minimum and target", "Max", "autoscale_"],
        ),
        (samples.plan_of(SPIKE, published_rule=None, frontier=[], map=None), SPIKE, ["Why these"], ["published rule"]),
        (
            samples.plan_of(SPIKE, interrupted=True, warnings=["the trace was <cut>"]),
            SPIKE,
            ["interrupted: this is what was known by then", "Warnings the trace was <cut>"],
            [],
        ),
    ],
)
def test_page_of_every_kind_of_plan_is_well_formed_and_says_what_it_is(
    document: samples.Document, scenario: Any, expected: list[str], absent: list[str]
) -> None:
    page = Page(render_plan(document, scenario))
    for text in [*expected, document["scenario"]["shows"], *(words.capital(reason) for reason in document["reasons"])]:
        assert text in page.text
    for text in [*absent, "None", "nan", "null"]:
        assert not re.search(rf"\b{re.escape(text)}", page.text), text
    assert page.tags.count("h1") == 1


def test_page_loads_nothing_from_elsewhere(html: str) -> None:
    page = Page(html)
    assert page.tags.count("img") == 2
    assert all(uri.startswith("data:image/svg+xml;base64,") for uri in page.loads)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "@import" not in html
    assert "url(" not in html


def test_page_is_the_same_for_the_same_plan() -> None:
    plan = samples.plan_of(SPIKE)
    assert render_plan(plan, SPIKE) == render_plan(plan, SPIKE)


def test_names_from_a_user_are_escaped() -> None:
    plan = samples.plan_of(SPIKE)
    plan["scenario"]["name"] = "<script>alert(1)</script>"
    html = render_plan(plan, SPIKE)
    assert "<script>" not in html
    assert "<script>alert(1)</script>" in Page(html).text


def test_every_number_of_the_recommended_setting_has_its_interval(html: str) -> None:
    text = Page(html).text
    entry = samples.plan_of(SPIKE)["recommended"]
    figures = {row.label: row for row in tables.key_figures(samples.plan_of(SPIKE))}
    assert len(figures) == 7
    for row in figures.values():
        assert f"{row.label} {row.value} {row.note}".replace("\u00a0", " ") in text
        assert " to " in row.note
    assert figures["Requests that get 503"].value == percent(entry["fraction_503"]["value"])
    assert figures["Replica-hours"].note.startswith("in 20\u00a0min; ")


def test_settings_of_the_page_are_the_recommended_ones(html: str) -> None:
    text = Page(html).text.replace("_ ", "_")
    assert "autoscale_min_replicas minReplicas" not in text  # each API's name stands in its own column
    assert re.search(r"autoscale_min_replicas 4 17 ", text)
    assert re.search(r"autoscale_target_utilization 70 % 80 % ", text)
    assert "17 Replicas that are always there." in text


def test_compared_settings_are_shown_once_with_their_reasons() -> None:
    plan = samples.plan_of(SPIKE)
    rows = tables.compared_rows(plan)
    assert [row.cells for row in rows[:3]] == [["17", "28", "80 %"], ["16", "28", "80 %"], ["18", "28", "80 %"]]
    assert [row.kind for row in rows] == ["Recommended", *["One step away"] * 4, *["Alternative"] * 2]
    assert rows[1].tone == "undecided"
    assert rows[2].reason == "Kept, but 1.8 % dearer."


def test_sizes_of_a_replica_have_a_column_only_where_they_differ() -> None:
    plan = samples.plan_of(SPIKE)
    assert tables.setting_columns(plan) == ["min", "max", "target"]
    plan["neighbours"][0] |= {"replica_max_concurrent_requests": 4, "worker_count": 4}
    assert tables.setting_columns(plan) == ["min", "max", "target", "at a time", "workers"]
    assert tables.compared_rows(plan)[1].cells == ["16", "28", "80 %", "4", "4"]


def test_rejected_settings_are_counted_and_the_list_is_cut(html: str) -> None:
    plan = samples.plan_of(SPIKE, rejected=samples.rejected(1200))
    assert [(row[0], row[1]) for row in tables.rejected_summary(plan)] == [
        ("A proved bound", "300"),
        ("Screening", "900"),
    ]
    assert len(tables.rejected_rows(plan)) == tables.MOST_REJECTED
    page = Page(html)
    assert f"{tables.MOST_REJECTED} of the {count(1200)} discarded settings" in page.text
    assert page.tags.count("details") == 1
    assert len(tables.rejected_rows(samples.plan_of(SPIKE))) == 8


def test_published_rule_stands_beside_the_plan(html: str) -> None:
    text = Page(html).text
    assert "The published rule, 140 rps x 0.12 s / 0.7 / 1, gives 24 replicas." in text
    assert "Replicas 24 17 to 28 Requests that get 503 0 % at most 0.00100 %" in text
    assert "at most 1 % 18 at most 0.1 % 20 at most 0.01 % 21" in text


def test_rule_at_the_mean_rate_has_its_own_column_and_unknown_counts_say_why() -> None:
    unknown = {"max_fraction_503": 0.01, "replicas": None, "method": None, "reason": "no formula for such traffic"}
    mean = samples.rule(rate="mean", replicas=7, replicas_for=[unknown])
    plan = samples.plan_of(SPIKE, published_rule=samples.rule(at_mean_rate=mean))
    table = tables.rule_table(plan)
    assert table is not None
    assert table.columns == ["Published rule, busiest rate", "Published rule, mean rate", "This plan"]
    assert [value for value, _ in table.rows[0][1]] == ["24", "7", "17 to 28"]
    assert tables.rule_needs(plan)[0] == ("at most 1\u00a0%", "18", "unknown")
    assert "No formula for such traffic." in tables.rule_methods(plan)
    Page(render_plan(plan, SPIKE))


def test_rule_that_gives_no_number_leaves_no_empty_rows() -> None:
    nothing = dict.fromkeys(["replicas", "fraction_503", "fraction_503_steady_state", "replica_hours", "cost_per_hour"])
    rule = samples.rule(**nothing, replicas_for=[], sentence="the rule gives nothing: requests take no time")
    plan = samples.infeasible(SPIKE) | {"published_rule": rule}
    table = tables.rule_table(plan)
    assert table is not None
    assert table.rows == []
    assert "The rule gives nothing: requests take no time." in Page(render_plan(plan, SPIKE)).text


def test_answers_are_told_with_what_could_not_be_done(html: str) -> None:
    text = Page(html).text
    assert "promise up to 1.31 times the traffic. Under an autoscaler more traffic is not always worse." in text
    assert "With one replica lost for the whole run the promise is broken." in text
    assert "17 → 18" in text
    assert "1, stays" in text
    interrupted = samples.plan_of(SPIKE, questions={"deployment": {}, "own_traffic": {}})
    assert "What if?" not in Page(render_plan(interrupted, SPIKE)).text


def test_uncertain_inputs_are_told_with_every_world() -> None:
    text = Page(render_plan(samples.plan_of(SPIKE, robust=samples.robust()), SPIKE)).text
    assert "The promise is kept in 2 of 2 worlds." in text
    assert "keeps the promise in at least 90 % of the worlds that count" in text
    assert "What matters most is cold start." in text
    assert "cold start 20 s: 5.90 replica-hours 35 s: 7.10 replica-hours 60 s: 9.40 replica-hours" in text
    assert "rate 0.8: 5.90 replica-hours 1: 7.10 replica-hours 1.25: no plan" in text
    assert "50 % 7.40 unknown Kept in too few." in text
    worlds = text[text.index("in each of 3 worlds") :]
    assert worlds.index("cold start at its low, rate 0.3 of the way to its high yes") < worlds.index(
        "cold start at its high (does not count) no"
    )
    assert "every input in the middle yes 0.0600 % 0.0540 to 0.0660 %" in worlds
    assert "nothing keeps it" in worlds


def test_shipped_scenarios_are_planned_on_a_page(tmp_path: Path) -> None:
    from planner.scenario_file import load

    for name in ("quickstart", "morning-ramp"):
        scenario = load(name)
        page = Page(render_plan(samples.plan_of(scenario), scenario))
        assert f"Capacity plan: {name}" in page.text
