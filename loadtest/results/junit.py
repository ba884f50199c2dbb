"""The outcome of a replay as JUnit XML: an `error` where nothing can be said, a `failure` where a threshold broke.

Test cases: the books balance, the generator kept to the plan, the run ended by itself, the endpoint answered, and one
per threshold. Thresholds of a run that is invalid are `skipped`: they would judge the generator, not the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from loadtest.results.thresholds import JudgedThreshold, result_sentence, sentence
from planner.writing import write_whole

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


@dataclass(frozen=True, kw_only=True)
class _Case:
    """outcome: error, failure or skipped; None: passed. says: one sentence with the numbers."""

    name: str
    says: str
    outcome: str | None = None


def write_junit(path: Path, document: Mapping[str, Any], judged: Sequence[JudgedThreshold]) -> None:
    """Write the JUnit XML of a replay's document, whole or not at all (NoVerdictError)."""
    write_whole(path, junit_xml(document, judged))


def junit_xml(document: Mapping[str, Any], judged: Sequence[JudgedThreshold]) -> bytes:
    """`<testsuites>` with one `<testsuite name="surgeproof replay NAME">`, UTF-8."""
    run_cases = _run_cases(document)
    is_valid = not any(case.outcome for case in run_cases)
    cases = run_cases + [_threshold_case(j, is_valid) for j in judged]
    name = f"surgeproof replay {document['scenario']}"
    totals = {
        "tests": str(len(cases)),
        "failures": str(sum(case.outcome == "failure" for case in cases)),
        "errors": str(sum(case.outcome == "error" for case in cases)),
        "skipped": str(sum(case.outcome == "skipped" for case in cases)),
        "time": f"{_length_s(document):.3f}",
    }
    root = ET.Element("testsuites", _clean({"name": name} | totals))
    suite = ET.SubElement(root, "testsuite", _clean({"name": name} | totals | _when(document)))
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(document).items():
        ET.SubElement(properties, "property", _clean({"name": key, "value": value}))
    for case in cases:
        element = ET.SubElement(
            suite, "testcase", _clean({"name": case.name, "classname": "surgeproof.replay", "time": "0.000"})
        )
        if case.outcome is None:
            ET.SubElement(element, "system-out").text = _plain(case.says)
        else:
            kind = {} if case.outcome == "skipped" else {"type": case.outcome}
            said = ET.SubElement(element, case.outcome, _clean({"message": case.says} | kind))
            said.text = _plain(case.says)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _run_cases(document: Mapping[str, Any]) -> list[_Case]:
    """What has to hold before any threshold means something."""
    books, generator, ended = document["books"], document["generator"], document["ended"]
    known = document["observed"]["answers_known_to_the_model"]
    sent = f"{books['sent']} of {books['planned']} planned requests were sent"
    message = document.get("message")
    return [
        _case(
            "the books balance", bool(books["balanced"]), f"{sent}; each has one outcome.", "The books do not balance."
        ),
        _case(
            "the generator kept to the plan",
            generator["valid"],
            f"{sent}; at most {_ms(generator['send_error_p99_s'])} late at p99.",
            " ".join(generator["problems"]),
        ),
        _case("the run ended by itself", ended == "complete", "It did.", f"{ended}: {message or sent + '.'}"),
        _case(
            "the endpoint answered",
            known > 0,
            f"{known} requests that count were answered 200, 503 or 504.",
            " ".join(document["observed"]["problems"]) or "No request that counts was answered 200, 503 or 504.",
        ),
    ]


def _case(name: str, holds: bool, says: str, otherwise: str) -> _Case:
    return _Case(name=name, says=says) if holds else _Case(name=name, says=otherwise, outcome="error")


def _threshold_case(judged: JudgedThreshold, is_valid: bool) -> _Case:
    name = f"not {judged.threshold.text}"
    if not is_valid:
        says = f"Not judged, because the run supports no verdict. {result_sentence(judged)}"
        return _Case(name=name, says=says, outcome="skipped")
    outcome = "error" if judged.failed is None else "failure" if judged.failed else None
    return _Case(name=name, says=sentence(judged), outcome=outcome)


def _properties(document: Mapping[str, Any]) -> dict[str, str]:
    found = {
        "run": document.get("run"),
        "scenario": document["scenario"],
        "url": document.get("url"),
        "schedule_sha256": document.get("schedule_sha256"),
        "surgeproof": document["provenance"].get("surgeproof"),
        "seed": document["provenance"].get("seed"),
        "exit_code": document.get("exit_code"),
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def _when(document: Mapping[str, Any]) -> dict[str, str]:
    """JUnit's timestamps have no zone; this is UTC as in the summary. Its hostname is a must, and nobody's business."""
    started = document.get("started_at")
    at = {} if started is None else {"timestamp": datetime.fromisoformat(started).strftime("%Y-%m-%dT%H:%M:%S")}
    return {"hostname": "localhost"} | at


def _length_s(document: Mapping[str, Any]) -> float:
    """How long the plan was played, by the last second that has a request."""
    planned = document["books"].get("per_second", {}).get("planned", [])
    return float(len(planned))


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:.1f} ms"


def _plain(text: str) -> str:
    return NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean(attributes: Mapping[str, str]) -> dict[str, str]:
    return {key: _plain(value) for key, value in attributes.items()}
