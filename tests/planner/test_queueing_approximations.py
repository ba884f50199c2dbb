"""The labelled approximations are as far off as their docstrings say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.queueing import (
    WaitLimitQueue,
    delay_probability_square_root,
    erlang_c,
    fraction_503_general_service,
    fraction_503_slow_bursts,
    fraction_503_square_root,
    slots_for,
    slots_for_erlang_c,
    slots_for_general_service,
    slots_for_slow_bursts,
    slots_for_square_root,
    slots_for_square_root_delay,
)
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue, slots_for_markov_arrivals
from planner.queueing.square_root import log_mills_ratio
from tests.planner.queueing_samples import BURSTS_RPS

# Service that is not exponential

# Simulated (2e7 arrivals, 95 % intervals within 3 %): c, rate, S, cv (0 constant, else lognormal), P503 at D = 0.5 s
SIMULATED = [
    (1, 1, 0.5, 0.0, 9.63e-2),
    (1, 1, 0.5, 0.6, 1.395e-1),
    (1, 1, 0.5, 2.0, 2.045e-1),
    (2, 5, 0.2, 0.0, 5.11e-4),
    (2, 5, 0.2, 0.6, 3.81e-3),
    (2, 5, 0.2, 2.0, 3.85e-2),
    (15, 10, 1.0, 0.0, 3.87e-4),
    (15, 10, 1.0, 2.0, 4.80e-3),
    (29, 2, 10.0, 0.0, 7.68e-3),
]


@pytest.mark.parametrize(("slots", "rate", "service", "cv", "simulated"), SIMULATED)
def test_general_service(slots: int, rate: float, service: float, cv: float, simulated: float) -> None:
    low, high = {0.0: (0.58, 2.25), 0.6: (0.78, 1.13), 2.0: (1.2, 2.75)}[cv]
    ratio = fraction_503_general_service(slots, rate, service, cv, 0.5) / simulated
    assert low < ratio < high


def test_general_service_is_exact_for_exponential_service() -> None:
    assert fraction_503_general_service(4, 3.2, 1.0, 1.0, 0.5) == WaitLimitQueue(4, 3.2, 1.0, 0.5).fraction_503


# Simulated (at least 3e5 arrivals): rate, S, cv, fewest slots for 1 %, 0.1 % and 0.01 % at D = 0.5 s
SIMULATED_SLOTS = [
    (5, 0.2, 0.0, (2, 2, 3)),
    (5, 0.2, 2.0, (3, 4, 5)),
    (1, 0.5, 0.6, (2, 3, 4)),
    (10, 1.0, 0.0, (13, 15, 17)),
    (10, 1.0, 0.6, (13, 16, 17)),
    (10, 1.0, 2.0, (14, 17, 20)),
    (20, 1.0, 0.0, (23, 25, 27)),
    (20, 1.0, 0.6, (23, 26, 28)),
    (20, 1.0, 2.0, (24, 28, 31)),
    (2, 10.0, 0.0, (29, 33, 37)),
    (2, 10.0, 2.0, (28, 34, 37)),
]


@pytest.mark.parametrize(("rate", "service", "cv", "simulated"), SIMULATED_SLOTS)
def test_slots_for_general_service(rate: float, service: float, cv: float, simulated: tuple[int, ...]) -> None:
    slots = [slots_for_general_service(bound, rate, service, cv, 0.5) for bound in (0.01, 0.001, 0.0001)]
    low, high = (0, 3) if cv == 2 else (-1, 1)
    assert all(low <= mine - truth <= high for mine, truth in zip(slots, simulated, strict=True))


# Square-root staffing


@pytest.mark.parametrize(
    ("load", "ratios"),
    [(20, (0.93, 0.77, 0.45, 0.22)), (200, (0.98, 0.92, 0.78, 0.63)), (10_000, (1.0, 0.99, 0.97, 0.94))],
)
def test_square_root_delay(load: float, ratios: tuple[float, ...]) -> None:
    for target, ratio in zip((0.5, 0.1, 0.01, 0.001), ratios, strict=True):
        slots = slots_for_erlang_c(target, load)
        assert delay_probability_square_root(slots, load) / erlang_c(slots, load) == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize(
    ("load", "service", "ratios"),
    [
        (20, 1.0, (0.90, 0.77, 0.59)),
        (200, 1.0, (1.0, 0.99, 0.97)),
        (20, 10.0, (0.65, 0.33, 0.17)),
        (200, 10.0, (0.96, 0.85, 0.72)),
    ],
)
def test_square_root_with_a_wait_limit(load: float, service: float, ratios: tuple[float, ...]) -> None:
    rate = load / service
    for target, ratio in zip((0.01, 0.001, 0.0001), ratios, strict=True):
        slots = slots_for(target, rate, service, 0.5)
        exact = WaitLimitQueue(slots, rate, service, 0.5).fraction_503
        assert fraction_503_square_root(slots, rate, service, 0.5) / exact == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize("load", [1, 2, 5, 10, 20, 50, 100, 200, 1000, 10_000])
def test_slots_by_the_square_root_are_at_most_a_few_too_few(load: float) -> None:
    for target in (0.5, 0.1, 0.01, 0.001):
        assert -2 <= slots_for_square_root_delay(target, load) - slots_for_erlang_c(target, load) <= 0
    for service in (0.1, 1.0, 10.0):
        for target in (0.1, 0.01, 0.001, 1e-4, 1e-6):
            queue = (target, load / service, service, 0.5)
            assert -3 <= slots_for_square_root(*queue) - slots_for(*queue) <= 0


def test_square_root_delay_at_its_ends() -> None:
    assert delay_probability_square_root(20, 20) == 1.0
    assert delay_probability_square_root(20, 0) == 0.0
    assert delay_probability_square_root(10**6, 1e-90) == 0.0
    assert delay_probability_square_root(10_050, 10_000) == pytest.approx(0.505, abs=0.001)  # beta = 1/2


def test_the_ratio_of_the_normal_distribution_and_its_density() -> None:
    assert log_mills_ratio(0.0) == pytest.approx(math.log(math.sqrt(math.pi / 2)), rel=1e-14)
    assert log_mills_ratio(-5.0 - 1e-9) == pytest.approx(log_mills_ratio(-5.0 + 1e-9), abs=2e-9)
    assert log_mills_ratio(-1e3) == pytest.approx(-math.log(1e3), abs=2e-6)  # about 1 / x
    assert log_mills_ratio(50.0) == pytest.approx(1250 + math.log(2 * math.pi) / 2, rel=1e-15)  # Phi is 1


@given(st.floats(-40, 40), st.floats(1e-6, 1))
def test_that_ratio_rises(beta: float, more: float) -> None:
    assert log_mills_ratio(beta + more) > log_mills_ratio(beta)


# Slow bursts


@pytest.mark.parametrize(
    ("switching", "service", "highest"),
    [(0.001, 1.0, 1.004), (0.01, 1.0, 1.04), (0.05, 1.0, 1.212), (0.2, 1.0, 2.01), (1.0, 1.0, 14.0)],
)
def test_slow_bursts(switching: float, service: float, highest: float) -> None:
    arrivals = MarkovArrivals.mmpp(BURSTS_RPS, [switching] * 2)
    ratios = [
        fraction_503_slow_bursts(slots, BURSTS_RPS, [switching] * 2, service, 0.5)
        / MarkovArrivalsQueue(slots, arrivals, service, 0.5).fraction_503
        for slots in (20, 25, 29, 35, 40, 45, 50)
    ]
    assert min(ratios) > 1
    assert max(ratios) == pytest.approx(highest, rel=0.003)


@pytest.mark.parametrize(
    ("switching", "service", "too_many"),
    [(0.01, 1.0, 0), (0.05, 1.0, 0), (0.2, 1.0, 1), (1.0, 1.0, 4), (0.01, 10.0, 5), (0.05, 10.0, 21)],
)
def test_slots_for_slow_bursts(switching: float, service: float, too_many: int) -> None:
    arrivals = MarkovArrivals.mmpp(BURSTS_RPS, [switching] * 2)
    targets = (0.05, 0.01, 0.001, 1e-4) if service == 10 else (0.01, 0.001, 1e-4, 1e-6)
    differences = [
        slots_for_slow_bursts(target, BURSTS_RPS, [switching] * 2, service, 0.5)
        - slots_for_markov_arrivals(target, arrivals, service, 0.5)
        for target in targets
    ]
    assert min(differences) >= 0
    assert max(differences) == too_many


def test_slow_bursts_weigh_each_phase_by_its_arrivals() -> None:
    """A phase that lasts three times as long counts three times; one without arrivals counts not at all."""
    quiet, busy = (WaitLimitQueue(5, rate, 1.0, 0.5).fraction_503 for rate in (2, 6))
    expected = (3 * 2 * quiet + 1 * 6 * busy) / (3 * 2 + 1 * 6)
    assert fraction_503_slow_bursts(5, [2, 6], [0.1, 0.3], 1.0, 0.5) == pytest.approx(expected, rel=1e-14)
    assert fraction_503_slow_bursts(5, [0, 6], [0.1, 0.3], 1.0, 0.5) == pytest.approx(busy, rel=1e-14)
    assert fraction_503_slow_bursts(5, [6], [1.0], 1.0, 0.5) == pytest.approx(busy, rel=1e-14)


# What is refused


def test_impossible_service_and_phases_are_refused() -> None:
    with pytest.raises(InputError, match="service_cv = -1, must be from 0 to"):
        fraction_503_general_service(1, 1.0, 1.0, -1, 0.5)
    with pytest.raises(InputError, match=r"wait limit = -1\.0 s"):
        fraction_503_general_service(4, 1.0, 1.0, 0.5, -1.0)
    with pytest.raises(InputError, match="2 rates and 1 switching rates"):
        fraction_503_slow_bursts(1, [1.0, 2.0], [1.0], 1.0, 0.5)
    with pytest.raises(InputError, match=r"rates = \[0.0, 0.0\], must be from 0 to 1e\+100 and not all 0"):
        fraction_503_slow_bursts(1, [0.0, 0.0], [1.0, 1.0], 1.0, 0.5)
    with pytest.raises(InputError, match=r"switching = \[1.0, 0.0\], must be from"):
        slots_for_slow_bursts(0.1, [1.0, 2.0], [1.0, 0.0], 1.0, 0.5)
