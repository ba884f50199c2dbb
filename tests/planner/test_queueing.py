"""Erlang's formulas and M/M/c+D against reference values, limits, exact arithmetic and numerical solutions."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from planner.errors import InputError
from planner.queueing import WaitLimitQueue, erlang_b, erlang_c, slots_for
from tests.planner.queueing_samples import CALCULATOR, REFERENCE


@pytest.mark.parametrize(("slots", "rate", "mu", "limit", "p503", "p_wait", "queue_time"), REFERENCE)
def test_reference_values(
    slots: int, rate: float, mu: float, limit: float, p503: float, p_wait: float, queue_time: float
) -> None:
    queue = WaitLimitQueue(slots, rate, 1 / mu, limit)
    assert queue.fraction_503 == pytest.approx(p503, abs=5.1e-11)
    assert queue.wait_exceeds(0.0) == pytest.approx(p_wait, abs=5.1e-11)
    assert queue.mean_queue_time_s == pytest.approx(queue_time, abs=5.1e-11)
    served_wait = (queue_time - limit * p503) / (1 - p503)
    assert queue.mean_wait_served_s == pytest.approx(served_wait, abs=5e-10)


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
    assert erlang_b(29, 20) == pytest.approx(0.0128, abs=5e-5)
    assert erlang_b(10, 7) == pytest.approx(0.0787408830, abs=5e-11)
    assert erlang_c(20, 18) == pytest.approx(0.550769, abs=5e-7)
    assert erlang_c(20, 20) == 1.0
    assert erlang_b(1, 0) == erlang_c(1, 0) == 0.0


@given(st.integers(1, 60), st.integers(1, 400))
@settings(deadline=None)
def test_erlang_b_and_c_are_their_definitions_in_fractions(slots: int, eighths: int) -> None:
    load = Fraction(eighths, 8)
    weights = [load**j / math.factorial(j) for j in range(slots + 1)]
    assert erlang_b(slots, float(load)) == pytest.approx(float(weights[-1] / sum(weights)), rel=1e-12)
    if load < slots:
        queued = weights[-1] * slots / (slots - load)
        expected = float(queued / (sum(weights[:-1]) + queued))
        assert erlang_c(slots, float(load)) == pytest.approx(expected, rel=1e-12)


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


@given(st.integers(1, 2000), st.floats(0.01, 0.999), st.floats(0.0, 2.0))
@settings(max_examples=60, deadline=None)
def test_below_full_load_it_follows_from_the_queue_that_nobody_leaves(slots: int, rho: float, limit: float) -> None:
    """Tijms' form: P503 = (1 - rho) P / (1 - rho P), P = C(c, a) e^{-(c mu - lambda) D} the tail of the M/M/c wait."""
    load = rho * slots
    tail = erlang_c(slots, load) * math.exp(-(slots - load) * limit)
    expected = (1 - rho) * tail / (1 - rho * tail)
    assert WaitLimitQueue(slots, load, 1.0, limit).fraction_503 == pytest.approx(expected, rel=1e-9, abs=1e-250)


def in_sixty_digits(slots: int, rate: Decimal, mu: Decimal, limit: Decimal) -> tuple[Decimal, ...]:
    """P503, P(V > 0), E[queue time], E[wait | served] by the closed forms as printed, which sixty digits can afford."""
    load, theta = rate / mu, slots * mu - rate
    epsilon = term = Decimal(1)
    for k in range(slots - 1, 0, -1):
        term *= k / load
        epsilon += term
    decay = (-theta * limit).exp()
    at_limit = decay / (slots * mu)
    below = (1 - decay) / theta if theta else limit
    moment = (1 - decay * (1 + theta * limit)) / theta**2 if theta else limit**2 / 2
    whole = epsilon + rate * (below + at_limit)
    p503 = rate * at_limit / whole
    queue_time = rate * (moment + limit * at_limit) / whole
    return p503, rate * (below + at_limit) / whole, queue_time, (queue_time - limit * p503) / (1 - p503)


