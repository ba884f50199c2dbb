"""Counts and rates of Azure, load testers and monitors: what each file gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.traces.playing import Trace
from planner.traces.tables.time_forms import DateOrder
from planner.traces.trace_file import read_trace
from tests.planner.traces.tables.table_files import CASES, SIXTY_UP, counts, form_of, rates, refusal, written

# Counts


@pytest.mark.parametrize(
    "name",
    ["C1-azure-monitor-metric.csv", "C1-kql-summarize-export.csv", "C3-capital-names.csv", "C7-semicolon.csv"],
)
def test_counts_per_minute(name: str) -> None:
    held = counts(CASES / name)
    assert form_of(CASES / name) == "counts"
    assert held.requests.tolist() == SIXTY_UP
    assert held.bin_s == 60.0
    trace = read_trace(CASES / name)
    assert isinstance(trace, Trace)
    assert trace.clock is not None
    assert trace.clock.shown(0) == "2026-11-22 10:00:00+00:00"


def test_utf_16() -> None:
    assert counts(CASES / "B4-utf16.csv").requests.tolist() == [60, 61, 62]


def test_what_is_no_count_is_refused_with_what_it_may_be() -> None:
    assert "line 3, column requests = (blank), is not known, which is not 0" in refusal(CASES / "C7-blank-count.csv")
    sentence = refusal(CASES / "C7-fractional-counts.csv")
    assert "line 2, column requests = 60.4, must be a whole number" in sentence
    assert "a fraction is an average or a rate, so name its column requests/s or requests/min" in sentence


@pytest.mark.parametrize("line", ["", "sep=;\n", '"sep=;"\n'])
@pytest.mark.parametrize("delimiter", ";\t|")
def test_dialects(tmp_path: Path, line: str, delimiter: str) -> None:
    rows = "".join(f"2026-11-22 10:0{i} UTC;1 00{i};\n" for i in range(3)) + "Total;3 003;\n"
    text = line + "Time [UTC];Requests (Sum);\n" + rows
    held = counts(written(tmp_path, text.replace(";", delimiter)))
    assert held.requests.tolist() == [1000, 1001, 1002]
    assert held.notes == ("1 row is no time at the end (Total), left out",)


def test_blank_rows_at_the_ends_are_left_out_with_a_word(tmp_path: Path) -> None:
    rows = "10:00,\n10:01,5\n10:02,0\n10:03,null\n10:04,\n"
    text = "timestamp,requests\n" + "".join(f"2026-11-22 {row}\n" for row in rows.splitlines())
    held = counts(written(tmp_path, text))
    assert held.requests.tolist() == [5, 0]
    assert held.notes == ("3 rows are blank in the column requests at an end, left out",)


def test_rows_of_one_bin_that_kql_has_split_are_added_up(tmp_path: Path) -> None:
    text = (
        "timestamp [UTC],resultCode,count_\n2026-11-22 10:00,200,50\n2026-11-22 10:00,503,10\n2026-11-22 10:01,200,7\n"
    )
    held = counts(written(tmp_path, text))
    assert held.requests.tolist() == [60, 7]
    assert held.notes == ("the rows of one bin (by resultCode) are added up",)
    twice = text.replace("resultCode,count_", "x,requests")
    assert "is a second count for one bin of 60 s" in refusal(written(tmp_path, twice))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("RequestsPerMinute (Avg)", "the column RequestsPerMinute (Avg) is no count of all requests: export the sum"),
        ("Requests (Max)", "is no count of all requests"),
        ("Value", "no known column beside Time (Value): name a count per row `requests`"),
        ("CPU (Sum)", "no known column beside Time (CPU (Sum))"),
    ],
)
def test_a_measure_of_something_else_is_refused(tmp_path: Path, header: str, message: str) -> None:
    text = f"Time,{header}\n2026-11-22 10:00:00,60\n2026-11-22 10:01:00,61\n"
    assert message in refusal(written(tmp_path, text))


def test_dates_with_two_readings_need_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, "timestamp,requests\n04/05/2026 10:00,60\n04/05/2026 10:01,61\n")
    assert "line 2, column timestamp = 04/05/2026 10:00, may be 2026-05-04 or 2026-04-05" in refusal(path)
    for order, shown in ((DateOrder.DAY_FIRST, "2026-05-04"), (DateOrder.MONTH_FIRST, "2026-04-05")):
        trace = read_trace(path, dates=order)
        assert trace.clock is not None
        assert trace.clock.shown(0).startswith(shown)


def az_metrics(*series: list[tuple[str, Any]], interval: Any = "PT1M", name: str = "RequestsPerMinute") -> str:
    data = [{"data": [{"timeStamp": f"2026-11-22T{at}Z", "total": n} for at, n in one]} for one in series]
    metric = {"name": {"value": name}, "timeseries": data}
    return json.dumps({"cost": 0, "interval": interval, "value": [metric]}, indent=2)


def test_azure_monitor_metrics_as_json(tmp_path: Path) -> None:
    path = written(tmp_path, az_metrics([("10:00:00", 60.0), ("10:01:00", 0.0), ("10:05:00", 3.0)]))
    assert form_of(path) == "azure_metrics"
    held = counts(path)
    assert (held.requests.tolist(), held.bin_s, held.is_derived) == ([60, 0, 3], 60.0, False)
    split = counts(written(tmp_path, az_metrics([("10:00:00", 6), ("10:01:00", None)], [("10:00:00", 1)])))
    assert split.requests.tolist() == [7]
    assert counts(written(tmp_path, az_metrics([("10:00:00", 6)], interval="0:05:00"))).bin_s == 300.0
    bare = {"value": [{"timeStamp": f"2026-11-22T10:0{i}:00Z", "total": n} for i, n in enumerate(SIXTY_UP)]}
    assert counts(written(tmp_path, json.dumps(bare))).requests.tolist() == SIXTY_UP


def test_azure_monitor_metrics_that_are_no_counts(tmp_path: Path) -> None:
    average = az_metrics([("10:00:00", 6)]).replace('"total"', '"average"')
    assert "the points hold no total (average): ask for --aggregation Total" in refusal(written(tmp_path, average))
    latency = az_metrics([("10:00:00", 6)], name="RequestLatency")
    assert "holds the metrics RequestLatency: keep the one that counts requests" in refusal(written(tmp_path, latency))
    gap = az_metrics([("10:00:00", 6), ("10:01:00", None), ("10:02:00", 6)])
    assert "row 2, column total = None, is not known, which is not 0" in refusal(written(tmp_path, gap))


def test_a_silent_series_of_azure_monitor_counts_as_0_only_beside_one_that_speaks(tmp_path: Path) -> None:
    def split(ok: list[int | None], failed: list[int | None]) -> str:
        times = ("10:00:00", "10:01:00", "10:02:00")
        return az_metrics(*(list(zip(times, totals, strict=True)) for totals in (ok, failed)))

    held = counts(written(tmp_path, split([6, 5, 4], [None, 1, None])))
    assert held.requests.tolist() == [6, 6, 4]
    assert "2 of 6 points hold no total beside other series of their time: they count as 0" in held.notes
    unknown = written(tmp_path, split([6, None, 4], [2, None, 1]))
    assert "column total = None, is not known, which is not 0" in refusal(unknown)
    ended = counts(written(tmp_path, split([6, 5, None], [None, 1, None])))
    assert ended.requests.tolist() == [6, 6]
    assert "1 row is blank in the column total at an end, left out" in ended.notes


# Rates


def test_grafana() -> None:
    held = rates(CASES / "C7-grafana-rate.csv")
    assert form_of(CASES / "C7-grafana-rate.csv") == "rates"
    assert held.rate_rps.tolist() == [5.25, 6.25, 7.25, 5.25, 6.25, 7.25, 5.25]
    assert held.edge_s.tolist() == [60.0 * i for i in range(8)]


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("rps", ("1.5", "2.5"), [1.5, 2.5]),
        ("Requests per second", ("1.5", "2.5"), [1.5, 2.5]),
        ("requests/min", ("60.6", "30"), [1.01, 0.5]),
        ('"{pod=""a""}"', ("5.25 req/s", "1.2 K req/s"), [5.25, 1200.0]),
        ("Value", ("90 req/min", "30 req/min"), [1.5, 0.5]),
        ("requests/s (avg)", ("1.5", "2.5"), [1.5, 2.5]),
    ],
)
def test_units_of_rates(tmp_path: Path, header: str, cells: tuple[str, str], expected: list[float]) -> None:
    text = f"Time,{header}\n2026-11-22 10:00:00,{cells[0]}\n2026-11-22 10:01:00,{cells[1]}\n"
    assert rates(written(tmp_path, text)).rate_rps == pytest.approx(expected, rel=1e-12)


def test_whole_requests_per_minute_a_minute_apart_are_counts(tmp_path: Path) -> None:
    text = "Time,requests/min\n2026-11-22 10:00:00,60\n2026-11-22 10:01:00,61\n"
    assert counts(written(tmp_path, text)).requests.tolist() == [60, 61]
    assert rates(written(tmp_path, text.replace("10:01", "10:05"))).rate_rps == pytest.approx([1, 61 / 60])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "10:00,1\n10:01,2\n10:02,2\n10:05,2\n",
            "comes 180 s after the one before, others 60 s: the rate between is",
        ),
        ("10:00,1\n10:01,\n10:02,2\n", "line 3, column rps = (blank), is not known"),
        ("10:00,1\n10:00,2\n", "is a second rate for one time"),
        ("10:00,-1\n10:01,2\n", "column rps = -1, must be a rate, from 0 to 1e+07 per second"),
        ("10:00,0\n10:01,0\n", "every rate is 0"),
        ("10:00,1\n", "one stamp does not show how long its rate holds"),
    ],
)
def test_rates_that_are_not_known_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    text = "Time,rps\n" + "".join(f"2026-11-22 {row}\n" for row in rows.splitlines())
    assert message in refusal(written(tmp_path, text))


def test_locust_history() -> None:
    held = rates(CASES / "C2-locust-stats-history.csv")
    assert form_of(CASES / "C2-locust-stats-history.csv") == "locust_history"
    assert held.rate_rps == pytest.approx([5.0, 5.1, 5.2, 5.3, 5.4, 5.5, 5.6])
    assert held.edge_s.tolist() == [float(i) for i in range(8)]


def test_locust_full_history_takes_all_requests_once(tmp_path: Path) -> None:
    header = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%\n"
    rows = "".join(
        f"{1795341600 + i},9,POST,/score,4.0,0.0,N/A\n{1795341600 + i},9,,Aggregated,5.0,1.0,N/A\n" for i in range(3)
    )
    assert rates(written(tmp_path, header + rows)).rate_rps.tolist() == [5.0, 5.0, 5.0]
    assert "no row whose Name is Aggregated" in refusal(written(tmp_path, header + rows.replace("Aggregated", "x")))


def prometheus(*series: dict[str, Any], kind: str = "matrix") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(series)}})


def test_prometheus_looks_back_and_adds_its_series_up(tmp_path: Path) -> None:
    one = {"metric": {"pod": "a"}, "values": [[1795341600, "5.25"], [1795341660, "6.25"]]}
    other = {"metric": {"pod": "b"}, "values": [[1795341660, "1"]]}
    path = written(tmp_path, prometheus(one, other))
    held = rates(path)
    assert form_of(path) == "prometheus"
    assert held.rate_rps.tolist() == [5.25, 7.25]
    assert held.edge_s.tolist() == [0.0, 60.0, 120.0]
    trace = read_trace(path)
    assert trace.clock is not None
    assert trace.clock.shown(0) == "2026-11-22 09:59:00+00:00"
    counter = {"metric": {"__name__": "http_requests_total"}, "values": one["values"]}
    assert "ask for sum(rate(http_requests_total[1m]))" in refusal(written(tmp_path, prometheus(counter)))
    assert "is no matrix over time" in refusal(written(tmp_path, prometheus(one, kind="vector")))
    gauge = {"metric": {"__name__": "up"}, "values": one["values"]}
    assert "holds up, whose name is not that of a rate" in refusal(written(tmp_path, prometheus(gauge)))
    rule = {"metric": {"__name__": "job:requests:rate1m"}, "values": one["values"]}
    assert rates(written(tmp_path, prometheus(rule))).rate_rps.tolist() == [5.25, 6.25]
    unknown = {"metric": {}, "values": [[1795341600, "NaN"], [1795341660, "1"]]}
    assert "column rate = nan, must be a finite number" in refusal(written(tmp_path, prometheus(unknown)))
