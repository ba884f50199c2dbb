"""Reading a log of requests line by line: what the lines of any format have in common."""

from __future__ import annotations

import codecs
import itertools
import math
import re
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from planner.errors import InputError
from planner.model import FloatArray
from planner.percent import percent
from planner.reading import opened, reading
from planner.traces.choosing import cut_text
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.logs.wrappers import unwrapping
from planner.traces.records import Categories, Recorded, Requests, Skipped, Stamps

LONGEST_LINE = 65_536
"""Bytes. Servers refuse requests that could fill more."""

MOST_FOREIGN = 0.05
"""Of the lines. A file with more is in another format, and what was left out could be most of its requests."""

NOT_SAID = math.nan

_AT_ONCE = 8192
"""Lines."""

_COMPARED = 256
"""Requests before the last line, whose form it must have to be whole where it does not end."""


class Entry(NamedTuple):
    """One line. stamp_s: seconds since 2020 (UTC); an empty text: the line does not say.

    unread: what stands in the place of a time and is none.
    """

    stamp_s: float
    utc_offset_s: float
    has_fraction: bool
    method: bytes = b""
    path: bytes = b""
    status: bytes = b""
    agent: bytes = b""
    duration_s: float = NOT_SAID
    service_time_s: float = NOT_SAID
    unread: bytes = b""


new_entry: Callable[[type[Entry], tuple[object, ...]], Entry] = tuple.__new__
"""An `Entry` of all its values, in half the time that its own constructor takes."""

Parse = Callable[[bytes], Entry | None]


def no_other(line: bytes) -> bool:
    """For logs in which only requests belong."""
    return False


@dataclass(frozen=True, kw_only=True)
class LogForm:
    """How the lines of one format are read.

    name: in words, for messages. parse: a line, or None for no request. is_other: whether a line that is no request
    belongs in such a log all the same; is_servers_own: whether a server wrote it of itself, which is counted and said.
    service_time_of: where the service times come from, if they may hold waiting;
    duration_of: the same where no line states one, so that the durations stand for them. own: what the format's own
    lines alone pass, where `parse` takes others too. ends_itself: a line that is cut is never taken for a request.
    """

    name: str
    parse: Parse
    stamps: Stamps | None
    is_other: Callable[[bytes], bool] = no_other
    is_servers_own: Callable[[bytes], bool] = no_other
    service_time_of: str = ""
    duration_of: str = ""
    own: Parse | None = None
    ends_itself: bool = False


def holds(sample: Sample, parse: Parse) -> bool:
    """Whether some line of a sample is a request."""
    strip = unwrapping(sample.lines)
    return any(parse(line if strip is None else strip(line)) for line in sample.lines if len(line) <= LONGEST_LINE)


def read_lines(path: Path, form: LogForm) -> Requests:
    """Every request of a log. Lines that hold none are counted; too many are refused, with the first."""
    reader = _Reader(form)
    with reading(path, str(path)), opened(path) as file:
        readline = partial(file.readline, LONGEST_LINE + 1)
        first = list(itertools.islice(iter(readline, b""), 8))
        first[:1] = [line.removeprefix(codecs.BOM_UTF8) for line in first[:1]]
        lines: Iterable[bytes] = itertools.chain(first, iter(readline, b""))
        if (strip := unwrapping(first)) is not None:
            lines = map(strip, lines)
        while reader.take(itertools.islice(lines, _AT_ONCE)):
            pass
    reader.check(path)
    return reader.requests()


def log_format(form: LogForm, *, name: str, title: str, sample: str, taken: str, left: str) -> Format:
    """The format of the logs that `form` reads."""
    return Format(
        name=name,
        title=title,
        sample=sample,
        taken=taken,
        left=left,
        stamps=form.stamps,
        recognises=partial(holds, parse=form.own or form.parse),
        read=partial(_read, form),
    )


def _read(form: LogForm, path: Path, options: ReadOptions) -> Recorded:
    return read_lines(path, form)


