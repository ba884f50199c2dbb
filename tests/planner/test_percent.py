from __future__ import annotations

import pytest

from planner.percent import percent


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (0.1787, "17.9 %"),
        (0.1, "10 %"),
        (1.38e-4, "0.0138 %"),
        (2.7e-11, "2.7e-09 %"),
        (0.99996, "99.99 %"),
        (0.0, "0 %"),
        (1.0, "100 %"),
    ],
)
def test_percent(fraction: float, shown: str) -> None:
    assert percent(fraction) == shown
