"""Each format of log: lines as its vendor documents them, what is taken, and lines that are cut or foreign."""

from __future__ import annotations

import json
import math
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.clock import REFERENCE
from planner.errors import InputError
from planner.traces.formats import BY_NAME, LOGS, recognise
from planner.traces.formats.format import Sample
from planner.traces.formats.logs.lines import line_text
from planner.traces.records import Categories, Requests, Stamps
from planner.traces.trace_file import read_recorded, read_trace

CASES = Path(__file__).parent / "cases"
TEN_O_CLOCK_S = 217_504_800.0
"""2026-11-22 10:00:00 UTC, in seconds since 2020."""

CLF = '10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score?v=1 HTTP/1.1" 200 59 "-" "curl/8.0"'


def requests(path: Path, form: str | None = None) -> Requests:
    held = read_recorded(path, form=form)
    assert isinstance(held, Requests)
    return held


def names(known: Categories | None) -> list[str]:
    return [] if known is None else [known.names[code] if code >= 0 else "" for code in known.codes]


def numbers(column: object) -> list[float | None]:
    assert column is None or isinstance(column, np.ndarray)
    return [] if column is None else [None if math.isnan(x) else round(float(x), 9) for x in column]


def written(folder: Path, *lines: str) -> Path:
    path = folder / "some.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_reference_of_these_tests() -> None:
    assert REFERENCE.timestamp() + TEN_O_CLOCK_S == 1_795_341_600  # date -d 2026-11-22T10:00:00Z +%s


@pytest.mark.parametrize(
    ("file", "form", "count", "stamps", "durations_s", "service_times_s"),
    [
        ("C4-alb.log", "aws_alb", 8, Stamps.START, [0.054, 0.096], [0.054, 0.096]),
        ("C4-iis-w3c.log", "w3c", 4, Stamps.END, [0.22, 0.393], []),
        ("C4-istio-json.log", "envoy_json", 8, Stamps.START, [0.031, 0.031], []),
        ("C4-nginx-json.log", "nginx_json", 8, Stamps.END, [], []),
        ("C5-access.log.1", "common_log", 3, None, [], []),
        ("C5-access.log-20261122", "common_log", 3, None, [], []),
        ("C6-az-ml-get-logs.log", "azmlinfsrv", 1, Stamps.END, [0.305413], [0.305413]),
        ("C6-ingress-mixed.log", "common_log", 2, None, [], []),
        ("C6-truncated-last-line.log", "common_log", 2, None, [], []),
        ("A2-stamps-at-the-end.log", "ingress_nginx", 720, Stamps.END, [2.356, 2.522], [2.356, 2.522]),
    ],
)
def test_files_that_people_have(
    file: str,
    form: str,
    count: int,
    stamps: Stamps | None,
    durations_s: list[float],
    service_times_s: list[float],
) -> None:
    known = recognise(CASES / file)
    assert known is not None
    assert known.name == form
    held = requests(CASES / file)
    assert len(held) == count
    assert held.stamps is stamps
    assert numbers(held.duration_s)[:2] == durations_s
    assert numbers(held.service_time_s)[:2] == service_times_s
    assert set(names(held.path)) == {"/score"}
    assert set(names(held.method)) == {"POST"}
    assert set(names(held.status)) == {"200"}


def test_the_azure_server_log_counts_each_request_once_and_ends_at_the_millisecond() -> None:
    held = requests(CASES / "C6-az-ml-get-logs.log")
    assert held.stamp_s.tolist() == [TEN_O_CLOCK_S + 21.128]
    assert held.resolution_s == 0
    assert held.skipped is None
    trace = read_trace(CASES / "C6-az-ml-get-logs.log")
    assert trace.clock is not None
    assert trace.clock.origin_s == pytest.approx(TEN_O_CLOCK_S + 20.822587)  # the end less the time taken


@pytest.mark.parametrize(
    ("file", "line", "text"),
    [
        ("C6-ingress-mixed.log", 1, "I1122 09:59:59.123456 7 controller.go:190]"),
        ("C6-truncated-last-line.log", 3, "10.0.0.1 - - [22/Nov/2026:10:00:05 +00"),
    ],
)
def test_a_foreign_or_cut_line_is_left_out_and_said(file: str, line: int, text: str) -> None:
    skipped = requests(CASES / file).skipped
    assert skipped is not None
    assert (skipped.lines, skipped.of_lines, skipped.first_line) == (1, 3, line)
    assert text in skipped.first_text
    (note,) = read_trace(CASES / file).notes
    assert note.startswith(f"1 of 3 lines hold no request and are left out, the first is line {line} ({text}")


