"""The report's sentences: what was found, and whether the promise is kept."""

from __future__ import annotations

import dataclasses

import numpy as np

from planner.documents import measures_document
from planner.measures import measure
from planner.model import Outcome, Slo
from planner.report import tables
from planner.report.data import RunReport
from planner.report.findings import findings, promise
from planner.report.timeline import short_spans
from planner.sim.engine import simulate_replicate

from .samples import burst, sample_report


def test_findings_speak_of_503s_replicas_latency_prediction_and_lever(passing: RunReport) -> None:
    sentences = findings(passing)
    assert len(sentences) == 5
    assert sentences[1].startswith("2 replicas were ready at the start, up to 8 later.")
    spans = short_spans(passing.replicas, 30.0)
    start, end = max(spans, key=lambda span: span[1] - span[0])
    finished = passing.requests.finish_s[passing.requests.outcome == Outcome.STATUS_503]
    inside = sum(int(np.sum((finished >= begin) & (finished < stop))) for begin, stop in spans)
    times = f"rom {start:.1f}\u00a0s to {end:.1f}\u00a0s"
    assert (f"F{times} fewer" if len(spans) == 1 else f"{len(spans)} times") in sentences[1]
    assert times in sentences[1]
    assert f"{inside} of the {len(finished)} 503s" in sentences[1]
    assert "cold starts × 0.5 (3 s) would lower the 503s most" in sentences[4]


def test_no_lever_is_named_where_the_run_contradicts_the_model() -> None:
    assert not any("would lower" in sentence for sentence in findings(sample_report(burst(), "fail")))


def test_promise_follows_the_simulation_and_doubts_it_after_a_failure(passing: RunReport) -> None:
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


# Requests that fail otherwise than by 503


def ended_as(report: RunReport, outcome: Outcome, n: int) -> RunReport:
    """The same run, with so many of its 200 answers ended otherwise."""
    outcomes = report.requests.outcome.copy()
    outcomes[np.flatnonzero(outcomes == Outcome.OK)[:n]] = outcome
    return dataclasses.replace(report, requests=dataclasses.replace(report.requests, outcome=outcomes))


def with_simulated(report: RunReport, slo: Slo) -> RunReport:
    results = [simulate_replicate(report.scenario, i) for i in range(5)]
    document = measures_document(measure(report.scenario, results)) | {"slo": {"verdict": "pass", "reasons": ["kept"]}}
    return dataclasses.replace(report, simulation=document, scenario=dataclasses.replace(report.scenario, slo=slo))


def test_failures_that_nobody_simulated_have_the_last_word(passing: RunReport) -> None:
    """0.5 of the requests may get 503, and no more may fail otherwise: more than half of them do."""
    n = len(passing.requests)
    for outcome in (Outcome.OTHER_5XX, Outcome.BAD_RESPONSE, Outcome.TIMEOUT, Outcome.CONNECTION_ERROR):
        few = with_simulated(ended_as(passing, outcome, 5), Slo(max_fraction_503=0.5))
        assert (promise(few).tone, promise(few).answer) == ("pass", "Yes")
        strict = dataclasses.replace(few, scenario=dataclasses.replace(few.scenario, slo=Slo(max_fraction_503=4 / n)))
        said = promise(strict)
        assert (said.tone, said.answer) == ("fail", "No")
        assert "5 in other ways" in " ".join(said.sentences)
        assert "the run has the last word" in said.sentences[-1]
        assert "5 (" in findings(few)[0]
        assert "failed in other ways" in findings(few)[0]


def test_504s_of_a_run_count_against_the_promise(passing: RunReport) -> None:
    late = ended_as(passing, Outcome.STATUS_504, 40)
    n = late.failures.answered
    half = dataclasses.replace(late.scenario, slo=Slo(max_fraction_503=0.5, p99_latency_s=30.0))
    said = promise(dataclasses.replace(late, scenario=half))
    assert said.answer == "No, not in this run"  # more than 1 % timed out
    late_s = "200 answers, 40 504s (slower than any bound) is above any bound; promised are at most 30\u00a0s."
    assert f"In this run the p99 latency of {late_s}" in said.sentences
    for slo, answer in (
        (Slo(max_fraction_503=0.5), "Yes, in this run"),
        (Slo(max_fraction_503=0.5, max_fraction_504=39 / n), "No, not in this run"),
        (Slo(max_fraction_503=0.5, max_fraction_504=40 / n), "Yes, in this run"),
        (Slo(max_fraction_503=0.5, ignores_504=True), "Yes, in this run"),
        (Slo(max_fraction_failed=late.failures.n_failed / n - 1e-9), "No, not in this run"),
    ):
        held = promise(dataclasses.replace(late, scenario=dataclasses.replace(late.scenario, slo=slo)))
        assert held.answer == answer, slo
    assert "; 40 (" in findings(late)[0]
    assert "got HTTP 504" in findings(late)[0]
    figures = {row.label: row for row in tables.key_figures(late)}
    assert figures["failed"].note == f"{late.failures.n_503} 503s, 40 504s, 0 in other ways"


def test_a_prediction_of_504s_that_the_run_refutes_keeps_no_promise(passing: RunReport) -> None:
    late = with_simulated(ended_as(passing, Outcome.STATUS_504, 40), Slo(max_fraction_503=0.01))
    failed = dataclasses.replace(late, validation=late.validation | {"verdict": "fail"})
    assert promise(failed).answer == "No"
