"""JUnit XML as CI systems read it: structure, counts, and what is an error, a failure or skipped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from loadtest.results.junit import write_junit
from loadtest.results.thresholds import JudgedThreshold, PredictedShare, judge, parse_threshold
from planner.errors import InputError, NoVerdictError
from planner.model import Estimate, Outcome
from planner.scenario_file import load
from planner.writing import check_writable
from tests.loadtest.hand_made_run import log_of, observed_run

SHARE = PredictedShare(share=Estimate(value=0.12, low=0.08, high=0.17, replications=200))

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
"""What the schemas of Jenkins and of Ant's JUnit task have in common."""

CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "error", "failure", "system-out"],
}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "command": "replay",
        "scenario": "quick",
        "run": "runs/quick-1",
        "url": "http://127.0.0.1:5001/score",
        "ended": "complete",
        "message": None,
        "exit_code": 0,
        "started_at": "2026-11-22T10:15:00.250+00:00",
        "schedule_sha256": "ab" * 32,
        "provenance": {"surgeproof": "0.1.0", "seed": 7},
        "books": {"planned": 4, "sent": 4, "balanced": True, "per_second": {"planned": [1, 1, 1, 1]}},
        "generator": {"valid": True, "problems": [], "send_error_p99_s": 0.0012},
        "observed": {"answers_known_to_the_model": 4, "problems": []},
        **changes,
    }


def judged(*texts: str) -> list[JudgedThreshold]:
    """Of a run with three 200 answers and one 503."""
    thresholds = [parse_threshold(text) for text in texts]
    run = observed_run(log_of(Outcome.OK, Outcome.OK, Outcome.OK, Outcome.STATUS_503))
    return judge(thresholds, run, load("quickstart"), [SHARE] * len(thresholds))


def written(path: Path, doc: dict[str, Any], thresholds: list[JudgedThreshold]) -> ET.Element:
    """Write, read back, and check the structure and the counts."""
    write_junit(path, doc, thresholds)
    root = ET.parse(path).getroot()
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag], element.tag
        order = [CHILDREN[element.tag].index(child.tag) for child in element]
        assert order == sorted(order), f"children of {element.tag} out of order"
    cases = root.findall("./testsuite/testcase")
    for holder in (root, root[0]):
        assert int(holder.attrib["tests"]) == len(cases)
        for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(holder.attrib[plural]) == len(root.findall(f"./testsuite/testcase/{tag}"))
    return root


def said(root: ET.Element) -> dict[str, tuple[str, str]]:
    """Name of each test case -> (passed, failure, error or skipped; its sentence)."""
    found = {}
    for case in root.findall("./testsuite/testcase"):
        (child,) = case
        found[case.attrib["name"]] = (
            ("passed", child.text or "") if child.tag == "system-out" else (child.tag, child.attrib["message"])
        )
    return found


def test_a_valid_run_has_a_failure_for_each_broken_threshold(tmp_path: Path) -> None:
    root = written(tmp_path / "junit.xml", document(), judged("fraction_503 > 10%", "latency_p99 > 2s"))
    cases = said(root)
    assert [outcome for outcome, _ in cases.values()] == ["passed"] * 4 + ["failure", "passed"]
    assert list(cases)[:3] == ["the books balance", "the generator kept to the plan", "the run ended by itself"]
    assert cases["not fraction_503 > 10%"][1] == (
        "fraction_503 was 25 %, fails if > 10 %: failed. 12 % of simulated runs would fail "
        "(95% interval 8 % to 17 %, 200 runs)."
    )
    suite = root[0]
    assert suite.attrib["name"] == "surgeproof replay quick"
    assert suite.attrib["timestamp"] == "2026-11-22T10:15:00"
    properties = {p.attrib["name"]: p.attrib["value"] for p in suite.findall("./properties/property")}
    assert properties["run"] == "runs/quick-1"
    assert properties["schedule_sha256"] == "ab" * 32
    assert properties["surgeproof"] == "0.1.0"


