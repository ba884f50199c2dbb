"""Counts per bin: reading them, and that spreading, slicing and scaling keep what they must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.traces.playing import MOST_REQUESTS, Trace, play
from planner.traces.trace_file import read_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "counts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def counted(*counts: int, bin_s: float = 60.0, start_s: float = 0.0) -> Trace:
    times_s = start_s + bin_s * np.arange(len(counts))
    return Trace(times_s=times_s, counts=np.array(counts, dtype=np.int64), has_cut_stamps=True, bin_s=bin_s)


def per_bin(times_s: Any, bin_s: float, bins: int) -> list[int]:
    return np.bincount((times_s // bin_s).astype(int), minlength=bins).tolist()


# Reading


def test_per_minute_with_gaps_and_out_of_order(tmp_path: Path) -> None:
    rows = ("12:03:00,7", "12:00:00,5", "12:01:00,0", "12:07:00,3.0")
    trace = read_trace(written(tmp_path, "timestamp,requests\n" + "".join(f"2026-01-01 {row}\n" for row in rows)))
    assert trace.counts is not None
    assert (trace.bin_s, trace.is_derived) == (60.0, True)
    assert trace.times_s.tolist() == [0.0, 60.0, 180.0, 420.0]
    assert trace.counts.tolist() == [5, 0, 7, 3]
    assert trace.end_s == 480.0
    assert trace.clock is not None
    assert trace.clock.shown(420) == "2026-01-01 12:07:00+00:00"
    assert per_bin(play(trace, seed=1).times_s, 60.0, 8) == [5, 0, 0, 7, 0, 0, 0, 3]


def test_per_second_of_any_zero_and_a_width_that_is_given(tmp_path: Path) -> None:
    second = read_trace(written(tmp_path, "time_s,requests\n100,5\n101,2\n104,9\n"))
    assert (second.bin_s, second.clock) == (1.0, None)
    given_width = read_trace(written(tmp_path, "time_s,requests\n100,5\n110,2\n"), bin_s=5.0)
    assert (given_width.bin_s, given_width.is_derived) == (5.0, False)
    assert given_width.times_s.tolist() == [0.0, 10.0]
    tenths = read_trace(written(tmp_path, "time_s,requests\n" + "".join(f"{i / 10},{i}\n" for i in range(100))))
    assert tenths.bin_s == 0.1
    assert per_bin(np.round(play(tenths, seed=1).times_s, 9), 0.1, 100)[-1] == 99


def test_parquet_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    stamps = pa.array([1_700_000_040, 1_700_000_100], pa.timestamp("s", "+02:00"))
    pq.write_table(pa.table({"timestamp": stamps, "requests": [4, 6]}), path)
    trace = read_trace(path)
    assert trace.bin_s == 60.0
    assert trace.clock is not None
    assert trace.clock.shown(0) == "2023-11-15 00:14:00+02:00"
    pq.write_table(pa.table({"time_s": [0.0, 1.0], "requests": [4.0, 0.5]}), path)
    with pytest.raises(InputError, match=r"row 2, column requests = 0.5, must be a whole number of requests"):
        read_trace(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_s,requests\n0,1\n1,-2\n", "line 3, column requests = -2, must be a whole number of requests, from 0"),
        ("time_s,requests\n0,1.5\n1,2\n", "line 2, column requests = 1.5, must be a whole number"),
        ("time_s,requests\n0,many\n", "line 2, column requests = many, must be a number"),
        (
            "time_s,requests\n0,2e9\n1,1\n",
            "line 2, column requests = 2e9, must be a whole number of requests, from 0 to",
        ),
        ("time_s,requests\n0,0\n1,0\n", "no request in the trace"),
        ("time_s,requests\n", "no request in the trace"),
        ("time_s,requests\n5,1\n", "the stamps do not show how wide a bin is, give it as `bin`, for example 60s"),
        (
            "time_s,requests\n0,1\n2,1\n5,1\n",
            "line 4, column time_s = 5, comes 5 s after the first bin, not a whole num",
        ),
        ("time_s,requests\n0,1\n1,1\n1,4\n", "line 4, column time_s = 1, is a second count for one bin of 1 s"),
        ("requests\n1\n", "no column time_s or timestamp in the header (requests)"),
        ("time_s,requests,payload\n0,1,x\n", "the column payload describes single requests, but the column requests"),
        ("time_s,service_time_s,requests\n0,1,1\n", "the column service_time_s describes single requests"),
    ],
)
def test_bad_counts_are_named_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as raised:
        read_trace(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


# Playing

some_counts = st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(any)
widths = st.sampled_from([1.0, 60.0, 0.25, 0.1, 300.0])


@given(some_counts, widths, st.sampled_from([0.0, 1e6]), st.booleans(), st.integers(0, 2**32))
@settings(deadline=None)
def test_spreading_keeps_every_count_exactly(
    counts: list[int], bin_s: float, start_s: float, even: bool, seed: int
) -> None:
    trace = counted(*counts, bin_s=bin_s, start_s=start_s)
    played = play(trace, seed=seed, even=even)
    edges = np.append(trace.times_s, np.inf)
    inside = np.histogram(played.times_s, edges)[0]
    assert inside.tolist() == counts
    assert np.all(played.times_s < trace.end_s)
    assert np.all(np.diff(played.times_s) >= 0)
    assert played.counts is None
    assert played.spread


@given(some_counts, widths, st.sampled_from([0.4, 1.0, 1.5, 3.0]), st.booleans(), st.floats(0, 20), st.floats(0.1, 10))
@settings(deadline=None)
def test_a_slice_agrees_with_the_whole(
    counts: list[int], bin_s: float, rate_scale: float, even: bool, from_bins: float, for_bins: float
) -> None:
    trace = counted(*counts, bin_s=bin_s)
    from_s, for_s = from_bins * bin_s, for_bins * bin_s
    whole = play(trace, seed=2, rate_scale=rate_scale, even=even).times_s
    part = play(trace, from_s=from_s, for_s=for_s, seed=2, rate_scale=rate_scale, even=even).times_s
    inside = whole[(whole >= from_s) & (whole < from_s + for_s)]
    assert np.array_equal(part, np.minimum(inside - from_s, np.nextafter(for_s, 0)))


@given(some_counts, st.sampled_from([0.5, 0.25, 2.0, 4.0]))
@settings(deadline=None)
def test_time_scale_scales_every_gap(counts: list[int], time_scale: float) -> None:
    trace = counted(*counts)
    as_it_was, scaled = play(trace, seed=3).times_s, play(trace, seed=3, time_scale=time_scale).times_s
    assert np.array_equal(scaled, as_it_was * time_scale)  # a power of two is exact


def test_a_whole_rate_scale_multiplies_every_count_exactly() -> None:
    trace = counted(5, 0, 7, 1)
    for scale in (2.0, 3.0):
        assert per_bin(play(trace, seed=4, rate_scale=scale).times_s, 60, 4) == [5 * scale, 0, 7 * scale, scale]


@pytest.mark.parametrize("rate_scale", [0.3, 1.7])
def test_a_broken_rate_scale_is_exact_in_expectation(rate_scale: float) -> None:
    """2,000 bins of 20; the sum is within 4 standard errors (p 6e-5): a rate 1.5 % (0.3) or 0.6 % (1.7) off is seen."""
    n = 40_000
    played = play(counted(*[20] * 2000, bin_s=1.0), seed=5, rate_scale=rate_scale)
    part = rate_scale % 1
    assert abs(len(played) - rate_scale * n) < 4 * (n * part * (1 - part)) ** 0.5


def test_places_are_uniform_and_of_copies_too() -> None:
    """Kolmogorov distance of 30,000 places, bound 0.013 at p 1e-4: a density 3 % larger in one half is seen."""
    for rate_scale in (1.0, 3.0):
        counts = [30] * int(1000 / rate_scale)
        phase = np.sort(play(counted(*counts), seed=6, rate_scale=rate_scale).times_s % 60) / 60
        n = len(phase)
        assert np.abs(phase - (np.arange(n) + 0.5) / n).max() < 2.23 / n**0.5


def test_even_places_are_regular_also_when_multiplied() -> None:
    played = play(counted(4, 2), seed=7, even=True)
    assert played.times_s.tolist() == [7.5, 22.5, 37.5, 52.5, 75.0, 105.0]
    assert play(counted(2, 1), seed=7, even=True, rate_scale=2.0).times_s.tolist() == played.times_s.tolist()


def test_the_other_extreme_is_the_start_of_the_bin() -> None:
    kept = play(counted(2, 0, 1), seed=1, spread=False)
    assert kept.times_s.tolist() == [0.0, 0.0, 120.0]
    assert not kept.spread


def test_a_small_slice_of_an_enormous_file_is_played_and_a_large_one_refused() -> None:
    day = counted(*[5_000_000] * 1440)
    assert len(play(day, from_s=86_000.0, for_s=1.0, seed=1)) > 80_000
    with pytest.raises(InputError, match=f"at most {MOST_REQUESTS:,} are supported"):
        play(day, seed=1)
    with pytest.raises(InputError, match="makes 15,000,000 requests"):
        play(day, for_s=60.0, rate_scale=3.0, seed=1)
