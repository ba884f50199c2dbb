"""When a replay stops by itself."""

from __future__ import annotations

import numpy as np
import pytest

from loadtest.replay.segment import EndReason
from loadtest.replay.settings import ErrorLimit
from loadtest.replay.tripwire import LOST_AFTER_ERRORS, Tripwire
from planner.errors import InputError
from planner.model import Outcome

HUNDREDTH_NS = 10_000_000


def fed(wire: Tripwire, outcomes: list[Outcome], period_ns: int = HUNDREDTH_NS) -> tuple[int, EndReason] | None:
    """Which outcome stops the run, and why."""
    for i, outcome in enumerate(outcomes):
        if reason := wire.saw(outcome, 0, i * period_ns):
            return i, reason
    return None


def test_a_lost_endpoint() -> None:
    wire = Tripwire(ErrorLimit())
    errors = [wire.saw(Outcome.CONNECTION_ERROR, 0, i * 10**8) for i in range(LOST_AFTER_ERRORS + 5)]
    assert errors[:20] == [None] * 20, "20 errors within 1.9 s are not yet a loss"
    assert errors[20] is EndReason.ENDPOINT_LOST
    wire = Tripwire(ErrorLimit())
    for i in range(200):
        outcome = Outcome.STATUS_503 if i % 19 == 18 else Outcome.CONNECTION_ERROR
        assert wire.saw(outcome, 0, i * 10**9) is None, "any answer shows that it is there"


def test_a_timeout_neither_proves_nor_disproves_that_the_endpoint_is_lost() -> None:
    outcomes = [Outcome.CONNECTION_ERROR] * 19 + [Outcome.TIMEOUT] + [Outcome.CONNECTION_ERROR]
    assert fed(Tripwire(ErrorLimit()), outcomes, 10**8) == (20, EndReason.ENDPOINT_LOST)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("before", [[], [Outcome.STATUS_503], [Outcome.OK] * 500])
def test_a_refused_key_stops_the_run_at_any_time(status: int, before: list[Outcome]) -> None:
    wire = Tripwire(ErrorLimit())
    assert fed(wire, before) is None
    assert wire.saw(Outcome.OTHER_4XX, 404, 10**10) is None
    assert wire.saw(Outcome.OTHER_4XX, status, 10**10) is EndReason.UNAUTHORIZED


@pytest.mark.parametrize(
    ("limit", "outcomes", "stops_at"),
    [
        (ErrorLimit(), [Outcome.OTHER_5XX] * 60, 49),  # not before fewest_answers
        (ErrorLimit(), [Outcome.OK] * 50 + [Outcome.OTHER_5XX] * 60, 99),
        (ErrorLimit(max_fraction=0.1), [Outcome.OK] * 90 + [Outcome.OTHER_5XX] * 20, 99),
        (ErrorLimit(), [Outcome.OK, Outcome.OTHER_5XX] * 30, 49),  # at least a half is a half
        (ErrorLimit(max_fraction=0.51), [Outcome.OK, Outcome.OTHER_5XX] * 100, None),
        (ErrorLimit(), [Outcome.STATUS_503] * 200, None),
        (ErrorLimit(count_503s=True), [Outcome.STATUS_503] * 200, 49),
        (ErrorLimit(fewest_answers=3), [Outcome.TIMEOUT] * 5, 2),
        (ErrorLimit(max_fraction=1.0), [Outcome.STATUS_504] * 60, 49),
        (ErrorLimit(max_fraction=1.0), [Outcome.OK] + [Outcome.STATUS_504] * 900, None),
        (ErrorLimit(max_fraction=1.0), [Outcome.OK] + [Outcome.STATUS_504] * 1100, 1001),  # it has left the window
    ],
)
def test_the_share_of_errors_in_a_window(limit: ErrorLimit, outcomes: list[Outcome], stops_at: int | None) -> None:
    assert fed(Tripwire(limit), outcomes) == (None if stops_at is None else (stops_at, EndReason.ERROR_RATE))


def test_timeouts_stop_a_run_also_after_a_connection_error() -> None:
    """An endpoint that resets one connection and hangs from then on is no endpoint that can be measured."""
    assert fed(Tripwire(ErrorLimit()), [Outcome.CONNECTION_ERROR] + [Outcome.TIMEOUT] * 200) is not None


def test_the_window_counts_as_counting_does() -> None:
    rng = np.random.default_rng(5)
    limit = ErrorLimit(max_fraction=0.3, window_s=1.0, fewest_answers=10)
    kinds = [Outcome.OK, Outcome.OTHER_5XX, Outcome.STATUS_503]
    for _ in range(50):
        times = np.cumsum(rng.integers(0, 8, 300)) * HUNDREDTH_NS
        outcomes = [kinds[k] for k in rng.choice(3, 300, p=[0.55, 0.25, 0.2])]
        expected = None
        for i, now in enumerate(times):
            inside = [o for o, t in zip(outcomes[: i + 1], times, strict=False) if t >= now - 1e9]
            if len(inside) >= 10 and inside.count(Outcome.OTHER_5XX) >= 0.3 * len(inside):
                expected = i
                break
        wire = Tripwire(limit)
        got = next((i for i, now in enumerate(times) if wire.saw(outcomes[i], 0, int(now))), None)
        assert got == expected


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01])
def test_a_limit_that_cannot_be(share: float) -> None:
    with pytest.raises(InputError, match=r"--stop-at-errors .*: must be above 0% and at most 100%"):
        ErrorLimit(max_fraction=share)
