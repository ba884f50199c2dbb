"""The formulas against reference values, limits, and independent numerical solutions."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.linalg import null_space

from planner.errors import InputError
from planner.queueing import WaitLimitQueue, erlang_b, erlang_c, fraction_503_general_service, slots_for

# (c, lambda, mu, D, P503, P(V > 0), E[queue time]); closed form, confirmed by Ciw, SimPy and a numba simulation
REFERENCE = [
    (1, 0.5, 1, 1.0, 0.1787346809, 0.4106326595, 0.2850612764),
    (1, 1.0, 1, 1.0, 0.3333333333, 0.6666666667, 0.5),
    (2, 1.0, 1, 0.5, 0.1124564953, 0.2583623364, 0.0896775934),
    (4, 3.2, 1, 0.5, 0.1175608515, 0.4066575028, 0.1262491110),
    (20, 18, 1, 0.1, 0.0758937466, 0.2439245949, 0.0157110522),
    (20, 18, 1, 1.0, 0.0079898436, 0.5184654361, 0.1833292035),
    (20, 25, 1, 0.5, 0.2047983947, 0.9567484697, 0.3616059718),
    (29, 20, 1, 0.5, 0.0001382466, 0.0397919292, 0.0042523574),
    (10, 7, 1, 0, 0.0787408830, 0.0787408830, 0.0),
]


@pytest.mark.parametrize(("slots", "rate", "mu", "limit", "p503", "p_wait", "queue_time"), REFERENCE)
def test_reference_values(
    slots: int, rate: float, mu: float, limit: float, p503: float, p_wait: float, queue_time: float
) -> None:
    queue = WaitLimitQueue(slots, rate, 1 / mu, limit)
    assert queue.fraction_503 == pytest.approx(p503, abs=5.1e-11)
    assert queue.wait_exceeds(0.0) == pytest.approx(p_wait, abs=5.1e-11)
    assert queue.mean_queue_time_s == pytest.approx(queue_time, abs=5.1e-11)


# (rps, S, replicas of the published rule at 0.7, P503 there, c for 1 %, 0.1 % and 0.01 %), D = 0.5 s
CALCULATOR = [
    (1, 0.5, 1, 0.179, 3, 4, 4),
    (2, 0.5, 2, 0.065, 3, 4, 5),
    (5, 0.2, 2, 0.0139, 3, 3, 4),
    (5, 1, 8, 0.0143, 9, 11, 13),
    (10, 1, 15, 2.8e-3, 14, 17, 19),
    (20, 1, 29, 1.4e-4, 24, 27, 30),
    (2, 10, 29, 8.1e-3, 29, 34, 37),
    (20, 10, 286, 2.7e-11, 213, 229, 240),
    (100, 1, 143, 4e-15, 102, 107, 111),
]


@pytest.mark.parametrize(("rps", "service", "slots", "p503", "one", "tenth", "hundredth"), CALCULATOR)
def test_what_the_published_rule_leaves(
    rps: float, service: float, slots: int, p503: float, one: int, tenth: int, hundredth: int
) -> None:
    digits = len(f"{p503:e}".split("e")[0].rstrip("0").replace(".", ""))
    fraction = WaitLimitQueue(slots, rps, service, 0.5).fraction_503
    assert float(f"{fraction:.{digits - 1}e}") == pytest.approx(p503, rel=1e-9)
    assert [slots_for(p, rps, service, 0.5) for p in (0.01, 0.001, 0.0001)] == [one, tenth, hundredth]


def test_the_same_load_in_shorter_requests_waits_far_less() -> None:
    assert WaitLimitQueue(15, 100, 0.1, 0.5).fraction_503 == pytest.approx(4.7e-13, rel=0.01)


def test_known_values_of_erlang_b_and_c() -> None:
    assert erlang_b(20, 18) == pytest.approx(0.109213, abs=5e-7)
    assert erlang_b(10, 7) == pytest.approx(0.0787408830, abs=5e-11)
    assert erlang_c(20, 18) == pytest.approx(0.550769, abs=5e-7)
    assert erlang_c(20, 20) == 1.0


def test_without_a_wait_limit_it_is_erlang_b() -> None:
    for slots, load in ((1, 0.3), (10, 7), (200, 230), (5000, 4800)):
        assert WaitLimitQueue(slots, load, 1.0, 0.0).fraction_503 == pytest.approx(erlang_b(slots, load), rel=1e-10)


def test_an_endless_limit_loses_nobody_below_full_load_and_the_excess_above() -> None:
    assert WaitLimitQueue(10, 7, 1.0, 1e4).fraction_503 == pytest.approx(0, abs=1e-300)
    assert WaitLimitQueue(10, 20, 1.0, 1e4).fraction_503 == pytest.approx(0.5, rel=1e-12)


def test_an_endless_limit_waits_as_erlang_c_says() -> None:
    queue = WaitLimitQueue(20, 18, 1.0, 1e3)
    assert queue.wait_exceeds(0.0) == pytest.approx(erlang_c(20, 18), rel=1e-12)
    assert queue.mean_queue_time_s == pytest.approx(0.275385, abs=5e-7)


@pytest.mark.parametrize("load", [5_000.0, 9_999.0, 10_000.0, 10_001.0, 20_000.0, 1e6])
def test_ten_thousand_slots_do_not_overflow(load: float) -> None:
    queue = WaitLimitQueue(10_000, load, 1.0, 0.5)
    lower_bound = max(0.0, 1 - 10_000 / load)
    assert lower_bound - 1e-12 <= queue.fraction_503 <= 1
    assert 0 <= queue.mean_queue_time_s <= 0.5
    assert 0 <= queue.wait_exceeds(0.25) <= 1


def test_full_load_is_the_limit_of_loads_near_it() -> None:
    at = WaitLimitQueue(20, 20.0, 1.0, 0.5)
    near = [WaitLimitQueue(20, 20.0 + d, 1.0, 0.5) for d in (-1e-7, 1e-7)]
    for name in ("fraction_503", "mean_queue_time_s"):
        assert getattr(at, name) == pytest.approx(np.mean([getattr(q, name) for q in near]), rel=1e-9)


cases = st.tuples(
    st.integers(1, 40), st.floats(0.05, 3.0), st.floats(0.05, 5.0), st.sampled_from([0.0, 0.01, 0.5, 1.0, 4.0])
)


@given(cases)
@example((12, 3.0, 0.125, 4.0))  # theta D = -768: e^{-theta D} overflows
@settings(max_examples=60, deadline=None)
def test_the_general_formula_integrated_numerically_agrees(case: tuple[int, float, float, float]) -> None:
    """J = integral of exp(lambda min(x, D) - c mu x) over [0, inf), epsilon as a sum: nothing of it is in the code."""
    slots, rho, service, limit = case
    rate = rho * slots / service
    load = rate * service
    epsilon = math.fsum(
        math.exp(j * math.log(load) - math.lgamma(j + 1) - (slots - 1) * math.log(load) + math.lgamma(slots))
        for j in range(slots)
    )
    drift = rate - slots / service
    scale = max(0.0, drift * limit)  # all terms are divided by e^scale, which alone may overflow
    inside = quad(lambda x: math.exp(drift * x - scale), 0, limit, epsabs=0, epsrel=1e-11)[0]
    whole = inside + math.exp(drift * limit - scale) * service / slots
    expected = (math.exp(-scale) + drift * whole) / (epsilon * math.exp(-scale) + rate * whole)
    assert WaitLimitQueue(slots, rate, service, limit).fraction_503 == pytest.approx(expected, rel=1e-6, abs=1e-9)


@given(st.integers(1, 6), st.floats(0.2, 0.95))
@settings(max_examples=15, deadline=None)
def test_a_birth_death_chain_agrees(slots: int, rho: float) -> None:
    """An endless limit makes it M/M/c, whose chain of states, cut at 400 customers, is solved as linear equations."""
    size = 400
    rates = np.zeros((size, size))
    for n in range(size - 1):
        rates[n, n + 1] = rho * slots
        rates[n + 1, n] = min(n + 1, slots)
    rates -= np.diag(rates.sum(axis=1))
    stationary = null_space(rates.T)[:, 0]
    stationary /= stationary.sum()
    waiting = stationary[slots:].sum()
    assert WaitLimitQueue(slots, rho * slots, 1.0, 1e4).wait_exceeds(0.0) == pytest.approx(waiting, rel=1e-6)


@given(cases)
@settings(max_examples=60, deadline=None)
def test_more_slots_lose_fewer_and_waits_are_consistent(case: tuple[int, float, float, float]) -> None:
    slots, rho, service, limit = case
    rate = rho * slots / service
    queue = WaitLimitQueue(slots, rate, service, limit)
    fraction, with_one_more = queue.fraction_503, WaitLimitQueue(slots + 1, rate, service, limit).fraction_503
    assert with_one_more < fraction or with_one_more == fraction == 0  # 0 only by underflow
    assert fraction >= 1 - 1 / rho - 1e-12
    assert queue.wait_exceeds(limit) == pytest.approx(queue.fraction_503, rel=1e-9)
    numeric = quad(queue.wait_exceeds, 0, limit, epsabs=0, epsrel=1e-9)[0]
    assert queue.mean_queue_time_s == pytest.approx(numeric, rel=1e-6, abs=1e-14)


@given(st.floats(0.1, 50), st.floats(0.05, 5), st.sampled_from([0.3, 0.01, 1e-4, 1e-8]))
@settings(max_examples=40, deadline=None)
def test_slots_for_is_the_smallest_that_suffices(rate: float, service: float, bound: float) -> None:
    slots = slots_for(bound, rate, service, 0.5)
    assert WaitLimitQueue(slots, rate, service, 0.5).fraction_503 <= bound
    if slots > 1:
        assert WaitLimitQueue(slots - 1, rate, service, 0.5).fraction_503 > bound


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
def test_the_approximation_is_as_far_off_as_its_docstring_says(
    slots: int, rate: float, service: float, cv: float, simulated: float
) -> None:
    low, high = {0.0: (0.58, 2.25), 0.6: (0.78, 1.13), 2.0: (1.2, 2.75)}[cv]
    ratio = fraction_503_general_service(slots, rate, service, cv, 0.5) / simulated
    assert low < ratio < high


def test_the_approximation_is_exact_for_exponential_service() -> None:
    assert fraction_503_general_service(4, 3.2, 1.0, 1.0, 0.5) == WaitLimitQueue(4, 3.2, 1.0, 0.5).fraction_503


@pytest.mark.parametrize(
    "arguments",
    [(0, 1.0, 1.0, 0.5), (1, 0.0, 1.0, 0.5), (1, 1.0, -1.0, 0.5), (1, 1.0, 1.0, -0.5), (1, math.inf, 1.0, 0)],
)
def test_impossible_queues_are_refused(arguments: tuple[int, float, float, float]) -> None:
    with pytest.raises(InputError):
        WaitLimitQueue(*arguments)


def test_an_impossible_bound_is_refused() -> None:
    with pytest.raises(InputError, match="max_fraction_503"):
        slots_for(0.0, 1.0, 1.0, 0.5)