_OF_SERVERS = re.compile(
    rb"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\]"  # klog, as controllers of Kubernetes write
    rb"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]+\] \d+#\d+:"  # nginx's error log
    rb"|\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d\.\d+ \d{4}\] \[[\w:]+\]"  # Apache's error log
    rb"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [-+]\d{4}\] \[\d+\] \[[A-Z]+\]"  # gunicorn's error log
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z] \[\d+\] [\w.]+ - "  # the scoring server of Azure ML
    rb"|\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\]\[\d+\]\[[a-z]+\]"  # Envoy
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\t(?:debug|info|warn|error|fatal)\t"  # istio-proxy
    rb"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?\t[A-Z]+\t"  # Caddy
    rb'|time="[^"]{10,40}" level=[a-z]+ '  # Traefik 2
    rb"|\d{4}-\d\d-\d\dT\S{8,24} (?:DBG|INF|WRN|ERR|FTL) "  # Traefik 3
    rb"|-+\s*$|#"
)
"""Lines that servers write between those of their requests."""


@dataclass
class _Interned:
    """Texts as numbers: a log repeats a few of them in every line."""

    codes: array[int] = field(default_factory=lambda: array("q"))
    numbers: dict[bytes, int] = field(default_factory=lambda: {b"": -1})

    def extend(self, texts: Sequence[bytes]) -> None:
        for text in set(texts) - self.numbers.keys():
            self.numbers[text] = len(self.numbers) - 1
        self.codes.extend(map(self.numbers.__getitem__, texts))

    def categories(self) -> Categories | None:
        """None where no line says anything. Names in the order of the first request that has each."""
        if len(self.numbers) == 1:
            return None
        codes = np.array(self.codes, dtype=np.int64)
        names = [name.decode("utf-8", "replace") for name in self.numbers if name]
        found, first = np.unique(codes[codes >= 0], return_index=True)
        order = found[np.argsort(first, kind="stable")]
        place = np.full(len(names) + 1, -1)
        place[order] = np.arange(len(order))
        return Categories(place[codes], tuple(names[i] for i in order))


