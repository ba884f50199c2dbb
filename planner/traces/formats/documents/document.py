"""Reading a file that is one JSON document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.reading import opened, reading
from planner.traces.formats.format import Sample

LARGEST_BYTES = 256 * 1024 * 1024


def document_of(path: Path) -> Any:
    """Raises InputError where the file is no JSON."""
    with reading(path, str(path)), opened(path) as file:
        data = file.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise InputError(f"{path}: is larger than {LARGEST_BYTES // 2**20} MiB, more than a document of a monitor")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{path}: is not JSON ({error.msg} in {where})") from None
    except (RecursionError, ValueError):
        raise InputError(f"{path}: is not JSON that can be read") from None


def begins_with_key(sample: Sample, *keys: bytes) -> bool:
    """The document is an object (or a list of them) whose first 4,000 bytes hold every key."""
    start = sample.start.removeprefix(b"\xef\xbb\xbf").lstrip()[:4000]
    return start[:1] in (b"{", b"[") and all(re.search(rb'"%s"\s*:' % key, start) for key in keys)


def objects(value: Any, path: Path, where: str) -> list[dict[str, Any]]:
    """A list of objects. InputError where it is none."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InputError(f"{path}: {where} must be a list of objects")
    return value
