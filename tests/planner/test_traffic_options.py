"""A trace in place of a scenario's traffic, another part of it, faster or at another rate: in the file, by options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.arrivals import MarkovModulatedPoisson, Recorded, Renewal
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from planner.workload import arrival_times, service_times
from tests.planner.scenario_documents import TEXT, document, loaded, trace_traffic, with_trace, written


def access_log(folder: Path, seconds: int = 1200, per_second: int = 3) -> Path:
    """A log that starts at 11:55:00+01:00 with 3 requests in every second, each third one for /health."""
    path = folder / "access.log"
    with path.open("w") as file:
        for i in range(seconds * per_second):
            second = 11 * 3600 + 55 * 60 + i // per_second
            clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
            target = "/health" if i % 3 == 0 else f"/score?i={i}"
            file.write(f'10.0.0.7 - - [14/Jul/2026:{clock} +0100] "POST {target} HTTP/1.1" 200 17 "-" "curl/8"\n')
    return path


def recorded(scenario: Scenario) -> Recorded:
    assert isinstance(scenario.arrivals, Recorded)
    return scenario.arrivals


def assert_same(a: Scenario, b: Scenario) -> None:
    assert np.array_equal(arrival_times(a, 0), arrival_times(b, 0))
    n = len(arrival_times(a, 0))
    assert np.array_equal(service_times(a, 0, n), service_times(b, 0, n))
    assert (a.duration_s, a.warm_up_s, a.seed, a.name, a.deployment) == (
        *(b.duration_s, b.warm_up_s, b.seed, b.name),
        b.deployment,
    )


# In the file


def test_an_access_log_sliced_by_the_clock(tmp_path: Path) -> None:
    access_log(tmp_path)
    traffic = {"arrivals": {"trace": {"file": "access.log", "path": "/score", "from": "12:00", "for": "10m"}}}
    scenario = loaded(tmp_path, traffic=traffic, duration=None)
    assert scenario.duration_s == 600.0
    arrivals = recorded(scenario)
    assert np.bincount(arrivals.times_s.astype(int)).tolist() == [2] * 600
    assert arrivals.start_of_second_s is not None
    assert np.array_equal(arrivals.start_of_second_s, np.floor(arrivals.times_s))
    assert arrivals.made == (
        "1,200 requests for /score of access.log from 2026-07-14 12:00:00+01:00 for 600 s, "
        "whole-second stamps spread inside their second, uniformly by seed 20261122"
    )
    left_out, spread = scenario.warnings
    assert "2,400 of 3,600 requests are played (/score); left out: POST /health 1,200 (33.3 %)" in left_out
    assert "access.log has stamps of whole seconds, played spread inside their second" in spread
    assert len(arrivals.file_sha256) == 64


def test_a_clock_time_may_stand_without_quotes_and_be_a_moment(tmp_path: Path) -> None:
    access_log(tmp_path)
    for written_as in ("12:00", "'12:00:00'", "2026-07-14T12:00", "2026-07-14T11:00:00Z", "5m"):
        trace = f"{{trace: {{file: access.log, from: {written_as}, for: 10s}}}}"
        text = TEXT.replace("duration: 20m\n", "")
        text = text[: text.index("traffic:")] + f"traffic:\n  arrivals: {trace}\n" + text[text.index("service_time") :]
        assert " from 2026-07-14 12:00:00+01:00 for 10 s," in recorded(load(written(tmp_path, text))).made


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (
            {"from": "09:00"},
            "trace.from = 09:00, outside the trace, which runs from 2026-07-14 11:55:00+01:00 to 2026-07-",
        ),
        ({"from": "2026-07-15"}, "trace.from = 2026-07-15, outside the trace"),
        (
            {"from": 720},
            "trace.from = 720, needs a unit, for example 250ms, 20s, 5m or 1h30m; a time of day needs quot",
        ),
        ({"path": "score"}, "trace.path = score, must be a path without a query"),
        (
            {"path": "/none"},
            "no request for the path /none in 3600 lines (there are POST /score 2,400 (66.7 %), POST /he",
        ),
        ({"bin": "60s"}, "`bin` is the width of counts, and this file holds single requests"),
        ({"format": "clf"}, "trace.format = clf, must be one of "),
        ({"format": "csv"}, "no column time_s or timestamp in the header"),
        ({"spread": "random"}, "trace.spread = random, must be uniform or even"),
    ],
)
def test_a_bad_setting_of_the_trace_is_one_sentence(tmp_path: Path, trace: dict[str, Any], message: str) -> None:
    access_log(tmp_path)
    with pytest.raises(InputError) as raised:
        loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "access.log"} | trace}}, duration=None)
    assert len(raised.value.problems) == 1
    assert message in raised.value.problems[0]


def test_a_clock_needs_timestamps(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trace.from = 12:00, needs a trace with timestamps; traces/t.csv has time_s"):
        loaded(with_trace(tmp_path), traffic=trace_traffic(**{"from": "12:00"}))


def test_counts_are_said_with_their_bin_and_last_to_its_end(tmp_path: Path) -> None:
    rows = "".join(f"2026-01-01 00:{minute:02d},{10 * minute}\n" for minute in (0, 1, 2, 5))
    (tmp_path / "c.csv").write_text("timestamp,requests\n" + rows)
    found = loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "c.csv", "time_scale": 0.5}}}, duration=None)
    assert found.duration_s == 180.0
    assert np.bincount((recorded(found).times_s // 30).astype(int)).tolist() == [0, 10, 20, 0, 0, 50]
    assert found.warnings[0].endswith(
        "c.csv has counts per 60 s (the smallest distance of two stamps; `bin` sets it), "
        "played spread uniformly inside their bin, anew in each run"
    )
    assert recorded(found).made == (
        "80 requests of c.csv from 2026-01-01 00:00:00+00:00 for 360 s, counts spread inside their bin of 60 s, as "
        "wide as the smallest distance of two stamps, uniformly by seed 20261122, played in 0.5 times the time"
    )
    assert recorded(found).start_of_second_s is None
    even = loaded(
        tmp_path, traffic={"arrivals": {"trace": {"file": "c.csv", "bin": "1m", "spread": "even"}}}, duration=None
    )
    assert recorded(even).times_s[:3].tolist() == [63.0, 69.0, 75.0]
    assert "c.csv has counts per 60 s, played spread at regular distances inside their bin" in even.warnings[0]
    with pytest.raises(InputError, match=r"one_second_stamps = start_of_second, but c.csv has counts"):
        loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "c.csv", "one_second_stamps": "start_of_second"}}})


def test_counts_per_second_have_the_other_extreme_too(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("time_s,requests\n0,3\n1,2\n")
    arrivals = recorded(loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "c.csv"}}}, duration=None))
    assert arrivals.start_of_second_s is not None
    assert arrivals.start_of_second_s.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_payloads_follow_their_requests(tmp_path: Path) -> None:
    rows = "".join(f"{100 + i / 4},{'p' * (i % 3)}{i}\n" for i in range(400))
    (tmp_path / "t.csv").write_text("time_s,payload\n" + rows)
    chosen = {"file": "t.csv", "from": "10s", "for": "50s", "rate_scale": 1.5}
    arrivals = recorded(loaded(tmp_path, traffic={"arrivals": {"trace": chosen}}, duration=None))
    assert arrivals.payload is not None
    assert len(arrivals.payload) == len(arrivals.times_s) > 200
    number = np.array([int(text.lstrip("p")) for text in arrivals.payload])
    assert np.abs(arrivals.times_s - (number / 4 - 10)).max() <= 1.0  # a copy is jittered by at most a second
    assert recorded(loaded(with_trace(tmp_path), traffic=trace_traffic())).payload is None


# By options, a trace in place of what was there


def test_a_log_replaces_the_traffic_and_settles_the_duration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = written(home, TEXT)
    monkeypatch.chdir(tmp_path)
    access_log(tmp_path)
    options = {
        "trace.file": "access.log",  # relative to where the command runs, not to the scenario
        "trace.from": "12:00",
        "trace.for": "10m",
        "trace.rate_scale": "2",
        "trace.time_scale": "0.5",
    }
    scenario = load(path, options)
    assert scenario.duration_s == 300.0
    assert recorded(scenario).fixed_count == 3600
    assert scenario.shows == "The requests of access.log, in place of the scenario's own."
    assert_same(load(save_copy(scenario, tmp_path / "run")), scenario)
    longer = load(path, options | {"duration": "200s"})
    assert longer.duration_s == 200.0
    assert recorded(longer).fixed_count == 2400


def test_what_is_wrong_with_an_option_names_the_option(tmp_path: Path) -> None:
    log, path = str(access_log(tmp_path)), written(tmp_path, TEXT)
    for options, message in (
        ({"trace.file": "/nowhere/access.log"}, "--trace = /nowhere/access.log, no such file"),
        ({"trace.file": log, "trace.from": "15:00"}, "--from = 15:00, outside the trace"),
        ({"trace.file": log, "trace.from": "later"}, "--from = later, must be a duration"),
        ({"trace.file": log, "trace.for": "10"}, "--for = 10, needs a unit"),
        ({"trace.file": log, "trace.rate_scale": "0"}, "--rate-scale = 0, must be at least 1e-06"),
        ({"trace.file": log, "trace.time_scale": "fast"}, "--time-scale = fast, must be a number"),
        ({"trace.file": log, "trace.speed": "2"}, "--speed = 2, unknown key"),
        ({"trace.path": "/score"}, "--path = /score, needs a trace: the scenario plays none"),
    ):
        with pytest.raises(InputError) as raised:
            load(path, options)
        assert len(raised.value.problems) == 1, raised.value.problems
        assert raised.value.problems[0].startswith(message)


def test_service_times_of_the_old_trace_need_their_column_in_the_new_one(tmp_path: Path) -> None:
    log = str(access_log(tmp_path))
    path = written(with_trace(tmp_path), document() | {"traffic": trace_traffic(), "service_time": "trace"})
    with pytest.raises(
        InputError, match=r"service_time = trace, needs the column service_time_s, which access.log does"
    ):
        load(path, {"trace.file": log})


# By options, another part of the scenario's own trace


def test_options_slice_and_scale_the_trace_that_a_scenario_plays(tmp_path: Path) -> None:
    home = with_trace(tmp_path)  # 40 requests, one each 250 ms
    path = written(home, document() | {"traffic": trace_traffic(), "duration": "8s"})
    faster = load(path, {"trace.time_scale": "0.5"})
    assert faster.duration_s == 4.0  # the same 8 s of the trace
    assert np.array_equal(recorded(faster).times_s, recorded(load(path)).times_s / 2)
    part = load(path, {"trace.from": "2s", "trace.for": "3s"})
    assert part.duration_s == 3.0
    assert recorded(part).times_s.tolist() == [i / 4 for i in range(12)]
    assert load(path, {"trace.rate_scale": "3"}).duration_s == 8.0
    assert recorded(load(path, {"trace.rate_scale": "3"})).fixed_count == 96
    assert_same(load(save_copy(part, tmp_path / "run")), part)


# By options, the scenario's own rates


def test_rates_are_sliced_stretched_and_multiplied(tmp_path: Path) -> None:
    rate = [{"from": "0s", "rps": 20}, {"from": "5m", "rps": "600/min", "to_rps": 140}, {"from": "10m", "rps": 40}]
    path = written(tmp_path, document() | {"traffic": {"arrivals": "poisson", "rate": rate}})
    options = {"trace.from": "4m", "trace.for": "3m30s", "trace.time_scale": "0.5", "trace.rate_scale": "3"}
    scenario = load(path, options)
    assert isinstance(scenario.arrivals, Renewal)
    profile = scenario.arrivals.profile
    assert scenario.duration_s == 105.0
    assert profile.time_s.tolist() == [0.0, 30.0, 105.0]
    assert profile.left_rps.tolist() == [120.0, 60.0]  # 3 / 0.5 times 20 and 10
    assert profile.right_rps.tolist() == [120.0, 450.0]  # half of the ramp: 6 times 75
    assert_same(load(save_copy(scenario, tmp_path / "run")), scenario)


@pytest.mark.parametrize("arrivals", ["regular", "poisson", {"gamma": {"cv": 3}}])
def test_half_the_time_scale_plays_the_same_requests_in_half_the_time(tmp_path: Path, arrivals: Any) -> None:
    path = written(tmp_path, document() | {"traffic": {"arrivals": arrivals, "rps": 20}, "duration": "5m"})
    as_it_was, faster = (arrival_times(load(path, options), 0) for options in ({}, {"trace.time_scale": "0.5"}))
    assert len(faster) == len(as_it_was) > 4000
    assert np.allclose(faster, as_it_was / 2, rtol=1e-12, atol=1e-9)


def test_mmpp_is_scaled_and_cut_but_has_no_parts(tmp_path: Path) -> None:
    mmpp = {"mmpp": {"rates": [10, 30], "switching": [0.05, 0.1]}}
    path = written(tmp_path, document() | {"traffic": {"arrivals": mmpp}})
    made = load(path, {"trace.for": "10m", "trace.time_scale": "2", "trace.rate_scale": "4"})
    assert isinstance(made.arrivals, MarkovModulatedPoisson)
    assert made.duration_s == 1200.0
    assert made.arrivals.rates_rps.tolist() == [20.0, 60.0]
    assert made.arrivals.switching_per_s.tolist() == [0.025, 0.05]
    with pytest.raises(InputError, match="--from = 5m, means nothing for mmpp"):
        load(path, {"trace.from": "5m"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trace.from": "12:00"}, "--from = 12:00, needs a trace with timestamps: the scenario has no clock"),
        ({"trace.from": "20m"}, "--from = 20m, must be below the scenario's duration (1200 s)"),
        ({"trace.from": "15m", "trace.for": "6m"}, "--for = 6m, is too long: of the scenario's 1200 s there are 300 s"),
        ({"trace.for": "0s"}, "--for = 0s, must be above 0"),
        ({"trace.rate_scale": "-1"}, "--rate-scale = -1, must be at least 1e-06"),
        ({"trace.time_scale": "1e9"}, "--time-scale = 1e9, must be at most 1000"),
    ],
)
def test_bad_options_for_rates(tmp_path: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as raised:
        load(written(tmp_path, TEXT), options)
    assert str(raised.value).replace("1000000000.0", "1e9").startswith(message)


def test_a_part_of_the_rates_then_another_duration(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, TEXT), {"duration": "30s", "trace.from": "5m"})
    assert scenario.duration_s == 30.0
    assert isinstance(scenario.arrivals, Renewal)
    assert scenario.arrivals.profile.left_rps.tolist() == [140.0]
