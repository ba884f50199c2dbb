"""The chain embedded at the ticks against closed forms and limits, itself, and the slow reference simulator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import linalg, sparse, stats

from planner.model import Deployment, FloatArray, Outcome, ScaleStep

from . import tick_chain
from .simulator import simulate
from .tick_chain import Counts, Ordered, Rates, TickChain, total


def deployment(
    min_replicas: int, max_replicas: int, target: int, *, window_ticks: int = 1, **settings: Any
) -> Deployment:
    period_s = settings.pop("refresh_period_s", 1.0)
    return Deployment(
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        target_utilization_percent=target,
        refresh_period_s=period_s,
        scale_down_delay_s=window_ticks * period_s,
        max_request_wait_s=0.0,
        **settings,
    )


def chain(settings: Deployment, mean_cold_start_s: float = 5.0, **options: Any) -> TickChain:
    """Service times of 1 s on average."""
    return TickChain(settings, mean_service_s=1.0, mean_cold_start_s=mean_cold_start_s, **options)


def erlang(servers: int, load: float) -> FloatArray:
    """Stationary probabilities of 0, 1, ... servers busy, when nobody waits."""
    weights = np.array([load**n / math.factorial(n) for n in range(servers + 1)])
    return np.asarray(weights / weights.sum())


# --- limits and closed forms


@pytest.mark.parametrize("replicas", [1, 3])
def test_with_min_equal_to_max_it_is_erlang_b(replicas: int) -> None:
    result = chain(deployment(replicas, replicas, 70)).stationary(2.0)
    assert result.fraction_503 == pytest.approx(erlang(replicas, 2.0)[-1], rel=1e-12)
    assert result.mean_ready == pytest.approx(replicas, rel=1e-12)
    assert result.mean_paid == pytest.approx(replicas, rel=1e-12)


def test_slots_without_a_worker_of_their_own_make_a_queue_inside_the_replica() -> None:
    """One replica with K = 3 and W = 1 is M/M/1/3: probabilities proportional to 2^n."""
    result = chain(deployment(1, 1, 70, max_concurrent_requests=3)).stationary(2.0)
    assert result.fraction_503 == pytest.approx(8 / 15, rel=1e-12)


def test_very_long_periods_are_a_mixture_of_erlang_b() -> None:
    """A period T forgets its start: the count is a chain of its own, and 503s are p + c / T but for terms that vanish
    like exp(-T). Two periods give p."""
    load, target, most = 1.5, 40, 4
    moves = np.zeros((most + 1, most + 1))
    for ready in range(1, most + 1):
        for busy, probability in enumerate(erlang(ready, load)):
            moves[ready, min(max(math.ceil(100 * busy / target), 1), most)] += probability
    counts = np.linalg.matrix_power(moves, 1000)[1]
    expected = sum(counts[n] * erlang(n, load)[-1] for n in range(1, most + 1))
    short, long = (
        chain(deployment(1, most, target, refresh_period_s=period_s), 0.2).stationary(load).fraction_503
        for period_s in (40.0, 80.0)
    )
    assert 2 * long - short == pytest.approx(expected, rel=1e-9)
    assert short != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("mean_cold_start_s", [1e-3, 0.5, 20.0])
def test_the_first_two_periods_by_hand(mean_cold_start_s: float) -> None:
    """One replica, busy with probability b at the first tick (b = 0 at the start); if so, a second is created."""
    period_s, rate_rps = 2.0, 3.0
    first, second = chain(deployment(1, 2, 90, refresh_period_s=period_s), mean_cold_start_s).transient(
        [(0.0, rate_rps)], [0.0, period_s, 2 * period_s]
    )
    share = rate_rps / (1 + rate_rps)
    gone = -math.expm1(-(1 + rate_rps) * period_s)
    assert first.answered_503 == pytest.approx(rate_rps * share * (period_s - gone / (1 + rate_rps)), rel=1e-12)
    assert (first.ready_s, first.starting_s) == pytest.approx((period_s, 0.0), rel=1e-12)
    created = share * gone
    starting_s = created * mean_cold_start_s * -math.expm1(-period_s / mean_cold_start_s)
    assert second.starting_s == pytest.approx(starting_s, rel=1e-12)
    assert second.ready_s == pytest.approx(period_s + created * period_s - starting_s, rel=1e-12)
    assert second.arrivals == rate_rps * period_s


def test_cold_starts_that_never_end_leave_the_initial_replicas() -> None:
    result = chain(deployment(2, 4, 50), 1e12).stationary(2.0)
    assert result.fraction_503 == pytest.approx(erlang(2, 2.0)[-1], rel=1e-9)


def test_figures_found_independently_when_idle_replicas_are_the_victims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another chain, of counts, keeps the busy replicas: 503 fraction 0.5525, 1.9085 replicas starting or ready. With
    the victims of the specification it is 0.55225 and 1.9073."""
    settings = deployment(1, 5, 70)
    result = chain(settings).stationary(2.0)
    assert result.fraction_503 == pytest.approx(0.552253, abs=1e-6)
    assert (result.ready_s + result.starting_s) / result.length_s == pytest.approx(1.907318, abs=1e-6)

    def earliest_busy(state: Ordered, count: int, rates: Rates) -> tuple[Ordered, tuple[int, ...]]:
        return resized(state._replace(held=tuple(sorted(state.held, reverse=True))), count, rates)

    resized = Ordered.resized
    monkeypatch.setattr(Ordered, "resized", earliest_busy)
    result = chain(settings).stationary(2.0)
    assert result.fraction_503 == pytest.approx(0.5525, abs=5e-5)
    assert (result.ready_s + result.starting_s) / result.length_s == pytest.approx(1.9085, abs=5e-5)


