"""Locust's history of its statistics (`..._stats_history.csv`): requests per second over time.

Requests/s of the row Aggregated is an average over the 10 s before, of requests that ended, failed ones among them.
"""

from __future__ import annotations

from planner.errors import InputError
from planner.traces.formats.format import ReadOptions
from planner.traces.formats.tables.csv_format import csv_format, has
from planner.traces.rate_steps import rates_of, steps
from planner.traces.records import Recorded
from planner.traces.tables.csv_table import TableStart
from planner.traces.tables.table import Table

_OF_ALL = ("Aggregated", "Total")

AVERAGED_S = 10.0
"""Over so long Locust averages; it may skip a second between two rows."""


def _matches(start: TableStart) -> bool:
    return has(start, "timestamp", "name", "requests/s", "failures/s")


def recorded(table: Table, options: ReadOptions) -> Recorded:
    """The rate of all requests together."""
    time, name, rate = (table.find(column) for column in ("Timestamp", "Name", "Requests/s"))
    if time is None or name is None or rate is None:
        raise InputError(f"{table.path}: no columns Timestamp, Name and Requests/s in the header")
    columns = table.read([time, name, rate])
    chosen = [i for i, text in enumerate(columns.values[name]) if str(text).strip() in _OF_ALL]
    if not chosen:
        raise InputError(f"{table.path}: no row whose Name is Aggregated")
    columns = columns.rows(chosen)
    stamps = columns.stamps(time, options.dates)
    return steps(
        columns,
        time,
        stamp_s=stamps.stamp_s,
        rate_rps=rates_of(columns, rate, 1.0),
        utc_offset_s=stamps.utc_offset_s,
        bin_s=options.bin_s,
        known_for_s=AVERAGED_S,
        notes=("Locust averages Requests/s over the 10 s before each row",),
    )


FORMAT = csv_format(
    name="locust_history",
    title="Locust statistics history (CSV)",
    sample="Timestamp,User Count,Type,Name,Requests/s,Failures/s\n1795341600,10,,Aggregated,5.0,0.0",
    taken="time and Requests/s of the rows Aggregated, held until the next row",
    left="rows of single names, failures, response times, users",
    stamps=None,
    matches=_matches,
    recorded=recorded,
)
