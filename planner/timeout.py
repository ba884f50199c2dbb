"""Which share of the requests times out whatever the replicas do: their own work takes longer than the limit."""

from __future__ import annotations

from planner.model import Deployment
from planner.percent import percent
from planner.service import ServiceTime

NEAR_SHARE = 0.001
"""With more service times than this above the scoring timeout a scenario gets a warning."""


def share_longer(service: ServiceTime, deployment: Deployment, limit_s: float) -> float:
    """The share of requests whose service time and router overhead together are above a limit, before any wait."""
    left_s = limit_s - deployment.router_overhead_s
    return service.share_above(left_s) if left_s >= 0 else 1.0


def share_timed_out(service: ServiceTime, deployment: Deployment) -> float:
    """The share of the dispatched requests that get 504 even where nothing waits."""
    return share_longer(service, deployment, deployment.scoring_timeout_s)


def timeout_warning(service: ServiceTime, deployment: Deployment) -> str | None:
    """A sentence where more than NEAR_SHARE of the service times are above the scoring timeout."""
    share = share_timed_out(service, deployment)
    if share <= NEAR_SHARE:
        return None
    overhead = " with the router's overhead" if deployment.router_overhead_s else ""
    return (
        f"{percent(share)} of the service times{overhead} are above the scoring timeout of "
        f"{deployment.scoring_timeout_s:g} s: these requests get 504 with any number of replicas, a longer "
        "timeout or a faster model helps"
    )
