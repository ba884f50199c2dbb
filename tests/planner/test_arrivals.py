"""Arrival processes: their form. `tests/statistical/test_arrival_processes.py` tests their laws."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Recorded, Renewal
from planner.draws import FIRST_BLOCK
from planner.errors import InputError
from planner.model import FloatArray
from planner.rates import RateProfile

SEED = 20261122


def times(process: ArrivalProcess, replicate: int = 0, seed: int = SEED) -> FloatArray:
    return np.concatenate([np.empty(0), *process.blocks(seed, replicate)])


def constant(rps: float, duration_s: float, cv: float) -> Renewal:
    return Renewal(RateProfile.constant(rps, duration_s), cv)


RAMP = RateProfile(np.array([0.0, 500, 1000, 2000]), np.array([5.0, 0, 40]), np.array([35.0, 0, 10]))

PROCESSES: dict[str, Callable[[], ArrivalProcess]] = {
    "regular": lambda: constant(20, 1000, 0),
    "poisson": lambda: constant(20, 1000, 1),
    "gamma, smoother": lambda: constant(20, 1000, 0.5),
    "gamma, burstier": lambda: constant(20, 1000, 3),
    "poisson on a ramp": lambda: Renewal(RAMP, 1),
    "gamma on a ramp": lambda: Renewal(RAMP, 2),
    "mmpp": lambda: MarkovModulatedPoisson(np.array([10.0, 30]), np.array([0.05, 0.05]), 1000),
    "trace": lambda: Recorded(np.arange(20000) / 20),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_times_are_sorted_inside_the_duration_and_a_function_of_seed_and_replicate(name: str) -> None:
    process = PROCESSES[name]()
    first = times(process)
    assert np.all(np.diff(first) >= 0)
    assert first[0] >= 0
    assert first[-1] < 2000
    assert np.array_equal(first, times(process))
    if process.fixed_count is not None:
        assert len(first) == process.fixed_count == len(times(process, 1))
    elif name != "regular":
        assert not np.array_equal(first[:100], times(process, 1)[:100])
        assert not np.array_equal(first[:100], times(process, seed=1)[:100])
    assert process.describe()


def test_regular_arrivals_come_one_full_gap_after_the_start() -> None:
    assert times(constant(4, 2, 0)).tolist() == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


@pytest.mark.statistical
def test_phases_are_visited_in_turn_and_last_exponentially() -> None:
    """The lengths of about 12,000 phases, from several blocks, KS at p = 1e-4: sees them 7 % longer (95 %)."""
    switching = np.array([0.5, 1, 2])
    process = MarkovModulatedPoisson(np.array([1.0, 2, 3]), switching, 14_000.0)
    assert process.stationary == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    path = process.rate_path(SEED, 0)
    assert len(path.left_rps) > 8 * FIRST_BLOCK
    assert set(np.diff(path.left_rps).tolist()) == {1.0, -2.0}
    lengths = np.diff(path.time_s)[:-1] * switching[path.left_rps[:-1].astype(int) - 1]
    assert stats.kstest(lengths, stats.expon.cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Renewal(RAMP, -1), "cv = -1, must be 0"),
        (lambda: Renewal(RAMP, float("nan")), "cv = nan"),
        (lambda: MarkovModulatedPoisson(np.array([1.0]), np.array([1.0]), 1), "at least two"),
        (lambda: MarkovModulatedPoisson(np.array([1.0, 2]), np.array([1.0]), 1), "as many switching rates"),
        (lambda: MarkovModulatedPoisson(np.array([0.0, 0]), np.array([1.0, 1]), 1), "not all 0"),
        (lambda: MarkovModulatedPoisson(np.array([1.0, 2]), np.array([1.0, 0]), 1), "must be above 0"),
        (lambda: Recorded(np.empty(0), "t.csv"), "t.csv: no request"),
    ],
)
def test_impossible_processes_cannot_be_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_no_traffic_is_no_arrivals() -> None:
    assert len(times(constant(0, 100, 1))) == 0
    assert len(times(constant(0.001, 1, 0))) == 0


def test_bursty_arrivals_on_a_rising_ramp_stay_sorted() -> None:
    """Gaps of CV 5 are often so small that the inverse rate returned two times in the wrong order, an ulp apart."""
    profile = RateProfile(np.array([0.0, 60.0, 600.0]), np.array([0.5, 20.0]), np.array([20.0, 140.0]))
    for replicate in range(20):
        times = np.concatenate(list(Renewal(profile, cv=5.0).blocks(1, replicate)))
        assert (np.diff(times) >= 0).all()
