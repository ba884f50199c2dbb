"""Numbers as people's tables write them: one reading, or a refusal with both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.traces.tables.number_forms import number_reader


def read(cells: list[str], **how: object) -> list[float]:
    reader = number_reader(cells, **how)  # type: ignore[arg-type]
    return [reader(cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "delimiter", "whole", "numbers"),
    [
        (["1,234", "5"], ",", True, [1234, 5]),  # a whole number has no fraction 234
        (["1,234.5", "60"], ",", False, [1234.5, 60]),
        (["1,234,567", "1,000"], ",", False, [1234567, 1000]),
        (["5,25", "1,234"], ";", False, [5.25, 1.234]),
        (["0,125", "1.234,5"], ";", False, [0.125, 1234.5]),
        (["1.234", "2.5"], ";", False, [1.234, 2.5]),
        (["1.234"], ",", False, [1.234]),
        (["1.234.567", "1.000"], ";", True, [1234567, 1000]),
        (["1.060", "1.000", "5"], ";", True, [1060, 1000, 5]),
        (["1 234", "1\u202f234\u00a0567", "12"], ";", True, [1234, 1234567, 12]),
        (["1'234.5", "2\u2019000"], ";", False, [1234.5, 2000]),
        ([" 7 ", "1e3"], ",", False, [7, 1000]),
    ],
)
def test_a_column_shows_what_its_commas_and_points_mean(
    cells: list[str], delimiter: str, whole: bool, numbers: list[float]
) -> None:
    assert read(cells, delimiter=delimiter, whole=whole) == numbers


@pytest.mark.parametrize(
    ("cells", "delimiter", "whole", "message"),
    [
        (["60,000"], ",", True, r"may be 60000 \(comma for thousands\) or 60.000 \(comma for fractions\)"),
        (["1,234"], ";", False, r"may be 1234 \(comma for thousands\) or 1.234"),
        (["60.000"], ";", True, r"may be 60000 \(point for thousands\) or 60.000 \(point for fractions\)"),
        (["1.234"], ";", False, r"may be 1234 \(point for thousands\) or 1.234 \(point for fractions\)"),
        (["1,234,567", "1,2"], ";", False, "for thousands in some rows and for fractions in others"),
        (["1,234.5", "12,34"], ",", False, "for thousands in some rows and for fractions in others"),
        (["1,2,3"], ",", True, "must be a number"),
        (["many"], ",", True, "must be a number"),
        (["nan"], ",", True, "must be a finite number"),
    ],
)
def test_what_has_two_readings_or_none_is_refused(cells: list[str], delimiter: str, whole: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(cells, delimiter=delimiter, whole=whole)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.sampled_from([",", " ", "'", "\u202f"]))
def test_grouped_counts_come_back_or_are_refused_never_another_number(counts: list[int], mark: str) -> None:
    cells = [f"{count:,}".replace(",", mark) for count in counts]
    groups = [cell for cell in cells if mark in cell]
    if mark == "," and groups and all(len(cell) <= 7 and cell.endswith("000") for cell in groups):
        with pytest.raises(ValueError, match="may be"):
            read(cells, delimiter=";", whole=True)
    else:
        assert read(cells, delimiter=";", whole=True) == counts


@given(st.lists(st.decimals(0, 10**6, places=2), min_size=1, max_size=20))
def test_decimal_commas_come_back(values: list[object]) -> None:
    assert read([str(value).replace(".", ",") for value in values], delimiter=";") == [float(str(v)) for v in values]
