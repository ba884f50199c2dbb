"""Python tracebacks in the log of a scoring server."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d) ?", re.M)
_TRACEBACK = re.compile(
    r"Traceback \(most recent call last\):\n((?:[ \t].*\n|\n|\S*\^\S*\n)*?)(\w[\w.]*(?:: .*)?)$", re.M
)
_PLACE = re.compile(r'File "([^"]+)", line (\d+), in (.+)')

INIT_FAILED = "User's init function failed"


@dataclass(frozen=True)
class Traceback:
    """exception: its last line. file, line, function: the innermost place in the user's own code, if there is one."""

    text: str
    exception: str
    file: str | None
    line: int | None
    function: str | None

    @property
    def sentence(self) -> str:
        place = f" ({self.file}, line {self.line}, in {self.function})" if self.file else ""
        return f"{self.exception}{place}"


def without_stamps(log: str) -> str:
    """A log read with timestamps=true, as the container wrote it."""
    return _STAMP.sub("", log)


def tracebacks(log: str) -> list[Traceback]:
    """Oldest first; log as the container wrote it."""
    text = re.sub(r"^.*?(?=Traceback \(most recent call last\):)", "", log, flags=re.M)
    return [_read(found) for found in _TRACEBACK.finditer(text)]


def in_user_code(log: str) -> list[Traceback]:
    """Those that end in the user's own code: the server wraps each into an exception of its own, which says less."""
    return [traceback for traceback in tracebacks(log) if traceback.file is not None]


def _read(found: re.Match[str]) -> Traceback:
    places = _PLACE.findall(found[1])
    own = [p for p in places if "site-packages" not in p[0] and "/lib/python" not in p[0] and not p[0].startswith("<")]
    file, line, function = own[-1] if own else (None, None, None)
    return Traceback(
        text=found[0],
        exception=found[2],
        file=None if file is None else file.rpartition("/")[2],
        line=None if line is None else int(line),
        function=function,
    )
