"""A worker's record file: fixed-size binary records, appended as the run goes, readable at every moment.

A killed worker loses what it had not flushed (FLUSH_PERIOD_S) and at most one torn record, which the reader drops.
Worker k of n has the rows k, k + n, k + 2 n, ... of the schedule.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from loadtest.replay.in_use import mark_in_use
from planner.errors import InputError
from planner.model import NO_CAUSE, NO_REPLICA, Outcome

FLUSH_PERIOD_S = 0.25
"""How long a record may stay in the worker's memory."""

UNKNOWN_NS = -(2**63)
"""In sent_ns, finish_ns and dispatch_ns: not known. A send may be early by some microseconds, never by all of this."""

_MAGIC = b"surgeproof segment 2\n"
_HEADER = struct.Struct("<32s64sII")
_RECORD = struct.Struct("<BBBbhHqqqdqq")

RECORD = np.dtype(
    [
        ("kind", "u1"),
        ("outcome", "u1"),
        ("flagged", "u1"),
        ("cause", "i1"),
        ("status", "<i2"),
        ("attempt", "<u2"),
        ("index", "<i8"),
        ("sent_ns", "<i8"),
        ("finish_ns", "<i8"),
        ("exec_ms", "<f8"),
        ("dispatch_ns", "<i8"),
        ("replica", "<i8"),
    ]
)
"""One record. Times in nanoseconds from the start of the run. attempt: 0, or the number of a client's retry."""

Records = npt.NDArray[np.void]


class Kind(IntEnum):
    SENT = 1
    """A request is about to leave: index, sent_ns, attempt."""
    RESOLVED = 2
    """A request has its outcome (or never left): every field."""
    END = 3
    """The worker ended in order: index holds the `EndReason`."""
    NOTE = 4
    """Something odd on the worker's machine: index holds the `Note`, sent_ns its time, finish_ns how long it was."""


class EndReason(IntEnum):
    """Why a worker stopped."""

    COMPLETE = 0
    STOPPED = 1
    """Told to, or who told it what to do is gone."""
    MAX_REQUESTS = 2
    UNAUTHORIZED = 3
    ENDPOINT_LOST = 4
    LOG_UNWRITABLE = 5
    ERROR_RATE = 6
    CRASHED = 7


class Note(IntEnum):
    """What a worker noticed about its own machine."""

    CLOCK_STEP = 0
    """The wall clock was set while the monotonic one went on."""
    STALL = 1
    """The process stood still."""


class Broken(IntEnum):
    """What is to blame for a request without a whole answer; `status` holds its negative."""

    CLOSED = 1
    REFUSED = 2
    RESET = 3
    UNREACHABLE = 4
    CERTIFICATE = 5
    TLS = 6
    NO_DESCRIPTOR = 7
    NO_PORT = 8
    OTHER = 9
    TOO_LONG = 10

    @property
    def words(self) -> str:
        return _BROKEN_WORDS[self]


_BROKEN_WORDS = {
    Broken.CLOSED: "connection closed before the answer",
    Broken.REFUSED: "connection refused",
    Broken.RESET: "connection reset",
    Broken.UNREACHABLE: "endpoint unreachable",
    Broken.CERTIFICATE: "TLS certificate refused",
    Broken.TLS: "TLS failed",
    Broken.NO_DESCRIPTOR: "no file descriptor left on this machine",
    Broken.NO_PORT: "no port left on this machine",
    Broken.OTHER: "connection error",
    Broken.TOO_LONG: "answer without end",
}


class SegmentWriter:
    """Appends records; they and the header reach the file at `flush`. After `close` further records are dropped."""

    def __init__(self, path: Path, schedule_sha256: str, worker: int = 0, workers: int = 1) -> None:
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        mark_in_use(self._fd)
        self._buffer = bytearray(header(schedule_sha256, worker, workers))

    def sent(self, index: int, sent_ns: int, attempt: int = 0) -> None:
        self._buffer += _RECORD.pack(
            _SENT, 0, 0, NO_CAUSE, 0, attempt, index, sent_ns, UNKNOWN_NS, 0.0, UNKNOWN_NS, NO_REPLICA
        )

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
        dispatch_ns: int = UNKNOWN_NS,
        replica: int = NO_REPLICA,
        cause: int = NO_CAUSE,
        attempt: int = 0,
    ) -> None:
        self._buffer += _RECORD.pack(
            _RESOLVED,
            outcome,
            flagged,
            cause,
            status,
            attempt,
            index,
            sent_ns,
            finish_ns,
            exec_ms,
            dispatch_ns,
            replica,
        )

    def note(self, note: Note, at_ns: int, lasted_ns: int) -> None:
        self._buffer += _RECORD.pack(
            Kind.NOTE, 0, 0, NO_CAUSE, 0, 0, note, at_ns, lasted_ns, 0.0, UNKNOWN_NS, NO_REPLICA
        )

    def flush(self) -> bytes:
        """Hand all to the operating system and return it. Raises OSError (disk full) and keeps what is unwritten."""
        if self._fd < 0:
            self._buffer.clear()
        handed = bytes(self._buffer)
        while self._buffer:
            written = os.write(self._fd, self._buffer)
            del self._buffer[:written]
        return handed

    def close(self, reason: EndReason) -> bytes:
        """Write the end mark and close the file; returns what `flush` does."""
        if self._fd < 0:
            return b""
        self._buffer += _RECORD.pack(
            Kind.END, 0, 0, NO_CAUSE, 0, 0, reason, UNKNOWN_NS, UNKNOWN_NS, 0.0, UNKNOWN_NS, NO_REPLICA
        )
        try:
            return self.flush()
        finally:
            os.close(self._fd)
            self._fd = -1


_SENT, _RESOLVED = int(Kind.SENT), int(Kind.RESOLVED)


def header(schedule_sha256: str, worker: int, workers: int) -> bytes:
    return _HEADER.pack(_MAGIC, schedule_sha256.encode("ascii"), worker, workers)


class SegmentReader:
    """Reads the records that were appended since the last call."""

    def __init__(self, path: Path, schedule_sha256: str) -> None:
        self._path = path
        self._sha256 = schedule_sha256
        self._offset = 0
        self.worker = 0
        self.workers = 1

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

    def _read_header(self, head: bytes) -> bool:
        if len(head) < _HEADER.size:
            return False
        magic, sha256, self.worker, self.workers = _HEADER.unpack(head)
        if magic.rstrip(b"\0") != _MAGIC:
            raise InputError(f"{self._path}: not a segment of a replay")
        if sha256.rstrip(b"\0").decode("ascii", "replace") != self._sha256:
            raise InputError(f"{self._path}: belongs to another schedule")
        if not self.worker < self.workers:
            raise InputError(f"{self._path}: names worker {self.worker} of {self.workers}")
        self._offset = _HEADER.size
        return True


@dataclass(frozen=True)
class Segment:
    """All records of one worker."""

    worker: int
    workers: int
    records: Records


def read_segment(path: Path, schedule_sha256: str) -> Segment:
    reader = SegmentReader(path, schedule_sha256)
    records = reader.read_new()
    return Segment(reader.worker, reader.workers, records)
