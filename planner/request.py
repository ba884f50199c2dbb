"""What a replay sends and which answers it takes for good: the `request` section of a scenario, pure data.

Bodies stay in their files until a replay is planned, so that a scenario is as light as without them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

JSON_TYPE = "application/json"
"""The Content-Type of a request whose scenario names none."""

LARGEST_BODY_BYTES = 100_000_000
"""Azure ML takes bodies of 100 MB at most."""

_SECRET_WORDS = re.compile(r"auth|cookie|key|token|secret|passw|credential|signature", re.IGNORECASE)

_WITHOUT_BODY = (204, 205)

LARGEST_HEADER_CHARACTERS = 8_000
"""Scoring servers refuse a header line of more than 8,190 bytes."""


def looks_secret(name: str) -> bool:
    """Whether the name of a header or a setting says that its value is nobody's business."""
    return _SECRET_WORDS.search(name) is not None


def header_value_problem(value: str) -> str | None:
    """Why a header may not have this value, which is not repeated."""
    if not value:
        return "must not be empty"
    if value != value.strip():
        return "must not start or end with a space or a line break"
    if any(ord(c) < 32 or ord(c) == 127 for c in value):
        return "must not hold a line break or another control character, which would end the header"
    if any(ord(c) > 255 for c in value):
        return "must hold characters of Latin-1 only"
    if len(value) > LARGEST_HEADER_CHARACTERS:
        return f"has {len(value):,} characters, at most {LARGEST_HEADER_CHARACTERS:,} are supported"
    return None


class LineOrder(StrEnum):
    """Which line of a JSON Lines file request i sends."""

    CYCLE = "cycle"
    """Line i modulo the number of lines."""
    RANDOM = "random"
    """Any line, each as likely, drawn by the scenario's seed."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """A header of every request: either its value, or the environment variable that holds it on each worker."""

    name: str
    value: str | None = None
    variable: str | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.variable is None):
            raise ValueError(f"header {self.name}: needs either a value or a variable")


class AnswerBody(StrEnum):
    """What the body of a good answer must be."""

    JSON = "json"
    TEXT = "text"
    """Not empty, and UTF-8."""
    EVENTS = "events"
    """Server-sent events: at least one line of data, and no event named error."""
    BYTES = "bytes"
    """Not empty."""
    ANY = "any"
    """Not looked at."""


@dataclass(frozen=True, kw_only=True)
class ResponseCheck:
    """Which answer is a good one.

    body: what it must be. field: dotted path into its JSON, that must be there; "" asks for nothing.
    compares: the field's value must be `equals`, as JSON compares (true is not 1, 1 is 1.0).
    """

    status: int = 200
    field: str = ""
    compares: bool = False
    equals: Any = None
    body: AnswerBody = AnswerBody.JSON

    def problem(self, status: int, body: bytes) -> str | None:
        """What is wrong with an answer, None if it is good."""
        if status != self.status:
            return f"status {status}, must be {self.status}"
        if status in _WITHOUT_BODY and not self.field:
            return None
        if self.body is not AnswerBody.JSON:
            return _body_problem(self.body, body)
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return "the body is not JSON" if body else "the body is empty"
        if not self.field:
            return None
        found, value = _at(document, self.field)
        if not found:
            return f"the JSON field {self.field} is missing"
        if self.compares and not _same(value, self.equals):
            return f"the JSON field {self.field} is {_short(value)}, must be {_short(self.equals)}"
        return None


def _body_problem(wanted: AnswerBody, body: bytes) -> str | None:
    """What is wrong with a body that need not be JSON."""
    if wanted is AnswerBody.ANY:
        return None
    if not body:
        return "the body is empty"
    if wanted is AnswerBody.BYTES:
        return None
    try:
        lines = body.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        return "the body is not UTF-8"
    if wanted is AnswerBody.TEXT:
        return None
    fields = [line.partition(":") for line in lines]
    if any(name == "event" and value.strip() == "error" for name, _, value in fields):
        return "an event of the stream is an error"
    return None if any(name == "data" for name, _, _ in fields) else "the body holds no event with data"


DEFAULT_CHECK = ResponseCheck()


def _at(document: Any, dotted: str) -> tuple[bool, Any]:
    """Whether a dotted path is there, and what it holds; digits count in a list."""
    if isinstance(document, str):  # a run() that returns json.dumps(...) is answered as JSON inside a JSON string
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return False, None
    for step in dotted.split("."):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and len(step) < 10 and int(step) < len(document):
            document = document[int(step)]
        else:
            return False, None
    return True, document


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every request of a replay carries. Of the sources of its body at most one is set.

    body: bytes sent as they are. body_file: a file of them. json_lines: a file with one JSON body per line. csv_rows: a
    table with a body in each row. files: the folder of the files that the trace's `payload` column names. template:
    text rendered for each request; the lines of json_lines or the rows of csv_rows are its rows. With none of them a
    request tells the lab's model how long to work.
    """

    body: bytes | None = None
    body_file: Path | None = None
    json_lines: Path | None = None
    csv_rows: Path | None = None
    order: LineOrder = LineOrder.CYCLE
    files: Path | None = None
    template: str | None = field(default=None, repr=False)
    template_source: str = "template"
    """What messages call the template."""
    headers: tuple[Header, ...] = ()
    check: ResponseCheck = DEFAULT_CHECK


DEFAULT_REQUEST = Request()
