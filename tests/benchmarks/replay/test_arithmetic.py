"""What the tables of `make bench-replay` are computed with."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.replay.slow_server import between, gap_cv
from tests.benchmarks.replay.trace import per_second, weighted_error


def test_the_weighted_error_counts_what_is_missing_too_many_or_outside() -> None:
    planned = np.array([3, 0, 2])
    assert weighted_error(np.array([0.1, 0.2, 0.9, 2.0, 2.9]), planned) == 0
    assert weighted_error(np.array([0.1, 0.2, 1.0, 2.0, 2.9]), planned) == pytest.approx(2 / 5)
    assert weighted_error(np.array([-0.1, 0.1, 0.2, 0.9, 2.0, 2.9, 3.0]), planned) == pytest.approx(2 / 5)
    assert weighted_error(np.array([]), planned) == 1


def test_seconds_begin_at_their_first_instant() -> None:
    assert per_second(np.array([0.0, 0.999, 1.0, 2.0]), 2).tolist() == [2, 2]
    assert between(np.array([1.0, 1.5, 2.0]), 1.0, 2.0) == 2


def test_even_gaps_have_cv_0_and_exponential_ones_1() -> None:
    """20,000 gaps: the CV of exponential ones is within 4 standard errors, 0.03, of 1."""
    assert gap_cv(np.arange(10.0)) == pytest.approx(0)
    assert gap_cv(np.cumsum(np.random.default_rng(3).exponential(size=20_000))) == pytest.approx(1, abs=0.03)
