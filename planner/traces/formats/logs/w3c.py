"""W3C extended logs, whose #Fields line names the columns: IIS, and with tabs Amazon CloudFront.

    #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status time-taken
    2026-11-22 10:00:00 10.0.0.4 POST /score - 443 10.0.0.9 curl/8.0 200 220

Times are UTC. IIS writes a line when the request is over, and that is the time it carries. Pages that a browser asked
for one after the other would otherwise overlap (serverfault and Stack Overflow, "what does the time field in the log
indicate exactly"). CloudFront's time is when the answer was finished. time-taken runs from the first byte of the
request to the last of the answer, in milliseconds in IIS (learn.microsoft.com/troubleshoot/developer/webapps/iis/
health-diagnostic-performance/http-time-taken-iis), in seconds with decimals in CloudFront.
"""

from __future__ import annotations

from pathlib import Path

from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.logs.lines import NOT_SAID, Entry, LogForm, holds, read_lines
from planner.traces.formats.logs.stamps import iso_moment, path_of, seconds
from planner.traces.records import Recorded, Stamps

_TIME, _METHOD, _STEM, _STATUS, _AGENT, _TAKEN = (
    b"time",
    b"cs-method",
    b"cs-uri-stem",
    b"sc-status",
    b"cs(user-agent)",
    b"time-taken",
)


class _Reader:
    """Knows the fields that the last #Fields line named, and the date that #Date gave."""

    def __init__(self) -> None:
        self.fields: dict[bytes, int] = {}
        self.count = 0
        self.date = b""

    def parse(self, line: bytes) -> Entry | None:
        if line.startswith(b"#"):
            self._directive(line)
            return None
        line = line.rstrip(b"\r\n")
        cells = line.split(b"\t") if b"\t" in line else line.split(b" ")
        if len(cells) != self.count or _TIME not in self.fields:
            return None
        date = cells[self.fields[b"date"]] if b"date" in self.fields else self.date
        moment = iso_moment(date + b" " + cells[self.fields[_TIME]])
        if moment is None:
            return None
        method, stem, status, agent, taken = (
            self._cell(cells, name) for name in (_METHOD, _STEM, _STATUS, _AGENT, _TAKEN)
        )
        duration_s = seconds(taken, 1.0 if b"." in taken else 1e-3) if taken else NOT_SAID
        return Entry(*moment, method, path_of(stem), status, agent.replace(b"+", b" "), duration_s)

    def _cell(self, cells: list[bytes], name: bytes) -> bytes:
        place = self.fields.get(name)
        return b"" if place is None or cells[place] == b"-" else cells[place]

    def _directive(self, line: bytes) -> None:
        name, _, value = line[1:].partition(b":")
        if name.lower() == b"fields":
            names = value.lower().split()
            self.count = len(names)
            self.fields = {name: place for place, name in enumerate(names)}
        elif name.lower() == b"date":
            self.date = value.strip()[:10]


def _is_directive(line: bytes) -> bool:
    return line.startswith(b"#")


def _recognises(sample: Sample) -> bool:
    reader = _Reader()
    return any(line.startswith(b"#") for line in sample.lines[:20]) and holds(sample, reader.parse)


def _read(path: Path, options: ReadOptions) -> Recorded:
    form = LogForm(
        name="W3C extended log format that its #Fields line names",
        parse=_Reader().parse,
        stamps=Stamps.END,
        is_other=_is_directive,
        service_time_of="time-taken",
        ends_itself=True,
    )
    return read_lines(path, form)


FORMAT = Format(
    name="w3c",
    title="W3C extended log (IIS, Amazon CloudFront)",
    sample="#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent) sc-status "
    "time-taken\n"
    "2026-11-22 10:00:00 10.0.0.4 POST /score - 443 10.0.0.9 curl/8.0 200 220",
    taken="date, time, cs-method, cs-uri-stem, sc-status, cs(User-Agent), time-taken",
    left="other fields",
    stamps=Stamps.END,
    recognises=_recognises,
    read=_read,
)
