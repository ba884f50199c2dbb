"""What the log of a scoring server tells: exceptions of the user's code, init(), workers that were killed.

Logs are read with timestamps=true. The lines are those of azureml-inference-server-http 1.5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loadtest.observe.diagnosis.reading import moment

KILLED = "Perhaps out of memory?"
"""Of gunicorn: one of its workers was ended by SIGKILL, which it did not send."""
TOO_SLOW = "WORKER TIMEOUT"
PORT = re.compile(r"Server Port: (\d+)")

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?")
_HEAD = "Traceback (most recent call last):"
_PLACE = re.compile(r'\s*File "([^"]+)", line (\d+)(?:, in (.+))?')
_LINKS = ("The above exception was the direct cause", "During handling of the above exception")
_CALLS = {"invoke_init": "init", "load_script": "import", "invoke_run": "run"}
_OWN = "azureml_inference_server_http"
MOST_LINES = 40


class Where(StrEnum):
    """What of the user's code raised."""

    INIT = "init"
    IMPORT = "import"
    RUN = "run"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, kw_only=True)
class Raised:
    """An exception with those that it led to. file, line, function: the innermost place that is no library's, if any.

    at: when the log says it.
    """

    where: Where
    exception: str
    file: str | None
    line: int | None
    function: str | None
    traceback: str
    at: datetime | None

    @property
    def sentence(self) -> str:
        within = f", in {self.function}" if self.function else ""
        place = f" ({self.file}, line {self.line}{within})" if self.file else ""
        return f"{self.exception[:300]}{place}"


def without_stamps(log: str) -> str:
    """As the container wrote it."""
    return "\n".join(_STAMP.sub("", line) for line in log.split("\n"))


def newest(log: str, words: str) -> datetime | None:
    """When these words were last logged."""
    return max((at for line in log.split("\n") if words in line and (at := _at(line))), default=None)


def last_line(log: str) -> str:
    return next((line for line in reversed(without_stamps(log).split("\n")) if line.strip()), "")


def raised_in(log: str) -> list[Raised]:
    """Exceptions in the order of the log."""
    chains: list[list[_Traceback]] = []
    for found, is_linked in _tracebacks(log.split("\n")):
        if is_linked and chains:
            chains[-1].append(found)
        else:
            chains.append([found])
    return [_raised(chain) for chain in chains]


@dataclass(frozen=True)
class _Traceback:
    lines: list[str]
    exception: str
    at: datetime | None

    @property
    def places(self) -> list[tuple[str, int, str]]:
        read = [_PLACE.match(line) for line in self.lines]
        return [(found[1], int(found[2][:9]), found[3] or "") for found in read if found]

    @property
    def is_the_servers(self) -> bool:
        """The exception that the server wraps around that of the user's code."""
        return self.exception.startswith(_OWN)


def _tracebacks(stamped: list[str]) -> list[tuple[_Traceback, bool]]:
    """Each with whether the text before it links it to the one before."""
    found: list[tuple[_Traceback, bool]] = []
    lines = [_STAMP.sub("", line).rstrip("\r") for line in stamped]
    is_linked, at = False, 0
    while at < len(lines):
        if any(lines[at].startswith(link) for link in _LINKS):
            is_linked = True
        elif lines[at].endswith(_HEAD):
            end = at + 1
            while end < len(lines) and (not lines[end] or lines[end][0] in " \t|+"):
                end += 1
            if end < len(lines):
                body = [_HEAD, *lines[at + 1 : end], lines[end]]
                found.append((_Traceback(body, lines[end].strip(), _at(stamped[at])), is_linked))
            is_linked, at = False, end
        at += 1
    return found


def _raised(chain: list[_Traceback]) -> Raised:
    users = [found for found in chain if not found.is_the_servers] or chain
    told = users[-1]
    places = [place for found in reversed(users) for place in reversed(found.places) if _is_the_users(place[0])]
    file, line, function = places[0] if places else (None, None, None)
    functions = [function for found in chain for _, _, function in found.places]
    where = next((_CALLS[function] for function in functions if function in _CALLS), "elsewhere")
    return Raised(
        where=Where(where),
        exception=told.exception,
        file=None if file is None else file.rpartition("/")[2],
        line=line,
        function=function,
        traceback=_shortened(told.lines),
        at=chain[0].at,
    )


def _is_the_users(path: str) -> bool:
    return not any(word in path for word in ("site-packages/", "dist-packages/", "/lib/python", "<"))


def _shortened(lines: list[str]) -> str:
    """The first and the last lines of a long traceback, as of a recursion."""
    kept = [line[:300] for line in lines if line.strip()]
    if len(kept) > MOST_LINES:
        half = MOST_LINES // 2
        kept = [*kept[:half], f"  … {len(kept) - MOST_LINES} more lines …", *kept[-half:]]
    return "\n".join(kept)


def _at(stamped: str) -> datetime | None:
    found = _STAMP.match(stamped)
    return moment(found[1]) if found else None
