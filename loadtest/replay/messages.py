"""The words that the coordinator (Locust's master) and the agents (its workers) exchange, as Locust's own messages.

A worker is told what to send and when; it needs no file beforehand. Secrets never travel this way.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any

CHUNK_BYTES = 256 * 1024
"""How much of a file one message carries."""


class ToWorker(StrEnum):
    PING = "surgeproof_ping"
    """{number}: answered at once with the worker's clock."""
    ARM = "surgeproof_arm"
    """{orders, worker, workers}: the document of `Orders`, and which share of it."""
    FILE = "surgeproof_file"
    """{name, offset, size, data}: a part of a file that the worker has asked for."""
    START = "surgeproof_start"
    """{start_ns}: T0 on the worker's own monotonic clock."""
    BEAT = "surgeproof_beat"
    """{}: the master is there. A worker that hears nothing for a while stops."""
    STOP = "surgeproof_stop"
    DONE = "surgeproof_done"
    """{}: what was measured is safe; the worker's own copy may go."""


class ToMaster(StrEnum):
    PONG = "surgeproof_pong"
    """{number, monotonic_ns}"""
    NEED = "surgeproof_need"
    """{name}: a file that this machine does not have."""
    ARMED = "surgeproof_armed"
    """{pid, host, sockets_warmed, max_in_flight, …}"""
    REFUSED = "surgeproof_refused"
    """{problem}"""
    RECORDS = "surgeproof_records"
    """{data}: what was appended to the segment on another machine; empty where the master sees the segment itself."""
    ENDED = "surgeproof_ended"
    """{ended, problem, connections_opened, …}"""


SCHEDULE_FILE, PAYLOADS_FILE = "schedule.parquet", "payloads.parquet"


def chunks(path: Path) -> list[dict[str, Any]]:
    """The FILE messages that carry a file."""
    data = path.read_bytes()
    starts = range(0, max(1, len(data)), CHUNK_BYTES)
    return [{"name": path.name, "offset": i, "size": len(data), "data": data[i : i + CHUNK_BYTES]} for i in starts]