@pytest.mark.parametrize("slots", [1, 2, 20, 400, 10_000])
@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9, 0.98, 1.0, 1.015625, 2.0])
def test_every_digit_down_to_fractions_of_1e_13(slots: int, rho: float) -> None:
    for service, limit in ((1.0, 0.0), (1.0, 2**-6), (1.0, 0.5), (8.0, 0.5), (0.125, 4.0)):
        rate = rho * slots / service
        queue = WaitLimitQueue(slots, rate, service, limit)
        values = (queue.fraction_503, queue.wait_exceeds(0.0), queue.mean_queue_time_s, queue.mean_wait_served_s)
        with localcontext() as context:
            context.prec = 60
            exact = in_sixty_digits(slots, Decimal(rate), 1 / Decimal(service), Decimal(limit))
            errors = [
                abs(Decimal(v) / x - 1) if x > Decimal("1e-200") else v for v, x in zip(values, exact, strict=True)
            ]
        common = [error for error, x in zip(errors, exact, strict=True) if x > Decimal("1e-13")]
        assert max(common, default=0) < 1e-13
        assert max(errors) < 1e-9


def test_one_over_three() -> None:
    assert WaitLimitQueue(1, 1.0, 1.0, 1.0).fraction_503 == pytest.approx(1 / 3, rel=1e-15)


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
    for name in ("fraction_503", "mean_queue_time_s", "mean_wait_served_s"):
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
    balance = rates.T - np.diag(rates.sum(axis=1))
    balance[-1] = 1  # all probabilities sum to 1
    waiting = np.linalg.solve(balance, np.eye(size)[-1])[slots:].sum()
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
    assert queue.utilization == pytest.approx(rho * (1 - fraction), rel=1e-9)
    assert queue.wait_exceeds(limit) == pytest.approx(queue.fraction_503, rel=1e-9)
    numeric = quad(queue.wait_exceeds, 0, limit, epsabs=0, epsrel=1e-9)[0]
    assert queue.mean_queue_time_s == pytest.approx(numeric, rel=1e-6, abs=1e-14)


@pytest.mark.parametrize("rate", [1e-100, 1e100])
@pytest.mark.parametrize("limit", [0.0, 1e-300, 1e100])
def test_the_ends_of_the_range_are_numbers(rate: float, limit: float) -> None:
    queue = WaitLimitQueue(50, rate, 1.0, limit)
    assert 0 <= queue.fraction_503 <= 1
    assert 0 <= queue.mean_wait_served_s <= queue.mean_queue_time_s * (1 + 1e-12) <= limit * (1 + 1e-12)
    assert 0 <= queue.utilization <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1.0, 1.0, 0.5), "slots = 0, must be an integer from 1 to 1,000,000"),
        ((2.5, 1.0, 1.0, 0.5), "slots = 2.5, must be an integer"),
        ((math.nan, 1.0, 1.0, 0.5), "slots = nan, must be an integer"),
        ((10**9, 1.0, 1.0, 0.5), "slots = 1000000000, must be an integer from 1 to 1,000,000"),
        ((1, 0.0, 1.0, 0.5), "arrival rate = 0.0 per second, must be from 1e-100 to 1e[+]100"),
        ((1, math.inf, 1.0, 0.0), "arrival rate = inf"),
        ((1, 1.0, -1.0, 0.5), "mean service time = -1.0 s, must be from"),
        ((1, 1.0, 1.0, -0.5), "wait limit = -0.5 s, must be from 0 to"),
        ((1, 1.0, 1.0, math.nan), "wait limit = nan"),
        ((1, 1e-60, 1e-60, 0.5), "offered load = 1e-120 erlangs, must be 0 or from"),
    ],
)
def test_impossible_queues_are_refused(arguments: tuple[Any, float, float, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        WaitLimitQueue(*arguments)


@pytest.mark.parametrize("x", [-0.1, 0.6, math.nan])
def test_a_wait_outside_the_limit_is_refused(x: float) -> None:
    with pytest.raises(InputError, match="must be from 0 to the wait limit"):
        WaitLimitQueue(1, 1.0, 1.0, 0.5).wait_exceeds(x)
