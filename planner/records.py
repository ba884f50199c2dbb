"""Request and replica logs as Parquet files: the same schema for simulated and observed ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from planner.errors import InputError
from planner.model import CLUSTER_COLUMNS, REPLICA_COLUMNS, REQUEST_COLUMNS, ReplicaLog, RequestLog

T = TypeVar("T", RequestLog, ReplicaLog)

_FLOATS = {"scheduled_s", "sent_s", "start_s", "finish_s", "service_time_s", "time_s"}


def write_requests(path: Path, log: RequestLog, extra: Mapping[str, Any] | None = None) -> None:
    """Write a request log; `extra` adds columns of the same length (an observed run's HTTP status, say)."""
    _write(path, {name: getattr(log, name) for name in REQUEST_COLUMNS} | dict(extra or {}))


def read_requests(path: Path) -> RequestLog:
    return _checked(path, RequestLog, _read(path, REQUEST_COLUMNS))


def write_replicas(path: Path, log: ReplicaLog) -> None:
    _write(path, {name: getattr(log, name) for name in (*REPLICA_COLUMNS, *CLUSTER_COLUMNS)})


def read_replicas(path: Path) -> ReplicaLog:
    return _checked(path, ReplicaLog, _read(path, REPLICA_COLUMNS, CLUSTER_COLUMNS))


def _checked(path: Path, log: type[T], columns: dict[str, Any]) -> T:
    try:
        return log(**columns)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _write(path: Path, columns: Mapping[str, Any]) -> None:
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)


def _read(path: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    if missing := [name for name in names if name not in table.column_names]:
        raise InputError(f"{path}: column {missing[0]} is missing")
    names = (*names, *(name for name in optional if name in table.column_names))
    return {name: _column(path, table, name) for name in names}


def _column(path: Path, table: pa.Table, name: str) -> Any:
    column = table.column(name)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise InputError(f"{path}: column {name} holds {column.type}, must hold numbers")
    if name not in _FLOATS and (column.null_count or not pa.types.is_integer(column.type)):
        raise InputError(f"{path}: column {name} must hold a whole number in every row")
    return column.to_numpy().astype(np.float64 if name in _FLOATS else np.int64)
