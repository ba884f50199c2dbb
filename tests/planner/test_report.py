"""The capacity report: its numbers are those of the documents, its figures hold the data, its page stands alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtest.replay import statistics
from loadtest.runfolder import RunFolder
from loadtest.schedule import write_schedule
from planner.arrivals import Renewal
from planner.cli.root import run
from planner.errors import InputError
from planner.measures import measure
from planner.model import REPLICA_COLUMNS, Autoscaler, Deployment, Outcome, ReplicaLog, Slo
from planner.rates import RateProfile
from planner.records import write_replicas, write_requests
from planner.replicas import read_sizing
from planner.report import numbers, settings, tables
from planner.report.data import RunReport
from planner.report.figures import comparison as comparison_module
from planner.report.figures import over_time as over_time_module
from planner.report.findings import findings, promise
from planner.report.page import render
from planner.report.timeline import (
    bin_edges,
    counts,
    cumulative_503,
    largest_in_bins,
    observed_causes,
    rate_profile,
    short_spans,
    timeline,
)
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from planner.service import Deterministic, Lognormal
from planner.sim.engine import simulate_replicate
from tests.planner.report_samples import sample_report, schedule_of, summary_document, validation_document

# The artists that come back are asked for their data: more than the type Artist promises.
comparison: Any = comparison_module
over_time: Any = over_time_module

VOID = {"meta", "img", "br", "wbr", "hr", "input", "link"}


def burst(**changes: Any) -> Scenario:
    """Half a minute with a burst that two replicas cannot serve."""
    scenario = Scenario(
        name="burst",
        shows="A burst that arrives faster than replicas can start.",
        duration_s=30.0,
        arrivals=Renewal(
            RateProfile(np.array([0.0, 8.0, 20.0, 30.0]), np.array([2.0, 25.0, 2.0]), np.array([2.0, 25.0, 2.0]))
        ),
        service_time=Lognormal(0.25, 0.5),
        deployment=Deployment(min_replicas=2, max_replicas=8),
        cold_start=Deterministic(4.0),
        slo=Slo(max_fraction_503=0.01, p99_latency_s=2.0, min_fraction_of_runs=0.95),
        seed=7,
    )
    return dataclasses.replace(scenario, **changes)


def calm() -> Scenario:
    return burst(name="calm", arrivals=Renewal(RateProfile.constant(2.0, 30.0)), service_time=Deterministic(0.1))


@pytest.fixture(scope="module")
def passing() -> RunReport:
    return sample_report(burst())


@pytest.fixture(scope="module")
def html(passing: RunReport) -> str:
    return render(passing)


@pytest.fixture
def ax() -> Axes:
    return Figure().add_subplot()


class Page(HTMLParser):
    """Tags that must balance, attributes that may load something, and the visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"{tag} has an attribute twice"
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split()).replace("\u00a0", " ")


# The page


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
    seen = {name: getattr(replicas, name)[rows] for name in REPLICA_COLUMNS}
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


# The sentences


def test_findings_speak_of_503s_replicas_latency_prediction_and_lever(passing: RunReport) -> None:
    sentences = findings(passing)
    assert len(sentences) == 5
    assert sentences[1].startswith("2 replicas were ready at the start, up to 8 later.")
    spans = short_spans(passing.replicas, 30.0)
    start, end = max(spans, key=lambda span: span[1] - span[0])
    finished = passing.requests.finish_s[passing.requests.outcome == Outcome.STATUS_503]
    inside = sum(int(np.sum((finished >= begin) & (finished < stop))) for begin, stop in spans)
    assert f"{len(spans)} times" in sentences[1]
    assert f"the longest time from {start:.1f}\u00a0s to {end:.1f}\u00a0s" in sentences[1]
    assert f"{inside} of the {len(finished)} 503s" in sentences[1]
    assert "cold starts × 0.5 (3 s) would lower the 503s most" in sentences[4]


def test_no_lever_is_named_where_the_run_contradicts_the_model() -> None:
    assert not any("would lower" in sentence for sentence in findings(sample_report(burst(), "fail")))


