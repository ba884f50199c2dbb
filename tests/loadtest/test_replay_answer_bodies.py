"""Endpoints that do not answer JSON, over real sockets: events, text, bytes, gzip; redirects and statuses by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadtest.replay.run import replay
from tests.loadtest.conftest import FOREIGN_STUB
from tests.loadtest.foreign_stub import PNG
from tests.loadtest.replay_runs import Case, MakeScenario, MakeStub, Seen, real_runs, run_cases

pytestmark = real_runs

JSON = "request: {body: {data: [[1, 2]]}}\n"


def checked(kind: str) -> str:
    return f"request: {{body: {{data: [[1, 2]]}}, check: {{body: {kind}}}}}\n"


ANSWERS = [
    ("sse", checked("events"), "ok", ""),
    ("sse_error", checked("events"), "bad_response", "an event of the stream is an error (text/event-stream)"),
    ("sse_cut", checked("events"), "connection_error", ""),
    ("sse", JSON, "bad_response", "the body is not JSON (text/event-stream); request.check.body"),
    ("text", checked("text"), "ok", ""),
    ("png", checked("bytes"), "ok", ""),
    ("png", checked("text"), "bad_response", "the body is not UTF-8 (image/png)"),
    ("empty", checked("any"), "ok", ""),
    ("empty", checked("bytes"), "bad_response", "the body is empty (application/json)"),
    ("html", JSON, "bad_response", "the body is not JSON (text/html)"),
    ("gzip", JSON, "ok", ""),
    ("deflate", JSON, "ok", ""),
    ("bad_gzip", JSON, "bad_response", "it cannot be unpacked"),
    ("brotli", JSON, "bad_response", "it cannot be unpacked"),
    ("404", JSON, "other_4xx", "HTTP 404: nothing answers at this path"),
    ("408", JSON, "other_4xx", "HTTP 408: the request timed out at the endpoint"),
    ("424", JSON, "other_4xx", "HTTP 424: the model's container answered 500 (model_error)"),
    ("429", JSON, "status_429", "HTTP 429: the endpoint limits its requests"),
    ("502", JSON, "other_5xx", "HTTP 502: the front end got no whole answer"),
    ("redirect", JSON, "other_status", "HTTP 307 redirects to https://127.0.0.1:5999/score, and a replay follows"),
]
"""(mode of the endpoint, the scenario's request, outcome, what the warnings say)"""

LOCATION = "https://user:pw@127.0.0.1:5999/score?code=s3cret"


def case_of(mode: str, more: str) -> Case:
    where = {"location": LOCATION} if mode == "redirect" else {}
    return Case(script=FOREIGN_STUB, stub={"mode": mode, **where}, scenario={"rps": 20, "duration": "1s", "more": more})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    cases = {f"answer-{number}": case_of(mode, more) for number, (mode, more, _, _) in enumerate(ANSWERS)}
    return run_cases(tmp_path_factory.mktemp("answers"), cases)


@pytest.mark.parametrize("number", range(len(ANSWERS)), ids=[f"{mode}-{outcome}" for mode, _, outcome, _ in ANSWERS])
def test_each_answer_has_its_outcome_and_its_sentence(runs: dict[str, Seen], number: int) -> None:
    mode, _, outcome, said = ANSWERS[number]
    document, books = runs[f"answer-{number}"].document, runs[f"answer-{number}"].books
    assert books == {"planned": books["planned"], "sent": books["planned"], outcome: books["planned"]}
    warnings = " ".join(document["warnings"])
    assert said in warnings
    assert bool(said) == bool(warnings)
    assert "s3cret" not in str(document)
    assert "pw@" not in str(document)
    if (mode, outcome) == ("sse", "ok"):
        assert document["observed"]["latency_from_send_s"]["p50"] > 0.15, "to the last byte of the stream"


def test_each_row_of_a_table_is_a_body(foreign: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age;city;member\n31;Zürich;true\n;007;False\n", encoding="utf-8")
    server = foreign()
    plan = scenario(rps=20, duration="1s", more="request: {csv_rows: rows.csv}\n")
    document = replay(plan, server.url, out=tmp_path / "run").document
    assert document["books"]["ok"] == document["books"]["planned"] > 0
    sent = {body.encode("latin-1").decode() for _, _, body in server.record()["requests"]}
    assert [json.loads(body) for body in sorted(sent)] == [
        {"age": 31, "city": "Zürich", "member": True},
        {"age": None, "city": "007", "member": False},
    ]


def test_binary_bodies_go_out_as_what_they_are(foreign: MakeStub, scenario: MakeScenario, tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(PNG)
    server = foreign(mode="png")
    more = "request:\n  body_file: image.png\n  headers: {Content-Type: image/png, Accept: image/*}\n"
    plan = scenario(rps=10, duration="1s", more=more + "  check: {body: bytes}\n")
    document = replay(plan, server.url, out=tmp_path / "run").document
    assert document["books"]["ok"] == document["books"]["planned"] > 0
    assert document["warnings"] == []
    for _, headers, body in server.record()["requests"]:
        assert (headers["content-type"], headers["accept"]) == ("image/png", "image/*")
        assert body.encode("latin-1") == PNG


@pytest.mark.parametrize(
    ("request_section", "said"),
    [
        ("{body_file: image.png}", "the body is sent as application/json, but is not JSON (not UTF-8)"),
        ("{body: {a: 1}, headers: {content-type: text/csv}}", "the body is JSON, but is sent as text/csv"),
    ],
)
def test_a_content_type_that_contradicts_the_body_is_a_warning(
    foreign: MakeStub, scenario: MakeScenario, tmp_path: Path, request_section: str, said: str
) -> None:
    (tmp_path / "image.png").write_bytes(PNG)
    plan = scenario(rps=10, duration="1s", more=f"request: {request_section}\n")
    (warning,) = replay(plan, foreign().url, out=tmp_path / "run").document["warnings"]
    assert said in warning
