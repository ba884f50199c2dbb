"""Tables whose header names no column of ours, and rates whose cells hold scales and units."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.planner.traces.tables.table_files import CASES, counts, rates, refusal, requests, written


def table(header: str, *rows: str) -> str:
    return f"{header}\n" + "".join(f"2026-11-22 {row}\n" for row in rows)


# Scales and units in the cells


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("requests/s", ("1.5 K", "2 Mil"), [1500.0, 2e6]),
        ("rps", ("950", "1.50 K"), [950.0, 1500.0]),
        ("requests/s", ("1.5 K req/s", "0.5 req/s"), [1500.0, 0.5]),
        ("requests/s", ("1.2 kreq/s", "1e3"), [1200.0, 1000.0]),
        ("requests/min", ("90 req/min", "1.5 K"), [1.5, 25.0]),
        ("POST /score", ("5 req/s", "60 req/min"), [5.0, 1.0]),
        ("POST /score", ("0", "60 req/min"), [0.0, 1.0]),
    ],
)
def test_each_cell_has_its_own_scale_and_unit(
    tmp_path: Path, header: str, cells: tuple[str, str], expected: list[float]
) -> None:
    text = table(f"Time,{header}", f"10:00,{cells[0]}", f"10:01,{cells[1]}")
    assert rates(written(tmp_path, text)).rate_rps == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("header", "cell", "message"),
    [
        ("requests/s", "60 req/min", "= 60 req/min, is a rate per minute, and the header says per second"),
        ("requests/min", "5 req/s", "= 5 req/s, is a rate per second, and the header says per minute"),
        ("requests/s", "5m", "= 5m, has the unit m, which is not known"),
        ("requests/s", "600m", "has the unit m, which is not known"),
        ("requests/s", "5 req/h", "has the unit req/h, which is not known"),
        ("requests/s", "6 bananas", "has the unit bananas, which is not known"),
        ("POST /score", "7", "= 7, says no unit, as other cells of its column do"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_unit_that_contradicts_or_is_not_known_is_refused(
    tmp_path: Path, header: str, cell: str, message: str, *, is_first: bool
) -> None:
    other = "5 req/min" if header == "requests/min" else "5 req/s"
    cells = (cell, other) if is_first else (other, cell)
    text = table(f"Time,{header}", f"10:00,{cells[0]}", f"10:01,{cells[1]}")
    assert f"line {2 if is_first else 3}, column {header}" in refusal(written(tmp_path, text))
    assert message in refusal(written(tmp_path, text))


# Bins of time under a name that says nothing

UNKNOWN = (
    *("total", "value", "num_requests", "throughput", "tps", "rate", "request rate", "avg_requests", "Anfragen"),
    *("dcount_id", "Total (Count)"),
)


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("time", ["timestamp", "timestamp [UTC]"])
def test_numbers_at_the_stamps_of_bins_are_no_requests(tmp_path: Path, name: str, time: str) -> None:
    for rows in (("10:00,50", "10:01,51", "10:04,7"), ("10:00,50", "10:05,51"), ("10:00,50",)):
        sentence = refusal(written(tmp_path, table(f"{time},{name}", *rows)))
        assert f"holds the numbers {name} " in sentence
        assert f"rename {name} to `requests` (counts) or `requests/s` (rates)" in sentence


@pytest.mark.parametrize("time", ["Time", "date", "TimeGenerated"])
def test_the_same_under_a_monitor_s_name_of_the_time(tmp_path: Path, time: str) -> None:
    sentence = refusal(written(tmp_path, table(f"{time},total", "10:00,50", "10:01,51", "10:04,7")))
    assert f"no known column beside {time} (total): name a count per row `requests`, a rate `requests/s`" in sentence


def test_split_bins_scaled_numbers_and_parquet_are_no_requests_either(tmp_path: Path) -> None:
    split = table("timestamp,code,total", "10:00,200,50", "10:00,503,1", "10:05,200,51")
    assert "holds the numbers total at multiples of 300 s" in refusal(written(tmp_path, split))
    assert "holds the numbers x at" in refusal(written(tmp_path, table("timestamp,x", "10:00,1.5 K", "10:01,900")))
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"timestamp": [1795341600, 1795341660], "total": [4, 6]}), path)
    assert "holds the numbers total at multiples of 60 s" in refusal(path)


def test_single_requests_with_numbers_beside_stay_requests(tmp_path: Path) -> None:
    apart = table("timestamp,bytes", "10:00:00.123,50", "10:00:07.456,51", "10:00:08,7")
    assert len(requests(written(tmp_path, apart))) == 3
    assert requests(written(tmp_path, apart)).notes == ()
    cut = requests(written(tmp_path, table("timestamp,bytes", "10:00:00,50", "10:00:01,51", "10:00:01,7")))
    assert cut.resolution_s == 1.0
    assert cut.notes == ("each row is played as one request, though it holds the number bytes",)
    status = table("timestamp,status,host", "10:00:00,200,a", "10:00:03,503,b")
    assert len(requests(written(tmp_path, status))) == 2
    assert len(requests(written(tmp_path, table("timestamp [UTC],bytes", "10:00:00.5,7", "10:00:01.7,8")))) == 2


# Counters


@pytest.mark.parametrize(
    "name", ["http_requests_total", "requests_total", "istio_requests_total", 'http_requests_total{pod="a"}']
)
def test_a_counter_is_no_count(tmp_path: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    for time in ("Time", "timestamp"):
        text = table(f"{time},{quoted}", "10:00,1000", "10:01,1060", "10:02,1120")
        sentence = refusal(written(tmp_path, text))
        assert f"ask for sum(rate({name.partition('{')[0]}[1m]))" in sentence
    both = table(f"Time,{quoted},requests", "10:00,1000,60", "10:01,1060,61")
    assert counts(written(tmp_path, both)).requests.tolist() == [60, 61]


# Steps


def test_a_gap_is_told_by_the_smallest_distance(tmp_path: Path) -> None:
    sentence = refusal(written(tmp_path, table("Time,requests/s", "10:00,5", "10:01,5", "10:04,50")))
    assert "comes 180 s after the one before, others 60 s: the rate between is not known" in sentence
    seconds = table("Time,requests/s", "10:00:00,5", "10:00:01,5", "10:00:05,50")
    assert "comes 4 s after the one before, others 1 s" in refusal(written(tmp_path, seconds))
    locust = "Timestamp,Name,Requests/s,Failures/s\n" + "".join(
        f"{1795341600 + at},Aggregated,5.0,0.0\n" for at in (0, 1, 3, 4)
    )
    assert rates(written(tmp_path, locust)).edge_s.tolist() == [0.0, 1.0, 3.0, 4.0, 5.0]


def test_a_width_that_is_not_the_step_is_refused(tmp_path: Path) -> None:
    grafana = CASES / "C7-grafana-rate.csv"
    assert "bin = 600 s, but the stamps show steps of 60 s" in refusal(grafana, bin_s=600.0)
    assert "bin = 30 s, but the stamps show steps of 60 s" in refusal(grafana, bin_s=30.0)
    held = rates(grafana, bin_s=60.0)
    assert float((held.rate_rps * (held.edge_s[1:] - held.edge_s[:-1])).sum()) == 2565.0
    one = written(tmp_path, table("Time,requests/s", "10:00,5"))
    assert rates(one, bin_s=60.0).edge_s.tolist() == [0.0, 60.0]
