"""The report's sentences: what was found, and whether the promise is kept."""

from __future__ import annotations

import dataclasses

import numpy as np

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
