"""A scenario: traffic, service time, deployment, cold start and promise. `planner.scenario_file` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from planner.arrivals import ArrivalProcess
from planner.errors import InputError
from planner.model import Deployment, Slo
from planner.request import DEFAULT_REQUEST, Request
from planner.service import Distribution, FromTrace, ServiceTime
from planner.uncertain import UncertainInput


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Everything a simulation or a replay needs. Times in seconds; statistics cover [warm_up_s, duration_s)."""

    name: str
    shows: str
    duration_s: float
    warm_up_s: float = 0.0
    arrivals: ArrivalProcess
    service_time: ServiceTime
    deployment: Deployment
    cold_start: Distribution
    slo: Slo | None = None
    request: Request = DEFAULT_REQUEST
    seed: int = 0
    source: Path | None = None
    """The file it was read from."""
    text: str = ""
    """The file's text, as a run folder keeps it."""
    warnings: tuple[str, ...] = ()
    replica_limit: int | None = None
    """The most replicas, where the file says so; None where max_replicas is a default, or there is no autoscaler."""
    uncertain: tuple[UncertainInput, ...] = ()
    """What the file gives as intervals; everything here is at their mid."""

    def __post_init__(self) -> None:
        if not 0 < self.duration_s < float("inf"):
            raise InputError(f"duration = {self.duration_s} s, must be above 0")
        if not 0 <= self.warm_up_s < self.duration_s:
            raise InputError(
                f"warm_up = {self.warm_up_s} s, must be at least 0 and below the duration ({self.duration_s} s)"
            )
        if isinstance(self.service_time, FromTrace) and len(self.service_time.times_s) != self.arrivals.fixed_count:
            raise InputError("service times from a trace need the same trace as arrivals")

    @property
    def has_random_requests(self) -> bool:
        """Whether two replicates may have other arrivals or other service times."""
        is_random_time = not isinstance(self.service_time, FromTrace) and self.service_time.cv > 0
        return self.arrivals.is_random or is_random_time
