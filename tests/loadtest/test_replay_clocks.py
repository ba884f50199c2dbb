"""Clocks: the offset of two machines from pings, a wall clock that was set, a process that stood still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.replay.clocks import CLOCK_STEP_NS, STALL_NS, ClockWatch, offset_from
from loadtest.replay.segment import Note

PERIOD_NS = 250_000_000
delays = st.integers(0, 5_000_000)


@given(
    offset_ns=st.integers(-(10**15), 10**15),
    round_trips=st.lists(st.tuples(delays, delays, st.integers(0, 10**12)), min_size=1, max_size=10),
)
def test_the_true_offset_lies_within_the_uncertainty(offset_ns: int, round_trips: list[tuple[int, int, int]]) -> None:
    """Whatever the delays there and back are: one way may be much slower than the other."""
    pings = [(at, at + there + offset_ns, at + there + back) for there, back, at in round_trips]
    found = offset_from(pings)
    assert abs(found.offset_ns - offset_ns) <= found.uncertainty_ns
    assert found.uncertainty_ns == min(there + back + 1 for there, back, _ in round_trips) // 2


def watched(*looks: tuple[float, float]) -> list[tuple[Note, int, int]]:
    """Looks at (monotonic, wall) seconds; what was noticed."""
    watch = ClockWatch(PERIOD_NS)
    return [note for look in looks for note in watch.notice(round(look[0] * 1e9), round(look[1] * 1e9))]


def test_clocks_that_go_on_are_not_worth_a_note() -> None:
    assert watched((5.0, 1000.0), (5.25, 1000.25), (5.9, 1000.91), (6.2, 1001.2)) == []


def test_a_wall_clock_that_was_set() -> None:
    (step,) = watched((5.0, 1000.0), (5.25, 1003.25), (5.5, 1003.5))
    assert step == (Note.CLOCK_STEP, 5_250_000_000, 3_000_000_000)
    (back,) = watched((5.0, 1000.0), (5.25, 940.25))
    assert back == (Note.CLOCK_STEP, 5_250_000_000, -60_000_000_000)


def test_steps_at_the_threshold() -> None:
    step_s = CLOCK_STEP_NS / 1e9
    assert watched((1.0, 10.0), (1.25, 10.25 + step_s - 0.001)) == []
    assert len(watched((1.0, 10.0), (1.25, 10.25 + step_s))) == 1


def test_a_slewed_clock_is_no_step() -> None:
    """NTP moves a clock by at most 500 ppm: 0.125 ms from look to look."""
    looks = [(0.25 * i, 1000 + 0.25 * i * 1.0005) for i in range(4000)]
    assert watched(*looks) == []


def test_a_process_that_stood_still() -> None:
    (stall,) = watched((5.0, 1000.0), (7.25, 1002.25))
    assert stall == (Note.STALL, 5_000_000_000, 2_000_000_000)
    assert watched((5.0, 1000.0), (5.25 + STALL_NS / 1e9 - 0.001, 1000.749)) == []


def test_a_machine_that_was_suspended_and_set_its_clock_says_both() -> None:
    """The monotonic clock of Linux stands still in a suspend, but not that of a stopped virtual machine."""
    assert [note for note, _, _ in watched((5.0, 1000.0), (8.0, 2000.0))] == [Note.STALL, Note.CLOCK_STEP]
