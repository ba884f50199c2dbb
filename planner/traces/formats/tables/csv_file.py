"""Tables with a time in each row as CSV: single requests, counts per bin, or rates over time."""

from __future__ import annotations

from planner.traces.formats.tables.csv_format import csv_format
from planner.traces.formats.tables.own_table import (
    MONITORS_TIME_COLUMNS,
    REQUEST_COLUMNS,
    TIME_COLUMNS,
    Measured,
    measured_column,
    recorded,
)
from planner.traces.records import Stamps
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.names import Role, find, plain

_TIMES = {name.casefold() for name in (*TIME_COLUMNS, *MONITORS_TIME_COLUMNS)}


def _has_time(start: TableStart) -> bool:
    return any(plain(name) in _TIMES for name in start.header)


def _measured(start: TableStart) -> Measured | None:
    if not _has_time(start):
        return None
    try:
        if find(start.header, REQUEST_COLUMNS) is not None:
            return None
        places = [i for i, name in enumerate(start.header) if plain(name) not in _TIMES]
        cells = [[row[i] for row in start.rows if i < len(row)] for i in places]
        return measured_column([start.header[i] for i in places], cells)
    except ValueError:
        return None


def _is_role(start: TableStart, role: Role) -> bool:
    found = _measured(start)
    return found is not None and found.measure.role is role


COUNTS = csv_format(
    name="counts",
    title="Counts per bin: KQL `summarize count() by bin(...)`, Azure Monitor metrics as CSV, Surgeproof's own",
    sample='"timestamp [UTC]",count_\n"11/22/2026, 10:00:00.000 AM",60\n"11/22/2026, 10:01:00.000 AM",61',
    taken="time, requests of each bin; the rows of a bin that KQL has split are added up",
    left="other columns, rows of totals at the end, blank rows at the ends",
    stamps=None,
    matches=lambda start: _is_role(start, Role.COUNT),
    recorded=recorded,
)

RATES = csv_format(
    name="rates",
    title="Rates over time: Grafana's CSV, Surgeproof's own",
    sample='"Time","requests/s"\n2026-11-22 10:00:00,5.25\n2026-11-22 10:01:00,6.25',
    taken="time, rate (per second or minute, by the name or by the unit in the cells), held until the next stamp",
    left="other columns, rows of totals at the end, blank rows at the ends",
    stamps=None,
    matches=lambda start: _is_role(start, Role.RATE),
    recorded=recorded,
)

FORMAT = csv_format(
    name="csv",
    title="Table with a header (CSV)",
    sample="timestamp,service_time_s\n2023-11-16 18:17:03.98,0.25",
    taken="time, service time, tokens, payload; or with a column `requests` counts per bin",
    left="other columns",
    stamps=Stamps.START,
    matches=_has_time,
    recorded=recorded,
)
