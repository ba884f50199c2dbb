"""Random small cases, overloaded on purpose, for comparing a simulator with the reference, request for request.

On a lattice every time is a multiple of 1/64 s, mostly of 1/4 or 1/8 s: sums are exact in binary and ties abound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from hypothesis import strategies as st

from planner.model import (
    Api,
    Autoscaler,
    Deployment,
    DispatchRule,
    ScaleDownRule,
    ScaleStep,
    ScoringTimeoutFrom,
    UtilizationOver,
    WhenNoReplica,
)

SIZES = (0, 1, 2, 3, 5, 8, 12, 16, 20, 24, 28, 32, 36, 40, 40)
TARGETS_PERCENT = (20, 50, 70, 70, 90, 100, 100, 100)


@dataclass(frozen=True, kw_only=True)
class Case:
    deployment: Deployment
    arrivals_s: tuple[float, ...]
    service_times_s: tuple[float, ...]
    cold_start_pattern_s: tuple[float, ...]
    duration_s: float
    warm_up_s: float

    @property
    def cold_starts_s(self) -> list[float]:
        """More draws than any case can use: the pattern over and over."""
        return list(self.cold_start_pattern_s) * (10_000 // len(self.cold_start_pattern_s))

    @property
    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of `simulate`, the deployment left out."""
        return {
            "arrivals_s": self.arrivals_s,
            "service_times_s": self.service_times_s,
            "cold_starts_s": self.cold_starts_s,
            "duration_s": self.duration_s,
            "warm_up_s": self.warm_up_s,
        }


@cache
def _times(steps_per_s: int | None, *ranges_s: tuple[float, float]) -> st.SearchStrategy[float]:
    """A time in one of the ranges, each as likely: a multiple of the step or, without one, any float."""
    if steps_per_s is None:
        return st.one_of([st.floats(low, high, allow_subnormal=False) for low, high in ranges_s])
    points = range(257)  # as many as the widest range has multiples; one draw from a list is quicker than two draws
    grid = [math.ceil((low + (high - low) * i / 256) * steps_per_s) for low, high in ranges_s for i in points]
    return st.sampled_from([n / steps_per_s for n in sorted(grid)])


@st.composite
def deployments(draw: st.DrawFn, steps_per_s: int | None) -> Deployment:
    """Deployments of at most six replicas, with short periods and delays so that they scale down again."""

    def time(*ranges_s: tuple[float, float]) -> float:
        return draw(_times(steps_per_s, *ranges_s))

    fixed = draw(st.sampled_from([False] * 7 + [True]))
    min_replicas = draw(st.sampled_from([1, 1, 1, 2, 3]))
    max_replicas = min_replicas if fixed else max(min_replicas, draw(st.sampled_from([2, 3, 4, 6, 6])))
    has_delay = draw(st.sampled_from([True] * 5 + [False]))
    timeout_from = draw(st.sampled_from(ScoringTimeoutFrom))
    from_arrival = timeout_from is ScoringTimeoutFrom.ARRIVAL
    return Deployment(
        api=draw(st.sampled_from(Api)),
        autoscaler=Autoscaler.FIXED if fixed else Autoscaler.AZUREML_FE,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        target_utilization_percent=draw(st.sampled_from(TARGETS_PERCENT) | st.integers(20, 100)),
        refresh_period_s=time((0.125, 1.0)),
        max_concurrent_requests=draw(st.sampled_from([1, 2, 2, 3, 3])),
        dispatch=draw(st.sampled_from(DispatchRule)),
        max_request_wait_s=(wait_s := time((0, 0), (0, 0.5), (0, 0.5), (0.5, 2.0))),
        scoring_timeout_s=max(time((0.25, 1.5), (0.25, 1.5), (60.0, 60.0)), wait_s if from_arrival else 0.0),
        scoring_timeout_from=timeout_from,
        worker_count=draw(st.sampled_from([1, 1, 1, 2, 3])),
        router_overhead_s=time((0, 0), (0, 0.25)),
        initial_replicas=draw(st.sampled_from([None, 0, max_replicas]) | st.integers(0, max_replicas)),
        scale_down_delay_s=time((0.125, 0.75), (0.125, 0.75), (0.5, 2.5)) if has_delay else None,
        utilization_window_s=time((0, 0), (0.125, 2.0)),
        when_no_replica_is_ready=draw(st.sampled_from(WhenNoReplica)),
        slot_busy_after_504=draw(st.booleans()),
        worker_busy_after_504=draw(st.booleans()),
        scale_down_rule=draw(st.sampled_from(ScaleDownRule)),
        scale_step=draw(st.sampled_from(ScaleStep)),
        utilization_over=draw(st.sampled_from(UtilizationOver)),
    )


@st.composite
def cases(draw: st.DrawFn, lattice: bool) -> Case:
    """Bursts of requests that overload the deployment, with pauses in which it scales down."""
    steps_per_s = draw(st.sampled_from([4, 4, 8, 8, 64])) if lattice else None
    size = draw(st.sampled_from(SIZES))
    gap = _times(steps_per_s, (0, 0), (0, 0.25), (0, 0.5), (0, 2.5))
    service_time = _times(steps_per_s, (0, 0), (0, 1.0), (0.5, 1.5), (1.0, 4.0))
    cold_start = _times(steps_per_s, (0, 0), (0, 0.5), (0.25, 3.0))
    arrivals_s = tuple(accumulate(draw(st.lists(gap, min_size=size, max_size=size))))
    duration_s = (0.0, *arrivals_s)[-1] + draw(_times(steps_per_s, (0.25, 4.0)))
    return Case(
        deployment=draw(deployments(steps_per_s)),
        arrivals_s=arrivals_s,
        service_times_s=tuple(draw(st.lists(service_time, min_size=size, max_size=size))),
        cold_start_pattern_s=tuple(draw(st.lists(cold_start, min_size=1, max_size=6))),
        duration_s=duration_s,
        warm_up_s=min(duration_s, draw(_times(steps_per_s, (0, 0), (0, 4.0)))),
    )
