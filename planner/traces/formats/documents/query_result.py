"""Answers of a KQL query as JSON: `az monitor app-insights query`, `az monitor log-analytics query`, the REST API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.traces.formats.documents.document import begins_with_key, document_of, objects
from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.tables import app_insights, own_table, traffic_log
from planner.traces.records import Recorded
from planner.traces.tables.names import plain, shown
from planner.traces.tables.table import Table, of_rows


def _recognises(sample: Sample) -> bool:
    return begins_with_key(sample, b"tables", b"columns") or begins_with_key(sample, b"TableName")


def _read(path: Path, options: ReadOptions) -> Recorded:
    table = _table(path, document_of(path))
    names = {plain(name) for name in table.header}
    if {"totaldurationms", "responsecode"} <= names:
        return traffic_log.recorded(table, options)
    if "resultcode" in names and names & {"duration", "durationms"}:
        return app_insights.recorded(table, options)
    return own_table.recorded(table, options)


def _table(path: Path, document: Any) -> Table:
    """The first table of the answer, its cells as text where they are not numbers."""
    if isinstance(document, list):
        rows = objects(document, path, "the answer")
        header = tuple(name for name in (rows[0] if rows else {}) if name != "TableName")
        return of_rows(path, header, [[row.get(name) for name in header] for row in rows])
    tables = objects(document.get("tables") if isinstance(document, dict) else None, path, "tables")
    if not tables:
        raise InputError(f"{path}: the answer holds no table")
    header = tuple(str(column.get("name")) for column in objects(tables[0].get("columns"), path, "columns"))
    rows_of = tables[0].get("rows")
    if not isinstance(rows_of, list) or not all(isinstance(row, list) and len(row) == len(header) for row in rows_of):
        raise InputError(f"{path}: rows must be lists as long as the columns ({shown(header)})")
    return of_rows(path, header, rows_of)


FORMAT = Format(
    name="kql_json",
    title="Answer of a KQL query (JSON of `az monitor ... query`)",
    sample='{"tables": [{"name": "PrimaryResult", "columns": [{"name": "timestamp"}, {"name": "count_"}], "rows": '
    '[["2026-11-22T10:00:00Z", 60], ["2026-11-22T10:01:00Z", 61]]}]}',
    taken="as from CSV: requests, the traffic log, or counts per bin",
    left="other columns, other tables",
    stamps=None,
    recognises=_recognises,
    read=_read,
)