@pytest.mark.parametrize(
    ("changes", "case", "says"),
    [
        (
            {"generator": {"valid": False, "problems": ["Half were late."], "send_error_p99_s": 0.4}},
            "the generator kept to the plan",
            "Half were late.",
        ),
        (
            {"ended": "max_requests", "message": "Stopped by --max-requests."},
            "the run ended by itself",
            "max_requests: Stopped by --max-requests.",
        ),
        (
            {"observed": {"answers_known_to_the_model": 0, "problems": ["4 of 4 requests ended in HTTP 404."]}},
            "the endpoint answered",
            "4 of 4 requests ended in HTTP 404.",
        ),
        (
            {"books": {"planned": 4, "sent": 4, "balanced": False}},
            "the books balance",
            "The books do not balance.",
        ),
    ],
)
def test_an_invalid_run_is_an_error_and_judges_no_threshold(
    tmp_path: Path, changes: dict[str, Any], case: str, says: str
) -> None:
    cases = said(written(tmp_path / "junit.xml", document(**changes), judged("fraction_503 > 10%")))
    assert cases[case] == ("error", says)
    outcome, sentence = cases["not fraction_503 > 10%"]
    assert outcome == "skipped"
    assert "the run supports no verdict. fraction_503 was 25 %" in sentence
    assert [outcome for outcome, _ in cases.values()].count("passed") == 3


def test_a_threshold_on_nothing_is_an_error(tmp_path: Path) -> None:
    run = observed_run(log_of(Outcome.STATUS_503))
    nothing = judge([parse_threshold("latency_p99 > 2s")], run, load("quickstart"))
    cases = said(written(tmp_path / "junit.xml", document(), nothing))
    outcome, sentence = cases["not latency_p99 > 2s"]
    assert outcome == "error"
    assert "no request that counts was answered 200" in sentence


def test_a_run_that_never_started_has_a_document_too(tmp_path: Path) -> None:
    changes = {
        "started_at": None,
        "url": None,
        "generator": {"valid": False, "problems": ["No request was sent (4 were planned)."], "send_error_p99_s": None},
    }
    root = written(tmp_path / "junit.xml", document(**changes), [])
    assert "timestamp" not in root[0].attrib


@pytest.mark.parametrize("text", ["<&>\"'", "\0\x01\x0b\x1f", "\ud800 \ufffe \uffff", "line\nbreak\ttab", "日本 🚀"])
def test_any_characters_make_valid_xml(tmp_path: Path, text: str) -> None:
    changes = {"scenario": f"a{text}b", "ended": "stopped", "message": f"said {text}"}
    root = written(tmp_path / "junit.xml", document(**changes), [])
    name = root[0].attrib["name"]
    assert name.startswith("surgeproof replay a")
    assert name.endswith("b")
    assert len(name) == len(f"surgeproof replay a{text}b")


def test_what_was_there_stays_where_the_new_file_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(path, document(), [])
    before = path.read_bytes()
    write_junit(path, document(scenario="other"), [])
    assert path.read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["junit.xml"]
    with pytest.raises(NoVerdictError, match="No such file"):
        write_junit(tmp_path / "missing" / "junit.xml", document(), [])


def test_only_files_are_replaced(tmp_path: Path) -> None:
    """A device or a pipe whose name a file takes is gone for all who use it; a link is followed."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoVerdictError, match="no file"):
        write_junit(tmp_path / "pipe", document(), [])
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("there.xml")
    write_junit(tmp_path / "link", document(), [])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there.xml").is_file()


def test_a_path_is_refused_before_the_run(tmp_path: Path) -> None:
    check_writable(tmp_path / "junit.xml", "--junit")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for path, says in (
        (tmp_path, "is a folder"),
        (tmp_path / "x" / "junit.xml", "does not exist"),
        (tmp_path / "pipe", "must be a file"),
        (tmp_path / "link", "must be a file"),
        (Path("/dev/null"), "must be a file"),
    ):
        with pytest.raises(InputError, match=f"--junit .*{says}"):
            check_writable(path, "--junit")
