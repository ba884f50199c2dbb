"""A promise held against one run, with the ways to fail that only a replay sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from planner.model import Outcome, Slo
from planner.run_promise import RunFailures, hold, p99_with_timeouts_s
from tests.loadtest.hand_made_run import log_of


def seen(n_503: int = 0, n_504: int = 0, n_other: int = 0, answered: int = 1000) -> RunFailures:
    return RunFailures(answered=answered, n_503=n_503, n_504=n_504, n_failed=n_503 + n_504 + n_other)


def test_everything_but_a_good_200_has_failed() -> None:
    """Requests whose end nobody knows, or that were never sent, are not counted."""
    log = log_of(*Outcome)
    failures = RunFailures.of(log, np.ones(len(log), dtype=bool))
    assert failures == RunFailures(
        answered=10, n_503=1, n_504=1, n_failed=9, n_client_timeouts=1, p99_s=math.inf, p99_predictable_s=math.inf
    )
    assert failures.n_other == 7
    assert failures.fraction(failures.n_failed) == 0.9
    nothing = RunFailures.of(log, np.zeros(len(log), dtype=bool))
    assert nothing.fraction(nothing.n_failed) is None


ONLY_503 = Slo(max_fraction_503=0.01)


@pytest.mark.parametrize(
    ("slo", "failures", "kept", "unpredicted"),
    [
        (ONLY_503, seen(n_503=10), True, False),
        (ONLY_503, seen(n_503=11), False, False),
        (ONLY_503, seen(n_504=10), True, False),
        (ONLY_503, seen(n_504=11), False, False),
        (ONLY_503, seen(n_other=10), True, False),
        (ONLY_503, seen(n_other=11), False, True),
        (ONLY_503, seen(n_504=8, n_other=3), False, True),
        (ONLY_503, seen(n_504=20, n_other=3), False, False),
        (Slo(max_fraction_503=0.01, ignores_504=True), seen(n_504=500), True, False),
        (Slo(max_fraction_503=0.01, ignores_504=True), seen(n_504=500, n_other=11), False, True),
        (Slo(max_fraction_503=0.01, max_fraction_504=0.05), seen(n_504=50), True, False),
        (Slo(max_fraction_503=0.01, max_fraction_504=0.05), seen(n_504=51), False, False),
        (Slo(max_fraction_failed=0.01), seen(n_503=5, n_504=5), True, False),
        (Slo(max_fraction_failed=0.01), seen(n_503=5, n_504=5, n_other=1), False, True),
        (Slo(max_fraction_failed=0.01), seen(n_503=20), False, False),
        (Slo(max_fraction_failed=0.01), seen(n_503=20, n_other=11), False, True),
    ],
)
def test_what_a_run_says_of_a_promise(slo: Slo, failures: RunFailures, kept: bool, unpredicted: bool) -> None:
    held = hold(slo, failures)
    assert (held.kept, held.broken_unpredicted) == (kept, unpredicted)
    assert held.sentences


@pytest.mark.parametrize("answered", [100, 700, 999])
def test_a_run_at_its_bound_keeps_it_whatever_a_product_is_rounded_to(answered: int) -> None:
    for failed in range(1, answered - 1):
        slo = Slo(max_fraction_failed=failed / answered)
        assert hold(slo, seen(n_other=failed, answered=answered)).kept
        over = hold(slo, seen(n_other=failed + 1, answered=answered))
        assert (over.kept, over.broken_unpredicted) == (False, True)


def test_504s_that_were_predicted_otherwise_have_the_last_word() -> None:
    assert hold(ONLY_503, seen(n_504=11), predicts_504=False).broken_unpredicted
    assert not hold(ONLY_503, seen(n_504=10), predicts_504=False).broken_unpredicted


def test_the_sentences_have_the_numbers() -> None:
    first, second = hold(ONLY_503, seen(n_503=4, n_504=3, n_other=9)).sentences
    assert first == "In this run 0.4 % of the requests got 503; promised are at most 1 %."
    assert second.startswith(
        "In this run 1.2 % of the requests failed otherwise than by 503 (3 504s, 9 in other ways);"
    )
    assert second.endswith("held to its 1 % for 503s (`max_504: ignore` leaves 504s out).")
    assert len(hold(ONLY_503, seen(n_503=4)).sentences) == 1
    (only,) = hold(Slo(max_fraction_failed=0.02), seen(n_503=4, n_504=3, n_other=9)).sentences
    assert (
        only == "In this run 1.6 % of the requests failed (4 503s, 3 504s, 9 in other ways); promised are at most 2 %."
    )


def test_without_an_answer_nothing_is_said() -> None:
    held = hold(ONLY_503, seen(answered=0))
    assert (held.kept, held.broken_unpredicted, held.sentences) == (None, False, ())


def run_of(n_504: int, n_timeouts: int, latency_s: float = 0.2) -> RunFailures:
    outcomes = [Outcome.STATUS_504] * n_504 + [Outcome.TIMEOUT] * n_timeouts
    log = log_of(*outcomes, *[Outcome.OK] * (200 - len(outcomes)), latency_s=latency_s - 0.01)
    return RunFailures.of(log, np.ones(200, dtype=bool))


@pytest.mark.parametrize(
    ("failures", "kept", "unpredicted", "is_said"),
    [
        (run_of(0, 0), True, False, "of the 200 answers is 0.2 s"),
        (run_of(2, 0), True, False, "of 200 answers, 2 504s (slower than any bound) is 0.2 s"),
        (run_of(3, 0), False, False, "is above any bound"),
        (run_of(0, 2), True, False, "of 200 answers, 2 client timeouts (slower than any bound) is 0.2 s"),
        (run_of(0, 3), False, True, "is above any bound"),
        (run_of(1, 2), False, True, "of 200 answers, 1 504 and 2 client timeouts (slower than any bound) is above"),
        (run_of(0, 0, latency_s=0.4), False, False, "of the 200 answers is 0.4 s; promised are at most 0.3 s"),
        (run_of(0, 200), False, True, "is above any bound"),
    ],
)
def test_a_promised_p99_counts_what_timed_out(
    failures: RunFailures, kept: bool, unpredicted: bool, is_said: str
) -> None:
    """Of 200 requests the p99 is the 198th: 2 may time out, at the front end or at the client."""
    held = hold(Slo(max_fraction_503=0.5, p99_latency_s=0.3), failures)
    assert (held.kept, held.broken_unpredicted) == (kept, unpredicted)
    (sentence,) = [said for said in held.sentences if "p99" in said]
    assert is_said in sentence


def test_the_p99_of_a_run_counts_what_timed_out_as_infinite() -> None:
    times = np.linspace(0.01, 0.99, 99)
    assert p99_with_timeouts_s(times, 0) == pytest.approx(float(np.quantile(times, 0.99, method="inverted_cdf")))
    assert p99_with_timeouts_s(times, 1) == pytest.approx(0.99)
    assert p99_with_timeouts_s(times, 2) == math.inf
    assert p99_with_timeouts_s(np.empty(0), 3) == math.inf
    assert p99_with_timeouts_s(np.empty(0), 0) is None
