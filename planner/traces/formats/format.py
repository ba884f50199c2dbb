"""What a format of recorded traffic is: a name, how it is recognised by content, how it is read, what the docs say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from planner.reading import opened, reading
from planner.traces.records import Recorded, Stamps
from planner.traces.tables.time_forms import DateOrder

SAMPLE_BYTES = 262_144
"""A log may begin with hundreds of lines of another kind."""


@dataclass(frozen=True)
class Sample:
    """The start of a file, decompressed, UTF-16 as UTF-8. is_whole: there is no more."""

    start: bytes
    is_whole: bool

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The lines without their ends and without a byte order mark; a line that the sample cuts is left out."""
        lines = self.start.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        if not self.is_whole and len(lines) > 1:
            lines = lines[:-1]
        return tuple(line.rstrip(b"\r") for line in lines)


def sample_of(path: Path) -> Sample:
    """Raises InputError where the file cannot be read."""
    with reading(path, str(path)), opened(path) as file:
        start = file.read(SAMPLE_BYTES + 1)
    return Sample(start[:SAMPLE_BYTES], len(start) <= SAMPLE_BYTES)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What a user may say about a file of any format. bin_s: width of its counts; dates: the order of its dates."""

    bin_s: float | None = None
    dates: DateOrder | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format. `planner.traces.formats.FORMATS` lists them in the order in which a file is held against them.

    name: as `--format` and `trace.format` take it. title, sample (lines as such a file holds them), taken and left
    (words) are the row of docs/traces.md. stamps: what a stamp names by default; None where the format alone does not
    tell, or where a row is no request. recognises: whether the start of a file looks so. read: raises InputError.
    """

    name: str
    title: str
    sample: str
    taken: str
    left: str
    stamps: Stamps | None
    recognises: Callable[[Sample], bool]
    read: Callable[[Path, ReadOptions], Recorded]