class _Reader:
    """What has been read so far; a line at a time, because logs are large.

    foreign: lines that are no request; unexpected: those of them that no server writes between its requests.
    """

    def __init__(self, form: LogForm) -> None:
        self.form = form
        self.stamps_s, self.offsets_s = array("d"), array("d")
        self.durations_s, self.service_times_s = array("d"), array("d")
        self.methods, self.paths, self.statuses, self.agents = (_Interned() for _ in range(4))
        self.has_fractions = False
        self.recent: deque[bytes] = deque(maxlen=_COMPARED)
        self.unread, self.first_unread = 0, (0, b"")
        self.number = self.foreign = self.unexpected = 0
        self.first_foreign = self.first_unexpected = self.last_unexpected = (0, b"")

    @property
    def lines(self) -> int:
        return len(self.stamps_s) + self.foreign

    def take(self, lines: Iterable[bytes]) -> bool:
        """Some thousand lines, put into columns at once, which takes a third of the time; whether there were any."""
        parse, entries, before = self.form.parse, [], self.number
        number = before
        for number, line in enumerate(lines, before + 1):
            entry = parse(line) if len(line) <= LONGEST_LINE else None
            if entry is None or (line[-1:] != b"\n" and self._is_cut(line)):
                self._leave(number, line)
                continue
            entries.append(entry)
            self.recent.append(line)
            if entry.unread:
                self.first_unread = self.first_unread if self.unread else (number, entry.unread)
                self.unread += 1
        self.number = number
        if entries:
            self._add(entries)
        return self.number > before

    def _add(self, entries: list[Entry]) -> None:
        stamps_s, offsets_s, fractions, methods, paths, statuses, agents, durations_s, services_s, _ = zip(
            *entries, strict=True
        )
        self.stamps_s.extend(stamps_s)
        self.offsets_s.extend(offsets_s)
        self.durations_s.extend(durations_s)
        self.service_times_s.extend(services_s)
        self.has_fractions |= any(fractions)
        self.methods.extend(methods)
        self.paths.extend(paths)
        self.statuses.extend(statuses)
        self.agents.extend(agents)

    def _is_cut(self, line: bytes) -> bool:
        """Of a line without an end, which only the last one of a file can be."""
        own = self.form.own
        if self.form.ends_itself or not self.recent:
            return False
        if own is not None and any(map(own, self.recent)):
            return not own(line)
        return is_less(line, self.recent)

    def _leave(self, number: int, line: bytes) -> None:
        if not line.strip() or self.form.is_other(line):
            return
        here = (number, line)
        self.first_foreign = self.first_foreign if self.foreign else here
        self.foreign += 1
        if not (_OF_SERVERS.match(line) or self.form.is_servers_own(line)):
            self.first_unexpected = self.first_unexpected if self.unexpected else here
            self.last_unexpected = here
            self.unexpected += 1

    def check(self, path: Path) -> None:
        """Raises InputError where the file is not what its form says. Its first and last line may be cut."""
        cut = len({self.first_unexpected[0], self.last_unexpected[0]} & {1, self.number})
        if self.unexpected - cut > MOST_FOREIGN * self.lines or (self.foreign and not self.stamps_s):
            number, line = self.first_unexpected if self.unexpected else self.first_foreign
            raise InputError(
                f"{path}: line {number} is not in the {self.form.name} ({line_text(line)}); {self.foreign} of "
                f"{self.lines} lines are not, at most {percent(MOST_FOREIGN)} are left out "
                "(`format` names another format)"
            )
        if not self.stamps_s:
            raise InputError(f"{path}: no request in the log")

    def requests(self) -> Requests:
        stamp_s = np.array(self.stamps_s)
        number, line = self.first_foreign
        left = Skipped(lines=self.foreign, of_lines=self.lines, first_line=number, first_text=line_text(line))
        return Requests(
            stamp_s=stamp_s,
            utc_offset_s=self.offsets_s[int(np.argmin(stamp_s))],
            resolution_s=0.0 if self.has_fractions else 1.0,
            stamps=self.form.stamps,
            duration_s=_said(self.durations_s),
            service_time_s=_said(self.service_times_s),
            service_time_of=self._service_time_of(),
            method=self.methods.categories(),
            path=self.paths.categories(),
            status=self.statuses.categories(),
            agent=self.agents.categories(),
            skipped=left if self.foreign else None,
            notes=self._notes(),
        )

    def _service_time_of(self) -> str:
        is_stated = not np.isnan(np.array(self.service_times_s)).all()
        return self.form.service_time_of if is_stated else self.form.duration_of or self.form.service_time_of

    def _notes(self) -> tuple[str, ...]:
        if not self.unread:
            return ()
        number, text = self.first_unread
        many = f"{self.unread:,} of {len(self.stamps_s):,} requests have a time that is not read"
        return (f"{many}, the first is in line {number} ({line_text(text)}); seconds, ms, us and ns are read",)


_PIECE = re.compile(rb'"[^"]*"|\[[^\]]*\]|\{[^}]*\}|[^\s"]+')
_LAST_DECIMALS = re.compile(rb"\.(\d+)[a-z]*\s*$")


def is_less(line: bytes, others: Iterable[bytes]) -> bool:
    """Whether a line has an open quote, fewer pieces or fewer decimals at its end than every one of some others."""
    return any(
        part < min(parts) for part, parts in zip(_extent(line), zip(*map(_extent, others), strict=True), strict=True)
    )


def _extent(line: bytes) -> tuple[bool, int, int]:
    decimals = _LAST_DECIMALS.search(line[-40:])
    return line.count(b'"') % 2 == 0, len(_PIECE.findall(line)), len(decimals[1]) if decimals else 0


def _said(values: array[float]) -> FloatArray | None:
    column = np.array(values)
    return None if np.isnan(column).all() else column


def line_text(line: bytes) -> str:
    """A line as a message shows it, cut to 60 characters."""
    return cut_text(line[:200].decode("utf-8", "replace"))
