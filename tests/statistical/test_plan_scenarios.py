"""The scenarios of the planner's guarantee are what they are said to be: their truth, and that they are hard.

Hard: equal allocation of 20 replications, which takes estimates for the truth, succeeds in fewer than 80 of 100 runs.
A planner that keeps its promise, 95 %, has at least 91 successes in 100 runs.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from planner.arrivals import MarkovModulatedPoisson
from planner.draws import Stream
from planner.executors import usable_cores
from planner.executors.processes import Processes
from planner.model import FloatArray, Slo
from planner.plan.settings import Setting
from planner.scenario import Scenario
from planner.service import FromTrace
from planner.sim.engine import simulate_requests
from planner.workload import arrival_times, first_draws
from tests.statistical import plan_truth
from tests.statistical.equal_allocation import equal_allocation, estimated
from tests.statistical.plan_scenarios import (
    ASKED,
    FORGIVEN,
    Case,
    autoscaled,
    cases,
    exact_fraction,
    keeps,
    large,
    middle,
    run_of_search,
    small,
    success,
)
from tests.statistical.plan_truth import SEED, simulated, simulated_together, with_setting

pytestmark = pytest.mark.statistical

RUNS, PROMISED, TOO_EASY = 100, 91, 80

EXACT = [
    (small(), {7: 4.4989e-3, 8: 1.2148e-3, 9: 2.813e-4}, [9, 10]),
    (middle(), {35: 2.0582e-3, 36: 1.2172e-3, 37: 6.908e-4, 38: 3.774e-4}, [37, 38]),
    (large(), {109: 1.4976e-3, 110: 1.1925e-3, 111: 9.411e-4, 112: 7.362e-4, 115: 3.342e-4}, [111, 112, 113, 114]),
]
"""503 fractions at the edge, and the counts that are right."""

# --- quick


def test_the_error_rates_are_as_stated() -> None:
    passes = [float(stats.binom.sf(PROMISED - 1, RUNS, p)) for p in (0.95, 0.91, 0.85, 0.8)]
    assert passes == pytest.approx([0.972, 0.588, 0.055, 0.002], abs=1e-3)
    assert float(stats.binom.sf(TOO_EASY - 1, RUNS, 0.7)) == pytest.approx(0.0165, abs=1e-3)


@pytest.mark.parametrize(("case", "fractions", "right"), EXACT, ids=str)
def test_the_edge_of_the_promise(case: Case, fractions: dict[int, float], right: list[int]) -> None:
    found = {count: exact_fraction(case.scenario, count) for count in fractions}
    assert found == pytest.approx(fractions, rel=2e-4)
    assert [s.min_replicas for s in case.settings if success(case.truth, s, case.slo)] == right


@pytest.mark.parametrize("case", cases(), ids=str)
def test_what_a_promise_kept_means(case: Case) -> None:
    truth, slo = case.truth, case.slo
    assert list(truth.fraction_503) == list(truth.replica_hours) == list(case.settings) == sorted(case.settings)
    cheapest = truth.cheapest(ASKED * slo.max_fraction_503)
    assert success(truth, cheapest, slo)
    assert not success(truth, None, slo)
    cheaper = [s for s in case.settings if truth.replica_hours[s] < truth.replica_hours[cheapest]]
    lures = [s for s in cheaper if 1.1 < truth.fraction_503[s] / slo.max_fraction_503 < 1.3]
    assert lures
    assert not any(success(truth, s, slo) for s in lures)
    too_dear = [s for s in case.settings if truth.replica_hours[s] > truth.most_replica_hours(slo) * 1.0001]
    assert any(keeps(truth, s, slo) for s in too_dear)
    assert not any(success(truth, s, slo) for s in too_dear)


def test_what_may_be_paid() -> None:
    """2 % of 112 replicas are two and not three, of 9 none: there it is one."""
    assert large().truth.most_replica_hours(large().slo) * 9 == pytest.approx(112 * 1.02)
    assert small().truth.most_replica_hours(small().slo) / 0.15 == pytest.approx(10)
    assert autoscaled().truth.one_replica == pytest.approx(480 / 3600)


def test_the_simulated_truth_is_whole() -> None:
    rows = plan_truth.read()
    assert list(rows) == list(autoscaled().settings)
    assert len({row.requests for row in rows.values()}) == 1  # common random numbers
    expected = autoscaled().scenario.arrivals.expected_count * plan_truth.REPLICATIONS
    assert rows[autoscaled().settings[0]].requests == pytest.approx(expected, rel=0.01)
    assert plan_truth.REPLICATIONS >= 20_000


def test_the_simulated_truth_is_precise_enough_to_judge() -> None:
    """Verdicts do not hang on its noise: where they could, the setting counts as a failure."""
    case, rows = autoscaled(), plan_truth.read()
    slo = case.slo.max_fraction_503
    within_cost = [s for s in case.settings if rows[s].replica_hours <= case.truth.most_replica_hours(case.slo)]
    assert max(rows[s].relative_error for s in within_cost if rows[s].fraction_503 > 0.3 * slo) < 0.02
    unclear = [s for s in within_cost if off(rows[s], FORGIVEN * slo) < 3]
    assert unclear == [Setting(6, 13, 55)]
    assert not success(case.truth, unclear[0], case.slo)
    cheapest = case.truth.cheapest(ASKED * slo)
    cheaper = [s for s in case.settings if rows[s].replica_hours <= rows[cheapest].replica_hours]
    assert cheapest == Setting(8, 11, 65)
    assert min(off(rows[s], ASKED * slo) for s in cheaper) > 3


def off(row: plan_truth.Row, fraction: float) -> float:
    """How far the truth is from it, in standard errors."""
    return abs(math.log(row.fraction_503 / fraction)) / row.relative_error


def test_draws_shared_by_settings_are_those_of_each() -> None:
    case = autoscaled()
    scenario = dataclasses.replace(case.scenario, seed=3)
    some = case.settings[::17]
    together = simulated_together(scenario, some, 10)
    assert together == {setting: simulated(with_setting(scenario, setting), 10) for setting in some}


@pytest.mark.parametrize("case", [case for case, _, _ in EXACT], ids=str)
def test_the_empty_start_is_forgotten_before_the_warm_up_ends(case: Case) -> None:
    """Beside the same requests with a past: what the start from nothing costs is below 1 % of the 503s."""
    edge = max(s for s in case.settings if not keeps(case.truth, s, case.slo))
    scenario = with_setting(case.scenario, edge)
    past, empty = np.sum([with_and_without_past(scenario, i, scenario.warm_up_s) for i in range(250)], axis=0)
    assert past > 500
    assert abs(past - empty) <= 0.01 * past


def test_without_a_warm_up_the_empty_start_would_be_seen() -> None:
    scenario = with_setting(large().scenario, Setting(110, 110, 70))
    past, empty = np.sum([with_and_without_past(scenario, i, 0.0) for i in range(250)], axis=0)
    assert empty < 0.99 * past


def with_and_without_past(scenario: Scenario, replicate: int, from_s: float) -> tuple[int, int]:
    """503s from from_s on: of arrivals that begin a warm-up before time 0, and of the same without those before it."""
    past_s, arrivals = scenario.warm_up_s, scenario.arrivals
    assert isinstance(arrivals, MarkovModulatedPoisson)
    duration_s = scenario.duration_s + past_s
    arrivals = dataclasses.replace(arrivals, duration_s=duration_s)
    longer = dataclasses.replace(scenario, arrivals=arrivals, duration_s=duration_s, warm_up_s=past_s + from_s)
    assert not isinstance(longer.service_time, FromTrace)
    times_s = arrival_times(longer, replicate)
    services_s = first_draws(longer.service_time, longer.seed, replicate, Stream.SERVICE, len(times_s))
    first = int(np.searchsorted(times_s, past_s))
    return counted_503(longer, times_s, services_s), counted_503(longer, times_s[first:], services_s[first:])


def counted_503(scenario: Scenario, times_s: FloatArray, services_s: FloatArray) -> int:
    no_starts = iter([np.zeros(scenario.deployment.max_replicas)])
    return simulate_requests(scenario, [times_s], iter([services_s]), no_starts, bin_s=scenario.duration_s).n_503


@pytest.mark.parametrize("max_fraction_503", [1e-3, 1e-2])
def test_equal_allocation_takes_the_cheapest_that_seems_to_keep_the_promise(max_fraction_503: float) -> None:
    slo = Slo(max_fraction_503=max_fraction_503)
    for case in (small(), autoscaled()):
        scenario = dataclasses.replace(case.scenario, slo=slo)
        some = case.settings[4::5]
        found = {setting: estimated(scenario, setting, 3) for setting in some}
        kept = [s for s in some if found[s][0] <= max_fraction_503]
        assert equal_allocation(scenario, some[::-1], 3) == min(kept, key=lambda s: found[s][1])


def test_equal_allocation_says_so_if_nothing_keeps_the_promise() -> None:
    assert equal_allocation(small().scenario, small().settings[:3]) is None
    hopeless = dataclasses.replace(autoscaled().scenario, slo=Slo(max_fraction_503=1e-9))
    assert equal_allocation(hopeless, autoscaled().settings[:2]) is None


def test_equal_allocation_fails_often_on_the_smallest() -> None:
    """Of 24 runs 4 or more: with a success in 95 % of the runs once in 33 times, in 66 % but for once in 59 times."""
    assert [stats.binom.sf(3, 24, p) for p in (0.05, 0.34)] == pytest.approx([1 / 33, 1 - 1 / 59], abs=1e-3)
    near = dataclasses.replace(small(), settings=small().settings[5:])  # fewer than 6 replicas never seem enough
    assert run_of_search(near, equal_allocation, 24).count(False) >= 4


# --- make verify

EDGES = [(small(), (8, 9)), (middle(), (35, 36, 37)), (large(), (109, 110, 112))]
AGREES = 3.3
"""Standard errors: eight right simulations agree with the oracle but for once in 130 times. One that is 8 % off is
seen with a chance of 95 % (the relative error of 20,000 runs is 1 to 1.7 %)."""


@pytest.mark.verify
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize(("case", "count"), [(case, count) for case, counts in EDGES for count in counts], ids=str)
def test_finite_runs_have_the_exact_fraction(case: Case, count: int) -> None:
    scenario = with_setting(case.scenario, Setting(count, count, 70))
    row = simulated(dataclasses.replace(scenario, seed=SEED), 20_000)
    exact = exact_fraction(scenario, count)
    print(f"\n{scenario.name}, {count}: {row.fraction_503:.5g} (±{row.relative_error:.2%}), exactly {exact:.5g}")
    assert abs(row.fraction_503 - exact) < AGREES * row.relative_error * exact
    assert row.replica_hours == pytest.approx(count * scenario.duration_s / 3600)


@pytest.mark.verify
@pytest.mark.timeout(1_200)
def test_the_stored_truth_is_had_again() -> None:
    """Once with its own draws, to the last request; at the edge with others, but for once in 300 times."""
    case, rows = autoscaled(), plan_truth.read()
    at_edge = [Setting(8, 11, 85), Setting(8, 13, 75), Setting(7, 13, 65)]
    again = simulated(with_setting(dataclasses.replace(case.scenario, seed=SEED), at_edge[0]), plan_truth.REPLICATIONS)
    assert (again.requests, again.n_503) == (rows[at_edge[0]].requests, rows[at_edge[0]].n_503)
    for setting, other in simulated_together(case.scenario, at_edge, plan_truth.REPLICATIONS).items():
        error = math.hypot(other.relative_error, rows[setting].relative_error)
        assert abs(math.log(other.fraction_503 / rows[setting].fraction_503)) < AGREES * error
        assert other.replica_hours == pytest.approx(rows[setting].replica_hours, rel=0.01)


@pytest.mark.verify
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("case", cases(), ids=str)
def test_equal_allocation_is_not_good_enough(case: Case) -> None:
    """What succeeds in 70 % of all runs seems too good for one set of seeds in 60, what does in 90 % is called not good
    enough for one in 1,200."""
    with Processes(usable_cores()) as workers:
        kept = run_of_search(case, equal_allocation, RUNS, workers)
    print(f"\n{case}: equal allocation succeeds in {sum(kept)} of {RUNS} runs")
    assert sum(kept) < TOO_EASY
