"""The settings among which a plan chooses."""

from __future__ import annotations

import dataclasses
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.arrivals import MarkovModulatedPoisson, Recorded
from planner.errors import InputError
from planner.model import MOST_REPLICAS, Autoscaler, Deployment, Slo
from planner.plan.settings import Setting
from planner.plan.space import MAX_STEPS, MIN_STEPS, TARGETS_PERCENT, Ranges, among, busiest_rps, space_of
from planner.queueing import WaitLimitQueue
from planner.service import Deterministic
from tests.planner.plan.plan_cases import fixed, scenario, steps

SLO = Slo(max_fraction_503=0.01)


def test_all_settings_of_the_ranges() -> None:
    of = scenario(target_utilization_percent=65)
    ranges = Ranges(min_replicas=(1, 3, 4), max_replicas=(2, 4), target_percent=(50, 70))
    found = space_of(of, SLO, ranges)
    scaled = {(1, 2, 50), (1, 2, 70), (1, 4, 50), (1, 4, 70), (3, 4, 50), (3, 4, 70)}
    assert {(s.min_replicas, s.max_replicas, s.target_percent) for s in found.settings} == scaled | {(4, 4, 65)}
    assert list(found.settings) == sorted(found.settings)
    assert (found.most_replicas, found.is_limited) == (4, True)


@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.integers(1, 12), min_size=1, max_size=5),
    st.sets(st.integers(1, 12), min_size=1, max_size=5),
    st.sets(st.integers(1, 100), min_size=1, max_size=3),
    st.none() | st.sets(st.integers(1, 4), min_size=1, max_size=2),
)
def test_ranges_are_kept(minima: set[int], maxima: set[int], targets: set[int], sizes: set[int] | None) -> None:
    of = scenario(worker_count=3, max_concurrent_requests=2)
    low, high, target, size = (None if v is None else tuple(sorted(v)) for v in (minima, maxima, targets, sizes))
    ranges = Ranges(min_replicas=low, max_replicas=high, target_percent=target, max_concurrent=size)
    pairs = [(2, 3)] if sizes is None else [(s, s) for s in sizes]
    wanted = {Setting(a, b, t, *pair) for a, b, t, pair in product(minima, maxima, targets, pairs) if a < b}
    wanted |= {Setting(a, a, 70, *pair) for a, pair in product(minima & maxima, pairs)}
    if wanted:
        found = space_of(of, SLO, ranges)
        assert set(found.settings) == wanted
        assert len(set(found.settings)) == len(found.settings)
    else:
        with pytest.raises(InputError, match="each autoscale_min_replicas is above each autoscale_max_replicas"):
            space_of(of, SLO, ranges)


def test_what_is_searched_without_ranges() -> None:
    of = scenario()
    found = space_of(of, SLO, Ranges())
    most = math.ceil(1.3 * found.likely) + 2
    maxima = sorted({s.max_replicas for s in found.settings if s.min_replicas < s.max_replicas})
    assert (maxima[0], maxima[-1], found.most_replicas) == (max(2, math.floor(0.5 * 0.4 * 210 / 40)), most, most)
    assert len(maxima) <= MAX_STEPS
    assert {s.target_percent for s in found.settings} == set(TARGETS_PERCENT)
    assert {s.min_replicas for s in found.settings} == set(range(1, most + 1))
    assert {s.min_replicas for s in found.settings if s.min_replicas == s.max_replicas} == set(range(1, most + 1))
    assert not found.is_limited


def test_large_counts_are_searched_in_equal_ratios() -> None:
    found = space_of(scenario(steps((60.0, 800.0))), SLO, Ranges())
    minima = sorted({s.min_replicas for s in found.settings if s.min_replicas < s.max_replicas})
    assert minima[0] == 1
    assert 40 < len(minima) <= MIN_STEPS
    apart = np.diff(np.log([m for m in minima if m > 50]))
    assert apart.max() < 1.5 * apart.min()
    assert found.likely * 1.3 <= found.most_replicas <= found.likely * 1.3 + 3


def test_under_fixed_only_the_count_varies() -> None:
    found = space_of(fixed(), SLO, Ranges(max_replicas=(3, 5, 9)))
    assert found.settings == (Setting(3, 3, 70), Setting(5, 5, 70), Setting(9, 9, 70))
    every = space_of(fixed(), SLO, Ranges())
    assert [s.min_replicas for s in every.settings] == list(range(1, every.most_replicas + 1))


