"""The fewest slots for a target: each inverse is the smallest that its formula says suffices, and its search ends."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner import queueing
from planner.errors import InputError
from planner.queueing import WaitLimitQueue, replicas_for_slots, slots_for
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue, slots_for_markov_arrivals
from planner.queueing.search import LARGEST_SLOTS, fewest_slots

# fraction at c slots, and the inverse, both of (arrival rate, mean service time)
INVERSES: dict[str, tuple[Callable[[int, float, float], float], Callable[[float, float, float], int]]] = {
    "erlang_b": (
        lambda c, rate, s: queueing.erlang_b(c, rate * s),
        lambda target, rate, s: queueing.slots_for_erlang_b(target, rate * s),
    ),
    "erlang_c": (
        lambda c, rate, s: queueing.erlang_c(c, rate * s),
        lambda target, rate, s: queueing.slots_for_erlang_c(target, rate * s),
    ),
    "wait_limit": (
        lambda c, rate, s: WaitLimitQueue(c, rate, s, 0.5).fraction_503,
        lambda target, rate, s: slots_for(target, rate, s, 0.5),
    ),
    "general_service": (
        lambda c, rate, s: queueing.fraction_503_general_service(c, rate, s, 2.0, 0.5),
        lambda target, rate, s: queueing.slots_for_general_service(target, rate, s, 2.0, 0.5),
    ),
    "square_root_delay": (
        lambda c, rate, s: queueing.delay_probability_square_root(c, rate * s),
        lambda target, rate, s: queueing.slots_for_square_root_delay(target, rate * s),
    ),
    "square_root": (
        lambda c, rate, s: queueing.fraction_503_square_root(c, rate, s, 0.5),
        lambda target, rate, s: queueing.slots_for_square_root(target, rate, s, 0.5),
    ),
    "slow_bursts": (
        lambda c, rate, s: queueing.fraction_503_slow_bursts(c, [rate / 2, 2 * rate], [0.2, 0.4], s, 0.5),
        lambda target, rate, s: queueing.slots_for_slow_bursts(target, [rate / 2, 2 * rate], [0.2, 0.4], s, 0.5),
    ),
    "markov": (
        lambda c, rate, s: MarkovArrivalsQueue(c, bursts(rate), s, 0.5).fraction_503,
        lambda target, rate, s: slots_for_markov_arrivals(target, bursts(rate), s, 0.5),
    ),
}


def bursts(rate: float) -> MarkovArrivals:
    return MarkovArrivals.mmpp([rate / 2, 2 * rate], [0.2, 0.4])


@pytest.mark.parametrize("name", INVERSES)
@given(st.floats(0.1, 50), st.floats(0.05, 2), st.sampled_from([0.3, 0.01, 1e-4, 1e-8]))
@settings(max_examples=25, deadline=None)
def test_the_smallest_that_suffices(name: str, rate: float, service: float, target: float) -> None:
    fraction_at, inverse = INVERSES[name]
    slots = inverse(target, rate, service)
    assert fraction_at(slots, rate, service) <= target
    if slots > 1:
        assert fraction_at(slots - 1, rate, service) > target


@pytest.mark.parametrize("name", INVERSES)
@given(st.floats(0.1, 50), st.floats(0.05, 2), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_the_fraction_falls_with_the_slots(name: str, rate: float, service: float, slots: int) -> None:
    fraction_at, _ = INVERSES[name]
    fraction, with_one_more = (fraction_at(c, rate, service) for c in (slots, slots + 1))
    assert with_one_more < fraction or fraction < 1e-60 or with_one_more == fraction == 1


@pytest.mark.parametrize("name", INVERSES)
@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan])
def test_impossible_targets_are_refused(name: str, target: float) -> None:
    with pytest.raises(InputError, match=r"max_\w+ = .*, must be above 0 and below 1"):
        INVERSES[name][1](target, 1.0, 1.0)


@pytest.mark.parametrize("name", INVERSES)
def test_a_load_beyond_all_clusters_ends_in_one_sentence(name: str) -> None:
    with pytest.raises(InputError, match=r"a target of 0.5 needs more than [\d,]+ slots, which is not supported"):
        INVERSES[name][1](0.5, 4e6, 1.0)


@pytest.mark.parametrize("name", sorted(INVERSES.keys() - {"erlang_b", "erlang_c", "square_root_delay"}))
def test_an_impossible_service_time_is_refused(name: str) -> None:
    for time_s in (-1.0, math.nan, -math.inf):
        with pytest.raises(InputError, match=f"mean service time = {time_s} s"):
            INVERSES[name][1](0.5, 1.0, time_s)


@given(st.integers(1, 300), st.integers(1, 300))
def test_the_search_finds_the_step_wherever_it_is(start: int, step: int) -> None:
    asked: list[int] = []

    def fraction_at(slots: int) -> float:
        asked.append(slots)
        return 1.0 if slots < step else 0.0

    assert fewest_slots(fraction_at, 0.5, start) == max(start, step)
    assert len(asked) <= 2 * math.log2(max(step - start, 1)) + 4


def test_the_search_looks_at_the_last_number_before_it_gives_up() -> None:
    assert fewest_slots(lambda slots: 0.0 if slots >= 1000 else 1.0, 0.5, 1, largest=1000) == 1000
    with pytest.raises(InputError, match="more than 999 slots"):
        fewest_slots(lambda slots: 0.0 if slots >= 1000 else 1.0, 0.5, 1, largest=999)
    with pytest.raises(InputError, match=f"more than {LARGEST_SLOTS:,} slots"):
        fewest_slots(lambda slots: 0.0, 0.5, LARGEST_SLOTS + 1)


def test_replicas_hold_the_slots() -> None:
    assert [replicas_for_slots(slots, 4) for slots in (1, 4, 5, 8, 9)] == [1, 1, 2, 2, 3]
    with pytest.raises(InputError, match="max concurrent requests = 0, must be an integer, at least 1"):
        replicas_for_slots(1, 0)
    with pytest.raises(InputError, match="slots = 0"):
        replicas_for_slots(0, 1)
