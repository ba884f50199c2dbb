"""Requests of Application Insights, Azure ML, JMeter and k6, and tables of one's own: what each file gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from planner.traces.playing import Trace
from planner.traces.records import Stamps as Named
from planner.traces.trace_file import read_trace
from tests.planner.traces.tables.table_files import CASES, SIXTY_UP, counts, form_of, refusal, requests, written

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