def test_five_percent_of_foreign_lines_are_left_out_and_more_are_refused(tmp_path: Path) -> None:
    good = [CLF] * 95
    skipped = requests(written(tmp_path, CLF, *["what is this?"] * 5, *good)).skipped
    assert skipped is not None
    assert skipped.lines == 5
    path = written(tmp_path, CLF, *["what is this?"] * 6, *good)
    with pytest.raises(InputError, match=r"line 2 is not in the common log format \(what is this\?\); 6 of 102 lines"):
        read_recorded(path)
    servers_own = ["2026/11/22 10:00:00 [error] 7#7: *1 upstream timed out"] * 60 + [
        "I1122 09:59:59.1 7 main.go:1] x"
    ] * 60
    assert len(requests(written(tmp_path, CLF, *servers_own, CLF))) == 2  # what servers write themselves is no doubt


@pytest.mark.parametrize("known", LOGS, ids=lambda known: known.name)
def test_the_sample_of_the_docs_is_read_as_its_row_says(tmp_path: Path, known: object) -> None:
    name = known.name  # type: ignore[attr-defined]
    held = requests(written(tmp_path, BY_NAME[name].sample), name)
    assert len(held) == 1
    assert held.stamps in (BY_NAME[name].stamps, Stamps.END if name == "common_log" else BY_NAME[name].stamps)
    assert names(held.method) == ["POST"]
    assert names(held.path) == ["/score"]
    assert names(held.status) == ["200"]
    if name not in ("apache", "gunicorn"):  # nothing but the user tells these from others
        found = recognise(written(tmp_path, BY_NAME[name].sample))
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize(
    ("rest", "duration_s", "service_time_s"),
    [
        (" 89 2.356 [ml-blue-5001] [] 10.244.1.5:5001 59 2.350 200 ab", 2.356, 2.35),
        (" 89 0.201 [ml-blue-5001] [] 10.244.1.5:5001, 10.244.1.6:5001 0, 59 0.001, 0.200 502, 200 ab", 0.201, 0.2),
        (" 89 5.002 [ml-blue-5001] [] 10.244.1.5:5001, 10.244.1.6:5001 0, 0 5.001, - 502, - ab", 5.002, None),
        (" 89 0.000 [] [] - - - - ab", 0.0, None),
        (" 89 1.001 [up-stream] 10.244.1.5:5001 59 0.999 200", 1.001, 0.999),  # before 0.30, without an alternative
        (" 89 0.3 [a] [] 10.0.0.1:80 : 10.0.0.2:80 0 : 59 0.1 : 0.2 504 : 200 ab", 0.3, 0.2),  # redirected inside
    ],
)
def test_upstreams_of_ingress_nginx(tmp_path: Path, rest: str, duration_s: float, service_time_s: float | None) -> None:
    held = requests(written(tmp_path, CLF + rest, CLF + " 89 9.000 [a] [] 10.0.0.1:80 59 9.000 200 ab"))
    assert held.stamps is Stamps.END
    assert numbers(held.duration_s) == [duration_s, 9.0]
    assert numbers(held.service_time_s) == [service_time_s, 9.0]


@pytest.mark.parametrize(
    ("form", "rest", "stamps", "duration_s"),
    [
        (None, " 0.123", Stamps.END, 0.123),  # nginx, $request_time
        (None, ' "10.1.1.1" 0.123 0.120 .', Stamps.END, 0.123),
        (None, " 0.120345", Stamps.END, 0.120345),  # gunicorn, %(L)s
        (None, ' rt=0.123 uct="0.000" urt="0.120"', Stamps.END, 0.123),
        (None, " upstream_response_time=0.5", Stamps.END, 0.5),
        (None, " 120345", None, None),
        ("gunicorn", " 120345", Stamps.END, 0.120345),
        ("apache", " 120345", Stamps.START, 0.120345),
        ("apache", "", Stamps.START, None),
    ],
)
def test_durations_after_the_user_agent(
    tmp_path: Path, form: str | None, rest: str, stamps: Stamps | None, duration_s: float | None
) -> None:
    held = requests(written(tmp_path, CLF + rest), form)
    assert held.stamps is stamps
    assert numbers(held.duration_s) == ([] if duration_s is None else [duration_s])
    assert bool(held.notes) == (rest == " 120345" and form is None)  # that a number was not read is said