def test_promise_follows_the_simulation_and_doubts_it_after_a_failure(passing: RunReport) -> None:
    from planner.documents import measures_document

    results = [simulate_replicate(passing.scenario, i) for i in range(5)]
    document = measures_document(measure(passing.scenario, results))
    kept = dataclasses.replace(passing, simulation=document | {"slo": {"verdict": "pass", "reasons": ["kept"]}})
    said = promise(kept)
    assert (said.tone, said.answer) == ("pass", "Yes")
    estimate = document["fraction_503"]
    assert f"{100 * estimate['value']:.1f}\u00a0% of the requests get 503" in said.sentences[2]
    failed = dataclasses.replace(kept, validation=passing.validation | {"verdict": "fail"})
    assert "did not confirm the model" in promise(failed).sentences[-1]
    rows = {row.label: row.value for row in tables.simulation_rows(kept)}
    assert rows["Requests that get 503"] == f"{100 * estimate['value']:.1f}\u00a0%"


def test_promise_without_a_simulation_is_that_of_one_run(passing: RunReport) -> None:
    assert promise(passing).answer == "No, not in this run"
    generous = dataclasses.replace(passing.scenario, slo=Slo(max_fraction_503=0.9, p99_latency_s=30.0))
    assert promise(dataclasses.replace(passing, scenario=generous)).answer == "Yes, in this run"
    slow = dataclasses.replace(passing.scenario, slo=Slo(max_fraction_503=0.9, p99_latency_s=0.01))
    assert promise(dataclasses.replace(passing, scenario=slow)).answer == "No, not in this run"


# The tables


def test_limits_of_the_generator_are_those_of_the_replay() -> None:
    assert statistics.MIN_ACHIEVED_FRACTION == tables.ACHIEVED_AT_LEAST
    assert statistics.MAX_LATE_FRACTION == tables.LATE_AT_MOST
    assert statistics.MAX_SEND_ERROR_P99_S == tables.SEND_ERROR_P99_AT_MOST_S


def test_statistics_that_the_verdict_may_hold_have_words(passing: RunReport) -> None:
    statistic = {"low": 0.25, "high": 0.3, "value": 0.2, "p_value": 0.002, "inside": False}
    statistics = [statistic | {"name": name} for name in ("mean_service_time_s", "something_new")]
    report = dataclasses.replace(passing, validation=passing.validation | {"statistics": statistics})
    service, new = tables.statistics_rows(report)
    assert service[:3] == ("Mean service time", "200\u00a0ms", "250 to 300\u00a0ms")
    assert new[0] == "something new"
    assert "Mean service time" in Page(render(report)).text


def test_books_name_every_outcome_and_add_up() -> None:
    report = sample_report(burst(), lost=9)
    assert set(tables.OUTCOMES) == set(Outcome)
    rows, zeros = tables.book_rows(report, sent=True)
    assert sum(int(row.value.replace(",", "")) for row in rows) == report.validation["books"]["sent"]
    assert len(rows) + len(zeros.split(", ")) == sum(outcome.was_sent for outcome in Outcome)


def test_published_rule_is_that_of_replicas(passing: RunReport) -> None:
    mean, busiest = settings.rule_rows(passing)
    rps = len(passing.requests) / 30
    sizing = read_sizing(f"{rps:.9f}", "0.25", "1", "0.7")
    assert mean.replicas == str(sizing.replicas)
    assert mean.fraction_503 == numbers.percent(sizing.fraction_503)
    assert mean.needed == str(sizing.replicas_for(0.01))
    scheduled = passing.requests.scheduled_s
    most = max(int(np.sum((scheduled >= start) & (scheduled < start + 10))) for start in scheduled)
    assert busiest.rate == f"{numbers.plain(most / 10)} per second"


def test_settings_carry_azures_names_and_units(passing: RunReport) -> None:
    rows = {row.name: row for row in settings.setting_rows(passing.scenario.deployment)}
    assert rows["max_queue_wait_ms"].value == "500\u00a0ms"
    assert rows["max_queue_wait_ms"].other_name == "max_request_wait_time"
    assert rows["target_utilization_percentage"].value == "70\u00a0%"
    assert "instance_count" not in rows


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (numbers.percent, 0.18, "18.0 %"),
        (numbers.percent, 0.000138, "0.0138 %"),
        (numbers.percent, 0.0, "0 %"),
        (numbers.percent, 1.0, "100 %"),
        (numbers.percent, 0.99999, "99.99 %"),
        (numbers.percent, 2.7e-11, "2.7e-09 %"),
        (numbers.percent, None, "unknown"),
        (numbers.bound, 0.001, "0.1 %"),
        (numbers.time, 0.00048, "0.480 ms"),
        (numbers.time, 0.5, "500 ms"),
        (numbers.time, 0.9996, "1.00 s"),
        (numbers.time, 9.1, "9.1 s"),
        (numbers.time, 124.0, "2 min 4 s"),
        (numbers.time, 1200.0, "20 min"),
        (numbers.time, 7200.0, "2 h"),
        (numbers.instant, 119.97, "120.0 s"),
        (numbers.plain, 59991.0, "59,991"),
        (numbers.plain, 0.01521, "0.0152"),
    ],
)
def test_numbers_are_written_for_people(form: Any, value: float | None, text: str) -> None:
    assert form(value).replace("\u00a0", " ") == text


