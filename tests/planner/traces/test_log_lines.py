"""Times with and without a unit, last lines that are cut, and lines that a server writes itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from planner.errors import InputError
from planner.traces.formats import recognise
from planner.traces.records import Requests
from planner.traces.trace_file import read_recorded, read_trace

CASES = Path(__file__).parent / "cases"
CLF = '10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "POST /score HTTP/1.1" 200 59 "-" "curl/8.0"'
INGRESS = f"{CLF} 89 2.356 [ml-blue-5001] [] 10.244.1.5:5001 59 2.350 200 4f0c"
CADDY = (
    '{"level":"info","ts":1795341600.123,"logger":"http.log.access","msg":"handled request",'
    '"request":{"method":"POST","uri":"/score"},"duration":0.031,"status":200}'
)


def read(folder: Path, text: str, form: str | None = None) -> Requests:
    path = folder / "some.log"
    path.write_text(text, encoding="utf-8")
    held = read_recorded(path, form=form)
    assert isinstance(held, Requests)
    return held


@pytest.mark.parametrize(
    ("rest", "duration_s", "service_time_s"),
    [
        ("rt=250ms", 0.25, None),
        ("rt=250 ms", 0.25, None),
        ("rt=250us urt=200us", 250e-6, 200e-6),
        ("rt=250µs", 250e-6, None),
        ("rt=2s", 2.0, None),
        ('request_time="250ms"', 0.25, None),
        ("request_time: 250ms, upstream_response_time: 100ms, 200ms", 0.25, 0.2),
        ("rt=0.250 urt=0.001,0.200", 0.25, 0.2),
        ("rt=0.250 urt=-,0.200", 0.25, 0.2),
        ("rt=0.250, urt=0.1 : 0.2", 0.25, 0.2),
        ("rt=0.250 urt=-", 0.25, None),
    ],
)
def test_a_time_is_read_in_its_own_unit(
    tmp_path: Path, rest: str, duration_s: float, service_time_s: float | None
) -> None:
    held = read(tmp_path, f"{CLF} {rest}\n", "common_log")
    assert held.duration_s == pytest.approx([duration_s])
    assert (None if held.service_time_s is None else held.service_time_s[0]) == pytest.approx(service_time_s)
    assert held.notes == ()


@pytest.mark.parametrize("rest", ["rt=0,250", "urt=0,250", "rt=250min", "rt=1m2s", "rt=soon", "rt=1e-3x"])
def test_a_time_that_cannot_be_read_is_said(tmp_path: Path, rest: str) -> None:
    held = read(tmp_path, f"{CLF} {rest}\n" * 3, "common_log")
    assert held.duration_s is None
    assert held.service_time_s is None
    said = f"3 of 3 requests have a time that is not read, the first is in line 1 ({rest}); "
    assert held.notes == (f"{said}seconds, ms, us and ns are read",)


def test_a_time_in_json_is_read_in_its_own_unit_or_said(tmp_path: Path) -> None:
    assert read(tmp_path, CADDY.replace("0.031", '"31.5ms"') + "\n").duration_s == pytest.approx([0.0315])
    unread = read(tmp_path, CADDY.replace("0.031", '"1m2s"') + "\n")
    assert unread.duration_s is None
    assert "(duration=1m2s)" in unread.notes[0]
    nginx = '{"time":"22/Nov/2026:10:00:00 +0000","request":"POST /score HTTP/1.1","upstream_response_time":"0,250"}\n'
    assert "(upstream_response_time=0,250)" in read(tmp_path, nginx).notes[0]


@pytest.mark.parametrize("end", ["[ml", " 59 2.350 200", " 2.350 200 4f0c", ".350 200 4f0c", ' "curl', "89 2.356"])
def test_a_last_line_of_ingress_nginx_that_is_cut_is_left_out_and_said(tmp_path: Path, end: str) -> None:
    whole = f"{INGRESS}\n" * 30
    cut = INGRESS[: INGRESS.index(end)]
    path = tmp_path / "some.log"
    path.write_text(whole + cut)
    trace = read_trace(path)
    assert trace.service_time_s is not None
    assert trace.service_time_s.tolist() == [2.35] * 30
    assert trace.notes[0].startswith("1 of 31 lines hold no request and are left out, the first is line 31 (10.0.0.1")


def test_a_byte_count_is_no_service_time(tmp_path: Path) -> None:
    held = read(tmp_path, f"{INGRESS}\n{INGRESS[: INGRESS.index('.350 200')]}3\n")
    assert held.service_time_s is not None
    assert np.nanmax(held.service_time_s) == 2.35


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        (f"{CLF} rt=0.120", f"{CLF} rt=0.1"),
        (f"{CLF} rt=0.120", f"{CLF} rt=0"),
        (f"{CLF} rt=0.120 urt=0.118", f"{CLF} rt=0.120"),
        (CLF, CLF[: CLF.index(' "-"')]),
        (CLF, CLF[:-1]),
    ],
)
def test_a_last_line_of_less_than_the_others_is_left_out(tmp_path: Path, line: str, cut: str) -> None:
    held = read(tmp_path, f"{line}\n{line}\n{cut}")
    assert (len(held), held.skipped.lines if held.skipped else 0) == (2, 1)


@pytest.mark.parametrize("line", [CLF, f"{CLF} rt=0.120 urt=0.118", INGRESS, CADDY])
def test_a_whole_last_line_without_an_end_is_a_request(tmp_path: Path, line: str) -> None:
    held = read(tmp_path, f"{line}\n{line}\n{line}")
    assert (len(held), held.skipped) == (3, None)


def test_every_log_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    for name in ("C4-alb.log", "C4-iis-w3c.log", "C4-istio-json.log", "C5-access.log.1", "C6-az-ml-get-logs.log"):
        path = tmp_path / name
        path.write_bytes(b"\xef\xbb\xbf" + (CASES / name).read_bytes())
        assert recognise(path) == recognise(CASES / name)
        assert len(read_recorded(path)) == len(read_recorded(CASES / name)), name  # type: ignore[arg-type]


def test_what_caddy_writes_of_itself_is_left_out_and_said(tmp_path: Path) -> None:
    own = (
        '{"level":"info","ts":1795341600.1,"msg":"server running","name":"srv0","protocols":["h1","h2"]}\n'
        '{"level":"info","ts":1795341600.2,"logger":"tls","msg":"cleaning storage unit"}\n'
    )
    held = read(tmp_path, own * 10 + f"{CADDY}\n" * 5 + own * 10 + f"{CADDY}\n")
    assert len(held) == 6
    assert held.skipped is not None
    assert (held.skipped.lines, held.skipped.of_lines) == (40, 46)


@pytest.mark.parametrize(
    "own",
    [
        '{"level":"info","time":"2026-11-22T10:00:00Z","message":"Configuration loaded"}',
        '{"level":"error","ts":1795341600.1,"msg":"no upstream"}',
        "[2026-11-22 10:00:00.123][1][info][main] starting main dispatch loop",
        "2026-11-22T10:00:00.123456Z\tinfo\tEnvoy proxy is ready",
        'time="2026-11-22T10:00:00Z" level=info msg="Configuration loaded"',
        "2026-11-22T10:00:00Z INF Traefik version 3.1",
    ],
)
def test_what_a_server_writes_of_itself_is_excepted_in_every_json_format(tmp_path: Path, own: str) -> None:
    for name in ("envoy_json", "caddy_json", "traefik_json", "nginx_json"):
        sample = next(line for line in (CADDY, *_samples()) if name in _named(line))
        assert len(read(tmp_path, f"{sample}\n{own}\n{own}\n{sample}\n", name)) == 2
    path = tmp_path / "foreign.log"
    path.write_text(f'{CADDY}\n{{"level":"info","status":1,"msg":"x"}}\n{{"a":1}}\n{CADDY}\n')
    with pytest.raises(InputError, match="line 2 is not in the Caddy"):
        read_recorded(path)


def _samples() -> tuple[str, ...]:
    from planner.traces.formats import BY_NAME

    return tuple(BY_NAME[name].sample for name in ("envoy_json", "traefik_json", "nginx_json"))


def _named(line: str) -> str:
    keys = {"start_time": "envoy_json", "StartUTC": "traefik_json", "http.log.access": "caddy_json"}
    return next((name for key, name in keys.items() if key in line), "nginx_json")


def test_a_request_of_the_scoring_server_that_cannot_be_read_is_counted(tmp_path: Path) -> None:
    line = "2026-11-22 10:00:21,128 I [119] azmlinfsrv - POST /score 200 305.413ms 1121\n"
    held = read(tmp_path, line * 40 + line.replace("305.413ms", "1.5s"))
    assert len(held) == 40
    assert held.skipped is not None
    assert (held.skipped.lines, held.skipped.first_line) == (1, 41)


def test_service_times_of_ingress_nginx_without_an_upstream_are_the_request_time(tmp_path: Path) -> None:
    bare = f"{CLF} 89 2.356 [ml-blue-5001] [] - - - - 4f0c\n"
    assert read(tmp_path, bare * 2).service_time_of == "request_time, the duration of the whole request"
    assert read(tmp_path, f"{INGRESS}\n{bare}").service_time_of == "upstream_response_time"
