"""What the report says of a cluster that was watched beside the run."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from planner.causes import UNATTRIBUTED
from planner.model import Outcome
from planner.report.data import RunReport
from planner.report.page import render
from planner.report.timeline import cause_shares, observed_causes

from .html_page import Page

PHASES = {"schedule_s": 0.02, "image_s": 1.0, "container_s": 0.2, "server_s": 3.0, "init_s": 2.5}
LAUNCH = {"pod": "blue-1", "created_s": 4.0, "live": True, "cold_start_s": 4.22, "phases": PHASES}
FINDING = {
    "cause": "init_raised",
    "title": "init() raised an exception",
    "pods": ["blue-7"],
    "evidence": ["ValueError: <no model> (score.py, line 3, in init)", "Traceback:\n  File ..."],
    "next_step": "Mend init().",
    "azure": "The container crashes",
    "measured": {},
}
CLUSTER: dict[str, Any] = {
    "deployment": "blue",
    "namespace": "ml",
    "clock": {"difference_s": 0.25, "uncertainty_s": 0.004},
    "gaps": [{"from_s": 10.0, "to_s": 12.5, "resources": ["pods"], "why": "connection refused"}],
    "launches": [LAUNCH, LAUNCH | {"pod": "blue-0", "live": False}, LAUNCH | {"pod": "blue-2", "cold_start_s": None}],
    "findings": [FINDING],
    "events": 12,
    "pods": 3,
}


def with_cluster(report: RunReport, **changes: Any) -> RunReport:
    replicas = report.summary["replicas"] | {"gaps": CLUSTER["gaps"]}
    summary = report.summary | {"cluster": CLUSTER | changes, "replicas": replicas}
    return dataclasses.replace(report, summary=summary)


def test_the_page_tells_causes_cold_starts_and_gaps(passing: RunReport) -> None:
    page = Page(render(with_cluster(passing)))
    for words in (
        "Deployment blue in namespace ml: 3 pods and 12 events seen",
        "+0.250 s off this machine's",
        "From 10.0 s to 12.5 s changes of pods were not seen as they happened (connection refused).",
        "init() raised an exception",
        "ValueError: <no model> (score.py, line 3, in init)",
        "Next: Mend init().",
        "until the scoring server was ready",
        "4.22 s",
        "1 pod was there before",
    ):
        assert words in page.text
    assert "It was watched without a gap." not in page.text


def test_a_run_without_a_cluster_says_nothing_of_one(passing: RunReport) -> None:
    assert "The cluster" not in Page(render(passing)).text


def test_no_503_in_a_gap_has_a_cause_and_all_causes_sum_to_all_503s(passing: RunReport) -> None:
    report = with_cluster(passing)
    causes, before = observed_causes(report), observed_causes(passing)
    assert causes is not None
    assert before is not None
    is_503 = report.with_outcome(Outcome.STATUS_503)
    assert sum(causes.values()) == sum(before.values()) == int(is_503.sum())
    times_s = report.requests.finish_s[is_503]
    assert causes[UNATTRIBUTED] == int(np.sum((times_s >= 10.0) & (times_s < 12.5)))
    assert any(label == UNATTRIBUTED for label, _, _ in cause_shares(report)) == (causes[UNATTRIBUTED] > 0)
