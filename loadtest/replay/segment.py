"""The worker's record file: fixed-size binary records, appended as the run goes, readable at every moment.

A killed worker loses what it had not flushed (FLUSH_PERIOD_S) and at most one torn record, which the reader drops.
"""

from __future__ import annotations

import os
import struct
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from planner.errors import InputError
from planner.model import NO_CAUSE, NO_REPLICA, Outcome

FLUSH_PERIOD_S = 0.25
"""How long a record may stay in the worker's memory."""

UNKNOWN_NS = -1
"""In sent_ns and finish_ns: not known."""

_MAGIC = b"surgeproof segment 1\n"
_HEADER = struct.Struct("<32s64s")
_RECORD = struct.Struct("<BBBbiqqqddq")

RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("outcome", "u1"),
        ("flagged", "u1"),
        ("cause", "i1"),
        ("status", "<i4"),
        ("index", "<i8"),
        ("sent_ns", "<i8"),
        ("finish_ns", "<i8"),
        ("exec_ms", "<f8"),
        ("dispatch_s", "<f8"),
        ("replica", "<i8"),
    ]
)
"""One record. Times in nanoseconds from the start of the run; dispatch_s in seconds of the monotonic clock or NaN."""

Records = npt.NDArray[np.void]


class Kind(IntEnum):
    SENT = 1
    """A request is about to leave: index, sent_ns."""
    RESOLVED = 2
    """A request has its outcome (or never left): every field."""
    END = 3
    """The worker ended in order: index holds the `EndReason`."""


class EndReason(IntEnum):
    """Why a worker stopped."""

    COMPLETE = 0
    STOPPED = 1
    """Told to by its parent, or its parent is gone."""
    MAX_REQUESTS = 2
    UNAUTHORIZED = 3
    ENDPOINT_LOST = 4
    LOG_UNWRITABLE = 5


class SegmentWriter:
    """Appends records; they reach the file at `flush`. After `close` further records are dropped."""

    def __init__(self, path: Path, schedule_sha256: str) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        self._buffer = bytearray(_HEADER.pack(_MAGIC, schedule_sha256.encode("ascii")))
        self.flush()

    def sent(self, index: int, sent_ns: int) -> None:
        self._buffer += _RECORD.pack(Kind.SENT, 0, 0, NO_CAUSE, 0, index, sent_ns, UNKNOWN_NS, 0.0, 0.0, NO_REPLICA)

    def resolved(
        self,
        index: int,
        outcome: Outcome,
        *,
        sent_ns: int = UNKNOWN_NS,
        finish_ns: int = UNKNOWN_NS,
        status: int = 0,
        flagged: bool = False,
        exec_ms: float = float("nan"),
        dispatch_s: float = float("nan"),
        replica: int = NO_REPLICA,
        cause: int = NO_CAUSE,
    ) -> None:
        self._buffer += _RECORD.pack(
            Kind.RESOLVED, outcome, flagged, cause, status, index, sent_ns, finish_ns, exec_ms, dispatch_s, replica
        )

    def flush(self) -> None:
        """Hand everything to the operating system. Raises OSError (disk full) and keeps the unwritten records."""
        if self._fd < 0:
            self._buffer.clear()
        while self._buffer:
            written = os.write(self._fd, self._buffer)
            del self._buffer[:written]

    def close(self, reason: EndReason) -> None:
        """Write the end mark and close the file."""
        if self._fd < 0:
            return
        self._buffer += _RECORD.pack(Kind.END, 0, 0, NO_CAUSE, 0, reason, UNKNOWN_NS, UNKNOWN_NS, 0.0, 0.0, NO_REPLICA)
        try:
            self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1


class SegmentReader:
    """Reads the records that were appended since the last call."""

    def __init__(self, path: Path, schedule_sha256: str) -> None:
        self._path = path
        self._sha256 = schedule_sha256
        self._offset = 0

    def read_new(self) -> Records:
        """Whole records only, shape (m,); empty while the file does not exist yet."""
        try:
            with self._path.open("rb") as file:
                if self._offset == 0 and not self._read_header(file.read(_HEADER.size)):
                    return np.empty(0, RECORD)
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return np.empty(0, RECORD)
        whole = len(data) // RECORD.itemsize * RECORD.itemsize
        self._offset += whole
        return np.frombuffer(data[:whole], RECORD)

    def _read_header(self, header: bytes) -> bool:
        if len(header) < _HEADER.size:
            return False
        magic, sha256 = _HEADER.unpack(header)
        if magic.rstrip(b"\0") != _MAGIC:
            raise InputError(f"{self._path}: not a segment of a replay")
        if sha256.rstrip(b"\0").decode("ascii", "replace") != self._sha256:
            raise InputError(f"{self._path}: belongs to another schedule")
        self._offset = _HEADER.size
        return True


def read_segment(path: Path, schedule_sha256: str) -> Records:
    """All records of a segment."""
    return SegmentReader(path, schedule_sha256).read_new()
