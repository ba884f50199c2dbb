"""What a file or a folder is: by what it holds, never by its name alone."""

from __future__ import annotations

import re
from pathlib import Path

from planner.deployment_files.documents import documents_in
from planner.deployment_files.python_call import looks_like_python
from planner.errors import InputError
from planner.reading import opened, reading
from planner.recognise.documents import DEPLOYMENTS, Found, Kind, kind_of
from planner.text_files import LARGEST_FILE_BYTES
from planner.traces.formats import recognise as trace_format
from planner.traces.formats.tables import csv_file

SAMPLE_BYTES = 65_536
"""Of a file: enough to tell a trace."""

RUN_FILES = ("requests.parquet", "schedule.parquet", "replicas.parquet", "summary.json")
JOURNAL = "journal.jsonl"

_TIME_COLUMNS = {
    *("time_s", "timestamp", "time", "date", "datetime", "ts", "_time"),
    *("timegenerated", "starttime", "start_time", "epoch", "@timestamp"),
}
_JSON_LINES = re.compile(r'\s*\{"[^\n]*\}[ \t]*\r?\n\{"')
_PYTHON_LINE = re.compile(r"^(?:import \w|from [\w.]+ import |def \w+\(|class \w+)", re.MULTILINE)


def recognise(path: Path) -> Found | None:
    """What is at a path; None where nothing is, or nothing that can be read. A large file is known by its beginning."""
    try:
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            return None
        return _file(path)
    except (OSError, ValueError, InputError):
        return None


def _folder(path: Path) -> Found:
    if (path / "plan.json").is_file():
        return Found(Kind.PLAN_FOLDER)
    if (path / JOURNAL).is_file() and not (path / "summary.json").is_file():
        return Found(Kind.UNFINISHED_RUN)
    if any((path / name).is_file() for name in RUN_FILES):
        return Found(Kind.RUN_FOLDER)
    return Found(Kind.FOLDER, "scenario.yaml" if (path / "scenario.yaml").is_file() else "")


def _file(path: Path) -> Found:
    with reading(path, str(path)), opened(path) as file:
        sample = file.read(SAMPLE_BYTES)
    if sample.startswith(b"PAR1"):
        is_part = path.name in RUN_FILES and (path.parent / "scenario.yaml").is_file()
        return Found(Kind.RUN_PART) if is_part else Found(Kind.TRACE, "Parquet")
    start = _decoded(sample)
    if _is_table(start):
        return Found(Kind.TRACE, "CSV")
    if (form := trace_format(path)) is not None and form is not csv_file.FORMAT:
        return Found(Kind.TRACE, form.name)
    if _JSON_LINES.match(start):
        return Found(Kind.TRACE, "JSON lines")
    if path.suffix.lower() == ".py" or _PYTHON_LINE.search(start):
        return Found(Kind.SDK_CODE if looks_like_python(start) else Kind.PYTHON)
    if path.stat().st_size > LARGEST_FILE_BYTES:
        return Found(Kind.UNKNOWN)
    text = _decoded(path.read_bytes())
    try:
        found = [kind_of(document) for document in documents_in(text, str(path))]
    except InputError:
        return Found(Kind.SDK_CODE if looks_like_python(text) else Kind.UNKNOWN)
    if looks_like_python(text) and all(one.kind is Kind.UNKNOWN for one in found):
        return Found(Kind.SDK_CODE)
    of_deployments = [one for one in found if one.kind in DEPLOYMENTS]
    return next(iter([*of_deployments, *found]), Found(Kind.UNKNOWN))


def _decoded(data: bytes) -> str:
    """The text of bytes; what is no text of UTF-8 or UTF-16 becomes replacement characters."""
    is_utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    return data.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")


def _is_table(text: str) -> bool:
    """Whether the first line is a header with a column of times, or of counts."""
    lines = [line for line in text.splitlines()[:3] if line.strip() and not line.lower().startswith("sep=")]
    if len(lines) < 2:
        return False
    cells = [cell.strip().strip('"').lower() for cell in re.split(r"[,;\t]", lines[0])]
    has_time = any(cell.removesuffix(" [utc]") in _TIME_COLUMNS for cell in cells)
    return has_time and not any(mark in lines[0] for mark in ("{", ": "))