# The run over time


def test_bins_hold_every_request_and_are_never_too_many() -> None:
    for duration_s in (0.4, 60.0, 61.5, 1200.0, 7200.0, 1e7):
        edges = bin_edges(duration_s)
        assert edges[0] == 0
        assert edges[-1] == duration_s
        assert np.all(np.diff(edges) > 0)
        assert len(edges) - 1 <= 241
    assert counts(np.array([0.0, 1.0, 59.9, 60.2, np.nan]), bin_edges(60.0)).sum() == 4


def test_timeline_counts_what_the_log_and_the_document_hold(passing: RunReport) -> None:
    run_over_time = timeline(passing)
    assert run_over_time.sent.sum() == passing.validation["books"]["sent"]
    assert run_over_time.planned.sum() == passing.validation["books"]["planned"]
    assert run_over_time.observed_503.sum() == passing.validation["observed"]["answers_503"]
    assert run_over_time.predicted_503 is not None
    expected = passing.validation["over_time"]["predicted_cumulative_503"]["mean"][-1]
    assert run_over_time.predicted_503.sum() == pytest.approx(expected)


def test_503s_over_time_of_an_invalid_run_come_from_its_log() -> None:
    report = sample_report(burst(warm_up_s=10.0), "invalid")
    assert cumulative_503(report)[1][-1] == report.validation["observed"]["answers_503"]
    assert timeline(report).predicted_503 is None


def test_observed_causes_are_those_that_the_simulator_has_logged() -> None:
    # Times are drawn, so that no 503 falls on a tick; there the order of two logs of one instant decides.
    scenario = burst(deployment=Deployment(min_replicas=2, max_replicas=5), cold_start=Lognormal(4.0, 0.3))
    report = sample_report(scenario)
    truth = simulate_replicate(scenario, 0, with_log=True).requests
    assert truth is not None
    logged = observed_causes(dataclasses.replace(report, requests=truth))
    assert observed_causes(report) == logged
    assert logged is not None
    assert sum(count > 0 for count in logged.values()) >= 2
    assert observed_causes(dataclasses.replace(report, replicas=None)) is None


def replica_log(time_s: Sequence[float], desired: Sequence[int], ready: Sequence[int]) -> ReplicaLog:
    unknown = np.full(len(time_s), -1)
    columns = {"desired": np.array(desired), "ready": np.array(ready)}
    return ReplicaLog(time_s=np.array(time_s), starting=unknown, busy=unknown, queued=unknown, **columns)


def test_short_spans_are_the_times_with_fewer_ready_than_desired() -> None:
    log = replica_log([0, 1, 2, 3, 5, 8], desired=[2, 4, 4, 2, 6, -1], ready=[2, 2, 3, 3, 2, 2])
    assert short_spans(log, 10.0) == [(1.0, 3.0), (5.0, 8.0)]
    assert short_spans(replica_log([0, 4], [2, 3], [2, 2]), 10.0) == [(4.0, 10.0)]
    assert short_spans(None, 10.0) == []


def test_largest_in_bins_is_that_of_a_fine_grid() -> None:
    generator = np.random.default_rng(3)
    for _ in range(50):
        times = np.append(0.0, np.sort(generator.integers(0, 64, 20)) / 4)
        values = generator.integers(0, 9, 21).astype(float)
        edges = np.arange(0.0, 17.0, 2.0)
        grid = np.arange(0, 16, 0.25)
        held = values[np.searchsorted(times, grid, side="right") - 1]
        # a value that is replaced at the very instant it appears holds for no time, but it was there
        largest = largest_in_bins(times, values, edges)
        assert np.all(largest >= [held[(grid >= a) & (grid < a + 2)].max() for a in edges[:-1]])
        assert set(largest) <= set(values)


