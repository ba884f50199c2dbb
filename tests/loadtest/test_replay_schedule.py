"""The schedule: built from a scenario, hashed, refused when it was changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.schedule import Schedule, build_schedule, read_schedule, write_schedule
from planner.errors import InputError
from planner.scenario import Scenario
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
    assert np.array_equal(again.offset_ns, schedule.offset_ns)
    assert again.duration_s == 2.0


@pytest.mark.parametrize("column", ["offset_ns", "service_time_s"])
def test_a_changed_file_is_refused(tmp_path: Path, column: str) -> None:
    path = tmp_path / "schedule.parquet"
    write_schedule(path, schedule_at(1.0, 2.0, 3.0))
    table = pq.read_table(path)
    changed = table.column(column).to_numpy().copy()
    changed[2] *= 2
    index = table.column_names.index(column)
    pq.write_table(table.set_column(index, column, pa.array(changed)), path)
    with pytest.raises(InputError, match=r"schedule\.parquet: content does not match its SHA-256"):
        read_schedule(path)


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
