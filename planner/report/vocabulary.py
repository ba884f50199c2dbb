"""The report's words for what the documents name in code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.model import VerdictWord

VERDICTS = {
    VerdictWord.PASS: ("Yes", "The run looks like the runs that the model predicts."),
    VerdictWord.FAIL: ("No", "The run differs from what the model predicts."),
    VerdictWord.UNDECIDED: ("Undecided", "A run like this one can neither confirm nor refute the prediction."),
    VerdictWord.INVALID: ("No verdict", "The run is invalid: it says nothing about the prediction."),
}

CAUSES = {
    "no_ready_replica": "no replica was ready",
    "replica_lost": "a replica was lost",
    "waiting_for_node": "a replica waited for a node",
    "scale_up_lag": "replicas still starting",
    "at_max_replicas": "all replicas busy, at the maximum",
    "headroom_too_small": "all replicas busy, no more asked for",
    "unattributed": "cause not seen",
}
"""Short enough for a figure's labels."""

CAUSE_MEANINGS = {
    "no_ready_replica": "Not a single replica was ready.",
    "replica_lost": "A fault had taken a replica that was not yet replaced.",
    "waiting_for_node": "The cluster had no room for a replica until a node came.",
    "scale_up_lag": "The autoscaler had asked for more replicas than were ready: cold starts were under way.",
    "at_max_replicas": "Every replica that the maximum allows was ready, and all of them were busy.",
    "headroom_too_small": "As many replicas as the autoscaler wanted were ready, and all of them were busy: "
    "a burst inside the headroom that the target utilization leaves.",
    "unattributed": "At that instant nobody saw the replicas: before their log began, or in a gap of it.",
}

SETTINGS = {
    "autoscale_target_utilization": "target utilization",
    "autoscale_min_replicas": "minimum replicas",
    "autoscale_max_replicas": "maximum replicas",
    "cold_start": "cold starts",
    "service_time": "service times",
}


@dataclass(frozen=True)
class StatisticWords:
    """name: for a table. meaning: what it is. scale, unit: for its axis."""

    name: str
    meaning: str
    scale: float
    unit: str


STATISTICS = {
    "fraction_503": StatisticWords(
        "Requests that got 503", "503 answers divided by requests that were answered.", 100.0, "percent of requests"
    ),
    "fraction_504": StatisticWords(
        "Requests that got 504", "504 answers divided by requests that were answered.", 100.0, "percent of requests"
    ),
    "largest_distance_of_cumulative_503s": StatisticWords(
        "503s over time",
        "How far the running count of 503s strays, at most, from its predicted mean. Small is good; it sees a right "
        "total that came at the wrong time.",
        1.0,
        "requests (largest distance from the predicted mean)",
    ),
    "mean_distance_of_ready_replicas": StatisticWords(
        "Ready replicas over time",
        "How far the number of ready replicas lies, on average over the run, from its predicted mean. Small is good; "
        "it sees a right total for a wrong reason.",
        1.0,
        "replicas (mean distance from the predicted mean)",
    ),
    "mean_service_time_s": StatisticWords(
        "Mean service time",
        "What the replicas measured, against times drawn from the scenario that is on trial.",
        1e3,
        "milliseconds",
    ),
}


def statistic(name: str) -> StatisticWords:
    """The words of a statistic; one that this report does not know keeps its name."""
    return STATISTICS.get(name) or StatisticWords(name.replace("_", " "), "", 1.0, "in its own unit")


def change(document: Mapping[str, Any]) -> str:
    """A one-setting change in words: cold starts × 0.5 (3 s), minimum replicas 3."""
    setting = str(document["setting"])
    name = SETTINGS.get(setting, setting.replace("_", " "))
    return f"{name} {document['change']}".replace(" x ", " × ").replace(" %", "\u00a0%")
