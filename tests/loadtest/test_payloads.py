"""Payloads: the bytes of each request, planned once and the same on every worker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtest.payloads import (
    PayloadKind,
    Payloads,
    build,
    build_payloads,
    limits,
    read_payloads,
    resolve_headers,
    secrets_of,
    write_payloads,
)
from loadtest.schedule import build_schedule
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load

SCENARIO = """\
duration: 10s
traffic: {arrivals: poisson, rps: 5}
service_time: 20ms
deployment: {autoscaler: fixed, num_replicas: 2}
seed: 7
"""

TRACE = """\
time_s,service_time_s,payload
0,0.1,a.json
1,0.1,b.json
2,0.2,a.json
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., Scenario]:
    """A scenario with the request section given, written to the test's folder; trace: the CSV that it plays."""

    def made(request: dict[str, Any], trace: str | None = None, seed: int = 7) -> Scenario:
        document: dict[str, Any] = {"request": request, "seed": seed}
        text = SCENARIO.replace("seed: 7\n", "")
        if trace is not None:
            (tmp_path / "trace.csv").write_text(trace)
            text = text.replace("duration: 10s\n", "").replace(
                "{arrivals: poisson, rps: 5}", "{arrivals: {trace: {file: trace.csv}}}"
            )
        path = tmp_path / "scenario.yaml"
        path.write_text(text + "\n".join(f"{key}: {json.dumps(value)}" for key, value in document.items()))
        return load(path)

    return made


def bodies(payloads: Payloads, n: int) -> list[bytes]:
    return [payloads.body(i, int(payloads.payload_id[i]), 0.25, float(i)) for i in range(n)]


def test_without_a_section_the_lab_s_model_is_told_how_long(scenario: Callable[..., Scenario]) -> None:
    made = build_payloads(scenario({}), 3)
    assert made.kind is PayloadKind.SERVICE_TIME
    assert bodies(made, 2) == [
        b'{"request": 0, "service_time_s": 0.25}',
        b'{"request": 1, "service_time_s": 0.25}',
    ]
    assert (made.count, made.fixed, made.payload_id.tolist()) == (0, False, [0, 0, 0])


def test_a_fixed_body_is_one_object(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b'\xff{"a":\r\n 1}\n')
    for request, sent in (({"body": {"a": 1}}, b'{"a": 1}'), ({"body_file": "b.json"}, b'\xff{"a":\r\n 1}\n')):
        made = build_payloads(scenario(request), 3)
        first, second, _ = bodies(made, 3)
        assert first == sent
        assert first is second
        assert made.fixed
        assert made.count == 1


def test_lines_in_turn_and_at_random(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 0}\r\n\n  [1]\n"\xc3\xa4"')
    made = build_payloads(scenario({"json_lines": "b.jsonl"}), 5)
    assert bodies(made, 5) == [b'{"a": 0}', b"[1]", b'"\xc3\xa4"', b'{"a": 0}', b"[1]"]
    assert made.count == 3
    n = 70_000
    at_random = build_payloads(scenario({"json_lines": "b.jsonl", "order": "random"}), n)
    counts = np.bincount(at_random.payload_id, minlength=3)
    # Each line a third of the time: 5 standard deviations (p = 6e-7) see a share that is off by 0.9 points.
    assert np.all(np.abs(counts - n / 3) < 5 * np.sqrt(n * 2 / 9))
    longer = build_payloads(scenario({"json_lines": "b.jsonl", "order": "random"}), n + 10)
    assert np.array_equal(longer.payload_id[:n], at_random.payload_id)
    other = build_payloads(scenario({"json_lines": "b.jsonl", "order": "random"}, seed=8), n)
    assert not np.array_equal(other.payload_id, at_random.payload_id)


CELLS = 'id;ok;text;n;none\n007;TRUE;"a;b";-1.5;\n12;false;1,5;1e3;\n'
ROWS_OF_CELLS = [
    b'{"id": "007", "ok": true, "text": "a;b", "n": -1.5, "none": null}',
    b'{"id": 12, "ok": false, "text": "1,5", "n": 1000.0, "none": null}',
]


