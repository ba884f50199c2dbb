"""What a replay would send, without sending it: the document of `replay --dry-run`, and how it looks."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from loadtest.schedule import Schedule
from planner.cli.output import print_indented, print_table
from planner.model import IntArray
from planner.scenario import Scenario

RPS_PER_PROCESS = 1500
"""One sending process keeps its send error small up to this rate, which a burst must not pass either."""

LONGEST_IN_SECONDS_S = 120.0
"""Longer schedules are counted by the minute."""

SPARKLINE_COLUMNS = 72
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def describe_schedule(scenario: Scenario, schedule: Schedule) -> dict[str, Any]:
    """The document. Its numbers are exact: they count what is planned, nothing is estimated."""
    bin_s = 1 if schedule.duration_s < LONGEST_IN_SECONDS_S else 60
    peak_100ms_rps = schedule.peak_100ms_rps
    return {
        "command": "replay",
        "dry_run": True,
        "scenario": scenario.name,
        "requests": len(schedule),
        "duration_s": schedule.duration_s,
        "mean_rps": len(schedule) / schedule.duration_s,
        "peak_1s_rps": schedule.peak_rate_rps,
        "peak_100ms_rps": peak_100ms_rps,
        "gap_cv": _gap_cv(schedule),
        "first_offset_s": float(schedule.scheduled_s[0]),
        "last_offset_s": float(schedule.scheduled_s[-1]),
        "count_bin_s": bin_s,
        "counts": counts_per(schedule, bin_s).tolist(),
        "source": schedule.source,
        "source_sha256": schedule.source_sha256,
        "seed": schedule.seed,
        "schedule_sha256": schedule.sha256,
        "payload_ids": len(np.unique(schedule.payload_id)),
        "recommended_processes": max(1, math.ceil(peak_100ms_rps / RPS_PER_PROCESS)),
        "warnings": list(scenario.warnings),
    }


def counts_per(schedule: Schedule, bin_s: float) -> IntArray:
    """Requests in each bin from the start on; the last bin may be shorter."""
    width_ns = round(bin_s * 1e9)
    bins = max(1, -(-schedule.duration_ns // width_ns))
    return np.bincount(np.minimum(schedule.offset_ns // width_ns, bins - 1), minlength=bins)


def _gap_cv(schedule: Schedule) -> float | None:
    """Standard deviation over mean of the gaps between requests; None where there are fewer than two, or all are 0."""
    gaps_ns = np.diff(schedule.offset_ns)
    if len(gaps_ns) < 2 or not gaps_ns.any():
        return None
    return float(gaps_ns.std() / gaps_ns.mean())


def show(document: dict[str, Any]) -> None:
    """The document as a table on stdout, and a line of the rate over time."""
    cv = document["gap_cv"]
    rows = [
        ("requests", f"{document['requests']:,}"),
        ("duration", f"{document['duration_s']:g} s"),
        ("mean rate", f"{document['mean_rps']:,.2f} per second"),
        ("peak in one second", f"{document['peak_1s_rps']:,.0f} per second"),
        ("peak in 100 ms", f"{document['peak_100ms_rps']:,.0f} per second"),
        ("CV of the gaps", "–" if cv is None else f"{cv:.2f} (Poisson at a constant rate: 1)"),
        ("first and last request", f"{document['first_offset_s']:.3f} s, {document['last_offset_s']:.3f} s"),
        ("payloads", f"{document['payload_ids']:,}"),
        ("sending processes", f"{document['recommended_processes']:,} (at {RPS_PER_PROCESS:,} per second each)"),
        ("SHA-256 of the schedule", f"{document['schedule_sha256'][:16]}…"),
    ]
    print_table(("planned, nothing is sent", "value"), rows, title=f"{document['scenario']}: dry run")
    print_indented(f"Times: {document['source']}.")
    for warning in document["warnings"]:
        print_indented(f"Warning: {warning}.")
    unit = "second" if document["count_bin_s"] == 1 else "minute"
    lowest, highest = min(document["counts"]), max(document["counts"])
    print(f"\n  Requests per {unit}, {lowest:,} to {highest:,}, over time:")
    print(f"  {sparkline(document['counts'])}")


def sparkline(counts: Sequence[float], columns: int = SPARKLINE_COLUMNS) -> str:
    """One character for each bin, or for the mean of each group of bins, so that no more than `columns` are needed.

    A bin with requests is never drawn as an empty one.
    """
    groups = np.array_split(np.asarray(counts, dtype=np.float64), min(columns, len(counts)))
    heights = np.array([group.mean() for group in groups])
    levels = _levels()
    top = heights.max(initial=0.0)
    steps = np.zeros(len(heights), dtype=np.int64)
    if top > 0:
        steps = np.ceil(heights / top * (len(levels) - 1)).astype(np.int64)
    return "".join(levels[step] for step in steps)


def _levels() -> str:
    """Blocks, or plain characters where stdout cannot write them."""
    try:
        _BLOCKS.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BLOCKS
