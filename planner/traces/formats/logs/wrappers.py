"""What tools put around the lines of a log: Kubernetes, Docker, Docker Compose, `kubectl logs --prefix`.

    2026-11-22T10:00:21.128Z stdout F 10.0.0.1 - - [22/Nov/2026:10:00:21 +0000] "POST ...
    {"log":"10.0.0.1 - - [22/Nov/2026:10:00:21 +0000] \\"POST ...\\n","stream":"stdout","time":"2026-11-22T10:00:21Z"}
    web-1  | 10.0.0.1 - - [22/Nov/2026:10:00:21 +0000] "POST ...
    [pod/web-7d9c/nginx] 10.0.0.1 - - [22/Nov/2026:10:00:21 +0000] "POST ...

The stamp of the wrapper is left alone: it is when the line was written, which the line itself says where it matters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

Strip = Callable[[bytes], bytes]

_DOCKER = re.compile(rb'\{"log":"')
_PREFIXES = (
    re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[-+]\d\d:\d\d) (?:stdout|stderr) [FP] "),
    re.compile(rb"\[pod/[^\]\s]+\] "),
    re.compile(rb"[\w.-]+\s+\| "),
    re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (?=\S+ \S+ .{0,80}?\[|\{|[IWEF]\d{4} |\d{4}[-/])"),
)


def unwrapping(lines: Sequence[bytes]) -> Strip | None:
    """What takes the wrapper off each line of a file that begins with these lines; None: there is none."""
    begun = [line for line in lines[:8] if line.strip()]
    if begun and all(_DOCKER.match(line) for line in begun):
        return _out_of_docker
    for prefix in _PREFIXES:
        if begun and all(prefix.match(line) for line in begun):
            return lambda line, prefix=prefix: prefix.sub(b"", line, count=1)  # type: ignore[misc]
    return None


def _out_of_docker(line: bytes) -> bytes:
    try:
        inner = json.loads(line)["log"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return line
    return inner.encode("utf-8", "replace") if isinstance(inner, str) else line
