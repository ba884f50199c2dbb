"""Surgeproof's own tables as Parquet, with the columns of the CSV."""

from __future__ import annotations

from pathlib import Path

from planner.traces.formats.format import Format, ReadOptions, Sample
from planner.traces.formats.tables.own_table import recorded
from planner.traces.records import Recorded, Stamps
from planner.traces.tables.parquet_table import parquet_table


def _recognises(sample: Sample) -> bool:
    return sample.start.startswith(b"PAR1")


def _read(path: Path, options: ReadOptions) -> Recorded:
    return recorded(parquet_table(path), options)


FORMAT = Format(
    name="parquet",
    title="Table (Parquet)",
    sample="(binary) timestamp, service_time_s",
    taken="as from CSV",
    left="other columns",
    stamps=Stamps.START,
    recognises=_recognises,
    read=_read,
)
