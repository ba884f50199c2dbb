"""What a dry run says of a schedule, and how it looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loadtest.dry_run import RPS_PER_PROCESS, SPARKLINE_COLUMNS, counts_per, describe_schedule, show, sparkline
from loadtest.schedule import Schedule, build_schedule
from planner.scenario import Scenario
from planner.scenario_file import load

MakeScenario = Callable[..., Scenario]


def schedule_at(*offsets_s: float, duration_s: float = 10.0) -> Schedule:
    offsets = np.array([round(t * 1e9) for t in offsets_s], dtype=np.int64)
    return Schedule(offset_ns=offsets, service_time_s=np.full(len(offsets), 0.5), duration_ns=round(duration_s * 1e9))


def test_the_document_counts_what_is_planned(scenario: MakeScenario) -> None:
    plan = scenario(rps=200, duration="90s")
    schedule = build_schedule(plan, np.arange(len(build_schedule(plan))) % 5)
    document = json.loads(json.dumps(describe_schedule(plan, schedule), allow_nan=False))
    assert document["requests"] == len(schedule) == sum(document["counts"])
    assert document["count_bin_s"] == 1
    assert len(document["counts"]) == 90
    assert document["mean_rps"] == pytest.approx(len(schedule) / 90)
    assert document["peak_1s_rps"] >= max(document["counts"])
    assert document["peak_100ms_rps"] >= document["peak_1s_rps"]
    assert abs(document["gap_cv"] - 1) < 0.03  # Poisson: 4 standard errors of 18,000 gaps
    assert document["schedule_sha256"] == schedule.sha256
    assert document["source"] == schedule.source
    assert document["payload_ids"] == 5
    assert document["recommended_processes"] == 1
    assert document["warnings"] == list(plan.warnings)


def test_a_long_schedule_is_counted_by_the_minute_and_its_last_may_be_short(scenario: MakeScenario) -> None:
    schedule = schedule_at(0, 59.9, 60, 120, 149, 150, duration_s=150)
    document = describe_schedule(scenario(), schedule)
    assert (document["count_bin_s"], document["counts"]) == (60, [2, 1, 3])
    assert counts_per(schedule, 1).sum() == 6


def test_processes_follow_the_peak_of_100_ms(scenario: MakeScenario) -> None:
    for burst, processes in ((150, 1), (151, 2), (450, 3), (451, 4)):
        assert burst * 10 <= RPS_PER_PROCESS * processes
        document = describe_schedule(scenario(), schedule_at(*[5.0] * burst))
        assert document["recommended_processes"] == processes


@pytest.mark.parametrize(
    ("offsets", "cv"), [((1.0,), None), ((1.0, 2.0), None), ((3.0, 3.0, 3.0), None), ((1, 2, 3), 0)]
)
def test_the_cv_of_gaps_needs_gaps(scenario: MakeScenario, offsets: tuple[float, ...], cv: float | None) -> None:
    assert describe_schedule(scenario(), schedule_at(*offsets))["gap_cv"] == cv


def test_it_is_shown_within_80_columns(
    tmp_path: Path, scenario_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("time_s,requests\n" + "".join(f"{60 * i},{i % 7}\n" for i in range(1000)))
    plan = load(scenario_file(), {"trace.file": str(counts)})
    document = describe_schedule(plan, build_schedule(plan))
    show(document)
    out = capsys.readouterr().out
    assert "small: dry run" in out
    assert f"Times: {document['source']}." in out
    assert "Warning: " in out
    assert "counts per 60 s" in out
    assert "Requests per minute, 0 to 6, over time:" in out
    line = out.rstrip("\n").splitlines()[-1]
    assert len(line) == SPARKLINE_COLUMNS + 2 <= 80


def test_the_sparkline_shows_shape_and_never_hides_a_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert sparkline([0, 1, 1000, 500]) == " ▁█▄"
    assert sparkline([0, 0]) == "  "
    assert sparkline([3]) == "█"
    long = sparkline([1.0] * 1000 + [8.0] * 1000)
    assert (len(long), long[0], long[-1]) == (SPARKLINE_COLUMNS, "▁", "█")


def test_the_sparkline_is_plain_where_blocks_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as plain:
        monkeypatch.setattr("sys.stdout", plain)
        line = sparkline([0, 1, 1000, 500])
        plain.write(line)
    assert line == " .@="