@pytest.mark.parametrize("autoscaler", Autoscaler)
@pytest.mark.parametrize(("rps", "max_503"), [(3.0, 0.01), (20.0, 0.001), (60.0, 0.1)])
def test_the_likely_count_is_that_of_the_exact_formula(autoscaler: Autoscaler, rps: float, max_503: float) -> None:
    """Exponential service: the fewest that keep a tenth of the promise at the busiest rate."""
    deployment = Deployment(autoscaler=autoscaler, min_replicas=10, max_request_wait_s=1.0)
    of = scenario(steps((50.0, 1.0), (10.0, rps)), deployment=deployment)
    likely = space_of(of, Slo(max_fraction_503=max_503), Ranges()).likely
    fewest = next(c for c in range(1, 200) if WaitLimitQueue(c, rps, 0.4, 1.0).fraction_503 <= max_503 / 10)
    assert likely == fewest


def test_several_requests_at_a_time_need_fewer_replicas() -> None:
    of = scenario(steps((60.0, 40.0)))
    by_size = {size: space_of(of, SLO, Ranges(max_concurrent=(size,))).likely for size in (1, 2, 4)}
    assert by_size[1] / 2 <= by_size[2] <= by_size[1] / 2 + 1
    assert by_size[1] / 4 <= by_size[4] <= by_size[1] / 4 + 1
    both = space_of(of, SLO, Ranges(max_concurrent=(1, 4)))
    assert both.likely == by_size[1]
    assert {(s.max_concurrent, s.worker_count) for s in both.settings} == {(1, 1), (4, 4)}
    one_worker = dataclasses.replace(of, deployment=dataclasses.replace(of.deployment, max_concurrent_requests=4))
    assert space_of(one_worker, SLO, Ranges()).likely == by_size[1]


def test_the_busiest_rate() -> None:
    assert busiest_rps(scenario(steps((10.0, 3.0), (1.0, 70.0), (10.0, 2.0)))) == 70
    bursts = MarkovModulatedPoisson(np.array([2.0, 20.0]), np.array([0.2, 0.4]), 60.0)
    assert busiest_rps(scenario(bursts, duration_s=60.0)) == 20


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 59), min_size=1, max_size=40), st.sampled_from([0.1, 0.4, 3.0]))
def test_the_busiest_rate_of_a_trace_is_that_of_its_busiest_window(times: list[float], service_s: float) -> None:
    times_s = np.sort(np.array(times))
    of = scenario(Recorded(times_s, 60.0), duration_s=60.0, service_time=Deterministic(service_s))
    window_s = max(1.0, service_s + 1.0)
    most = max(sum(t - window_s < other <= t for other in times_s) for t in times_s)
    assert busiest_rps(of) == pytest.approx(most / window_s)


def test_a_space_of_no_requests_is_small() -> None:
    found = space_of(scenario(steps((60.0, 0.0))), SLO, Ranges())
    assert (found.likely, found.most_replicas) == (1, 4)


def test_too_many_settings_are_refused_before_they_are_made() -> None:
    wide = tuple(range(1, 10_001))
    with pytest.raises(InputError, match=r"more than 200,000 settings.*give it a step \(50\.\.90:5\)"):
        space_of(scenario(), SLO, Ranges(min_replicas=wide, max_replicas=wide, target_percent=tuple(range(1, 101))))
    with pytest.raises(InputError, match="more than 200,000 settings"):
        space_of(scenario(), SLO, Ranges(min_replicas=wide, max_concurrent=tuple(range(1, 60))))


def test_no_count_above_the_most_of_all() -> None:
    of = scenario(steps((60.0, 400_000.0)), service_time=Deterministic(1.0))
    found = space_of(of, SLO, Ranges(target_percent=(70,)))
    assert found.most_replicas == MOST_REPLICAS


def test_given_settings_and_no_others() -> None:
    given = [Setting(2, 5, 70), Setting(1, 1, 70), Setting(2, 5, 70)]
    found = among(scenario(), SLO, given)
    assert found.settings == (Setting(1, 1, 70), Setting(2, 5, 70))
    assert (found.most_replicas, found.is_limited) == (5, True)


# A setting


def test_a_setting_is_what_its_deployment_has() -> None:
    deployment = Deployment(min_replicas=2, max_replicas=7, target_utilization_percent=55, max_concurrent_requests=3)
    setting = Setting.of(deployment)
    assert setting.applied_to(deployment) == deployment
    other = Setting(1, 4, 80, 2, 2).applied_to(dataclasses.replace(deployment, initial_replicas=6, api=deployment.api))
    assert Setting.of(other) == Setting(1, 4, 80, 2, 2)
    assert other.initial_replicas == 4
    assert Setting(1, 9, 80).applied_to(deployment).initial_replicas is None


def test_how_a_sentence_names_it() -> None:
    assert Setting(4, 40, 70).text(Autoscaler.AZUREML_FE) == "min 4, max 40, target 70 %"
    assert Setting(4, 4, 70, 2, 2).text(Autoscaler.FIXED) == "4 replicas, 2 requests per replica"
    assert Setting(1, 1, 70).text(Autoscaler.FIXED) == "1 replica"
