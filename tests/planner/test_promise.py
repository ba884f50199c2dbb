"""What a promise counts: each bound against plain arithmetic, simulated failures against the log of all requests."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.measures import Counts, fraction, measure, quantile
from planner.model import Outcome, Slo, VerdictWord
from planner.promise import Failure, bounds_of, largest_503, main_bound, runs_within, simulated_bounds
from planner.scenario import Scenario
from planner.sim.engine import simulate_replicate
from planner.slo import judge, judged_bound
from tests.planner.plan.plan_cases import fixed


def counts(n: Any, n_503: Any, n_504: Any) -> Counts:
    columns = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(n_503, float), np.asarray(n_504, float))
    return Counts(n=columns[0], n_503=columns[1], n_504=columns[2], causes=np.zeros((len(columns[0]), 6)))


BOUNDS = [
    (Slo(max_fraction_503=0.1), {"503": 0.1, "not_503": 0.1}),
    (Slo(max_fraction_503=0.1, ignores_504=True), {"503": 0.1, "neither": 0.1}),
    (Slo(max_fraction_503=0.1, max_fraction_504=0.2), {"503": 0.1, "504": 0.2, "neither": 0.1}),
    (Slo(max_fraction_failed=0.3), {"any": 0.3}),
    (Slo(max_fraction_503=0.1, max_fraction_failed=0.3), {"503": 0.1, "any": 0.3}),
    (Slo(max_fraction_failed=0.3, max_fraction_504=0.2), {"any": 0.3, "504": 0.2}),
]
_NAMES = {
    "503": Failure.STATUS_503,
    "504": Failure.STATUS_504,
    "any": Failure.ANY,
    "not_503": Failure.NOT_503,
    "neither": Failure.NEITHER,
}


@pytest.mark.parametrize(("slo", "expected"), BOUNDS)
def test_the_bounds_of_a_promise(slo: Slo, expected: dict[str, float]) -> None:
    bounds = bounds_of(slo)
    assert {b.failure: b.largest for b in bounds} == {_NAMES[name]: most for name, most in expected.items()}
    assert [b.failure for b in bounds if b.is_implied] == [_NAMES[n] for n in expected if n in ("not_503", "neither")]
    assert main_bound(slo) == bounds[0]
    assert largest_503(slo) == min(most for name, most in expected.items() if name in ("503", "any"))


@pytest.mark.parametrize(("slo", "expected"), BOUNDS)
def test_an_implied_bound_is_silent_until_something_failed_otherwise(slo: Slo, expected: dict[str, float]) -> None:
    silent = [b for b in bounds_of(slo) if not b.is_implied]
    assert simulated_bounds(slo, has_504=False) == tuple(silent)
    assert len(simulated_bounds(slo, has_504=True)) == len(silent) + ("not_503" in expected)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"max_fraction_504": 0.1},
        {"max_fraction_503": 0.0},
        {"max_fraction_503": 0.1, "max_fraction_failed": 1.0},
        {"max_fraction_failed": 0.1, "ignores_504": True},
        {"max_fraction_503": 0.1, "max_fraction_504": 0.1, "ignores_504": True},
    ],
)
def test_a_promise_needs_a_bound_and_no_contradiction(bad: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Slo(**bad)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20))
def test_runs_within_are_those_that_keep_each_given_bound(runs: list[tuple[int, int, int]]) -> None:
    """The obvious twin: one run after the other."""
    n_ok, n_503, n_504 = (np.array(column, dtype=float) for column in zip(*runs, strict=True))
    slo = Slo(max_fraction_503=0.2, max_fraction_failed=0.5, max_fraction_504=0.4)
    expected = [
        f503 <= 0.2 * (ok + f503 + f504)
        and f503 + f504 <= 0.5 * (ok + f503 + f504)
        and f504 <= 0.4 * (ok + f503 + f504)
        for ok, f503, f504 in runs
    ]
    assert runs_within(slo, counts(n_ok + n_503 + n_504, n_503, n_504)).tolist() == expected
    alone = Slo(max_fraction_503=0.2)  # 504s do not count where no key bounds them
    assert runs_within(alone, counts(n_ok + n_503 + n_504, n_503, n_504)).tolist() == [
        f503 <= 0.2 * (ok + f503 + f504) for ok, f503, f504 in runs
    ]


def test_504s_exactly_at_the_bound_keep_it() -> None:
    """20 of 1,000 requests of every run, in which nothing is random."""
    n_504 = np.full(1, 20.0)
    (bound,) = (b for b in bounds_of(Slo(max_fraction_503=0.02)) if b.failure is Failure.NOT_503)
    part = judged_bound(bound, fraction(n_504, np.full(1, 1000.0), exact=True))
    assert (part.word, part.estimate_keeps) == (VerdictWord.PASS, True)
    assert judged_bound(bound, fraction(n_504 + 1, np.full(1, 1000.0), exact=True)).word is VerdictWord.FAIL
    assert runs_within(Slo(max_fraction_503=0.5, max_fraction_504=0.02), counts(np.full(40, 1000.0), 0, 20)).all()
    assert not runs_within(Slo(max_fraction_503=0.5, max_fraction_504=0.02), counts(np.full(40, 1000.0), 0, 21)).any()


def waiting_in_pods(**changes: Any) -> Scenario:
    """Requests that queue inside a replica, so that some time out and, with few replicas, others get 503."""
    return fixed(max_concurrent_requests=4, worker_count=1, scoring_timeout_s=1.5, **changes)


def test_failed_is_what_is_not_answered_200() -> None:
    of = waiting_in_pods(rps=14.0)
    results = [simulate_replicate(of, i, with_log=True) for i in range(20)]
    measures = measure(of, results)
    outcomes = np.concatenate([r.requests.outcome for r in results if r.requests is not None])
    assert measures.fraction_failed.value == pytest.approx(1 - np.mean(outcomes == Outcome.OK))
    assert measures.fraction_504.value == pytest.approx(np.mean(outcomes == Outcome.STATUS_504))
    assert 0 < measures.fraction_503.value < measures.fraction_failed.value
    assert measures.fraction_504.value > 0


@pytest.mark.parametrize("rps", [2.0, 6.0, 14.0])
def test_the_p99_of_the_promise_counts_a_504_as_slower_than_any_answer(rps: float) -> None:
    """Against the times of all requests that were not refused, the 504s infinite."""
    of = waiting_in_pods(rps=rps)
    results = [simulate_replicate(of, i, with_log=True) for i in range(20)]
    logs = [r.requests for r in results if r.requests is not None]
    times = np.concatenate([np.where(g.outcome == Outcome.OK, g.finish_s - g.scheduled_s, np.inf) for g in logs])
    times = np.sort(times[np.concatenate([g.outcome for g in logs]) != Outcome.STATUS_503])
    for q in (0.5, 0.9, 0.99):
        found = quantile(results, q, with_504=True)
        assert found is not None
        expected = times[math.ceil(q * len(times)) - 1]
        assert found.value == pytest.approx(expected, rel=1e-3)
        assert found.low <= found.value <= found.high


def test_without_a_504_both_quantiles_are_the_same() -> None:
    results = [simulate_replicate(fixed(), i) for i in range(20)]
    assert sum(r.n_504 for r in results) == 0
    assert quantile(results, 0.99) == quantile(results, 0.99, with_504=True)


def test_where_barely_one_percent_times_out_the_p99_is_undecided() -> None:
    """The share of 504s is about 1 %, give or take: the quantile lies among the answers or among the 504s."""

    def run(n_504: int) -> Any:
        return SimpleNamespace(
            latency_bucket=np.array([100]), latency_count=np.array([1000 - n_504]), n_504=n_504, repeats=False
        )

    found = quantile([run(n) for n in (5, 15, 11, 9) * 10], 0.99, with_504=True)
    assert found is not None
    assert math.isfinite(found.low)
    assert math.isinf(found.high)
    much = quantile([run(n) for n in (25, 35) * 20], 0.99, with_504=True)
    assert much is not None
    assert math.isinf(much.low)


def test_a_promised_latency_above_the_timeout_can_break() -> None:
    of = waiting_in_pods(rps=14.0)
    measures = measure(of, [simulate_replicate(of, i) for i in range(20)])
    assert measures.latency_p99_s is not None
    assert measures.latency_p99_s.value < 2.5  # a second of waiting, and the timeout
    verdict = judge(Slo(max_fraction_503=0.9, p99_latency_s=100.0), measures)
    assert verdict.word is VerdictWord.FAIL
    assert verdict.reasons[-1].startswith("p99 latency (a 504 is slower than any bound) timed out")
