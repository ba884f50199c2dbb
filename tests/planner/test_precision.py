"""Where replications stop."""

from __future__ import annotations

import pytest

from planner.model import Estimate
from planner.precision import (
    DEFAULT_MOST_REPLICATIONS,
    FIRST_LOOK,
    default_most,
    is_precise,
    looks,
    relative_half_width,
)


def test_looks_grow_from_fifty_to_the_most() -> None:
    assert list(looks(300)) == [50, 75, 113, 170, 255, 300]
    assert list(looks(FIRST_LOOK)) == [FIRST_LOOK]
    assert len(list(looks(DEFAULT_MOST_REPLICATIONS))) < 20


def test_the_most_is_bounded_by_requests_but_never_below_the_first_look() -> None:
    assert default_most(700.0) == DEFAULT_MOST_REPLICATIONS
    assert default_most(5e6) == 200
    assert default_most(1e8) == FIRST_LOOK
    assert default_most(0.0) == DEFAULT_MOST_REPLICATIONS


@pytest.mark.parametrize(
    ("estimate", "half_width"),
    [
        (Estimate(value=0.02, low=0.018, high=0.022, replications=50), 0.1),
        (Estimate(value=0.02, low=0.0, high=0.05, replications=50, resolved=False), None),
        (Estimate(value=0.0, low=0.0, high=1e-4, replications=50, resolved=False), None),
    ],
)
def test_only_a_resolved_estimate_has_a_precision(estimate: Estimate, half_width: float | None) -> None:
    assert relative_half_width(estimate) == (None if half_width is None else pytest.approx(half_width))
    assert is_precise(estimate, 0.11) is (half_width is not None)
    assert not is_precise(estimate, 0.09)
