"""What a file is in which no format of recorded traffic is recognised, as one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

from planner.errors import InputError
from planner.reading import ending
from planner.traces.formats.format import Sample

LOG_ENDINGS = (".log", ".clf", ".txt")

_LIST_OF_OBJECTS = re.compile(rb"\[\s*\{")
_YAML_LINE = re.compile(rb"(?:---|\s*(?:- )?[A-Za-z_$][\w.$-]*:(?:\s.*)?|\s*- .*)")


def refuse_unknown(path: Path, sample: Sample) -> None:
    """Raises InputError where the start of a file shows that it is neither a log nor a table."""
    start = sample.start.removeprefix(b"\xef\xbb\xbf").strip()
    if not start:
        raise InputError(f"{path}: is empty, no request in it")
    lines = [line for line in sample.lines[:50] if line.strip() and not line.lstrip().startswith(b"#")]
    if _LIST_OF_OBJECTS.match(start):
        hint = "where it is a log, write one object on each line (jq -c '.[]')"
        raise InputError(f"{path}: is a JSON list of objects, in no format that is read: {hint}")
    if start[:1] in (b"{", b"["):
        if len(lines) > 1 and all(_is_object(line) for line in lines[:2]):
            hint = "keys such as time, method and status (docs/traces.md shows them)"
            raise InputError(f"{path}: holds JSON lines of no log that is read: none has {hint}")
        if start[:1] == b"{" or _is_json(start):
            raise InputError(f"{path}: is JSON in no format of recorded traffic that is read (docs/traces.md)")
    if start[:1] == b"<" and re.match(rb"<[!?a-zA-Z]", start):
        raise InputError(f"{path}: is HTML or XML, no log and no table")
    is_yaml = len(lines) > 1 and all(_YAML_LINE.fullmatch(line) for line in lines)
    if is_yaml and ending(path) not in LOG_ENDINGS:
        raise InputError(f"{path}: looks like YAML, a file of settings: a trace is a log or a table of requests")


def _is_object(line: bytes) -> bool:
    return line.lstrip().startswith(b"{") and _is_json(line)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
