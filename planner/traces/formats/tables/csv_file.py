"""Surgeproof's own tables as CSV: their header names what each column holds."""

from __future__ import annotations

import csv
from pathlib import Path

from planner.traces.columns import csv_columns
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.tables.own_table import TIME_COLUMNS, WANTED, recorded
from planner.traces.records import Recorded, Stamps


def _recognises(sample: Sample) -> bool:
    header = next((line for line in sample.lines if line.strip()), b"").decode("utf-8", "replace")
    try:
        names = {name.strip() for name in next(csv.reader([header]), [])}
    except csv.Error:
        return False
    return not names.isdisjoint(TIME_COLUMNS)


def _read(path: Path, options: ReadOptions) -> Recorded:
    return recorded(csv_columns(path, WANTED), options)


FORMAT = Format(
    name="csv",
    title="Table with a header (CSV)",
    sample="timestamp,service_time_s\n2023-11-16 18:17:03.98,0.25",
    taken="time, service time, tokens, payload; or with a column `requests` counts per bin",
    left="other columns",
    stamps=Stamps.START,
    recognises=_recognises,
    read=_read,
)
