"""Files of Azure, load testers and monitors: what each gives, as they are and as their makers document them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from planner.errors import InputError
from planner.traces.formats import recognise
from planner.traces.playing import Trace
from planner.traces.records import Counts, Rates, Requests
from planner.traces.records import Stamps as Named
from planner.traces.tables.time_forms import DateOrder
from planner.traces.trace_file import read_recorded, read_trace

CASES = Path(__file__).parent / "cases"
SIXTY_UP = [60, 61, 62, 63, 64, 65, 66]


def written(folder: Path, text: str, name: str = "export") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def counts(path: Path, **options: Any) -> Counts:
    held = read_recorded(path, **options)
    assert isinstance(held, Counts)
    return held


def rates(path: Path, **options: Any) -> Rates:
    held = read_recorded(path, **options)
    assert isinstance(held, Rates)
    return held


def requests(path: Path, **options: Any) -> Requests:
    held = read_recorded(path, **options)
    assert isinstance(held, Requests)
    return held


def form_of(path: Path) -> str:
    known = recognise(path)
    return "none" if known is None else known.name


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as raised:
        read_recorded(path, **options)
    (sentence,) = raised.value.problems
    return sentence


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
            "comes 180 s after the one before, the others 60 s: the rate between is",
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


# Requests


def test_application_insights() -> None:
    path = CASES / "C1-appinsights-logs-export.csv"
    held = requests(path)
    assert form_of(path) == "app_insights"
    assert held.stamps is Named.START
    assert np.diff(held.stamp_s)[:2] == pytest.approx([0.157, 0.092], abs=1e-6)
    assert held.duration_s is not None
    assert held.duration_s[0] == pytest.approx(0.3163996)
    assert held.method is not None
    assert held.path is not None
    assert held.status is not None
    assert (held.method.names, held.path.names, held.status.names) == (("POST",), ("/score",), ("200",))
    trace = read_trace(path)
    assert isinstance(trace, Trace)
    assert trace.times_s[:3].tolist() == [0.0, 0.157, 0.249]
    assert trace.service_time_s is not None
    assert trace.service_time_s[1] == pytest.approx(0.1718224)


def test_log_analytics_and_a_sampled_export(tmp_path: Path) -> None:
    header = "TimeGenerated [UTC],Name,Url,ResultCode,DurationMs,ItemCount,Type\n"
    row = '"22/11/2026, 10:00:00.500",GET Score/Index,https://h/score?x=1,503,12.5,1,AppRequests\n'
    held = requests(written(tmp_path, header + row + row.replace("AppRequests", "AppTraces")))
    assert len(held) == 1
    assert held.path is not None
    assert held.path.names == ("/score",)
    assert held.notes == ("1 row is no request (by Type), left out",)
    sampled = refusal(written(tmp_path, header + row + row.replace(",1,App", ",5,App")))
    assert "line 3, column ItemCount = 5, stands for that many requests (sampling); export counts" in sampled


def test_the_same_as_json_of_a_query(tmp_path: Path) -> None:
    columns = [{"name": name} for name in ("timestamp", "name", "resultCode", "duration")]
    rows = [[f"2026-11-22T10:00:0{i}.5Z", "POST /score", "200", 100.0 * i] for i in range(3)]
    path = written(tmp_path, json.dumps({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]}))
    held = requests(path)
    assert form_of(path) == "kql_json"
    assert held.duration_s is not None
    assert held.duration_s.tolist() == [0.0, 0.1, 0.2]
    summary = [
        {"TableName": "PrimaryResult", "TimeGenerated": f"2026-11-22T10:0{i}:00Z", "count_": f"{n}"}
        for i, n in enumerate(SIXTY_UP)
    ]
    assert counts(written(tmp_path, json.dumps(summary))).requests.tolist() == SIXTY_UP


def test_azure_ml_traffic_log(tmp_path: Path) -> None:
    header = (
        "TimeGenerated [UTC],Method,Path,ResponseCode,TotalDurationMs,RequestDurationMs,ResponseDurationMs,UserAgent\n"
    )
    stamp = '"11/22/2026, 10:00:02.000 AM"'
    rows = f"{stamp},POST,/score,200,1500,10,1400,curl/8\n{stamp},POST,/score,503,500,10,,x\n"
    path = written(tmp_path, header + rows)
    held = requests(path)
    assert form_of(path) == "aml_traffic_log"
    assert held.stamps is Named.END
    assert held.service_time_s is not None
    assert held.service_time_s[0] == pytest.approx(1.39)
    assert np.isnan(held.service_time_s[1])
    trace = read_trace(path)
    assert isinstance(trace, Trace)
    assert trace.times_s.tolist() == [0.0, 1.0]  # 0.5 s and 1.5 s after 10:00:00


def test_jmeter(tmp_path: Path) -> None:
    header = "timeStamp,elapsed,label,responseCode,responseMessage,threadName,success,URL\n"
    rows = (
        "1795341600123,115,Score,200,OK,t 1-1,true,http://h/score?x=1\n"
        '1795341600100,215,All,200,"Number of samples in transaction : 1, number of failing ...",t 1-1,true,null\n'
        "1795341600623,3000,GET /health,Non HTTP response code: java.net.SocketTimeoutException,x,t 1-2,false,null\n"
    )
    path = written(tmp_path, header + rows)
    held = requests(path)
    assert form_of(path) == "jmeter"
    assert held.stamps is Named.START
    assert held.notes == ("1 row is the sum of a transaction's samples, left out",)
    assert held.path is not None
    assert held.path.names == ("/score", "/health")
    assert held.duration_s is not None
    assert held.duration_s.tolist() == [0.115, 3.0]
    assert np.diff(held.stamp_s) == pytest.approx([0.5], abs=1e-6)


def test_k6_csv_and_json_have_the_same_requests(tmp_path: Path) -> None:
    header = "metric_name,timestamp,metric_value,check,error,status,url\n"
    rows = (
        "http_reqs,{0},1.000000,,,200,http://x/score\nhttp_req_duration,{0},250.0,,,200,http://x/score\nvus,{0},3,,,,\n"
    )
    csv = requests(written(tmp_path, header + "".join(rows.format(1795341600 + i) for i in range(3))))
    points = [
        {
            "metric": metric,
            "type": "Point",
            "data": {
                "time": f"2026-11-22T10:00:0{i}Z",
                "value": value,
                "tags": {"status": "200", "url": "http://x/score"},
            },
        }
        for i in range(3)
        for metric, value in (("http_reqs", 1), ("http_req_duration", 250.0), ("vus", 3))
    ]
    declared = {"type": "Metric", "data": {"name": "http_reqs"}, "metric": "http_reqs"}
    path = written(tmp_path, "".join(f"{json.dumps(point, separators=(',', ':'))}\n" for point in (declared, *points)))
    assert form_of(path) == "k6_json"
    for held in (csv, requests(path)):
        assert held.stamps is Named.END
        assert np.diff(held.stamp_s).tolist() == [1.0, 1.0]
        assert held.duration_s is not None
        assert held.duration_s.tolist() == [0.25] * 3
        assert held.path is not None
        assert held.status is not None
        assert (held.path.names, held.status.names) == (("/score",), ("200",))
        assert held.resolution_s == 1.0


def test_k6_of_the_case() -> None:
    held = requests(CASES / "C2-k6.csv")
    assert form_of(CASES / "C2-k6.csv") == "k6_csv"
    assert len(held) == 4
    assert held.duration_s is not None
    assert held.duration_s[:3].tolist() == [0.114365] * 3
    assert np.isnan(held.duration_s[3])  # the file ends before its duration


def test_seconds_since_1970_are_whole_seconds_and_said() -> None:
    held = requests(CASES / "C3-epoch-seconds.csv")
    assert held.resolution_s == 1.0
    assert held.notes == ("timestamp counts seconds since 1970: the first is 2026-11-22 10:00:00 UTC",)


def test_rows_at_equal_distances_beside_a_number_are_doubted(tmp_path: Path) -> None:
    text = "timestamp,Value\n" + "".join(f"2026-11-22 10:0{i},{50 + i}\n" for i in range(4))
    (note,) = requests(written(tmp_path, text)).notes
    assert "every row is 60 s after the one before, beside Value: if a row is a bin of time, name its column" in note


def test_a_table_of_requests_stays_one_whatever_else_it_holds(tmp_path: Path) -> None:
    text = "timestamp,service_time_s,count,request\n2026-11-22 10:00:00,0.5,7,a\n2026-11-22 10:00:09,0.5,7,b\n"
    assert requests(written(tmp_path, text)).stamp_s.tolist()[1:] == [requests(written(tmp_path, text)).stamp_s[0] + 9]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"timestamp": [1795341600, 1795341660], "requests": [4, 6]}), path)
    assert counts(path).requests.tolist() == [4, 6]


def test_a_format_that_is_named_is_not_guessed(tmp_path: Path) -> None:
    shutil.copy(CASES / "C1-kql-summarize-export.csv", tmp_path / "x.log")
    assert counts(tmp_path / "x.log", form="csv").requests.tolist() == SIXTY_UP
    assert "no columns timeStamp and elapsed" in refusal(tmp_path / "x.log", form="jmeter")