# The figures


def test_traffic_shows_requests_per_second(ax: Axes, passing: RunReport) -> None:
    run_over_time = timeline(passing)
    sent, planned, rate = over_time.draw_traffic(ax, run_over_time, rate_profile(passing.scenario))
    values, edges, _ = sent.get_data()
    assert np.sum(values * np.diff(edges)) == len(passing.requests)
    assert np.array_equal(planned.get_data()[0], run_over_time.planned)
    assert rate.get_ydata().max() == 25


def test_replicas_are_steps_of_the_log(ax: Axes, passing: RunReport) -> None:
    over_time.draw_replicas(ax, passing, bin_edges(30.0))
    lines = {line.get_label(): line for line in ax.lines}
    assert set(lines) == {"its mean", "starting", "desired", "ready"}
    assert passing.replicas is not None
    for name in ("starting", "desired", "ready"):
        x, y = (np.asarray(values) for values in lines[name].get_data())
        at = np.searchsorted(x, passing.replicas.time_s, side="right") - 1
        assert np.array_equal(y[at], getattr(passing.replicas, name))
    band = np.asarray(ax.collections[0].get_paths()[0].vertices)[:, 1]
    assert np.max(band) == max(passing.validation["over_time"]["predicted_ready"]["high"])


def test_unknown_replica_columns_are_not_drawn(ax: Axes, passing: RunReport) -> None:
    log = replica_log([0, 5], desired=[-1, -1], ready=[2, 3])
    over_time.draw_replicas(ax, dataclasses.replace(passing, replicas=log), bin_edges(30.0))
    assert {line.get_label() for line in ax.lines} == {"its mean", "ready"}


def test_long_logs_are_drawn_as_the_largest_value_in_each_bin(ax: Axes, passing: RunReport) -> None:
    times = np.arange(0.0, 30.0, 0.01)
    desired = np.where(np.arange(len(times)) % 2, 3, 7)
    log = replica_log(times.tolist(), desired=desired.tolist(), ready=np.full(len(times), 2).tolist())
    artists = over_time.draw_replicas(ax, dataclasses.replace(passing, replicas=log), bin_edges(30.0))
    (stairs,) = [artist for artist in artists if str(artist.get_label()).startswith("desired, most in")]
    assert np.array_equal(stairs.get_data()[0], np.full(30, 7.0))


def test_503s_are_drawn_observed_and_predicted(ax: Axes, passing: RunReport) -> None:
    run_over_time = timeline(passing)
    observed, predicted = over_time.draw_503s(ax, run_over_time)
    assert np.array_equal(observed.get_data()[0], run_over_time.observed_503)
    assert predicted.get_data()[0].tolist() == np.asarray(run_over_time.predicted_503).tolist()
    assert ax.get_ylim()[1] > max(run_over_time.observed_503)


def test_cumulative_503s_end_at_their_number_within_the_axis(ax: Axes, passing: RunReport) -> None:
    *_, line = over_time.draw_cumulative(ax, passing)
    high = passing.validation["over_time"]["predicted_cumulative_503"]["high"][-1]
    assert line.get_ydata()[-1] == passing.validation["observed"]["answers_503"]
    assert ax.get_ylim()[1] > high


