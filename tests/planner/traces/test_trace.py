"""Traces: every form of file, and playing slices of them."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.errors import InputError
from planner.scenario_file.files import shipped_folder
from planner.traces.playing import Trace, play
from planner.traces.tables.opening import table_of
from planner.traces.trace_file import read_column, read_trace


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_seconds_from_any_zero(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "time_s,service_time_s\n100.5,0.2\n100.25,0.1\n102,0.3\n"))
    assert trace.times_s.tolist() == [0.0, 0.25, 1.75]
    assert trace.service_time_s is not None
    assert trace.service_time_s.tolist() == [0.1, 0.2, 0.3]  # sorted with their times
    assert trace.context_tokens is None


def test_the_azure_trace_with_seven_digits(tmp_path: Path) -> None:
    lines = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,4808,10\r\n"
    lines += "2023-11-16 18:17:04.0319607,3180,8\r\n"
    trace = read_trace(written(tmp_path, lines))
    assert trace.times_s.tolist() == [0.0, 0.0520007]
    assert trace.context_tokens is not None
    assert trace.context_tokens.tolist() == [4808, 3180]
    assert trace.generated_tokens is not None
    assert trace.generated_tokens.tolist() == [10, 8]


@pytest.mark.parametrize(
    "stamps",
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01.5Z"),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:01.5+00:00"),
        ("2026-01-01 00:00:00", "2026-01-01 00:00:01.500000000"),
    ],
)
def test_iso_8601_in_its_forms(tmp_path: Path, stamps: tuple[str, str]) -> None:
    assert read_trace(written(tmp_path, f"timestamp\n{stamps[0]}\n{stamps[1]}\n")).times_s.tolist() == [0.0, 1.5]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    pq.write_table(pa.table({"time_s": [3.0, 1.0], "context_tokens": [1, 2], "payload": ["a", "b"]}), path)
    trace = read_trace(path)
    assert trace.times_s.tolist() == [0.0, 2.0]
    assert trace.context_tokens is not None
    assert trace.context_tokens.tolist() == [2, 1]


def test_payloads_are_kept_as_text_with_their_requests(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, 'time_s,payload\n3,"{""a"": 1}"\n1,\n2,5\n'))
    assert trace.payload is not None
    assert trace.payload.tolist() == ["", "5", '{"a": 1}']
    assert trace.payload.dtype == object
    played = play(trace, from_s=1, rate_scale=2.0, seed=1)
    assert played.payload is not None
    assert sorted(played.payload) == ["5", "5", '{"a": 1}', '{"a": 1}']
    path = tmp_path / "trace.parquet"
    for bad, shown in ((7, "7"), (None, "None")):
        pq.write_table(pa.table({"time_s": [3.0, 1.0], "payload": pa.array([bad, None])}), path)
        with pytest.raises(InputError, match=f"row 1, column payload = {shown}, must be text"):
            read_trace(path)


def test_the_clock_of_a_trace_is_that_of_its_first_time(tmp_path: Path) -> None:
    stamps = "timestamp\n2026-01-01T00:00:03.75+01:00\n2026-01-01T00:00:03.25+01:00\n"
    for text, shown in (
        (stamps, "2026-01-01 00:00:03+01:00"),
        (stamps.replace("+01:00", ""), "2026-01-01 00:00:03+00:00"),
    ):
        clock = read_trace(written(tmp_path, text)).clock
        assert clock is not None
        assert clock.shown(0) == shown
    assert read_trace(written(tmp_path, "time_s\n5\n")).clock is None


@pytest.mark.parametrize("bin_s", [1.0, 60.0])
@pytest.mark.parametrize("even", [False, True])
def test_a_real_trace_that_was_counted_per_bin_comes_back_with_its_counts(
    tmp_path: Path, bin_s: float, even: bool
) -> None:
    path = shipped_folder() / "traces" / "azure-llm-2023" / "code-18h40.csv"
    number = (read_trace(path).times_s // bin_s).astype(int)
    counts = np.bincount(number)
    rows = "".join(f"{i * bin_s:g},{n}\n" for i, n in enumerate(counts) if n)  # bins without requests are left out
    counted = read_trace(written(tmp_path, "time_s,requests\n" + rows))
    assert counted.bin_s == bin_s
    played = play(counted, seed=11, even=even)
    assert np.array_equal((played.times_s // bin_s).astype(int), number)


def test_parquet_with_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "trace.parquet"
    stamps = pa.array([1_700_000_000_000_000, 1_700_000_000_250_000], pa.timestamp("us"))
    pq.write_table(pa.table({"timestamp": stamps}), path)
    assert read_trace(path).times_s.tolist() == [0.0, 0.25]


@pytest.mark.parametrize("zone", [None, "UTC", "Nowhere/Bogus"])
def test_parquet_with_nanoseconds_as_pandas_writes_them(tmp_path: Path, zone: str | None) -> None:
    path = tmp_path / "trace.parquet"
    stamps = pa.array([1_700_000_000_000_000_100, 1_700_000_001_250_000_400], pa.timestamp("ns", zone))
    pq.write_table(pa.table({"timestamp": stamps}), path)
    assert read_trace(path).times_s.tolist() == [0.0, 1.2500003]


def test_quoted_cells_with_line_ends_and_blank_lines_do_not_shift_the_numbering(tmp_path: Path) -> None:
    path = written(tmp_path, 'time_s,payload\n0,"two\nlines"\n\n1,x\nlate,y\n')
    with pytest.raises(InputError) as raised:
        read_trace(path)
    assert "line 6, column time_s = late, must be a number" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty, no request in it"),
        ("a,b\n1,2\n", "no column time_s or timestamp in the header (a, b)"),
        ("time_s\n", "no request in the trace"),
        ("time_s\n1\nabc\n", "line 3, column time_s = abc, must be a number"),
        ("time_s\nnan\n", "must be a finite number"),
        ("time_s\n1.7e18\n", "line 2, column time_s = 1.7e18, must be seconds, from -1e+12 to 1e+12"),
        ("time_s,service_time_s\n1,1e6\n", "line 2, column service_time_s = 1e6, must be at most 7d"),
        ("time_s,service_time_s\n1,-0.5\n", "line 2, column service_time_s = -0.5, must be at least 0"),
        ("time_s,context_tokens\n1,\n", "line 2, column context_tokens = "),
        ("timestamp\nyesterday\n", "line 2, column timestamp = yesterday, must be an ISO 8601 time"),
        ("time_s,service_time_s\n1\n", "line 2 has 1 columns, the header 2"),
        ("time_s,time_s\n1,2\n", "the column time_s twice"),
        ('time_s\n"1', "no request"),
    ],
)
def test_a_bad_trace_is_named_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    if message == "no request":
        assert len(read_trace(path)) == 1  # an unclosed quote at the end is still a number
        return
    with pytest.raises(InputError) as raised:
        read_trace(path)
    assert str(raised.value).startswith(str(path))
    assert message in str(raised.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00time_s")
    (tmp_path / "not.parquet").write_text("time_s\n1\n")
    pq.write_table(pa.table([pa.array([0.0])] * 2, names=["time_s"] * 2), tmp_path / "twice.parquet")
    pq.write_table(pa.table({"timestamp": pa.array([2**62], pa.timestamp("us"))}), tmp_path / "late.parquet")
    os.mkfifo(tmp_path / "pipe.csv")
    for name, message in (
        ("missing.csv", "no such file"),
        (".", "is a folder"),
        ("a\0b", "embedded null byte"),
        ("\ud800", "surrogates not allowed"),
        ("binary.csv", "not a text file"),
        ("twice.parquet", "the header has the column time_s twice"),
        ("late.parquet", "column timestamp cannot be read"),
        ("pipe.csv", "is a pipe or a device"),
    ):
        with pytest.raises(InputError, match=message):
            read_trace(tmp_path / name)
    with pytest.raises(InputError, match="not a Parquet file"):
        read_trace(tmp_path / "not.parquet", form="parquet")
    assert len(read_trace(tmp_path / "not.parquet")) == 1  # its content is a table in CSV, whatever its name


def test_one_column_of_times(tmp_path: Path) -> None:
    path = written(tmp_path, "init_s\n3.5\n4\n")
    assert read_column(path).tolist() == [3.5, 4.0]
    both = written(tmp_path, "a,b\n1,2\n", "both.csv")
    assert read_column(both, "b").tolist() == [2.0]
    with pytest.raises(InputError, match="say which `column`"):
        read_column(both)
    with pytest.raises(InputError, match="column c is missing"):
        read_column(both, "c")


def test_columns_can_be_read_without_a_wish(tmp_path: Path) -> None:
    assert table_of(written(tmp_path, "a,b\n1,2\n")).header == ("a", "b")


# Playing


def trace_of(*times_s: float, **columns: list[float]) -> Trace:
    return Trace(times_s=np.array(times_s), **{name: np.array(values) for name, values in columns.items()})  # type: ignore[arg-type]


def test_a_slice_starts_at_its_own_zero_and_excludes_its_end() -> None:
    played = play(trace_of(0, 1, 2, 3, 4, context_tokens=[10, 11, 12, 13, 14]), from_s=1, for_s=3)
    assert played.times_s.tolist() == [0, 1, 2]
    assert played.context_tokens is not None
    assert played.context_tokens.tolist() == [11, 12, 13]


def test_half_the_time_scale_plays_twice_as_fast() -> None:
    assert play(trace_of(0, 1, 3), time_scale=0.5).times_s.tolist() == [0, 0.5, 1.5]


def test_a_trace_as_it_is_when_nothing_is_scaled() -> None:
    trace = trace_of(0.0, 0.1, 0.1, 7.3)
    assert play(trace, seed=5).times_s.tolist() == trace.times_s.tolist()


def test_thinning_keeps_a_share_and_every_column_with_its_row() -> None:
    n = 20_000
    trace = trace_of(*np.arange(n) / 100, context_tokens=list(range(n)))
    played = play(trace, rate_scale=0.3, seed=1)
    assert abs(len(played) - 0.3 * n) < 4 * (n * 0.3 * 0.7) ** 0.5
    assert played.context_tokens is not None
    assert np.array_equal(played.times_s, played.context_tokens / 100)
    assert np.array_equal(played.times_s, play(trace, rate_scale=0.3, seed=1).times_s)
    assert not np.array_equal(played.times_s, play(trace, rate_scale=0.3, seed=2).times_s[: len(played)])


def test_another_slice_of_the_same_trace_keeps_the_same_requests() -> None:
    trace = trace_of(*np.arange(5000) / 10)
    whole, part = (play(trace, from_s=a, for_s=b, rate_scale=0.5, seed=3).times_s for a, b in ((0, 500), (100, 50)))
    inside = whole[(whole >= 100) & (whole < 150)]
    assert np.allclose(part + 100, inside)


def test_copies_are_jittered_by_a_second_at_most_and_carry_their_row() -> None:
    n = 5000
    trace = trace_of(*np.arange(n) * 10.0, context_tokens=list(range(n)))
    played = play(trace, rate_scale=2.5, seed=1)
    assert played.context_tokens is not None
    distance = np.abs(played.times_s - played.context_tokens * 10)
    assert distance.max() <= 1
    counts = np.bincount(played.context_tokens.astype(int))
    assert set(counts.tolist()) == {2, 3}
    assert abs(len(played) - 2.5 * n) < 4 * (n * 0.25) ** 0.5
    copies = distance[distance > 0]
    assert abs(copies.mean() - 0.5) < 0.02  # uniform on [-1, 1]
    originals = np.isin(trace.times_s, played.times_s)
    assert originals.all()


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=60),
    st.floats(0, 20),
    st.floats(0.5, 30),
    st.sampled_from([0.25, 1.0, 1.5, 3.0]),
    st.sampled_from([0.1, 1.0, 1 / 3, 7.0]),
)
@settings(deadline=None)
def test_what_is_played_lies_inside_the_slice_and_is_sorted(
    times: list[float], from_s: float, for_s: float, rate_scale: float, time_scale: float
) -> None:
    trace = trace_of(*sorted(times))
    played = play(trace, from_s=from_s, for_s=for_s, rate_scale=rate_scale, time_scale=time_scale, seed=9)
    assert np.all(np.diff(played.times_s) >= 0)
    assert np.all((played.times_s >= 0) & (played.times_s < for_s * time_scale))
    whole = play(trace, rate_scale=rate_scale, time_scale=time_scale, seed=9)
    assert np.all(whole.times_s >= 0)


def test_cut_stamps_are_found_and_spread_inside_their_second(tmp_path: Path) -> None:
    stamps = "".join(f"2026-01-01 00:00:{s:02d}\n" for s in range(60) for _ in range(50))
    trace = read_trace(written(tmp_path, "timestamp\n" + stamps))
    assert trace.has_cut_stamps
    spread, kept = play(trace, seed=4), play(trace, seed=4, spread=False)
    assert spread.spread
    assert not kept.spread
    assert np.array_equal(kept.times_s, trace.times_s)
    assert np.array_equal(np.floor(spread.times_s), trace.times_s)
    phase = spread.times_s % 1
    assert np.abs(np.sort(phase) - (np.arange(3000) + 0.5) / 3000).max() < 0.04  # Kolmogorov: p about 1e-4
    assert np.array_equal(spread.times_s, play(trace, seed=4).times_s)


def test_fine_stamps_and_a_timer_of_one_second_are_left_alone(tmp_path: Path) -> None:
    assert not read_trace(written(tmp_path, "time_s\n0\n0\n1.5\n")).has_cut_stamps
    assert not read_trace(written(tmp_path, "time_s\n0\n1\n2\n")).has_cut_stamps
