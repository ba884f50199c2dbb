"""Files that are cut, packed, in another encoding, or no recorded traffic at all: an answer with a word, or one why."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from planner.traces.formats import BY_NAME
from tests.planner.traces.tables.table_files import CASES, counts, rates, refusal, requests, written

LOG = '10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "POST /score HTTP/1.1" 200 12 "-" "curl/8"\n'


def k6(*seconds: int) -> str:
    points = (
        {"metric": "http_reqs", "type": "Point", "data": {"time": f"2026-11-22T10:00:0{i}Z", "value": 1, "tags": {}}}
        for i in seconds
    )
    return "".join(f"{json.dumps(point, separators=(',', ':'))}\n" for point in points)


@pytest.mark.parametrize("length", [1, 15, 60, 80])
def test_the_cut_last_line_of_k6_is_left_out_with_a_word(tmp_path: Path, length: int) -> None:
    held = requests(written(tmp_path, k6(1, 2, 3) + k6(4)[:length]))
    assert len(held) == 3
    (note,) = held.notes
    assert note.startswith("the last line is cut and left out, line 4 ({")
    assert requests(written(tmp_path, k6(1, 2, 3).rstrip("\n"))).notes == ()
    in_between = k6(1) + k6(2)[:60] + "\n" + k6(3)
    assert "line 2 is no point of k6's JSON" in refusal(written(tmp_path, in_between))


def test_windows_1252_is_read_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    note = "the file is no UTF-8 and is read as Windows-1252"
    text = "timestamp;requests;Größe\n22.11.2026 10:00;60;é\n22.11.2026 10:01;61;é\n"
    path.write_bytes(text.encode("cp1252"))
    held = counts(path)
    assert (held.requests.tolist(), held.notes) == ([60, 61], (note,))
    late = "timestamp,note\n" + "2026-11-22T10:00:00.5Z,x\n" * 5000 + "2026-11-22T10:00:07.25Z,caf\u00e9\n"
    path.write_bytes(late.encode("cp1252"))
    assert len(requests(path)) == 5001
    assert note in requests(path).notes
    path.write_text(text, encoding="utf-8")
    assert counts(path).notes == ()


def test_an_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(LOG)
    for mode, name in (("w:gz", "log.tgz"), ("w", "log.tar"), ("w:bz2", "x.log"), ("w:xz", "y.log")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            archive.add(tmp_path / "access.log", "access.log")
        assert "is a tar archive: unpack it and name the file in it" in refusal(tmp_path / name)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("access.log", LOG)
    (tmp_path / "log.zip").write_bytes(packed.getvalue())
    assert "is a zip archive: unpack it and name the file in it" in refusal(tmp_path / "log.zip")
    (tmp_path / "access.log.gz").write_bytes(gzip.compress(LOG.encode()))
    assert len(requests(tmp_path / "access.log.gz")) == 1


def test_local_time_without_an_offset_is_said(tmp_path: Path) -> None:
    text = "timestamp [Local Time],count_\n2026-11-22 10:00,5\n2026-11-22 10:01,6\n"
    assert any(
        "timestamp [Local Time] does not say its offset and is taken as UTC" in note
        for note in counts(written(tmp_path, text)).notes
    )
    assert counts(written(tmp_path, text.replace("Local Time", "UTC"))).notes == ()
    assert counts(written(tmp_path, text.replace("10:00,", "10:00+01:00,").replace("1,6", "1+01:00,6"))).notes == ()


@pytest.mark.parametrize("form", ["counts", "rates", "csv"])
@pytest.mark.parametrize("name", ["C2-locust-stats-history.csv", "C2-k6.csv", "C1-appinsights-logs-export.csv"])
def test_a_tool_s_table_is_no_table_of_ones_own(form: str, name: str) -> None:
    sentence = refusal(CASES / name, form=form)
    assert f"and `format` says {form}: leave it out, or say " in sentence


def test_a_format_says_what_the_rows_are(tmp_path: Path) -> None:
    grafana, kql = CASES / "C7-grafana-rate.csv", CASES / "C1-kql-summarize-export.csv"
    assert "holds rates over time, and `format` says counts" in refusal(grafana, form="counts")
    assert "holds counts per bin, and `format` says rates" in refusal(kql, form="rates")
    assert rates(grafana, form="rates").rate_rps[0] == 5.25
    assert counts(kql, form="counts").requests[0] == 60
    single = written(tmp_path, BY_NAME["csv"].sample)
    for form in ("counts", "rates"):
        assert f"holds single requests, and `format` says {form}" in refusal(single, form=form)
    per_minute = written(tmp_path, "Time,requests/min\n2026-11-22 10:00,60\n2026-11-22 10:01,61\n")
    for form in ("counts", "rates"):
        assert counts(per_minute, form=form).requests.tolist() == [60, 61]


@pytest.mark.parametrize("name", ["trace", "trace.log", "trace.csv"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty, no request in it"),
        (" \n\n", "is empty, no request in it"),
        ('[{"time": "x", "status": 200}]', "is a JSON list of objects, in no format that is read: where it is a log"),
        ('[\n  {"a": 1},\n  {"a": 2}\n]\n', "write one object on each line (jq -c '.[]')"),
        ('{"a": 1}\n{"a": 2}\n', "holds JSON lines of no log that is read"),
        ('{\n"a": 1}', "is JSON in no format of recorded traffic that is read"),
        ("<!doctype html>\n<p>Sign in</p>\n", "is HTML or XML, no log and no table"),
    ],
)
def test_what_is_no_recorded_traffic_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    assert message in refusal(written(tmp_path, content, name))


def test_yaml_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "schema_version: 1\ntraffic:\n  arrivals:\n    - x\n")
    assert "looks like YAML, a file of settings" in refusal(path)
