"""MAP/M/c+D against the values of other code, closed forms of special cases, and chains that are solved as they are."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from planner.errors import InputError
from planner.model import FloatArray
from planner.queueing import WaitLimitQueue, erlang_b, fraction_503_slow_bursts, slots_for
from planner.queueing.chains import is_irreducible, stationary, time_in_states
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue, slots_for_markov_arrivals
from tests.planner.queueing_samples import BURSTS, BURSTS_RPS, CALCULATOR, REFERENCE, SWITCHING_PER_S

ANY_MAP = MarkovArrivals(
    np.array([[-4.0, 1.0, 0.2], [0.0, -2.0, 0.5], [0.3, 0.0, -4.0]]),
    np.array([[2.5, 0.1, 0.2], [1.0, 0.2, 0.3], [3.2, 0.0, 0.5]]),
)
TWO_PHASES = MarkovArrivals.mmpp([1.0, 9.0], [0.5, 0.7])


def poisson_in_disguise(rate_rps: float, phases: int, seed: int) -> MarkovArrivals:
    """Phases that change with and without arrivals, all with the same arrival rate."""
    draw = np.random.default_rng(seed).random((2, phases, phases)) ** 3
    d1 = rate_rps * draw[0] / draw[0].sum(axis=1, keepdims=True)
    switching = draw[1] * (1 - np.eye(phases))
    return MarkovArrivals(switching - np.diag(switching.sum(axis=1) + rate_rps), d1)


# Values of other code


@pytest.mark.parametrize(("slots", "rate", "mu", "limit", "p503", "p_wait", "queue_time"), REFERENCE)
def test_one_phase_gives_the_reference_values_of_poisson_arrivals(
    slots: int, rate: float, mu: float, limit: float, p503: float, p_wait: float, queue_time: float
) -> None:
    queue = MarkovArrivalsQueue(slots, MarkovArrivals.poisson(rate), 1 / mu, limit)
    assert queue.fraction_503 == pytest.approx(p503, abs=5.1e-11)
    assert queue.wait_exceeds(0.0) == pytest.approx(p_wait, abs=5.1e-11)
    assert queue.mean_queue_time_s == pytest.approx(queue_time, abs=5.1e-11)


@pytest.mark.parametrize(("slots", "limit", "p503"), BURSTS)
def test_bursts(slots: int, limit: float, p503: float) -> None:
    queue = MarkovArrivalsQueue(slots, MarkovArrivals.mmpp(BURSTS_RPS, SWITCHING_PER_S), 1.0, limit)
    assert queue.fraction_503 == pytest.approx(p503, rel=5.1e-7)


@pytest.mark.parametrize(("rps", "service", "slots", "p503", "one", "tenth", "hundredth"), CALCULATOR)
def test_one_phase_needs_as_many_slots_as_poisson_arrivals(
    rps: float, service: float, slots: int, p503: float, one: int, tenth: int, hundredth: int
) -> None:
    arrivals = MarkovArrivals.poisson(rps)
    found = [slots_for_markov_arrivals(bound, arrivals, service, 0.5) for bound in (0.01, 0.001, 0.0001)]
    assert found == [one, tenth, hundredth]


# Closed forms of special cases


@given(
    st.integers(1, 4),
    st.integers(1, 60),
    st.floats(0.1, 2.0),
    st.sampled_from([0.01, 1.0, 10.0]),
    st.sampled_from([0.0, 1e-3, 0.5, 20.0]),
    st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_phases_that_do_not_matter(
    phases: int, slots: int, rho: float, service: float, limit: float, seed: int
) -> None:
    rate = rho * slots / service
    poisson = WaitLimitQueue(slots, rate, service, limit)
    queue = MarkovArrivalsQueue(slots, poisson_in_disguise(rate, phases, seed), service, limit)
    assert queue.fraction_503 == pytest.approx(poisson.fraction_503, rel=1e-11, abs=1e-60)
    assert queue.wait_exceeds(limit / 3) == pytest.approx(poisson.wait_exceeds(limit / 3), rel=1e-11, abs=1e-60)
    assert queue.mean_queue_time_s == pytest.approx(poisson.mean_queue_time_s, rel=1e-11, abs=1e-60)
    assert queue.utilization == pytest.approx(poisson.utilization, rel=1e-11)


@pytest.mark.parametrize(
    ("slots", "rate", "limit"),
    [(10_000, 9_800.0, 0.1), (10_000, 20_000.0, 0.5), (400, 400.0, 100.0), (20, 40.0, 1e5), (2, 1e-9, 0.5)],
)
def test_it_keeps_its_digits_at_the_ends(slots: int, rate: float, limit: float) -> None:
    """The first has a fraction of 1e-12; each of 10,000 slots takes its turn, which takes about a second."""
    poisson = WaitLimitQueue(slots, rate, 1.0, limit)
    queue = MarkovArrivalsQueue(slots, poisson_in_disguise(rate, 2, 1), 1.0, limit)
    assert queue.fraction_503 == pytest.approx(poisson.fraction_503, rel=1e-10)
    assert queue.wait_exceeds(0.0) == pytest.approx(poisson.wait_exceeds(0.0), rel=1e-10)
    assert queue.mean_queue_time_s == pytest.approx(poisson.mean_queue_time_s, rel=1e-10)


def renewal_loss(slots: int, transform: Sequence[float]) -> float:
    """Share of losses of GI/M/c/c (Takacs, Palm); transform[k]: E[e^{-k mu gap}]."""
    total, product = 1.0, 1.0
    for k in range(1, slots + 1):
        product *= (1 - transform[k]) / transform[k]
        total += math.comb(slots, k) * product
    return 1 / total


@pytest.mark.parametrize("slots", [1, 5, 30])
def test_regular_arrivals_without_a_wait_limit(slots: int) -> None:
    """Gaps of three exponential stages, each of rate 3 r: the phase moves on, and every third move is an arrival."""
    rate = 0.9 * slots
    step = 3 * rate
    d0 = step * (np.diag([1.0, 1.0], 1) - np.eye(3))
    d1 = np.zeros((3, 3))
    d1[2, 0] = step
    queue = MarkovArrivalsQueue(slots, MarkovArrivals(d0, d1), 1.0, 0.0)
    expected = renewal_loss(slots, [(step / (step + k)) ** 3 for k in range(slots + 1)])
    assert queue.fraction_503 == pytest.approx(expected, rel=1e-11)
    assert queue.fraction_503 < erlang_b(slots, rate)


@pytest.mark.parametrize("slots", [1, 5, 30])
@pytest.mark.parametrize("order", [1, -1])
def test_arrivals_with_pauses_without_a_wait_limit(slots: int, order: int) -> None:
    """On and off: gaps are hyperexponential, with this transform. Arrivals come in one phase alone."""
    rate, stop, start = 2.0 * slots, 0.5, 0.3
    arrivals = MarkovArrivals.mmpp([rate, 0.0][::order], [stop, start][::order])
    queue = MarkovArrivalsQueue(slots, arrivals, 1.0, 0.0)
    transform = [rate * (k + start) / ((k + rate + stop) * (k + start) - stop * start) for k in range(slots + 1)]
    assert queue.fraction_503 == pytest.approx(renewal_loss(slots, transform), rel=1e-11)


# Chains that are solved as they are


def on_a_grid(slots: int, arrivals: MarkovArrivals, service_s: float, limit_s: float, cells: int) -> FloatArray:
    """503 fraction, utilization and P(V > 0) of a chain whose clock runs in random steps of D / cells on average.

    States: up to c - 1 busy slots; all busy and r = 1 to `cells` steps to wait; above the limit. A jump is geometric.
    """
    cell_s = limit_s / cells
    onwards = 1 / (1 + slots / service_s * cell_s)
    size = slots + cells + 1
    jump, down = np.diag(np.ones(size - 1), 1), np.zeros((size, size))
    for busy in range(1, slots):
        down[busy, busy - 1] = busy / service_s
    for r in range(cells + 1):
        here, left = slots - 1 + r, cells + 1 - r
        jump[here] = 0
        jump[here, here:] = [(1 - onwards) * onwards**k for k in range(left)] + [onwards**left]
        if r > 0:
            down[here, here - 1] = 1 / cell_s
    jump[-1, -1], down[-1, -2] = 1, slots / service_s
    phases = len(arrivals.d0)
    generator = np.kron(np.eye(size), arrivals.d0) + np.kron(jump, arrivals.d1)
    generator += np.kron(down - np.diag(down.sum(axis=1)), np.eye(phases))
    balance = generator.T.copy()
    balance[-1] = 1  # all probabilities sum to 1
    probability = np.linalg.solve(balance, np.eye(size * phases)[-1]).reshape(size, phases)
    arrive = probability @ arrivals.d1.sum(axis=1)
    busy_slots = np.minimum(np.arange(size), slots) @ probability.sum(axis=1)
    return np.array([arrive[-1], busy_slots / slots * arrive.sum(), arrive[slots:].sum()]) / arrive.sum()


def extrapolated(slots: int, arrivals: MarkovArrivals, service_s: float, limit_s: float) -> FloatArray:
    """From grids that double: the error is a power series in the width of a cell (Richardson)."""
    rows = [on_a_grid(slots, arrivals, service_s, limit_s, cells) for cells in (12, 24, 48, 96)]
    for factor in (2, 4, 8):
        rows = [(factor * fine - coarse) / (factor - 1) for coarse, fine in pairwise(rows)]
    return rows[0]


@pytest.mark.parametrize("arrivals", [ANY_MAP, TWO_PHASES, MarkovArrivals.mmpp([3.0, 0.0, 5.0], [1.0, 0.5, 2.0])])
@pytest.mark.parametrize(
    ("slots", "service_s", "limit_s"), [(1, 1.0, 0.5), (2, 0.5, 0.5), (3, 1.0, 0.3), (4, 2.0, 1.0)]
)
def test_a_chain_with_a_clock_of_random_steps_agrees(
    slots: int, service_s: float, limit_s: float, arrivals: MarkovArrivals
) -> None:
    queue = MarkovArrivalsQueue(slots, arrivals, service_s, limit_s)
    expected = extrapolated(slots, arrivals, service_s, limit_s)
    assert [queue.fraction_503, queue.utilization, queue.wait_exceeds(0.0)] == pytest.approx(expected, rel=2e-5)


# Laws that every queue keeps


@pytest.mark.parametrize(("slots", "limit"), [(1, 2.0), (6, 0.5), (12, 0.1)])
@pytest.mark.parametrize("arrivals", [ANY_MAP, TWO_PHASES])
def test_waits_are_consistent(arrivals: MarkovArrivals, slots: int, limit: float) -> None:
    queue = MarkovArrivalsQueue(slots, arrivals, 1.0, limit)
    assert queue.wait_exceeds(limit) == pytest.approx(queue.fraction_503, rel=1e-13)
    assert queue.mean_queue_time_s == pytest.approx(quad(queue.wait_exceeds, 0, limit, epsrel=1e-9)[0], rel=1e-8)
    assert queue.fraction_503 >= 1 - slots / queue.load_erlangs
    assert queue.utilization == pytest.approx(queue.load_erlangs * (1 - queue.fraction_503) / slots)


@pytest.mark.parametrize("rates", [[1e-9, 1e9], [0.0, 1e30], [1e-60, 1.0]])
@pytest.mark.parametrize("switching", [[1.0, 1.0], [1e-90, 1e-90], [1e-9, 1e9]])
@pytest.mark.parametrize("limit", [0.0, 0.5, 1e6])
def test_the_ends_of_the_range_are_numbers(rates: list[float], switching: list[float], limit: float) -> None:
    queue = MarkovArrivalsQueue(3, MarkovArrivals.mmpp(rates, switching), 1e6, limit)
    for share in (queue.fraction_503, queue.wait_exceeds(limit / 2), queue.utilization):
        assert 0 <= share <= 1 + 1e-9
    assert 0 <= queue.mean_queue_time_s <= limit * (1 + 1e-9)


@pytest.mark.parametrize("level", [0.0, 0.2, 0.5])
def test_phases_have_the_shares_of_time_that_arrivals_alone_give_them(level: float) -> None:
    seen = MarkovArrivalsQueue(5, ANY_MAP, 1.0, 0.5)._crossings(level)
    assert seen.time_s / seen.time_s.sum() == pytest.approx(ANY_MAP.phase_shares, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-3, 1e6])
def test_another_unit_of_time_changes_nothing(factor: float) -> None:
    queue = MarkovArrivalsQueue(6, ANY_MAP, 1.0, 0.5)
    faster = MarkovArrivals(ANY_MAP.d0 * factor, ANY_MAP.d1 * factor)
    scaled = MarkovArrivalsQueue(6, faster, 1.0 / factor, 0.5 / factor)
    assert scaled.fraction_503 == pytest.approx(queue.fraction_503, rel=1e-12)
    assert scaled.mean_queue_time_s * factor == pytest.approx(queue.mean_queue_time_s, rel=1e-12)


def test_the_order_of_the_phases_changes_nothing() -> None:
    order = np.ix_([2, 0, 1], [2, 0, 1])
    shuffled = MarkovArrivals(ANY_MAP.d0[order], ANY_MAP.d1[order])
    expected = MarkovArrivalsQueue(6, ANY_MAP, 1.0, 0.5).fraction_503
    assert MarkovArrivalsQueue(6, shuffled, 1.0, 0.5).fraction_503 == pytest.approx(expected, rel=1e-13)


def test_fast_switching_is_poisson_and_slow_switching_a_mixture() -> None:
    fast = MarkovArrivalsQueue(29, MarkovArrivals.mmpp(BURSTS_RPS, [1e7, 1e7]), 1.0, 0.5).fraction_503
    assert fast == pytest.approx(WaitLimitQueue(29, 20.0, 1.0, 0.5).fraction_503, rel=1e-4)
    slow = MarkovArrivalsQueue(29, MarkovArrivals.mmpp(BURSTS_RPS, [1e-9, 1e-9]), 1.0, 0.5).fraction_503
    assert slow == pytest.approx(fraction_503_slow_bursts(29, BURSTS_RPS, [1e-9, 1e-9], 1.0, 0.5), rel=1e-7)


@pytest.mark.parametrize("slots", [10, 30])
def test_an_endless_limit_loses_the_excess_alone(slots: int) -> None:
    queue = MarkovArrivalsQueue(slots, MarkovArrivals.mmpp(BURSTS_RPS, SWITCHING_PER_S), 1.0, 1e5)
    assert queue.fraction_503 == pytest.approx(max(0.0, 1 - slots / 20), rel=1e-12, abs=1e-60)


def test_phases_run_in_the_order_of_the_simulated_process() -> None:
    arrivals = MarkovArrivals.mmpp([1.0, 2.0, 3.0], [0.1, 0.2, 0.4])
    assert arrivals.d0.tolist() == [[-1.1, 0.1, 0.0], [0.0, -2.2, 0.2], [0.4, 0.0, -3.4]]
    assert arrivals.phase_shares == pytest.approx(np.array([4, 2, 1]) / 7)
    assert arrivals.mean_rate_rps == pytest.approx((4 * 1 + 2 * 2 + 1 * 3) / 7)
    assert MarkovArrivals.poisson(3.0).mean_rate_rps == 3.0


def test_slots_for_poisson_in_disguise() -> None:
    arrivals = poisson_in_disguise(500.0, 3, 2)
    for target in (0.5, 0.01, 1e-6, 1e-12):
        assert slots_for_markov_arrivals(target, arrivals, 1.0, 0.5) == slots_for(target, 500.0, 1.0, 0.5)


# The linear algebra


def test_time_in_states_inverts_its_matrix_however_rare_leaving_is() -> None:
    rates = np.random.default_rng(3).random((5, 5))
    leaving = np.array([0.0, 0.0, 1e-30, 0.0, 0.0])
    times = time_in_states(rates, leaving)
    assert times @ leaving == pytest.approx(np.ones(5), rel=1e-13)  # the chain ends
    assert times[0] / times[0].sum() == pytest.approx(stationary(rates), rel=1e-13)
    plain = np.diag(rates.sum(axis=1) + 1) - rates
    assert time_in_states(rates, np.ones(5)) == pytest.approx(np.linalg.inv(plain), rel=1e-12)


def test_what_is_irreducible() -> None:
    ring = np.roll(np.eye(9), 1, axis=1)
    assert is_irreducible(ring)
    assert is_irreducible(np.zeros((1, 1)))
    ring[8, 0] = 0
    assert not is_irreducible(ring)


# What is refused


@pytest.mark.parametrize(
    ("d0", "d1", "sentence"),
    [
        ([[-1.0]], [[1.0, 0.0]], "must be two square matrices of one size"),
        ([[-1.0, 0.0], [0.0, -1.0]], [[1.0, 0.0], [0.0, 1.0]], "some phase .* cannot be reached"),
        ([[-1.0, -0.5], [0.5, -1.0]], [[1.5, 0.0], [0.0, 0.5]], r"d0\[0, 1\] = -0.5, must be from 0 to"),
        ([[-1.0]], [[math.nan]], r"d1\[0, 0\] = nan, must be from 0 to"),
        (
            [[-1.0, 1.0], [1.0, -2.0]],
            [[0.0, 0.0], [0.0, 2.0]],
            r"d0\[1, 1\] = -2.0, must be -3.0, so that row 1 of d0 \+ d1 sums to 0",
        ),
        ([[math.nan]], [[1.0]], r"d0\[0, 0\] = nan, must be -1.0"),
        ([[-math.inf]], [[1.0]], r"d0\[0, 0\] = -inf, must be -1.0"),
        ([[-1.0, 1.0], [1.0, -1.0]], [[0.0, 0.0], [0.0, 0.0]], "nobody ever arrives"),
    ],
)
def test_matrices_that_are_no_arrival_process_are_refused(
    d0: list[list[float]], d1: list[list[float]], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        MarkovArrivals(np.array(d0), np.array(d1))


def test_impossible_rates_and_queues_are_refused() -> None:
    with pytest.raises(InputError, match="as many switching rates as rates, and at least two"):
        MarkovArrivals.mmpp([1.0, 2.0], [1.0])
    with pytest.raises(InputError, match=r"mmpp rates = \[-1.0, 2.0\], must be at least 0"):
        MarkovArrivals.mmpp([-1.0, 2.0], [1.0, 1.0])
    with pytest.raises(InputError, match=r"mmpp switching = \[0.0, 1.0\], must be above 0"):
        MarkovArrivals.mmpp([1.0, 2.0], [0.0, 1.0])
    with pytest.raises(InputError, match=r"d0\[0, 1\] = inf, must be from 0 to"):
        MarkovArrivals.mmpp([1.0, 2.0], [math.inf, 1.0])
    with pytest.raises(InputError, match="slots = 0"):
        MarkovArrivalsQueue(0, TWO_PHASES, 1.0, 0.5)
    with pytest.raises(InputError, match="wait limit = -1"):
        MarkovArrivalsQueue(1, TWO_PHASES, 1.0, -1)
    with pytest.raises(InputError, match=r"wait = 0\.6 s, must be from 0 to the wait limit"):
        MarkovArrivalsQueue(1, TWO_PHASES, 1.0, 0.5).wait_exceeds(0.6)
    with pytest.raises(InputError, match="max_fraction_503 = 1e-99, must be at least 1e-60"):
        slots_for_markov_arrivals(1e-99, TWO_PHASES, 1.0, 0.5)