@pytest.mark.parametrize(
    ("line", "stamp", "duration_s", "service_time_s", "status"),
    [
        (  # HAProxy 2.8, 8.2.3
            "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 "
            '10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"',
            "2009-02-06T12:14:14.655Z",
            0.109,
            0.099,
            "200",
        ),
        (  # 8.5, a server that was never reached: the queue was full
            "haproxy[674]: 127.0.0.1:33320 [15/Oct/2003:08:32:17.654] px-http px-http/<NOSRV> "
            "0/5007/-1/-1/5007 503 212 "
            '- - sQ-- 3/2/2/2/0 0/5 "HEAD / HTTP/1.0"',
            "2003-10-15T08:32:17.654Z",
            5.007,
            None,
            "503",
        ),
        (  # a client that went away before its request was whole
            "haproxy[18113]: 127.0.0.1:34549 [15/Dec/2003:15:19:34.103] px-http~ px-http/srv1 "
            "1/1/1/-1/+50 -1 0 - - CH-- "
            '1/1/1/0/0 0/0 "POST /cut',
            "2003-12-15T15:19:34.103Z",
            0.05,
            None,
            "",
        ),
        (  # Envoy's documentation
            '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" '
            '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80"',
            "2016-04-15T20:17:00.310Z",
            0.226,
            0.1,
            "204",
        ),
        (  # Istio's documentation
            '[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 3 1 "-" '
            '"curl/7.73.0-DEV" "84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" '
            "inbound|8000|| 127.0.0.1:41854 "
            "10.44.1.27:80 10.44.1.23:37652 outbound_.8000_._.httpbin.foo.svc.cluster.local default",
            "2020-11-25T21:26:18.409Z",
            0.003,
            0.001,
            "418",
        ),
        (  # AWS, a request that no target took
            "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 "
            "192.168.131.39:2817 - 0.000 -1 -1 502 - "
            '34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1-58337364" "-" "-" 0 '
            '2018-07-02T22:22:48.364000Z "forward" "-" "LambdaInvalidResponse"',
            "2018-07-02T22:22:48.364Z",
            None,
            None,
            "502",
        ),
        (  # AWS, Classic Load Balancer: the only time is when the request came
            "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 "
            "0.001048 0.000057 200 "
            '200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -',
            "2015-05-13T23:39:43.945958Z",
            0.001178,
            0.001048,
            "200",
        ),
        (
            '{"level":"info","ts":1646861401.5241024,"logger":"http.log.access","msg":"handled request","request":{'
            '"remote_ip":"127.0.0.1","method":"GET","host":"localhost",'
            '"uri":"/a?b","headers":{"User-Agent":["curl/7.82.0"]'
            '}},"duration":0.929675319,"size":10900,"status":200}',
            "2022-03-09T21:30:01.524102Z",
            0.929675319,
            None,
            "200",
        ),
        (
            '{"ClientHost":"10.0.0.1","DownstreamStatus":200,"Duration":31000000,"OriginDuration":30000000,'
            '"RequestMethod":"POST","RequestPath":"/score","StartUTC":"2026-11-22T10:00:00.5Z","time":"2026-11-22T10:00:01Z"}',
            "2026-11-22T10:00:00.5Z",
            0.031,
            0.03,
            "200",
        ),
        (
            '{"time": "2026-11-22T11:00:00+01:00", "request_time": 0.2, "upstream_response_time": "0.01, 0.15", '
            '"status": "503", "uri": "/score", "request_method": "POST", "duration": 0.2}',
            "2026-11-22T10:00:00Z",
            0.2,
            0.15,
            "503",
        ),
        ('{"msec": "1795341600.250", "request": "POST /score HTTP/1.1"}', "2026-11-22T10:00:00.25Z", None, None, ""),
        (
            "2026-11-22 10:00:00,500 I [7] azmlinfsrv - POST /score 503 12ms 30",
            "2026-11-22T10:00:00.5Z",
            0.012,
            0.012,
            "503",
        ),
    ],
)
def test_lines_of_the_vendors_documentation(
    tmp_path: Path, line: str, stamp: str, duration_s: float | None, service_time_s: float | None, status: str
) -> None:
    held = requests(written(tmp_path, line))
    seconds = (datetime.fromisoformat(stamp) - REFERENCE).total_seconds()
    assert held.stamp_s.tolist() == [pytest.approx(seconds, abs=1e-6)]
    assert numbers(held.duration_s) == ([] if duration_s is None else [duration_s])
    assert numbers(held.service_time_s) == ([] if service_time_s is None else [service_time_s])
    assert names(held.status) == ([status] if status else [])


