"""Sequential stopping: replications are added until the interval of a fraction is narrow enough.

One looks only after fixed numbers of replications, so neither cores nor speed can change where it ends. Looking more
than once costs coverage; from 50 replications on, with few looks, nothing that was measured (docs/tests.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from planner.model import Estimate

FIRST_LOOK = 50
GROWTH = 1.5
"""Replications at a look over those at the look before."""

DEFAULT_MOST_REPLICATIONS = 10_000
DEFAULT_MOST_REQUESTS = 1_000_000_000
"""Where it ends if nobody says otherwise: minutes of simulation, and an end where no 503 ever comes."""


def looks(most: int) -> Iterator[int]:
    """The numbers of replications after which to look, the last one `most`."""
    count = FIRST_LOOK
    while count < most:
        yield count
        count = math.ceil(GROWTH * count)
    yield most


def default_most(expected_requests: float) -> int:
    """The most replications of a run of so many requests."""
    affordable = DEFAULT_MOST_REQUESTS / max(expected_requests, 1.0)
    return max(FIRST_LOOK, min(DEFAULT_MOST_REPLICATIONS, int(affordable)))


def relative_half_width(estimate: Estimate) -> float | None:
    """Half the width of the interval over the value; None while the estimate is unresolved."""
    if estimate.exact:
        return 0.0
    if not estimate.resolved or estimate.value == 0:
        return None
    return (estimate.high - estimate.low) / 2 / estimate.value


def is_precise(estimate: Estimate, precision: float) -> bool:
    half_width = relative_half_width(estimate)
    return half_width is not None and half_width <= precision
