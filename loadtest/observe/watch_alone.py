"""The observer without a replay: watches until it is stopped and leaves a folder."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.observe.observer import ClusterObserver, connect
from loadtest.observe.record import ROW_COLUMNS, Line, cluster_document, replica_rows
from loadtest.observe.target import ClusterTarget
from planner.errors import InputError
from planner.folders import new_folder
from planner.model import ReplicaLog
from planner.records import write_replicas

REPLICAS = "replicas.parquet"


def observe_until_stopped(
    target: ClusterTarget, out: Path | None, for_s: float | None, on_line: Callable[[Line], object]
) -> dict[str, Any]:
    """Watch until Ctrl-C, SIGTERM or the end of for_s; the document of the command."""
    connection = connect(target)
    name = str(connection.deployment["metadata"]["name"])
    folder = new_folder(name, out)
    observer = ClusterObserver(connection, folder, on_line=on_line)
    with _stop_signals() as stop:
        began_s = time.monotonic()
        observer.start()
        stop.wait(for_s)
        observed_s = time.monotonic() - began_s
        observer.stop()
    document = cluster_document(observer.lines, began_s) or {}
    log = _replica_log(observer.lines, began_s)
    try:
        write_replicas(folder / REPLICAS, log)
    except OSError as error:
        raise InputError(f"{folder / REPLICAS}: cannot be written ({error.strerror or error})") from None
    return {
        "command": "observe",
        "observed_s": observed_s,
        "replicas": {name: int(getattr(log, name)[-1]) for name in ROW_COLUMNS if getattr(log, name)[-1] >= 0},
        "changes": len(log),
        **document,
        "run": str(folder),
    }


@contextlib.contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _replica_log(lines: list[Line], zero_s: float) -> ReplicaLog:
    table = np.array(sorted(replica_rows(lines)), dtype=np.float64)
    columns = {name: table[:, 1 + i].astype(np.int64) for i, name in enumerate(ROW_COLUMNS)}
    return ReplicaLog(time_s=np.maximum(table[:, 0] - zero_s, 0.0), **columns)