def test_nginx_may_write_iso_8601_in_the_brackets(tmp_path: Path) -> None:
    line = CLF.replace("22/Nov/2026:10:00:03 +0000", "2026-11-22T11:00:03+01:00")
    held = requests(written(tmp_path, line, line))
    assert held.stamp_s.tolist() == [TEN_O_CLOCK_S + 3] * 2
    assert held.utc_offset_s == 3600


def test_w3c_fields_may_change_on_the_way_and_cloudfront_has_seconds(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "#Date: 2026-11-22 09:00:00",
        "#Fields: time cs-method cs-uri-stem sc-status time-taken",
        "10:00:00 POST /score 200 1500",
        "#Fields: date time cs-uri-stem cs-method time-taken",
        "2026-11-22 10:00:01 /score GET 15",
    )
    held = requests(path)
    assert (held.stamp_s - TEN_O_CLOCK_S).tolist() == [0.0, 1.0]
    assert numbers(held.duration_s) == [1.5, 0.015]
    assert names(held.status) == ["200", ""]
    fields = "date\ttime\tx-edge-location\tsc-bytes\tc-ip\tcs-method\tcs(Host)\tcs-uri-stem\tsc-status\ttime-taken"
    cells = "2026-11-22\t10:00:00\tFRA2\t9\t10.0.0.1\tPOST\td1.example\t/score\t200\t0.082"
    held = requests(written(tmp_path, "#Version: 1.0", f"#Fields: {fields}", cells))
    assert numbers(held.duration_s) == [0.082]


@pytest.mark.parametrize(
    "wrap",
    [
        "2026-11-22T10:00:21.128417Z stdout F {}",
        "[pod/web-7d9c-x2/nginx] {}",
        "web-1  | {}",
        "2026-11-22T10:00:21.128417123Z {}",
    ],
)
@pytest.mark.parametrize("name", ["ingress_nginx", "azmlinfsrv", "envoy_json", "common_log"])
def test_what_kubernetes_and_docker_put_in_front_is_taken_off(tmp_path: Path, wrap: str, name: str) -> None:
    line = BY_NAME[name].sample
    path = written(tmp_path, *[wrap.format(line)] * 3)
    known = recognise(path)
    assert known is not None
    assert known.name == name
    assert len(requests(path)) == 3


def test_docker_puts_lines_into_json(tmp_path: Path) -> None:
    lines = [json.dumps({"log": f"{CLF} 0.500\n", "stream": "stdout", "time": "2026-11-22T10:00:21.1Z"})] * 3
    held = requests(written(tmp_path, *(line.replace('{"log": ', '{"log":') for line in lines)))
    assert numbers(held.duration_s) == [0.5] * 3


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_no_line_ends_in_a_traceback(data: st.DataObject) -> None:
    """Lines of every format, cut, doubled and with other bytes in the middle."""
    known = data.draw(st.sampled_from(LOGS))
    line = known.sample.encode()
    begin, end = sorted(data.draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
    middle = data.draw(st.one_of(st.binary(max_size=20), st.sampled_from([b"-1", b"1e999", b"9" * 5000, b"[" * 2000])))
    sample = Sample(line[:begin] + middle + line[end:], True)
    for other in LOGS:
        other.recognises(sample)
    assert len(line_text(sample.start)) <= 60


@given(
    st.lists(
        st.sampled_from([*(known.sample for known in LOGS), "", "junk", "{}", "#Fields: time", '{"a":']), max_size=8
    )
)
@settings(max_examples=150, deadline=None)
def test_a_mixed_file_is_read_or_refused_in_one_sentence(lines: list[str]) -> None:
    refused: list[InputError] = []
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), *lines)
        for form in (None, *(known.name for known in LOGS)):
            try:
                assert len(read_trace(path, form=form)) > 0
            except InputError as error:
                refused.append(error)
    assert all(len(error.problems) == 1 and len(str(error)) < 600 for error in refused)