def test_latency_shows_every_answer_or_quantiles_of_many(
    ax: Axes, passing: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, edges = passing.requests, bin_edges(30.0)
    over_time.draw_latency(ax, passing, edges)
    ok, status_503 = (np.asarray(collection.get_offsets()) for collection in ax.collections)
    assert len(ok) == np.sum(log.outcome == Outcome.OK)
    assert len(status_503) == np.sum(log.outcome == Outcome.STATUS_503)
    assert status_503[:, 1] == pytest.approx(0.5)
    monkeypatch.setattr(over_time, "MOST_POINTS", 10)
    p50, p99, *_ = over_time.draw_latency(Figure().add_subplot(), passing, edges)
    inside = (log.outcome == Outcome.OK) & (log.scheduled_s >= 12) & (log.scheduled_s < 13)
    latency = np.sort((log.finish_s - log.scheduled_s)[inside])
    assert p50.get_data()[0][12] == latency[int(np.ceil(0.5 * len(latency))) - 1]
    assert p99.get_data()[0][12] == latency[int(np.ceil(0.99 * len(latency))) - 1]


def test_interval_marks_the_observed_value_and_what_is_outside(ax: Axes) -> None:
    statistic = {"low": 0.1, "high": 0.2, "value": 0.3, "inside": False}
    bar, mean, observed = comparison.draw_interval(ax, statistic, mean=0.15, scale=100.0, label="percent")
    assert (bar.get_x(), bar.get_width()) == pytest.approx((10, 10))
    assert mean.get_xdata() == pytest.approx([15, 15])
    assert observed.get_xdata() == pytest.approx([30])
    assert observed.get_label() == "observed (outside)"
    assert ax.get_xlim()[1] > 30


def test_alternatives_are_one_dot_each(ax: Axes) -> None:
    changes = [("a", 0.1, True), ("b", 0.3, False), ("c", 0.2, False)]
    _, _, failed, passed = comparison.draw_alternatives(ax, changes, interval=(0.05, 0.15), observed=0.1)
    assert passed.get_xydata().tolist() == [[10.0, 2.0]]
    assert failed.get_xydata().tolist() == [[30.0, 1.0], [20.0, 0.0]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]


def test_causes_are_bars_of_their_shares(ax: Axes) -> None:
    bars = comparison.draw_causes(ax, [("starting", 0.9, 0.8), ("busy", 0.1, 0.2)])
    assert [bar.get_width() for bar in bars] == pytest.approx([90, 10, 80, 20])
    assert len(comparison.draw_causes(Figure().add_subplot(), [("starting", 1.0, None)])) == 1


def test_latency_tail_is_the_share_of_slower_answers(ax: Axes) -> None:
    seconds = np.arange(1, 101) / 100
    line, _, promised = comparison.draw_latency_tail(ax, [("a", seconds), ("b", seconds)], 2.0)
    assert line.get_ydata()[99] == pytest.approx(1)
    assert line.get_xdata()[99] == 1.0
    assert promised.get_xydata().tolist() == [[2.0, 1.0]]


# The command

SCENARIO = """\
schema_version: 1
name: small
shows: A run for the report.
duration: 4s
traffic: {arrivals: poisson, rps: 30}
service_time: {distribution: exponential, mean: 100ms}
deployment: {api: v2, autoscaler: fixed, num_replicas: 3, max_queue_wait_ms: 100}
slo: {max_503: 1%}
seed: 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A complete run folder with a verdict."""
    (tmp_path / "small.yaml").write_text(SCENARIO)
    scenario = load(tmp_path / "small.yaml")
    report = sample_report(scenario)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    save_copy(scenario, folder.path)
    write_schedule(folder.schedule, schedule_of(scenario, report.requests))
    write_requests(folder.requests, report.requests)
    assert report.replicas is not None
    write_replicas(folder.replicas, report.replicas)
    folder.write_summary(report.summary)
    folder.validation.write_text(json.dumps(report.validation))
    return folder


def test_command_writes_the_page_and_prints_its_path_last(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["report", str(folder.path)]) == 0
    assert capsys.readouterr().out.splitlines() == ["Verdict: pass", str(folder.path / "report.html")]
    assert "Capacity report: small" in folder.report.read_text(encoding="utf-8")


def test_command_prints_one_document(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(folder.path), "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {"command": "report", "path": str(folder.report), "verdict": "pass"}


def test_command_judges_a_run_without_a_verdict_first(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.validation.unlink()
    assert run(["report", str(folder.path)]) == 0
    verdict = json.loads(folder.validation.read_text())
    assert verdict["predicted"]["fraction_503"]["replications"] >= 600
    assert f"Verdict: {verdict['verdict']}" in capsys.readouterr().out
    assert verdict["reasons"][0] in Page(folder.report.read_text(encoding="utf-8")).text


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: folder.requests.unlink(), "requests.parquet: no such file"),
        (lambda folder: folder.validation.write_text("{"), "validation.json: not a readable JSON file"),
        (lambda folder: folder.validation.write_text("{}"), "validation.json: verdict is missing"),
        (lambda folder: folder.report.mkdir(), "report.html: cannot be written"),
    ],
)
def test_command_refuses_a_broken_folder_in_one_sentence(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], spoil: Any, message: str
) -> None:
    spoil(folder)
    assert run(["report", str(folder.path)]) == InputError.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_command_refuses_a_folder_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(tmp_path / "nothing")]) == 2
    assert "no such run folder" in capsys.readouterr().err
