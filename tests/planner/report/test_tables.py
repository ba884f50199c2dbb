"""The report's tables, and how numbers are written in them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from loadtest.replay import statistics
from planner.model import Outcome
from planner.replicas import read_sizing
from planner.report import numbers, settings, tables
from planner.report.data import RunReport
from planner.report.page import render

from .html_page import Page
from .samples import burst, sample_report


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
