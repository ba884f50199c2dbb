"""How cases worked out on paper are run.

Unless a test says otherwise: v1, one replica with one slot and one worker (min = max = 1), target 100 %, ticks every
second, requests that wait at most 1 s. r0, r1, ... are the requests, R0, R1, ... the replicas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from planner.model import Api, Deployment, Outcome

from .records import ReferenceResult
from .simulator import simulate

NAN = math.nan
OK, STATUS_503, STATUS_504 = Outcome.OK, Outcome.STATUS_503, Outcome.STATUS_504


def run(
    arrivals_s: Sequence[float] = (),
    service_times_s: Sequence[float] = (),
    *,
    cold: Sequence[float] = (),
    duration: float = 5.0,
    warm_up: float = 0.0,
    **given_settings: Any,
) -> ReferenceResult:
    defaults: dict[str, Any] = {
        "api": Api.V1,
        "min_replicas": 1,
        "max_replicas": 1,
        "target_utilization_percent": 100,
        "refresh_period_s": 1.0,
        "max_request_wait_s": 1.0,
    }
    return simulate(
        Deployment(**(defaults | given_settings)),
        arrivals_s=arrivals_s,
        service_times_s=service_times_s,
        cold_starts_s=cold,
        duration_s=duration,
        warm_up_s=warm_up,
    )


def counts(result: ReferenceResult) -> list[int]:
    """Starting and ready replicas after each tick."""
    return [tick.current_after for tick in result.ticks]


def equal(actual: Sequence[float], expected: Sequence[float]) -> bool:
    """Equality in which NaN equals NaN."""
    return len(actual) == len(expected) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(actual, expected, strict=True)
    )