def test_long_numbers_stay_text(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    cells = ["12345678901234567", "123456789012345678", "9" * 400, "9" * 5000, "1e999"]
    (tmp_path / "rows.csv").write_text("a\n" + "\n".join(cells) + "\n")
    made = bodies(build_payloads(scenario({"csv_rows": "rows.csv"}), 5), 5)
    assert [json.loads(body)["a"] for body in made] == [12345678901234567, *cells[1:]]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_rows_of_a_table_are_bodies(scenario: Callable[..., Scenario], tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rows.csv").write_bytes(CELLS.encode(encoding))
    made = build_payloads(scenario({"csv_rows": "rows.csv"}), 3)
    assert bodies(made, 3) == [*ROWS_OF_CELLS, ROWS_OF_CELLS[0]]
    assert made.source == "2 rows of rows.csv, in turn"
    templated = build_payloads(
        scenario({"csv_rows": "rows.csv", "template_text": '{"data": [{{ row.text | tojson }}]}'}), 2
    )
    assert bodies(templated, 2) == [b'{"data": ["a;b"]}', b'{"data": ["1,5"]}']


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n", "holds no row below its header"),
        ("a,\n1,2\n", "column 2 has no name in the header"),
        ("a,a\n1,2\n", "the header has the column a twice"),
        ("a,b\n1,2,3\n", "line 2 has 3 columns, the header 2"),
    ],
)
def test_tables_that_are_no_bodies(
    scenario: Callable[..., Scenario], tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        build_payloads(scenario({"csv_rows": "rows.csv"}), 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": }\n', r"line 2 is not JSON \(column 7: Expecting value"),
        (b"NaN\n", r"line 1 is not JSON \(NaN is not JSON"),
        (b"1e999\n", r"line 1 is not JSON \(the number 1e999 is too large"),
        (b"\xff\n", r"line 1 is not JSON \(not UTF-8"),
        (b"[" * 100_000, r"line 1 is not JSON \(nested too deeply"),
        (b"\n \n", "holds no line"),
    ],
)
def test_each_line_must_be_json(
    scenario: Callable[..., Scenario], tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "b.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        build_payloads(scenario({"json_lines": "b.jsonl"}), 5)
    assert str(raised.value).startswith(str(tmp_path / "b.jsonl"))


def test_many_bad_lines_are_counted(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text("x\n" * 30)
    with pytest.raises(InputError) as raised:
        build_payloads(scenario({"json_lines": "b.jsonl"}), 5)
    assert len(raised.value.problems) == 11
    assert raised.value.problems[-1].endswith("20 more lines are not JSON")


def test_sizes_are_bounded(scenario: Callable[..., Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "b.jsonl").write_text('{"a": 1}\n' * 5)
    monkeypatch.setattr(build, "LARGEST_BODY_BYTES", 7)
    with pytest.raises(InputError, match="line 1: has 8 bytes, Azure ML takes at most 7"):
        build_payloads(scenario({"json_lines": "b.jsonl"}), 5)
    monkeypatch.setattr(limits, "LARGEST_TOTAL_BYTES", 40)
    with pytest.raises(InputError, match="45 bytes of payloads, at most 40 are supported"):
        build_payloads(scenario({"json_lines": "b.jsonl"}), 5)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(100_000_001)
    with pytest.raises(InputError, match=r"has 100,000,001 bytes, Azure ML takes at most 100,000,000"):
        scenario({"body_file": "large.json"})


def test_files_named_by_the_trace(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "a.json").write_text('{"a": 1}')
    (tmp_path / "bodies" / "b.json").write_text("[2]")
    made = build_payloads(scenario({"files": "bodies"}, TRACE), 3)
    assert bodies(made, 3) == [b'{"a": 1}', b"[2]", b'{"a": 1}']
    assert made.count == 2
    assert made.source == "2 files of bodies, named by the trace"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../secret.json", "must name a file inside this folder"),
        ("x/../../secret.json", "must name a file inside this folder"),
        ("/etc/hostname", "must name a file inside this folder"),
        ("link.json", "is a link that leads out of this folder"),
        ("no.json", "no such file"),
        ("empty.json", "the file is empty"),
        ("deep", "is a folder"),
    ],
)
def test_no_payload_comes_from_elsewhere(
    scenario: Callable[..., Scenario], tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "bodies" / "deep").mkdir(parents=True)
    (tmp_path / "bodies" / "a.json").write_text("{}")
    (tmp_path / "bodies" / "empty.json").write_text("")
    (tmp_path / "bodies" / "link.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(InputError, match=message):
        build_payloads(scenario({"files": "bodies"}, TRACE.replace("b.json", name)), 3)


def test_a_template_is_rendered_for_each_request(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": [1, 2], "who": "\\u00e4\\""}\n{"x": [], "who": "b"}\n')
    text = (
        '{"id": {{ request }}, "at": {{ scheduled_s }}, "takes": {{ service_time_s }}, "from": {{ payload | tojson }},'
        ' "x": {{ row.x | tojson }}, "who": {{ row.who | tojson }}, "uuid": "{{ uuid }}"}'
    )
    made = build_payloads(scenario({"template_text": text, "json_lines": "rows.jsonl"}, TRACE), 3)
    documents = [json.loads(body) for body in bodies(made, 3)]
    assert [(d["id"], d["at"], d["takes"], d["from"], d["x"], d["who"]) for d in documents] == [
        (0, 0.0, 0.25, "a.json", [1, 2], 'ä"'),
        (1, 1.0, 0.25, "b.json", [], "b"),
        (2, 2.0, 0.25, "a.json", [1, 2], 'ä"'),
    ]
    ids = [uuid.UUID(d["uuid"]) for d in documents]
    assert len(set(ids)) == 3
    assert {i.version for i in ids} == {4}
    again = build_payloads(scenario({"template_text": text, "json_lines": "rows.jsonl"}, TRACE), 3)
    assert bodies(again, 3) == bodies(made, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ row.x }}", "request 0: 'row' is undefined, there are no json_lines or csv_rows beside the template"),
        ("{{ payload }}", "request 0: 'payload' is undefined, the arrivals are no trace with a payload column"),
        ("{{ request.x }}", "request 0: 'int object' has no attribute 'x'"),
        ("{{ 1 // request }}", "request 0: integer division or modulo by zero"),
        ('{"a": {{ uuid }}}', r"request 0: renders what is not JSON \(line 1"),
        ("", r"request 0: renders what is not JSON \(line 1, column 1"),
        ("{{ request if request else 1 }}{{ 'x' if request else '' }}", "request 49: renders what is not JSON"),
        ("{{ 'x' * 1000000000 }}", "request 0: repeats something beyond the size of a body"),
        ("{{ 9 ** 9999999 }}", "request 0: a power must have"),
        ("{{ ''.__class__.__mro__ }}", "request 0: access to attribute '__class__' of 'str' object is unsafe"),
        ("{% include '/etc/hostname' %}", "request 0: no loader for this environment"),
    ],
)
def test_a_template_that_fails_is_found_beforehand(scenario: Callable[..., Scenario], text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_payloads(scenario({"template_text": text}), 50)


def test_a_row_that_a_template_cannot_use_is_found_beforehand(
    scenario: Callable[..., Scenario], tmp_path: Path
) -> None:
    rows = "".join(f'{{"x": {i}}}\n' for i in range(30)) + '{"y": 1}\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    with pytest.raises(InputError, match="request 30: 'dict object' has no attribute 'x'"):
        build_payloads(scenario({"template_text": "{{ row.x }}", "json_lines": "rows.jsonl"}), 40)


def test_of_very_many_rows_some_are_tried_and_that_is_told(
    scenario: Callable[..., Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_RENDERED", 10)
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n' * 30)
    made = build_payloads(scenario({"template_text": "{{ row.x }}", "json_lines": "rows.jsonl"}), 40)
    assert made.source.endswith("(10 of 30 entries were tried beforehand)")


# The pack


REQUESTS: list[dict[str, Any]] = [
    {},
    {"body": {"a": 1}},
    {"json_lines": "rows.jsonl", "order": "random"},
    {"files": "bodies"},
    {"template_text": '[{{ row.x }}, "{{ payload }}", "{{ uuid }}"]', "json_lines": "rows.jsonl"},
    {"template_text": "{{ request }}", "check": {"status": 201, "json": {"field": "a.b", "equals": [1, None]}}},
]


@pytest.mark.parametrize("request_section", REQUESTS)
def test_a_worker_makes_the_same_bodies_from_the_pack(
    scenario: Callable[..., Scenario], tmp_path: Path, request_section: dict[str, Any]
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"x": 1}\n{"x": 2}\n')
    (tmp_path / "bodies").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "bodies" / name).write_text(json.dumps(name))
    section = request_section | {"headers": {"x-team": "abc", "x-api-key": {"env": "API_KEY"}}}
    made = build_payloads(scenario(section, TRACE), 3)
    write_payloads(tmp_path / "pack.parquet", made)
    read = read_payloads(tmp_path / "pack.parquet", made.sha256)
    for i in range(3):
        payload_id = int(made.payload_id[i])
        assert read.body(i, payload_id, 0.5, 1.5) == made.body(i, payload_id, 0.5, 1.5)
    assert (read.headers, read.check, read.kind, read.source, read.fixed, read.count) == (
        *(made.headers, made.check, made.kind, made.source, made.fixed, made.count),
    )


def test_what_the_schedule_says_fits_the_payloads(scenario: Callable[..., Scenario]) -> None:
    made = scenario({"body": 1})
    schedule = build_schedule(made)
    assert len(build_payloads(made, len(schedule)).payload_id) == len(schedule)


def test_a_pack_that_was_changed_is_refused(scenario: Callable[..., Scenario], tmp_path: Path) -> None:
    path = tmp_path / "pack.parquet"
    made, other = build_payloads(scenario({"body": 1}), 3), build_payloads(scenario({"body": 2}), 3)
    assert made.sha256 != other.sha256
    write_payloads(path, made)
    with pytest.raises(InputError, match="the replay was planned with"):
        read_payloads(path, other.sha256)
    table = pq.read_table(path)
    changed = table.set_column(0, "body", pa.array([b"2"], type=pa.large_binary()))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(InputError, match="content does not match its SHA-256"):
        read_payloads(path, made.sha256)


def test_files_that_are_no_pack(tmp_path: Path) -> None:
    path = tmp_path / "pack.parquet"
    with pytest.raises(InputError, match="no such file"):
        read_payloads(path, "0")
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_payloads(path, "0")
    table = pa.table({"body": pa.array([], type=pa.large_binary()), "name": pa.array([], type=pa.large_string())})
    pq.write_table(table, path)
    with pytest.raises(InputError, match="not a pack of payloads"):
        read_payloads(path, "0")
    fixed = {"kind": "fixed", "source": "", "template": None, "template_source": "", "headers": [], "seed": 0}
    for description in ("[]", "{}", "x", json.dumps(fixed | {"check": [200, "", False, None]})):
        metadata = {b"surgeproof_sha256": b"0", b"surgeproof_payloads": description.encode()}
        pq.write_table(table.replace_schema_metadata(metadata), path)
        with pytest.raises(InputError, match="not a pack of payloads"):
            read_payloads(path, "0")


# Headers and secrets


def test_headers_are_resolved_where_they_are_sent(scenario: Callable[..., Scenario]) -> None:
    section = {"headers": {"x-team": "abc", "x-api-key": {"env": "API_KEY"}, "cookie": {"env": "COOKIE"}}}
    made = build_payloads(scenario(section), 1)
    environ = {"API_KEY": "s3cret-value", "COOKIE": "c=1"}
    assert resolve_headers(made, environ) == [("x-team", "abc"), ("x-api-key", "s3cret-value"), ("cookie", "c=1")]
    assert secrets_of(made, environ) == ["s3cret-value", "c=1"]
    with pytest.raises(InputError) as raised:
        resolve_headers(made, {"API_KEY": "s3cret\r\nHost: x"})
    assert raised.value.problems == (
        "API_KEY, of the header x-api-key: must not hold a line break or another control character, which would end "
        "the header",
        "COOKIE: not set; the header cookie of the scenario takes it from there",
    )


def test_no_secret_reaches_the_pack_or_a_text(
    scenario: Callable[..., Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "s3cret-value")
    made = build_payloads(scenario({"body": "x", "headers": {"x-api-key": {"env": "API_KEY"}}}), 1)
    write_payloads(tmp_path / "pack.parquet", made)
    assert resolve_headers(made) == [("x-api-key", "s3cret-value")]
    assert b"s3cret-value" not in (tmp_path / "pack.parquet").read_bytes()
    for text in (repr(made), str(made.described()), made.sha256, repr(made.headers)):
        assert "s3cret-value" not in text
