"""Why every run of a scenario is the same, in words: one is enough then, and its numbers are exact."""

from __future__ import annotations

from planner.arrivals import Recorded
from planner.scenario import Scenario
from planner.service import FromTrace


def sameness(scenario: Scenario) -> str:
    """One or two sentences about a scenario whose runs repeat (`ReplicateResult.repeats`)."""
    arrivals = "recorded arrivals" if isinstance(scenario.arrivals, Recorded) else "regular arrivals"
    is_own = isinstance(scenario.service_time, FromTrace)
    service = "their own service times" if is_own else "constant service times"
    cold = "constant cold starts" if scenario.cold_start.cv == 0 else "no replica that had to start"
    chosen = scenario.arrivals.by_seed if isinstance(scenario.arrivals, Recorded) else ""
    if chosen:
        return (
            f"All runs of this seed are the same ({arrivals}, {service}, {cold}), so one is enough, and its numbers "
            f"are exact for this seed's choice of requests ({chosen}). Another seed chooses others, and gives other "
            "numbers."
        )
    return (
        f"Nothing here is random ({arrivals}, {service}, {cold}): every run is the same, so one is enough, and its "
        "numbers are exact."
    )
