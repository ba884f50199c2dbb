"""What a report says of the cluster behind a run: why replicas did not come up, and how long those that did took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from planner.report.data import RunReport
from planner.report.numbers import plural, time

MOST_LAUNCHES = 20
"""Rows of a table that somebody reads."""

PHASES = (
    ("schedule_s", "until a node was chosen"),
    ("image_s", "until the image was there"),
    ("container_s", "until the container ran"),
    ("server_s", "until the scoring server was ready"),
    ("init_s", "of which init()"),
)


def content(report: RunReport) -> dict[str, Any] | None:
    """What the page shows; None where no cluster was observed."""
    cluster = report.summary.get("cluster")
    if not cluster:
        return None
    launches = [launch for launch in cluster.get("launches") or [] if launch.get("cold_start_s") is not None]
    live = [launch for launch in launches if launch.get("live")]
    return {
        "facts": _facts(cluster, report),
        "findings": cluster.get("findings") or [],
        "phases": _phase_rows(live),
        "launches": [_launch_row(launch) for launch in live[:MOST_LAUNCHES]],
        "n_live": len(live),
        "before": _before(len(launches) - len(live)),
        "left_out": max(0, len(live) - MOST_LAUNCHES),
    }


def _before(pods: int) -> str:
    """Of pods that nobody saw start."""
    were = "was" if pods == 1 else "were"
    return f"{plural(pods, 'pod')} {were} there before; the API's stamps tell of them to a second only." if pods else ""


def _facts(cluster: Mapping[str, Any], report: RunReport) -> list[str]:
    facts = [
        f"Deployment {cluster['deployment']} in namespace {cluster['namespace']}: {plural(cluster['pods'], 'pod')} and "
        f"{plural(cluster['events'], 'event')} seen; cluster.jsonl in the run folder has every change."
    ]
    if clock := cluster.get("clock"):
        facts.append(
            f"The API server's clock was {clock['difference_s']:+.3f} s off this machine's, known to "
            f"{clock['uncertainty_s']:.3f} s."
        )
    facts += [
        f"From {gap['from_s']:.1f} s to {gap['to_s']:.1f} s changes of {', '.join(gap['resources'])} were not seen as "
        f"they happened ({gap['why']})."
        for gap in cluster.get("gaps") or []
    ]
    if not report.blind_s and not cluster.get("gaps"):
        facts.append("It was watched without a gap.")
    return facts


def _phase_rows(live: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Phase, launches that tell, median, p90 and longest of the launches seen as they happened."""
    rows: list[tuple[str, ...]] = []
    for name, words in (*PHASES, ("cold_start_s", "cold start: creation to ready")):
        values = [launch["cold_start_s"] if name == "cold_start_s" else launch["phases"].get(name) for launch in live]
        known = np.array([value for value in values if value is not None])
        if len(known):
            quantiles = np.quantile(known, [0.5, 0.9, 1.0], method="inverted_cdf")
            rows.append((words, str(len(known)), *(time(float(value)) for value in quantiles)))
    return rows


def _launch_row(launch: Mapping[str, Any]) -> tuple[str, ...]:
    phases = [launch["phases"].get(name) for name, _ in PHASES]
    times = [launch["created_s"], *phases, launch["cold_start_s"]]
    return (launch["pod"], *("–" if value is None else time(value) for value in times))
