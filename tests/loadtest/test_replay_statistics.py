"""What is computed from a merged log: fractions, both latencies, the generator's validity, the ending."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from loadtest.replay.merge import Observed
from loadtest.replay.segment import EndReason
from loadtest.replay.statistics import generator, max_in_flight, observed
from loadtest.replay.summary import conclude
from loadtest.replay.tripwire import LOST_AFTER_ERRORS, Tripwire
from loadtest.schedule import Schedule
from planner.model import Outcome, RequestLog
from planner.scenario import Scenario


def run_of(
    outcomes: list[Outcome],
    *,
    late_s: Any = 0.001,
    took_s: Any = 0.2,
    flagged: list[int] | None = None,
    statuses: dict[Outcome, int] | None = None,
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
    zeros = np.zeros(n, dtype=np.int64)
    return Observed(
        log=log,
        status=np.array([(statuses or {}).get(o, 0) for o in outcomes], dtype=np.int64),
        flagged=zeros if flagged is None else np.array(flagged),
        planned_service_time_s=np.full(n, 0.1),
        ended=EndReason.COMPLETE,
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


def schedule_of(n: int) -> Schedule:
    return Schedule(
        offset_ns=np.arange(n, dtype=np.int64) * 10**9, service_time_s=np.full(n, 0.1), duration_ns=n * 10**9
    )


@pytest.mark.parametrize(
    ("ended", "interrupted", "word", "exit_code"),
    [
        (EndReason.COMPLETE, False, "complete", 0),
        (EndReason.COMPLETE, True, "interrupted", 130),
        (EndReason.STOPPED, True, "interrupted", 130),
        (EndReason.MAX_REQUESTS, False, "max_requests", 4),
        (EndReason.UNAUTHORIZED, False, "unauthorized", 3),
        (EndReason.ENDPOINT_LOST, False, "endpoint_lost", 3),
        (EndReason.LOG_UNWRITABLE, False, "log_unwritable", 3),
        (None, False, "worker_lost", 3),
    ],
)
def test_every_ending_has_its_word_and_code(
    scenario: Callable[..., Scenario], ended: EndReason | None, interrupted: bool, word: str, exit_code: int
) -> None:
    run = run_of([Outcome.OK] * 4)
    run = Observed(**{**vars(run), "ended": ended})
    ending = conclude(scenario(), schedule_of(4), run, interrupted=interrupted)
    assert (ending.word, ending.exit_code) == (word, exit_code)
    assert (ending.message is None) == (exit_code == 0)


def test_a_lagging_generator_supports_no_verdict(scenario: Callable[..., Scenario]) -> None:
    ending = conclude(scenario(), schedule_of(9), run_of([Outcome.OK] * 9, late_s=0.3), interrupted=False)
    assert ending.exit_code == 3
    assert "supports no verdict" in str(ending.message)


@pytest.mark.parametrize(
    ("outcome", "status", "words"),
    [
        (Outcome.OTHER_4XX, 404, "12 of 12 requests (100 %) ended in another way than 200, 503 or 504 (12 HTTP 404)"),
        (Outcome.OTHER_5XX, 500, "12 HTTP 500)"),
        (Outcome.CONNECTION_ERROR, 0, "12 connection error)"),
        (Outcome.TIMEOUT, 0, "12 timeout)"),
        (Outcome.UNRESOLVED, 0, "No request that counts has an answer"),
    ],
)
def test_a_replay_that_observed_nothing_is_no_success(
    scenario: Callable[..., Scenario], outcome: Outcome, status: int, words: str
) -> None:
    ending = conclude(
        scenario(duration="12s"), schedule_of(12), run_of([outcome] * 12, statuses={outcome: status}), interrupted=False
    )
    assert ending.exit_code == 3
    assert words in str(ending.message)


@pytest.mark.parametrize(("errors", "problems"), [(0, 0), (2, 0), (3, 1)])
def test_answers_that_the_model_does_not_know_are_a_problem_beyond_1_percent(
    scenario: Callable[..., Scenario], errors: int, problems: int
) -> None:
    run = run_of([Outcome.OK] * (200 - errors) + [Outcome.OTHER_5XX] * errors, statuses={Outcome.OTHER_5XX: 500})
    ending = conclude(scenario(duration="200s"), schedule_of(200), run, interrupted=False)
    assert ending.exit_code == 0, "the endpoint was measured; only a verdict on the model would be out of place"
    assert len(ending.warnings) == len(ending.documents["observed"]["problems"]) == problems
    assert all("3 of 200 requests (1.5 %)" in warning for warning in ending.warnings)


def test_tripwire_for_a_lost_endpoint() -> None:
    wire = Tripwire()
    errors = [wire.saw(Outcome.CONNECTION_ERROR, 0, i * 10**8) for i in range(LOST_AFTER_ERRORS + 5)]
    assert errors[:20] == [None] * 20, "20 errors within 1.9 s are not yet a loss"
    assert errors[20] is EndReason.ENDPOINT_LOST
    wire = Tripwire()
    for i in range(200):
        outcome = Outcome.STATUS_503 if i % 19 == 18 else Outcome.CONNECTION_ERROR
        assert wire.saw(outcome, 0, i * 10**9) is None, "any answer shows that it is there"


def test_tripwire_for_a_refused_key() -> None:
    wire = Tripwire()
    assert wire.saw(Outcome.STATUS_503, 503, 0) is None
    assert wire.saw(Outcome.OTHER_4XX, 404, 0) is None
    assert wire.saw(Outcome.OTHER_4XX, 401, 0) is EndReason.UNAUTHORIZED
    wire = Tripwire()
    assert wire.saw(Outcome.OK, 200, 0) is None
    assert wire.saw(Outcome.OTHER_4XX, 403, 0) is None, "a key that has worked is not refused by one 403"
