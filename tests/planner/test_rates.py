"""Rate profiles: the rate, its integral and the inverse of that."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from planner.errors import InputError
from planner.rates import RateProfile


@st.composite
def profiles(draw: st.DrawFn) -> RateProfile:
    """One to six pieces; edges on a lattice half of the time, rates that may be 0."""
    pieces = draw(st.integers(1, 6))
    lengths = draw(
        st.lists(st.integers(1, 64).map(lambda n: n / 64) | st.floats(0.01, 100), min_size=pieces, max_size=pieces)
    )
    rates = st.lists(st.sampled_from([0.0, 1.0, 20.0]) | st.floats(0.001, 500), min_size=pieces, max_size=pieces)
    return RateProfile(np.concatenate(([0.0], np.cumsum(lengths))), np.array(draw(rates)), np.array(draw(rates)))


def test_a_constant_rate() -> None:
    profile = RateProfile.constant(20.0, 30.0)
    assert profile.edge_count.tolist() == [0, 600]
    assert profile.cumulative(np.array([-1.0, 0, 1.5, 30, 99])).tolist() == [0, 0, 30, 600, 600]
    assert profile.inverse(np.array([0.0, 30, 600, 601])).tolist() == [0, 1.5, 30, np.inf]
    assert profile.rate(np.array([-0.1, 0, 29.9, 30])).tolist() == [0, 20, 20, 0]


def test_a_ramp_from_nothing() -> None:
    profile = RateProfile(np.array([0.0, 10]), np.array([0.0]), np.array([20.0]))  # rate 2 t, integral t^2
    assert profile.edge_count[-1] == 100
    assert profile.inverse(np.array([0.0, 1, 25, 100])) == pytest.approx([0, 1, 5, 10])
    assert profile.cumulative(np.array([5.0])) == pytest.approx([25])


def test_a_silence_has_no_arrivals_and_a_count_reached_at_its_start_lies_there() -> None:
    profile = RateProfile(np.array([0.0, 1, 2, 3]), np.array([10.0, 0, 10]), np.array([10.0, 0, 10]))
    assert profile.inverse(np.array([10.0, 10.000001, 20])) == pytest.approx([1, 2, 3], abs=1e-6)
    assert profile.rate(np.array([1.5])).tolist() == [0]


@given(profiles(), st.floats(0, 1))
def test_the_inverse_inverts(profile: RateProfile, share: float) -> None:
    count = share * profile.edge_count[-1]
    time = profile.inverse(np.array([count]))
    assert 0 <= time[0] <= profile.time_s[-1]
    assert profile.cumulative(time)[0] == pytest.approx(count, rel=1e-9, abs=1e-9 * profile.edge_count[-1])


@given(profiles())
def test_the_inverse_is_increasing_and_endless_beyond_the_last_edge(profile: RateProfile) -> None:
    total = profile.edge_count[-1]
    times = profile.inverse(np.linspace(0, total, 200))
    assert np.all(np.diff(times) >= -1e-9)
    assert np.isinf(profile.inverse(np.array([total * 1.001 + 1]))[0])


@given(profiles(), st.floats(1e-9, 1))  # below it the quadrature warns of rounding, not the rate
def test_the_cumulative_rate_is_the_integral_of_the_rate(profile: RateProfile, share: float) -> None:
    """Against numerical quadrature of the rate, piece by piece."""
    end = share * profile.time_s[-1]
    inner = profile.time_s[profile.time_s < end]
    edges = np.concatenate((inner, [end]))
    integral = sum(
        quad(lambda t: float(profile.rate(np.array([t]))[0]), a, np.nextafter(b, 0))[0] for a, b in pairwise(edges)
    )
    assert profile.cumulative(np.array([end]))[0] == pytest.approx(integral, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("time_s", "left", "right", "message"),
    [
        ([0.0], [], [], "one more edge than pieces"),
        ([0.0, 1.0], [1.0, 2.0], [1.0], "one more edge than pieces"),
        ([1.0, 2.0], [1.0], [1.0], r"time_s\[0\] = 1.0, must be 0"),
        ([0.0, 2.0, 2.0], [1.0, 1.0], [1.0, 1.0], r"time_s\[2\] = 2.0, must be later"),
        ([0.0, 1.0, 2.0], [1.0, -1.0], [1.0, 1.0], r"left_rps\[1\] = -1.0, must be from 0 to"),
        ([0.0, 1.0], [1.0], [np.inf], r"right_rps\[0\] = inf"),
        ([0.0, np.nan], [1.0], [1.0], r"time_s\[1\] = nan"),
    ],
)
def test_an_impossible_profile_cannot_be_made(
    time_s: list[float], left: list[float], right: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        RateProfile(np.array(time_s), np.array(left), np.array(right))


def test_a_profile_does_not_change_with_the_arrays_it_was_made_from() -> None:
    rates = np.array([5.0])
    profile = RateProfile(np.array([0.0, 1.0]), rates, rates)
    rates[0] = 99
    assert profile.left_rps.tolist() == [5]
    with pytest.raises(ValueError, match="read-only"):
        profile.left_rps[0] = 1
