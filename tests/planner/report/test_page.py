"""The capacity report: its page says what the documents say, and stands alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from planner.model import CLUSTER_COLUMNS, REPLICA_COLUMNS, Autoscaler, Deployment, Outcome
from planner.report import tables
from planner.report.data import RunReport
from planner.report.page import render
from planner.report.timeline import cumulative_503
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate

from .html_page import Page
from .samples import burst, calm, sample_report, summary_document, validation_document


@pytest.fixture(scope="module")
def html(passing: RunReport) -> str:
    return render(passing)


@pytest.mark.parametrize(
    ("scenario", "verdict", "options", "expected"),
    [
        (burst(), "pass", {}, ["Does the prediction hold? Yes", "No, not in this run", "Not told apart."]),
        (burst(), "fail", {}, ["Does the prediction hold? No", "What would explain the difference.", "outside"]),
        (burst(), "invalid", {}, ["Does the prediction hold? No verdict", "Is the promise kept? Unknown"]),
        (burst(), "pass", {"replicas": False}, ["Replicas were not observed: the endpoint shows no replicas."]),
        (burst(), "invalid", {"replicas": False, "lost": 9}, ["connection error 9 no connection, or one that broke"]),
        (burst(slo=None, warm_up_s=5.0), "pass", {}, ["The hatched warm-up is in no", "The scenario sets no SLO."]),
        (calm(), "undecided", {}, ["Does the prediction hold? Undecided", "None of the", "Yes, in this run"]),
        (
            burst(deployment=Deployment(autoscaler=Autoscaler.FIXED, min_replicas=4, max_replicas=4)),
            "pass",
            {},
            ["instance_ count", "4 replicas, fixed"],
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Scenario) else None,
)
def test_page_of_every_kind_of_run_is_well_formed_and_says_what_it_is(
    scenario: Scenario, verdict: str, options: dict[str, Any], expected: list[str]
) -> None:
    report = sample_report(scenario, verdict, **options)
    page = Page(render(report))
    for words in [*expected, f"A reason why this run is called {verdict}."]:
        assert words in page.text
    assert page.tags.count("h1") == 1
    assert "None" not in page.text.replace("None of", "")
    assert "nan" not in page.text.split()


def test_page_loads_nothing_from_elsewhere(html: str) -> None:
    page = Page(html)
    assert len(page.loads) == 6  # one image for each figure
    assert all(value.startswith("data:image/svg+xml;base64,") for value in page.loads)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(" not in html
    assert "@import" not in html


def test_same_run_gives_the_same_page(passing: RunReport, html: str) -> None:
    assert render(passing) == html


def test_everything_from_a_user_is_escaped(passing: RunReport) -> None:
    evil = "<script>alert('$x$')</script>"
    report = dataclasses.replace(
        passing,
        scenario=dataclasses.replace(passing.scenario, name=evil, shows=f"{evil} & more"),
        validation=passing.validation | {"reasons": [evil]},
        summary=passing.summary | {"url": evil, "warnings": [evil]},
    )
    page = Page(render(report))
    assert "script" not in page.tags
    assert page.text.count("alert('$x$')") >= 5
    assert "Warnings" in page.text


def test_page_holds_the_numbers_of_the_documents(passing: RunReport, html: str) -> None:
    text, seen, books = Page(html).text, passing.validation["observed"], passing.validation["books"]
    predicted, generator = passing.validation["predicted"]["fraction_503"], passing.validation["generator"]
    share = 100 * seen["answers_503"] / seen["requests"]
    assert seen["answers_503"] > 20
    for words in (
        f"{seen['answers_503']} of {seen['requests']} requests ({share:.1f} %) got HTTP 503",
        f"503s observed {share:.1f} %",
        f"503s predicted {100 * predicted['value']:.1f} %",
        f"{100 * predicted['prediction_low']:.1f} to {100 * predicted['prediction_high']:.1f} %",
        f"{books['planned']} planned, {books['sent']} sent",
        f"200 {books['ok']} answered",
        f"503 {books['status_503']} waited",
        f"Send error, p99 {1e3 * generator['send_error_p99_s']:.3f} ms",
        passing.summary["schedule_sha256"],
        f"Seed {passing.scenario.seed}",
        "Verdict: pass.",
    ):
        assert words in text
    latency = passing.summary["observed"]["latency_from_schedule_s"]
    assert f"{1e3 * latency['p50']:.0f} ms" in text
    for statistic in passing.validation["statistics"]:
        assert f"{statistic['p_value']:.3f}" in text


def test_warnings_are_said_once_each(passing: RunReport, html: str) -> None:
    slow, late = "3 replicas of the lab took longer to start", "the stamps of the trace were cut"
    summary = passing.summary | {"warnings": [slow], "replicas": passing.summary["replicas"] | {"warnings": [slow]}}
    warned = dataclasses.replace(passing, summary=summary, simulation={"warnings": [slow, late]})
    assert warned.warnings == [slow, late]
    assert "Warnings" not in Page(html).text


def test_judging_by_other_settings_is_said(passing: RunReport) -> None:
    from planner.documents import scenario_document

    changed = burst(deployment=Deployment(min_replicas=3, max_replicas=8))
    validation = passing.validation | {"scenario": scenario_document(changed)}
    rows = tables.judged_differently(dataclasses.replace(passing, validation=validation))
    assert ("autoscale_min_replicas", "3", "the run was made with 2") in rows
    assert {row.label for row in rows} <= {"autoscale_min_replicas", "initial_replicas"}


@pytest.mark.parametrize("sent", [0, 1, 12])
def test_report_of_a_run_that_was_cut_short(sent: int) -> None:
    """Ctrl-C after a few requests: nothing predicted, most of the plan never sent, perhaps no answer at all."""
    scenario = burst()
    log = simulate_replicate(scenario, 0, with_log=True).requests
    assert log is not None
    reached = np.arange(len(log)) < sent
    columns = {name: np.where(reached, getattr(log, name), np.nan) for name in ("sent_s", "start_s", "finish_s")}
    log = dataclasses.replace(log, **columns, outcome=np.where(reached, log.outcome, Outcome.NOT_REACHED))
    summary = summary_document(scenario, log) | {"ended": "interrupted", "message": "Stopped by Ctrl-C."}
    seen = summary["observed"]
    validation = validation_document(scenario, log, summary, "invalid")
    validation["observed"] = {
        "fraction_503": seen["fraction_503"],
        "requests": sent,
        "answers_503": seen["counts"]["status_503"],
    }
    report = RunReport(scenario=scenario, summary=summary, validation=validation, requests=log)
    text = Page(render(report)).text
    assert f"not reached {len(log) - sent} not sent, since the run ended before their time" in text
    assert "Ended interrupted Stopped by Ctrl-C." in text
    assert ("No request was answered" in text) == (sent == 0)
    assert "The replay ended after" in text


def test_curves_of_a_run_that_was_cut_short_end_where_it_did(passing: RunReport) -> None:
    requests, replicas = passing.requests, passing.replicas
    assert replicas is not None
    reached = requests.finish_s < 12.5
    columns = {name: np.where(reached, getattr(requests, name), np.nan) for name in ("sent_s", "start_s", "finish_s")}
    rows = replicas.time_s < 12.0
    seen = {name: getattr(replicas, name)[rows] for name in (*REPLICA_COLUMNS, *CLUSTER_COLUMNS)}
    report = dataclasses.replace(
        passing,
        summary=passing.summary | {"ended": "interrupted"},
        validation={name: value for name, value in passing.validation.items() if name != "over_time"},
        requests=dataclasses.replace(requests, **columns),
        replicas=dataclasses.replace(replicas, **seen),
    )
    assert passing.seen_until_s == 30.0
    assert 12.0 < report.seen_until_s < 12.5
    times, so_far = cumulative_503(report)
    assert times[-1] == 13.0
    assert so_far[-1] == np.sum(report.with_outcome(Outcome.STATUS_503) & reached)