# --- against itself


VARIED = [
    deployment(1, 4, 50),
    deployment(1, 3, 90, refresh_period_s=5.0),
    deployment(2, 4, 30, refresh_period_s=2.0, initial_replicas=1),
    deployment(1, 3, 70, window_ticks=3),
    deployment(1, 3, 60, max_concurrent_requests=2),
]


@pytest.mark.parametrize("settings", [settings for settings in VARIED if settings.max_concurrent_requests == 1])
def test_requests_are_conserved(settings: Deployment) -> None:
    """Accepted requests x mean service time = request-seconds, on ready and on draining replicas."""
    result = chain(settings, 2.0).stationary(2.0)
    assert result.held_s + result.draining_s == pytest.approx(result.arrivals - result.answered_503, rel=1e-10)


@pytest.mark.parametrize("settings", VARIED)
def test_transients_end_in_the_stationary_law(settings: Deployment) -> None:
    system = chain(settings, 2.0)
    late_s = 80 * settings.refresh_period_s
    (late,) = system.transient([(0.0, 5.0), (1.3, 2.0)], [late_s, late_s + settings.refresh_period_s])
    assert late == pytest.approx(system.stationary(2.0), rel=1e-8)


def test_intervals_add_up_wherever_their_edges_are() -> None:
    system = chain(deployment(1, 3, 50, window_ticks=2))
    rates_rps = [(0.0, 1.0), (2.5, 4.0), (4.0, 0.5)]
    parts = system.transient(rates_rps, [0.0, 1.0, 2.7, 3.0, 7.2, 9.0])
    assert total(parts) == pytest.approx(system.transient(rates_rps, [0.0, 9.0])[0], rel=1e-12)
    assert total(parts).arrivals == pytest.approx(1.0 * 2.5 + 4.0 * 1.5 + 0.5 * 5.0)


def test_evolution_keeps_the_mass_and_agrees_with_the_matrix_exponential() -> None:
    rates = np.array([[0.0, 2.0, 0.1], [0.3, 0.0, 40.0], [0.0, 7.0, 0.0]])
    generator = rates - np.diag(rates.sum(axis=1))
    law = np.array([0.2, 0.5, 0.3])
    for duration_s in (1e-3, 1.0, 30.0):
        after, integral = tick_chain.evolve(law, sparse.csr_array(generator), duration_s)
        augmented = linalg.expm(np.block([[generator, np.eye(3)], [np.zeros((3, 6))]]) * duration_s)
        np.testing.assert_allclose(after, law @ augmented[:3, :3], rtol=1e-11)
        np.testing.assert_allclose(integral, law @ augmented[:3, 3:], rtol=1e-11)
        assert after.sum() == pytest.approx(1.0, abs=1e-12)
        assert integral.sum() == pytest.approx(duration_s, rel=1e-12)


def test_no_window_is_longer_than_the_delay() -> None:
    """A delay of 3 ticks: nothing goes down before the tick at 3 s, though nobody comes; then all but min go."""
    settings = deployment(1, 3, 70, window_ticks=3, initial_replicas=3)
    parts = chain(settings).transient([(0.0, 0.0)], [0.0, 1.0, 2.0, 3.0, 4.0])
    assert [part.ready_s for part in parts] == pytest.approx([3, 3, 3, 1])


# --- the reduction to counts


