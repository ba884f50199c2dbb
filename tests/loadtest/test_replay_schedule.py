"""The schedule: built from a scenario, hashed, refused when it was changed."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.schedule import Schedule, build_schedule, read_schedule, write_schedule
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.workload import arrival_times, service_times

MakeScenario = Callable[..., Scenario]


def schedule_at(*offsets_s: float, duration_s: float = 10.0) -> Schedule:
    offsets = np.array([round(t * 1e9) for t in offsets_s], dtype=np.int64)
    return Schedule(offset_ns=offsets, service_time_s=np.full(len(offsets), 0.5), duration_ns=round(duration_s * 1e9))


def test_schedule_is_replicate_0_of_the_scenario(scenario: MakeScenario) -> None:
    plan = scenario(rps=200, duration="5s")
    schedule = build_schedule(plan)
    arrivals_s = arrival_times(plan, 0)
    assert len(schedule) == len(arrivals_s) > 900
    assert np.max(np.abs(schedule.scheduled_s - arrivals_s)) < 2e-9
    assert np.array_equal(schedule.service_time_s, service_times(plan, 0, len(arrivals_s)))
    assert schedule.sha256 == build_schedule(plan).sha256


def test_what_is_written_is_read(tmp_path: Path, scenario: MakeScenario) -> None:
    schedule = build_schedule(scenario())
    write_schedule(tmp_path / "schedule.parquet", schedule)
    again = read_schedule(tmp_path / "schedule.parquet")
    assert again.sha256 == schedule.sha256
    for name in ("offset_ns", "service_time_s", "payload_id"):
        assert np.array_equal(getattr(again, name), getattr(schedule, name))
    assert again.duration_s == 2.0
    assert (again.seed, again.source, again.source_sha256) == (7, schedule.source, schedule.source_sha256)
    assert schedule.source.endswith("requests of scenario small, drawn by seed 7: Poisson, 50 requests per second")
    assert len(schedule.source_sha256) == 64


@pytest.mark.parametrize("column", ["request", "offset_ns", "service_time_s", "payload_id"])
def test_a_changed_file_is_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "schedule.parquet"
    write_schedule(path, schedule_at(1.0, 2.0, 3.0))
    table = pq.read_table(path)
    changed = table.column(column).to_numpy().copy()
    changed[2] = 2 * changed[2] + 1
    index = table.column_names.index(column)
    pq.write_table(table.set_column(index, column, pa.array(changed)), path)
    with pytest.raises(InputError, match=r"schedule\.parquet: content does not match its SHA-256"):
        read_schedule(path)


@pytest.mark.parametrize("key", ["duration_ns", "seed", "source", "source_sha256"])
def test_changed_metadata_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "schedule.parquet"
    write_schedule(path, schedule_at(1.0, 2.0, 3.0))
    table = pq.read_table(path)
    name = f"surgeproof_{key}".encode()
    changed = {**table.schema.metadata, name: table.schema.metadata[name] + b"1"}
    pq.write_table(table.replace_schema_metadata(changed), path)
    with pytest.raises(InputError, match="content does not match its SHA-256"):
        read_schedule(path)


def test_a_schedule_of_an_older_version_is_told_from_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "schedule.parquet"
    write_schedule(path, schedule_at(1.0, 2.0, 3.0))
    table = pq.read_table(path)
    metadata = {
        k: v for k, v in table.schema.metadata.items() if k in (b"surgeproof_sha256", b"surgeproof_duration_ns")
    }
    for old, missing in ((table, "seed"), (table.drop_columns(["payload_id"]), "payload_id")):
        pq.write_table(old.replace_schema_metadata(metadata), path)
        with pytest.raises(InputError, match=rf"an older version \({missing} is missing\), which must be built anew"):
            read_schedule(path)


@pytest.mark.parametrize(
    "columns", [{"offset_ns": ["a"]}, {"payload_id": [None]}, {"payload_id": [-1]}, {"service_time_s": [[1.0]]}]
)
def test_columns_of_another_kind_are_one_sentence(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = tmp_path / "schedule.parquet"
    write_schedule(path, schedule_at(1.0))
    table = pq.read_table(path)
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, path)
    with pytest.raises(InputError, match=r"schedule\.parquet: not a schedule"):
        read_schedule(path)


TINY = Schedule(
    offset_ns=np.array([1, 5], dtype=np.int64),
    service_time_s=np.array([0.5, 0.25]),
    duration_ns=10,
    payload_id=np.array([0, 1], dtype=np.int64),
    seed=3,
    source="two requests",
    source_sha256="ab",
)


@pytest.mark.parametrize(
    "change",
    [
        {"offset_ns": np.array([1, 6], dtype=np.int64)},
        {"service_time_s": np.array([0.5, 0.2500001])},
        {"payload_id": np.array([0, 2], dtype=np.int64)},
        {"duration_ns": 11},
        {"seed": 4},
        {"source": "two requests."},
        {"source_sha256": "ac"},
        {"source": 'two requests", "', "source_sha256": "b"},
    ],
)
def test_the_hash_changes_with_anything(change: dict[str, Any]) -> None:
    assert dataclasses.replace(TINY, **change).sha256 != TINY.sha256
    assert dataclasses.replace(TINY).sha256 == TINY.sha256


def test_the_source_hash_covers_the_text_and_the_bytes_of_the_trace(
    tmp_path: Path, scenario_file: Callable[..., Path]
) -> None:
    path, trace = scenario_file(arrivals="{trace: {file: t.csv}}"), tmp_path / "t.csv"
    text = path.read_text().replace("  rate: [{from: 0s, rps: 50}]\n", "")
    hashes = []
    for rows, note in (("1\n2\n", ""), ("1\n2\n", "# a note\n"), ("1.0\n2\n", ""), ("1\n2\n", "")):
        trace.write_text("time_s\n" + rows)
        path.write_text(text + note)
        schedule = build_schedule(load(path))
        assert schedule.offset_ns.tolist() == [0, 10**9]
        assert schedule.source == "2 requests of t.csv from second 0 for 2 s"
        hashes.append((schedule.source_sha256, schedule.sha256))
    assert hashes[0] == hashes[3]
    assert len(set(hashes)) == 3


BUILD = """
import sys
from loadtest.schedule import build_schedule
from planner.scenario_file import load
print(build_schedule(load(sys.argv[1], {"trace.file": sys.argv[2], "trace.rate_scale": "1.5"})).sha256)
"""


def test_two_processes_build_the_same(tmp_path: Path, scenario_file: Callable[..., Path]) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("timestamp,requests\n2026-01-01 00:00,40\n2026-01-01 00:01,90\n")
    args = [sys.executable, "-c", BUILD, str(scenario_file()), str(counts)]
    hashes = {subprocess.run(args, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    here = build_schedule(load(scenario_file(), {"trace.file": str(counts), "trace.rate_scale": "1.5"}))
    assert hashes == {here.sha256 + "\n"}
    assert len(here) > 150


def test_payload_ids_are_kept(scenario: MakeScenario) -> None:
    plan = scenario(rps=20)
    n = len(build_schedule(plan))
    given = np.arange(n) % 3
    schedule = build_schedule(plan, given)
    assert np.array_equal(schedule.payload_id, given)
    assert given.flags.writeable  # the caller's own array is left alone
    for wrong in (np.array([0, 1]), np.array([], dtype=np.int64)):
        with pytest.raises(ValueError, match=f"{n} requests but {len(wrong)} payload ids"):
            build_schedule(plan, wrong)


def test_files_that_are_no_schedule(tmp_path: Path) -> None:
    missing, text, other = (tmp_path / name for name in ("missing.parquet", "text.parquet", "other.parquet"))
    text.write_text("not parquet")
    pq.write_table(pa.table({"offset_ns": [1]}), other)
    for path, words in ((missing, "no such file"), (text, "not a readable Parquet"), (other, "request is missing")):
        with pytest.raises(InputError, match=words):
            read_schedule(path)


def test_a_scenario_without_requests_is_refused(scenario: MakeScenario) -> None:
    with pytest.raises(InputError, match="plans no request"):
        build_schedule(scenario(rps=0.001, duration="1s", arrivals="regular"))


def test_offsets_are_checked() -> None:
    with pytest.raises(ValueError, match=r"offset_ns\[1\] comes before"):
        schedule_at(2.0, 1.0)
    with pytest.raises(ValueError, match="must lie in"):
        schedule_at(1.0, 11.0)


def test_peak_rate_counts_every_window_of_one_second() -> None:
    rng = np.random.default_rng(5)
    offsets_s = np.sort(np.round(rng.uniform(0, 10, 80) * 4) / 4)  # a lattice: windows begin and end on requests
    brute = max(np.sum((offsets_s >= t) & (offsets_s < t + 1)) for t in offsets_s)
    assert schedule_at(*offsets_s).peak_rate_rps == brute


def test_the_peak_of_100_ms_is_a_rate() -> None:
    rng = np.random.default_rng(6)
    offsets_s = np.sort(np.round(rng.uniform(0, 10, 400) * 40) / 40)
    offsets_ns = np.round(offsets_s * 1e9).astype(np.int64)
    brute = max(np.sum((offsets_ns >= t) & (offsets_ns < t + 10**8)) for t in offsets_ns)
    assert schedule_at(*offsets_s).peak_100ms_rps == 10 * brute
