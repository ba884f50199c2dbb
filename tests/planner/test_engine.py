"""What the engine promises beyond single events: growth, common random numbers, replicates alone, order of results."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from planner.arrivals import Renewal
from planner.model import Autoscaler, Deployment, DispatchRule, FloatArray, Outcome, RequestLog
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential, Lognormal
from planner.sim import kernel
from planner.sim.engine import ReplicateResult, simulate_replicate, simulate_requests
from planner.sim.layout import Output, State, make_settings, new_output, new_state
from planner.sim.replications import replicate
from tests.reference.records import ReferenceResult
from tests.reference.simulator import simulate


def burst(**deployment: object) -> Scenario:
    settings: dict[str, object] = {"min_replicas": 2, "max_replicas": 12, "max_request_wait_s": 0.5}
    return Scenario(
        name="burst",
        shows="",
        duration_s=60.0,
        arrivals=Renewal(RateProfile(np.array([0.0, 20, 40, 60]), np.array([4.0, 40, 4]), np.array([4.0, 40, 4]))),
        service_time=Exponential(0.25),
        deployment=Deployment(**(settings | deployment)),  # type: ignore[arg-type]
        cold_start=Lognormal(5.0, 0.2),
        seed=11,
    )


def requests_and_reference(
    deployment: Deployment, arrivals: FloatArray, services: FloatArray, colds: FloatArray, *, duration_s: float
) -> tuple[RequestLog, ReferenceResult]:
    """The same requests through the engine and through the slow reference."""
    expected = simulate(
        deployment,
        arrivals_s=arrivals.tolist(),
        service_times_s=services.tolist(),
        cold_starts_s=colds.tolist(),
        duration_s=duration_s,
    )
    scenario = replace(burst(), deployment=deployment, duration_s=duration_s)
    result = simulate_requests(scenario, [arrivals], iter([services]), iter([colds]), with_log=True)
    assert result.requests is not None
    return result.requests, expected


@pytest.mark.parametrize("wait_s", [3.0, 50.0])
def test_long_queues_and_many_slots_outgrow_the_first_layout(wait_s: float) -> None:
    generator = np.random.default_rng(5)
    arrivals = np.sort(generator.uniform(0, 10, 600))
    services = generator.exponential(2.0, 600)
    colds = generator.exponential(1.0, 4000)
    deployment = Deployment(
        min_replicas=1,
        max_replicas=40,
        max_request_wait_s=wait_s,
        max_concurrent_requests=3,
        worker_count=2,
        scale_down_delay_s=0.5,
        refresh_period_s=0.25,
        target_utilization_percent=90,
    )
    requests, expected = requests_and_reference(deployment, arrivals, services, colds, duration_s=10.0)
    np.testing.assert_array_equal(requests.finish_s, np.array(expected.finish_s))
    np.testing.assert_array_equal(requests.outcome, np.array(expected.outcome, dtype=int))
    assert max(row.queued for row in expected.replica_rows) > 64


@pytest.mark.parametrize(
    ("slots_per_replica", "rule"),
    [
        (1, DispatchRule.FEWEST_REQUESTS),
        *(pytest.param(k, rule, marks=pytest.mark.verify) for k in (1, 3) for rule in DispatchRule),
    ],
)
def test_more_replicas_than_a_word_has_bits(slots_per_replica: int, rule: DispatchRule) -> None:
    """A thousand replicas and more: the sets of replicas with room have a second word at their second level."""
    generator = np.random.default_rng(6)
    n = 1400 * slots_per_replica
    arrivals = np.sort(generator.uniform(0, 2, n))
    services = generator.exponential(4.0, n)
    colds = generator.exponential(0.5, 9000)
    deployment = Deployment(
        min_replicas=900,
        max_replicas=1300,
        initial_replicas=1060,
        max_concurrent_requests=slots_per_replica,
        worker_count=slots_per_replica,
        scale_down_delay_s=1.0,
        dispatch=rule,
    )
    requests, expected = requests_and_reference(deployment, arrivals, services, colds, duration_s=4.0)
    np.testing.assert_array_equal(requests.replica, np.array(expected.replica))
    np.testing.assert_array_equal(requests.finish_s, np.array(expected.finish_s))
    assert requests.replica.max() > 1060


def test_a_copied_state_goes_on_as_the_one_it_was_copied_from() -> None:
    """What splitting needs: from one state two futures, the same with the same requests, else their own."""
    scenario = burst()
    settings = make_settings(scenario.deployment, scenario.duration_s, 0.0, 1.0)
    state, out = new_state(scenario.deployment, settings), new_output(settings)
    generator = np.random.default_rng(8)
    arrivals, services, colds = np.sort(generator.uniform(0, 30, 300)), generator.exponential(0.8, 300), np.ones(500)

    def go_on(state: State, out: Output, services: FloatArray, *, is_last: bool) -> Output:
        times = arrivals[200:] if is_last else arrivals[:200]
        why, taken = kernel.advance(settings.packed(), state, out, times.copy(), services, is_last, colds, 0)
        assert (why, taken) == (kernel.DONE if is_last else kernel.NEED_ARRIVALS, len(times))
        return out

    go_on(state, out, services[:200], is_last=False)
    states, outs = [state.copy() for _ in range(3)], [Output(*(a.copy() for a in out)) for _ in range(3)]
    counts = [
        go_on(state, out, services[200:] * factor, is_last=True).counts
        for state, out, factor in zip(states, outs, (1.0, 3.0, 1.0), strict=True)
    ]
    np.testing.assert_array_equal(counts[0], counts[2])
    assert (counts[0] != counts[1]).any()
    np.testing.assert_array_equal(go_on(state, out, services[200:], is_last=True).counts, counts[0])


def test_a_replicate_can_be_made_again_alone() -> None:
    scenario = burst()
    one, two = list(replicate(scenario, 6)), list(replicate(scenario, 2, first=4))
    again = simulate_replicate(scenario, 4)
    for left, right in [*zip(one[4:], two, strict=True), (one[4], again)]:
        _assert_equal(left, right)
    assert one[0].n_503 != one[1].n_503


def test_two_settings_see_the_same_requests() -> None:
    logs = []
    for target in (50, 90):
        log = simulate_replicate(burst(target_utilization_percent=target), 3, with_log=True).requests
        assert log is not None
        logs.append(log)
    np.testing.assert_array_equal(logs[0].scheduled_s, logs[1].scheduled_s)
    np.testing.assert_array_equal(logs[0].service_time_s, logs[1].service_time_s)
    assert (logs[0].outcome != logs[1].outcome).any()


def test_counts_and_logs_tell_the_same() -> None:
    result = simulate_replicate(burst(), 0, with_log=True)
    log, replicas = result.requests, result.replicas
    assert log is not None
    assert replicas is not None
    np.testing.assert_array_equal(np.bincount(log.outcome, minlength=3), result.outcomes)
    is_503 = log.outcome == Outcome.STATUS_503
    np.testing.assert_array_equal(np.bincount(log.scheduled_s[is_503].astype(int), minlength=60), result.bin_503)
    assert result.n_503 > 0
    steps = np.diff(np.append(replicas.time_s, 60.0).clip(max=60.0))
    assert result.ready_s == pytest.approx(float(steps @ replicas.ready))
    assert result.bin_ready.sum() == pytest.approx(result.ready_s)
    desired = float(steps @ replicas.desired)
    assert result.bin_desired.sum() == pytest.approx(desired)


@pytest.mark.parametrize("arrivals", [[0.5, 0.2], [-0.1, 1.0], [0.5, 60.0], [0.5, float("nan")]])
def test_arrivals_outside_the_scenario_never_reach_the_kernel(arrivals: list[float]) -> None:
    with pytest.raises(ValueError, match="arrivals"):
        simulate_requests(burst(), [np.array(arrivals)], iter([np.ones(2)]), iter([np.ones(500)]))


@pytest.mark.parametrize(("services", "colds"), [(1, 500), (2, 5)])
def test_draws_that_end_too_soon_are_an_error(services: int, colds: int) -> None:
    with pytest.raises(ValueError, match="end before the simulation does"):
        simulate_requests(burst(), [np.array([0.5, 0.6])], iter([np.ones(services)]), iter([np.ones(colds)]))


def test_more_fixed_replicas_never_turn_more_requests_away() -> None:
    """Monotone on every single path, but only under `fixed`: an autoscaler is not monotone."""
    for number in range(20):
        counts = [
            simulate_replicate(burst(autoscaler=Autoscaler.FIXED, min_replicas=c, max_replicas=c), number).n_503
            for c in range(1, 13)
        ]
        assert counts == sorted(counts, reverse=True)


def test_a_utilization_window_is_as_exact_after_a_day_as_at_first() -> None:
    """A constant signal of 700 at target 70 % asks for 1,000 replicas at each of 288,000 ticks, and never for 1,001."""
    deployment = Deployment(
        min_replicas=800,
        max_replicas=1200,
        target_utilization_percent=70,
        refresh_period_s=0.3,
        utilization_window_s=0.3,
        scale_down_delay_s=0.3,
        scoring_timeout_s=1e6,
    )
    scenario = replace(burst(), deployment=deployment, duration_s=86400.0)
    services = iter([np.full(700, 1e5)])
    result = simulate_requests(scenario, [np.zeros(700)], services, iter([np.ones(3000)]), with_log=True)
    assert result.replicas is not None
    assert set(result.replicas.desired) == {800, 1000}


def test_the_log_ends_with_a_replica_that_is_ready_at_the_last_instant() -> None:
    """The last request is answered when the first replica is ready, at a tick that does not come any more."""
    deployment = Deployment(min_replicas=1, max_replicas=2, initial_replicas=0, refresh_period_s=0.125)
    scenario = replace(burst(), deployment=deployment, duration_s=0.25)
    result = simulate_requests(scenario, [np.zeros(1)], iter([np.zeros(1)]), iter([np.full(9, 0.25)]), with_log=True)
    assert result.replicas is not None
    assert result.replicas.time_s.tolist() == [0.0, 0.125, 0.375]
    assert result.replicas.ready.tolist() == [0, 0, 1]


def test_no_traffic_costs_the_minimum() -> None:
    result = simulate_requests(burst(), [], iter([]), iter([np.ones(500)]))
    assert (result.n, result.paid_s, result.ready_s) == (0, 120.0, 120.0)


def test_a_cold_start_of_zero_leaves_no_lag() -> None:
    slow = simulate_replicate(burst(), 0)
    fast = simulate_replicate(replace(burst(), cold_start=Deterministic(0.0)), 0)
    assert fast.n_503 < slow.n_503 / 2


def _assert_equal(left: ReplicateResult, right: ReplicateResult) -> None:
    for field in fields(ReplicateResult):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))
