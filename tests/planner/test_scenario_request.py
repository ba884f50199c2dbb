"""The `request` section of a scenario file: what it may say, and the sentences for what it may not."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from planner.request import Header, LineOrder, Request, ResponseCheck
from planner.scenario_file import json_schema, load, save_copy
from tests.planner.scenario_documents import document, loaded, problems, with_trace, written


def folder_with_files(tmp_path: Path) -> Path:
    (tmp_path / "example.json").write_bytes(b'{"a":  1}\n')
    (tmp_path / "bodies.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "body.tmpl").write_text('{"id": {{ request }}}')
    (tmp_path / "payloads").mkdir()
    return tmp_path


def request_of(tmp_path: Path, request: dict[str, Any]) -> Request:
    schema_problems = list(Draft202012Validator(json_schema()).iter_errors(document() | {"request": request}))
    assert schema_problems == []
    return loaded(folder_with_files(tmp_path), request=request).request


def test_left_out_it_is_the_lab_s(tmp_path: Path) -> None:
    assert loaded(tmp_path).request == Request()


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"data": [[1, 2]]}, b'{"data": [[1, 2]]}'),
        ([1, 2.5, None, True], b"[1, 2.5, null, true]"),
        ("{ as it is }", b"{ as it is }"),
        ("null", b"null"),
        (0, b"0"),
        ({"t\u00e4g": "\u20ac"}, '{"t\u00e4g": "\u20ac"}'.encode()),
    ],
)
def test_a_body(tmp_path: Path, body: Any, sent: bytes) -> None:
    assert request_of(tmp_path, {"body": body}).body == sent


def test_files_are_found_beside_the_scenario(tmp_path: Path) -> None:
    made = request_of(tmp_path, {"json_lines": "bodies.jsonl", "order": "random", "template": "body.tmpl"})
    assert made.json_lines == tmp_path / "bodies.jsonl"
    assert made.order is LineOrder.RANDOM
    assert made.template == '{"id": {{ request }}}'
    assert made.template_source == str(tmp_path / "body.tmpl")


def test_headers_and_checks(tmp_path: Path) -> None:
    made = request_of(
        tmp_path,
        {
            "body_file": "example.json",
            "headers": {"x-team": "abc", "Ocp-Apim-Subscription-Key": {"env": "APIM_KEY"}},
            "check": {"status": 201, "json": {"field": "result.0.ok", "equals": None}},
        },
    )
    assert made.headers == (
        Header(name="x-team", value="abc"),
        Header(name="Ocp-Apim-Subscription-Key", variable="APIM_KEY"),
    )
    assert made.check == ResponseCheck(status=201, field="result.0.ok", compares=True, equals=None)
    assert not load(
        written(tmp_path, document() | {"request": {"check": {"json": {"field": "a"}}}})
    ).request.check.compares


BAD: list[tuple[dict[str, Any], str]] = [
    ({"bdy": 1}, "request.bdy = 1, unknown key; did you mean body?"),
    ({"body": 1, "body_file": "example.json"}, "request.body_file: but there is request.body too: give one of them"),
    (
        {"body": 1, "json_lines": "bodies.jsonl", "template_text": "{}"},
        "request.template_text: but there is request.body too",
    ),
    ({"template": "body.tmpl", "template_text": "{}"}, "request.template_text: but there is request.template too"),
    ({"body": ""}, "request.body: must hold something"),
    ({"body": None}, "request.body: must hold something"),
    ({"body": {1: 2}}, "request.body: the key 1 must be text, in quotes"),
    ({"body": [float("inf")]}, "request.body: Out of range float values are not JSON"),
    ({"body": "x", "order": "cycle"}, "request.order = cycle, only used with json_lines or csv_rows"),
    ({"json_lines": "bodies.jsonl", "order": "shuffled"}, "request.order = shuffled, must be cycle or random"),
    ({"body_file": "no.json"}, "request.body_file = no.json, no such file"),
    ({"json_lines": "payloads"}, "request.json_lines = payloads, is a folder"),
    ({"template": "no.tmpl"}, "request.template = no.tmpl, no such file"),
    ({"body_file": 3}, "request.body_file = 3, must be text"),
    ({"files": "payloads"}, "request.files = payloads, needs traffic.arrivals to be a trace with the column payload"),
    ({"template_text": "{{ request"}, "request.template_text: line 1: unexpected end of template"),
    ({"template_text": "{{ requst }}"}, "request.template_text: requst is undefined; a template may use request, "),
    ({"template_text": "{{ [1] | random }}"}, "request.template_text: line 1: No filter named 'random'"),
    ({"headers": ["x-team: abc"]}, "request.headers: must hold settings (`x-team: abc`)"),
    ({"headers": {"x team": "abc"}}, "request.headers.x team: a header's name must be up to 100 letters"),
    ({"headers": {"x-team": 5}}, "request.headers.x-team: must be text (in quotes) or {env: NAME}"),
    ({"headers": {"x-team": ""}}, "request.headers.x-team: must not be empty"),
    ({"headers": {"x-team": "a\r\nHost: b"}}, "request.headers.x-team: must not hold a line break or another control"),
    ({"headers": {"x-team": "\u20ac"}}, "request.headers.x-team: must hold characters of Latin-1 only"),
    ({"headers": {"x-team": " a"}}, "request.headers.x-team: must not start or end with a space"),
    ({"headers": {"x-team": "a" * 9000}}, "request.headers.x-team: has 9,000 characters, at most 8,000"),
    ({"headers": {"x-team": {"env": "A B"}}}, "request.headers.x-team: must be text or {env: NAME}"),
    ({"headers": {"x-team": {"env": "A", "or": "b"}}}, "request.headers.x-team: must be text or {env: NAME}"),
    ({"headers": {"X-Team": "a", "x-team": "b"}}, "request.headers.x-team: stands twice, names ignore case"),
    ({"headers": {f"x-{i}": "a" for i in range(51)}}, "request.headers: has 51 headers, at most 50"),
    ({"headers": {"Accept-Encoding": "br"}}, "Accept-Encoding: is not sent; an answer that comes as gzip"),
    ({"check": {"body": "text", "json": {"field": "a"}}}, "but request.check.body is text: give one of them"),
    (
        {"headers": {"Authorization": "Bearer x"}},
        "Authorization: belongs outside the scenario: SURGEPROOF_ENDPOINT_KEY",
    ),
    ({"headers": {"Host": "a"}}, "Host: comes from --url"),
    ({"headers": {"Content-Length": "3"}}, "Content-Length: comes from the body"),
    ({"headers": {"Transfer-Encoding": "chunked"}}, "Transfer-Encoding: belongs to a single connection"),
    ({"headers": {"Connection": "close"}}, "Connection: belongs to a single connection"),
    ({"headers": {"x-ms-client-request-id": "1"}}, "x-ms-client-request-id: is set by the replay"),
    ({"check": {"status": 503}}, "request.check.status = 503, must be an integer"),
    ({"check": {"status": True}}, "request.check.status = true, must be an integer"),
    ({"check": {"json": {"field": "a..b"}}}, "request.check.json.field = a..b, must be a dotted path"),
    ({"check": {"json": {"equals": 1}}}, "request.check.json.field is missing"),
    ({"check": {"jsn": {}}}, "request.check.jsn = {}, unknown key; did you mean json?"),
]


@pytest.mark.parametrize(("request_section", "message"), BAD)
def test_a_bad_value_is_named(tmp_path: Path, request_section: dict[str, Any], message: str) -> None:
    found = problems(folder_with_files(tmp_path), document() | {"request": request_section})
    assert len(found) == 1
    assert found[0].startswith(f"{tmp_path / 'spike.yaml'}: ")
    assert message.lower() in found[0].lower()


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    bad = {
        "body_file": "no.json",
        "headers": {"Host": "a", "x-api-key": "s", "x-ok": "b"},
        "order": "random",
        "template_text": "{{ x }}",
    }
    assert len(problems(tmp_path, document() | {"request": bad, "seed": -1})) == 7


@pytest.mark.parametrize(
    "section",
    [
        {"request": {"headers": {"X-Api-Key": "hunter2"}}},
        {"request": {"headers": {"cookie": "hunter2"}}},
        {"request": {"headers": {"x-session-token": "hunter2"}}},
        {"request": {"headers": {"Authorization": "Bearer hunter2"}}},
        {"request": {"headers": {"x-team": "hunter2\n"}}},
        {"request": {"headers": ["x-api-key: hunter2"]}},
        {"request": {"headers": "hunter2"}},
        {"request": {"headers": {"x-api-key": {"env": "hunter2!"}}}},
        {"request": {"headers": {"x-api-key": {"value": "hunter2"}}}},
        {"request": {"header": {"x-api-key": "hunter2"}}},
        {"request": {"api_key": "hunter2"}},
        {"requests": {"headers": {"x-api-key": "hunter2"}}},
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(tmp_path: Path, section: dict[str, Any]) -> None:
    found = "\n".join(problems(tmp_path, document() | section))
    assert "request" in found
    assert "hunter2" not in found


def test_a_copy_takes_its_files_along(tmp_path: Path) -> None:
    home = folder_with_files(tmp_path)
    section = {"json_lines": "bodies.jsonl", "template": "body.tmpl"}
    saved = save_copy(load(written(home, document() | {"request": section})), tmp_path / "run")
    again = load(saved).request
    assert again.json_lines == tmp_path / "run" / "inputs" / "bodies.jsonl"
    assert again.json_lines.read_text() == '{"a": 1}\n{"a": 2}\n'
    assert again.template == '{"id": {{ request }}}'
    assert yaml.safe_load(saved.read_text())["request"]["template"] == "inputs/body.tmpl"


def test_a_copy_takes_the_payloads_that_the_trace_names(tmp_path: Path) -> None:
    with_trace(tmp_path)
    trace = "time_s,payload\n0,a.json\n1,deep/b.json\n2,a.json\n"
    (tmp_path / "traces" / "t.csv").write_text(trace)
    (tmp_path / "bodies" / "deep").mkdir(parents=True)
    for name in ("a.json", "deep/b.json", "unused.json"):
        (tmp_path / "bodies" / name).write_text("{}")
    changed = document() | {"traffic": {"arrivals": {"trace": {"file": "traces/t.csv"}}}}
    changed |= {"request": {"files": "bodies"}}
    del changed["duration"]
    saved = save_copy(load(written(tmp_path, changed)), tmp_path / "run")
    copied = tmp_path / "run" / "inputs" / "bodies"
    assert sorted(str(path.relative_to(copied)) for path in copied.rglob("*.json")) == ["a.json", "deep/b.json"]
    assert load(saved).request.files == copied


# Checks of answers


@pytest.mark.parametrize(
    ("check", "status", "body", "problem"),
    [
        ({}, 200, b"[1]", None),
        ({}, 200, b"oops", "the body is not JSON"),
        ({}, 200, b"", "the body is empty"),
        ({}, 200, b"[" * 100_000, "the body is not JSON"),
        ({}, 201, b"{}", "status 201, must be 200"),
        ({"status": 201}, 201, b"{}", None),
        ({"status": 204}, 204, b"", None),
        ({"field": "result.0.ok"}, 200, b'{"result": [{"ok": null}]}', None),
        ({"field": "result.1.ok"}, 200, b'{"result": [{"ok": 1}]}', "the JSON field result.1.ok is missing"),
        ({"field": "result.-1"}, 200, b'{"result": [1]}', "the JSON field result.-1 is missing"),
        ({"field": "a.0"}, 200, b'{"a": {"0": 1}}', None),
        ({"field": "a"}, 200, b"[1]", "the JSON field a is missing"),
        ({"field": "ok", "compares": True, "equals": True}, 200, b'{"ok": true}', None),
        (
            {"field": "ok", "compares": True, "equals": True},
            200,
            b'{"ok": 1}',
            "the JSON field ok is 1, must be true",
        ),
        ({"field": "n", "compares": True, "equals": 1}, 200, b'{"n": 1.0}', None),
        ({"field": "n", "compares": True, "equals": [{"a": 1}]}, 200, b'{"n": [{"a": 1}]}', None),
        (
            {"field": "n", "compares": True, "equals": [{"a": 1}]},
            200,
            b'{"n": [{"a": true}]}',
            'the JSON field n is [{"a": true}], must be [{"a": 1}]',
        ),
        ({"field": "n", "compares": True}, 200, b'{"n": 0}', "the JSON field n is 0, must be null"),
        # A run() that returns json.dumps(...): JSON in a JSON string.
        ({"field": "result.0"}, 200, b'"{\\"result\\": [1]}"', None),
        ({"field": "result"}, 200, b'"no JSON"', "the JSON field result is missing"),
    ],
)
def test_which_answers_are_good(check: dict[str, Any], status: int, body: bytes, problem: str | None) -> None:
    assert ResponseCheck(**check).problem(status, body) == problem