@pytest.mark.parametrize("slots", [1, 2])
def test_counts_are_exact_up_to_the_scale_down_delay(slots: int) -> None:
    settings = deployment(1, 3, 50, window_ticks=4, max_concurrent_requests=slots, worker_count=slots)
    rates_rps, edges_s = [(0.0, 1.0), (1.5, 6.0), (2.5, 0.5)], [0.0, 1.0, 2.0, 3.0, 4.0]
    full, reduced = (chain(settings, 2.0, by_counts=by_counts) for by_counts in (False, True))
    assert len(reduced.nodes) < len(full.nodes) / 4
    for ordered, counted in zip(full.transient(rates_rps, edges_s), reduced.transient(rates_rps, edges_s), strict=True):
        assert counted == pytest.approx(ordered, rel=1e-12)
    with pytest.raises(ValueError, match="delay"):
        reduced.transient(rates_rps, [0.0, 4.1])
    with pytest.raises(ValueError, match="stationary"):
        reduced.stationary(1.0)


def test_counts_alone_do_not_tell_which_victims_are_busy() -> None:
    """States with the same counts lead a tick to different ones, so the condition above is needed."""
    system = chain(deployment(1, 4, 50))
    outcomes: dict[Counts, set[Counts]] = {}
    for node in system.nodes:
        before, after = (Counts(s.ready, s.starting, s.requests) for s, _ in (node, system.tick(node)[0]))
        outcomes.setdefault(before, set()).add(after)
    assert any(len(after) > 1 for after in outcomes.values())


def test_order_of_ids_and_order_of_readiness_are_both_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = deployment(1, 4, 40, refresh_period_s=0.5)
    exact = chain(settings, 1.0).stationary(2.0).fraction_503
    other_moves = Ordered.other_moves

    def in_order_of_ids(state: Ordered, rates: Rates) -> list[tuple[float, Ordered]]:
        """The lowest id among the starting is the next to be ready, at the rate of all."""
        moves = list(other_moves(state, rates))
        finishes, starts = moves[: len(moves) - state.starting], moves[len(moves) - state.starting :]
        return finishes + [(len(starts) * rate, after) for rate, after in starts[:1]]

    monkeypatch.setattr(Ordered, "other_moves", in_order_of_ids)
    assert abs(chain(settings, 1.0).stationary(2.0).fraction_503 / exact - 1) > 2e-4


def test_what_the_chain_is_not_about_is_refused() -> None:
    with pytest.raises(ValueError, match="no chain"):
        chain(Deployment())
    with pytest.raises(ValueError, match="no chain"):
        chain(deployment(1, 3, 70, scale_step=ScaleStep.ONE))
    with pytest.raises(ValueError, match="by counts"):
        chain(deployment(1, 3, 70, max_concurrent_requests=2), by_counts=True)


# --- against the slow reference simulator

RUNS = 200
ALPHA = 1e-4
"""Of each comparison, two-sided: one of the twelve fails by chance in 0.12 % of all seeds; the seed is fixed. Standard
errors are 1 to 2 %, so a bias of 8 % is found with chance one half and more."""


@pytest.mark.statistical
@pytest.mark.parametrize(
    "settings",
    [
        deployment(1, 4, 50, window_ticks=2),
        deployment(1, 3, 90, refresh_period_s=5.0, initial_replicas=0),
        deployment(1, 3, 60, refresh_period_s=2.0, max_concurrent_requests=2),
    ],
)
def test_expectations_are_the_means_of_the_reference_simulator(settings: Deployment) -> None:
    """A burst of 4/s for 10 s after 5 s of 1/s, then 1/s: 503s, ready and paid."""
    rates_rps, edges_s = [(0.0, 1.0), (5.0, 4.0), (15.0, 1.0)], [0.0, 5.0, 15.0, 25.0]
    (expected,) = chain(settings, 3.0).transient(rates_rps, [0.0, 25.0])
    generator = np.random.default_rng(7)
    seen = []
    for _ in range(RUNS):
        arrivals_s = np.concatenate(
            [
                np.sort(generator.uniform(from_s, until_s, generator.poisson(rate * (until_s - from_s))))
                for (_, rate), from_s, until_s in zip(rates_rps, edges_s[:-1], edges_s[1:], strict=True)
            ]
        )
        result = simulate(
            settings,
            arrivals_s=arrivals_s.tolist(),
            service_times_s=generator.exponential(1.0, len(arrivals_s)).tolist(),
            cold_starts_s=generator.exponential(3.0, 1000).tolist(),
            duration_s=25.0,
        )
        seen.append((result.outcome.count(Outcome.STATUS_503), result.ready_s, result.paid_s, len(arrivals_s)))
    means = (expected.answered_503, expected.ready_s, expected.length_s * expected.mean_paid, expected.arrivals)
    p_values = np.asarray(stats.ttest_1samp(np.array(seen), means).pvalue)
    assert (p_values > ALPHA).all(), f"{np.mean(seen, axis=0)} against {means}: {p_values}"
