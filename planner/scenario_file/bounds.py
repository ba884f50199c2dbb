"""How large a scenario may be. What passes here fits into memory and ends; no deployment or burst comes near."""

from __future__ import annotations

import numpy as np

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson
from planner.model import Deployment
from planner.scenario_file.problems import Problems

MOST_REQUESTS = 100_000_000
"""Expected in one run: ten seconds of simulation. A router takes 5,000 a second, which is this many in 5.5 hours."""

MOST_SWITCHES = 1_000_000
"""Of phase, expected in one run: each run holds all its phases in memory."""

MOST_TICKS = 10_000_000
"""Of the autoscaler in one run (seconds of simulation), or in one of its windows, which it holds in memory."""

MOST_SLOTS = 1_000_000
"""Requests that all replicas can hold, or workers that they have: each has its place in memory."""


def check_traffic(arrivals: ArrivalProcess, duration_s: float, problems: Problems) -> None:
    if arrivals.expected_count > MOST_REQUESTS:
        count = f"{arrivals.expected_count:,.0f} requests in {duration_s:g} s"
        problems.about(("traffic",), f"makes {count}, at most {MOST_REQUESTS:,} are supported")
    if isinstance(arrivals, MarkovModulatedPoisson):
        switching = np.asarray(arrivals.switching_per_s)
        switches = duration_s * len(switching) / float((1 / switching).sum())
        if switches > MOST_SWITCHES:
            path = ("traffic", "arrivals", "mmpp", "switching")
            count = f"{switches:,.0f} switches in {duration_s:g} s"
            problems.add(path, f"makes {count}, at most {MOST_SWITCHES:,} are supported")


def check_deployment(made: Deployment, duration_s: float, problems: Problems) -> None:
    spans_s = {
        "a run (duration, wait limit and timeout)": duration_s + made.max_request_wait_s + made.scoring_timeout_s,
        "scale_down_delay": made.scale_down_delay_s or 0.0,
        "utilization_window": made.utilization_window_s,
    }
    for name, span_s in spans_s.items():
        if span_s / made.refresh_period_s > MOST_TICKS:
            count = f"{span_s / made.refresh_period_s:,.0f} looks of the autoscaler in {name}"
            problems.about(("deployment",), f"makes {count}, at most {MOST_TICKS:,} are supported")
    slots = made.max_replicas * max(made.max_concurrent_requests, made.worker_count)
    if slots > MOST_SLOTS:
        count = f"{slots:,} requests or workers in {made.max_replicas:,} replicas"
        problems.about(("deployment",), f"makes {count}, at most {MOST_SLOTS:,} are supported")
