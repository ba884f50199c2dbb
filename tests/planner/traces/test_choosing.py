"""Several paths, methods and statuses at once, and what is said of logs that tell only some of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from planner.errors import InputError
from planner.traces.choosing import Wanted, url_paths
from planner.traces.trace_file import read_trace

CASES = Path(__file__).parent / "cases"
LINE = '10.0.0.1 - - [22/Nov/2026:10:00:03 +0000] "{} HTTP/1.1" {} 59 "-" "curl/8.0"\n'
KINDS = (("POST /score", 200), ("POST /b", 503), ("PUT /c,d", 404), ("GET /", 200))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "some.log"
    path.write_text("".join(LINE.format(kind, status) for kind, status in KINDS))
    return path


@pytest.mark.parametrize(
    ("options", "requests", "phrase"),
    [
        (("--status", "200", "--status", "503"), 3, "with status 200 or 503"),
        (("--status", "200,503", "--status", "4xx"), 4, "with status 200 or 503 or 4xx"),
        (("--path", "/score", "--path", "/b"), 2, "for /score or /b"),
        (("--path", "/c,d"), 1, "for /c,d"),
        (("--method", "POST", "--method", "put"), 3, "for POST or PUT"),
        (("--method", "POST,PUT", "--status", "503"), 1, "for POST or PUT with status 503"),
    ],
)
def test_a_repeated_option_of_a_replay_adds_to_the_others(
    log: Path, options: tuple[str, ...], requests: int, phrase: str
) -> None:
    command = [sys.executable, "-m", "planner.cli.root", "replay", str(CASES / "A2-stamps-at-the-end.yaml")]
    shown = subprocess.run(
        [*command, "--trace", str(log), "--dry-run", "--output", "json", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(shown.stdout)
    assert document["requests"] == requests
    assert f"{requests} requests {phrase} of some.log" in document["source"]


def test_paths_as_a_person_writes_them() -> None:
    assert url_paths("/score") == ("/score",)
    assert url_paths(["/score", "/a,b"]) == ("/score", "/a,b")
    for bad in ([], ["/score", "b"], ["/score", 7]):
        with pytest.raises(ValueError, match="must be a path without a query"):
            url_paths(bad)


def test_a_word_that_fits_no_request_is_said(log: Path) -> None:
    notes = read_trace(log, wanted=Wanted(paths=("/score", "/nowhere"), statuses=("200", "5xx", "418"))).notes
    assert any(note == "no request has the path /nowhere" for note in notes)
    assert any(note == "no request has the status 418" for note in notes)
    assert not any("5xx" in note and note.startswith("no request") for note in notes)


def test_a_log_that_tells_only_statuses(tmp_path: Path) -> None:
    """W3C fields may be as few as these."""
    path = tmp_path / "u_ex.log"
    rows = [f"2026-11-22 10:00:0{i} {status}" for i, status in enumerate((200, 503, 404))]
    path.write_text("\n".join(["#Fields: date time sc-status", *rows]) + "\n")
    assert read_trace(path).notes == ("3 requests have status 200 1, 503 1, 404 1; all are played alike",)
    assert read_trace(path, wanted=Wanted(statuses=("200", "503"))).notes == (
        "2 of 3 requests are played (with status 200 or 503); left out: status 404 1",
        "2 of them have status 200 1, 503 1; all are played alike",
    )
    with pytest.raises(
        InputError, match=r"no request with status 201 in 3 lines \(there are status 200 1, 503 1, 404 1"
    ):
        read_trace(path, wanted=Wanted(statuses=("201",)))
