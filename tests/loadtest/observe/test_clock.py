"""The server's clock by the Date of its answers."""

from __future__ import annotations

import math
from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from loadtest.observe.clock import measure


class Api:
    """A server whose clock is offset_s ahead of ours, and answers in the middle of a round trip."""

    def __init__(self, offset_s: float, trips_s: list[float]) -> None:
        self.now_s, self.offset_s, self.trips_s, self.asked = 1000.0, offset_s, trips_s, 0

    def headers(self, path: str) -> dict[str, str]:
        trip_s = self.trips_s[self.asked % len(self.trips_s)]
        self.asked += 1
        date = formatdate(math.floor(self.now_s + trip_s / 3 + self.offset_s), usegmt=True)
        self.now_s += trip_s
        return {"date": date}

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@given(offset_s=st.floats(1e9, 1e9 + 10), trips_s=st.lists(st.floats(0.0005, 0.05), min_size=1, max_size=20))
def test_the_truth_lies_within_the_bounds_and_they_are_about_a_round_trip_wide(
    offset_s: float, trips_s: list[float]
) -> None:
    api = Api(offset_s, trips_s)
    clock = measure(api, now=lambda: api.now_s, sleep=api.sleep)  # type: ignore[arg-type]
    assert clock is not None
    assert clock.low_s <= offset_s <= clock.high_s
    assert clock.high_s - clock.low_s <= 2 * max(trips_s) + 0.01


def test_an_answer_without_a_date_gives_no_clock() -> None:
    class Silent(Api):
        def headers(self, path: str) -> dict[str, str]:
            return {}

    api = Silent(0.0, [0.001])
    assert measure(api, now=lambda: api.now_s, sleep=api.sleep) is None  # type: ignore[arg-type]


def test_a_clock_that_is_set_meanwhile_gives_none() -> None:
    class Jumps(Api):
        def headers(self, path: str) -> dict[str, str]:
            self.offset_s += 5.0
            return super().headers(path)

    api = Jumps(1e9, [0.001])
    assert measure(api, now=lambda: api.now_s, sleep=api.sleep) is None  # type: ignore[arg-type]
