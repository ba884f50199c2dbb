"""What is computed from a merged log: fractions, both latencies, the generator's validity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loadtest.replay.merge import Observed
from loadtest.replay.segment import Broken, EndReason
from loadtest.replay.statistics import generator, kinds_of, max_in_flight, observed, said
from planner.model import Outcome, RequestLog
from tests.loadtest.observed_log import observed_log


def run_of(
    outcomes: list[Outcome],
    *,
    late_s: Any = 0.001,
    took_s: Any = 0.2,
    flagged: list[int] | None = None,
    statuses: dict[Outcome, int] | None = None,
    workers: int = 1,
) -> Observed:
    """One request a second; those that were sent left late_s after their time and took took_s."""
    n = len(outcomes)
    scheduled = np.arange(n, dtype=np.float64)
    sent = np.where([o.was_sent for o in outcomes], scheduled + late_s, np.nan)
    log = RequestLog(
        scheduled_s=scheduled,
        sent_s=sent,
        start_s=np.full(n, np.nan),
        finish_s=sent + took_s,
        service_time_s=np.full(n, 0.1),
        outcome=np.array(outcomes, dtype=np.int64),
        replica=np.full(n, -1),
        cause=np.full(n, -1),
    )
    return observed_log(
        log,
        status=np.array([(statuses or {}).get(o, 0) for o in outcomes], dtype=np.int64),
        flagged=None if flagged is None else np.array(flagged),
        ends=dict.fromkeys(range(workers), EndReason.COMPLETE),
    )


def test_fraction_leaves_out_what_has_no_answer_and_the_warm_up() -> None:
    outcomes = [
        Outcome.STATUS_503,  # in the warm-up
        Outcome.OK,
        Outcome.STATUS_503,
        Outcome.STATUS_503,
        Outcome.TIMEOUT,
        Outcome.CONNECTION_ERROR,
        Outcome.STATUS_504,
        Outcome.IN_FLIGHT_AT_STOP,
        Outcome.UNRESOLVED,
        Outcome.SKIPPED_LATE,
        Outcome.NOT_REACHED,
    ]
    seen = observed(run_of(outcomes, flagged=[1, 0, 1, *[0] * 8]), warm_up_s=1.0, duration_s=11.0)
    assert seen["requests"] == 10
    assert seen["sent"] == 8
    assert seen["fraction_503"] == 2 / 6
    assert seen["flagged_503"] == 1
    assert seen["counts"]["status_503"] == 2


def test_nothing_answered_is_unknown_and_not_zero() -> None:
    seen = observed(run_of([Outcome.NOT_REACHED] * 3), warm_up_s=0.0, duration_s=3.0)
    assert seen["fraction_503"] is None
    assert seen["latency_from_send_s"] == {"p50": None, "p90": None, "p99": None, "max": None}


def test_both_latencies_of_200_answers_only() -> None:
    outcomes = [Outcome.OK] * 100 + [Outcome.STATUS_503]
    took = np.concatenate((np.arange(1, 101) / 100, [50.0]))
    late = np.full(101, 0.5)
    seen = observed(run_of(outcomes, late_s=late, took_s=took), warm_up_s=0.0, duration_s=200.0)
    assert seen["latency_from_send_s"] == pytest.approx({"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0})
    assert seen["latency_from_schedule_s"] == pytest.approx({"p50": 1.0, "p90": 1.4, "p99": 1.49, "max": 1.5})


@pytest.mark.parametrize(
    ("outcomes", "late_s", "problem"),
    [
        ([Outcome.OK] * 200, 0.001, None),
        ([Outcome.OK] * 198 + [Outcome.SKIPPED_LATE] * 2, 0.001, None),
        ([Outcome.OK] * 197 + [Outcome.SKIPPED_LATE] * 3, 0.001, "Only 197 of 200 .*98.5 %; 3 skipped late"),
        (
            [Outcome.OK] * 200,
            np.where(np.arange(200) < 3, 0.06, 0.0),
            "3 of 200 requests .1.5 %. left more than 50 ms late",
        ),
        ([Outcome.OK] * 200, np.where(np.arange(200) < 2, 0.06, 0.0), None),
        ([Outcome.OK] * 199 + [Outcome.UNACCOUNTED], 0.001, "1 of 200 planned requests are unaccounted"),
        ([Outcome.OK] * 199 + [Outcome.DROPPED_MAX_INFLIGHT], 0.001, "1 requests were dropped"),
        ([Outcome.NOT_REACHED] * 5, 0.001, "No request was sent .5 were planned"),
    ],
)
def test_generator_rules(outcomes: list[Outcome], late_s: Any, problem: str | None) -> None:
    document = generator(run_of(outcomes, late_s=late_s).log)
    assert document["valid"] is (problem is None)
    if problem is not None:
        with pytest.raises(AssertionError, match=problem):
            raise AssertionError(" ".join(document["problems"]))


def test_max_in_flight_agrees_with_counting() -> None:
    rng = np.random.default_rng(8)
    outcomes = [Outcome.OK if x < 0.9 else Outcome.SKIPPED_LATE for x in rng.random(300)]
    took = np.round(rng.uniform(0.25, 8, 300) * 4) / 4
    log = run_of(outcomes, late_s=0.0, took_s=took).log
    sent = log.sent_s[np.isfinite(log.sent_s)]
    finish = log.finish_s[np.isfinite(log.sent_s)]
    assert max_in_flight(log) == max(int(np.sum((sent <= t) & (finish > t))) for t in sent)


def test_each_worker_has_its_own_send_errors() -> None:
    late = np.where(np.arange(10) % 2, 0.2, 0.001)
    run = run_of([Outcome.OK] * 9 + [Outcome.UNACCOUNTED], late_s=late, workers=2)
    about = {0: {"clock_offset_s": 0.0}, 1: {"clock_offset_s": -1000.0}}
    document = generator(run.log, run.worker, about)
    quick, slow = document["workers"]
    assert (quick["planned"], quick["sent"], slow["planned"], slow["sent"]) == (5, 5, 5, 4)
    assert quick["send_error_p99_s"] == pytest.approx(0.001)
    assert slow["send_error_p50_s"] == pytest.approx(0.2)
    assert (quick["clock_offset_s"], slow["clock_offset_s"]) == (0.0, -1000.0)


def test_how_requests_ended_is_said_in_words() -> None:
    outcomes = [
        Outcome.OTHER_5XX,
        Outcome.CONNECTION_ERROR,
        Outcome.CONNECTION_ERROR,
        Outcome.TIMEOUT,
        Outcome.BAD_RESPONSE,
        Outcome.BAD_RESPONSE,
    ]
    run = run_of(outcomes)
    statuses = np.array([500, -Broken.REFUSED, -Broken.CERTIFICATE, 0, 200, 0])
    run = observed_log(run.log, status=statuses)
    words = kinds_of(run, np.ones(6, dtype=bool))
    assert set(words) == {
        "HTTP 500",
        "connection refused",
        "TLS certificate refused",
        "timeout",
        "HTTP 200 with a bad body",
        "an answer that is not HTTP",
    }
    assert said(kinds_of(run, np.array([True, True, False, False, False, False]))) == (
        "1 x HTTP 500, 1 x connection refused"
    )
