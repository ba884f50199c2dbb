"""Why every run of a scenario is the same, in words: one is enough then, and its numbers are exact."""

from __future__ import annotations

from planner.arrivals import Recorded
from planner.scenario import Scenario
from planner.service import FromTrace


def sameness(scenario: Scenario) -> str:
    """One sentence about a scenario whose runs repeat (`ReplicateResult.repeats`)."""
    arrivals = "regular arrivals"
    if isinstance(scenario.arrivals, Recorded):
        of = f", thinned or copied by seed {scenario.seed}" if scenario.arrivals.is_scaled else ""
        arrivals = f"recorded arrivals{of}"
    is_own = isinstance(scenario.service_time, FromTrace)
    service = "their own service times" if is_own else "constant service times"
    cold = "constant cold starts" if scenario.cold_start.cv == 0 else "no replica that had to start"
    return (
        f"Nothing here is random ({arrivals}, {service}, {cold}): every run is the same, so one is enough, and its "
        "numbers are exact."
    )
