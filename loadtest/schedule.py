"""The schedule of a replay: when each request is to be sent. Built once, hashed, verified by whoever reads it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from planner.errors import InputError
from planner.model import FloatArray, IntArray
from planner.scenario import Scenario
from planner.workload import arrival_times, service_times

REPLICATE = 0
"""The replicate of the scenario that is replayed."""

_COLUMNS = ("request", "offset_ns", "service_time_s")
_HASH_KEY = b"surgeproof_sha256"
_DURATION_KEY = b"surgeproof_duration_ns"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Planned requests: row i is sent offset_ns[i] nanoseconds after the start and takes service_time_s[i] of work.

    offset_ns: int64, sorted, in [0, duration_ns); service_time_s: seconds. Both shape (n,).
    """

    offset_ns: IntArray
    service_time_s: FloatArray
    duration_ns: int

    def __post_init__(self) -> None:
        if len(self.offset_ns) != len(self.service_time_s):
            raise ValueError(f"{len(self.offset_ns)} offsets but {len(self.service_time_s)} service times")
        if len(bad := np.flatnonzero(np.diff(self.offset_ns) < 0)):
            raise ValueError(f"offset_ns[{bad[0] + 1}] comes before offset_ns[{bad[0]}]")
        if len(self) and not 0 <= int(self.offset_ns[0]) <= int(self.offset_ns[-1]) <= self.duration_ns:
            raise ValueError(f"offsets must lie in [0, {self.duration_ns}] ns")
        for values in (self.offset_ns, self.service_time_s):
            values.flags.writeable = False

    def __len__(self) -> int:
        return len(self.offset_ns)

    @property
    def scheduled_s(self) -> FloatArray:
        """Planned send times in seconds from the start, shape (n,)."""
        return np.asarray(self.offset_ns / 1e9)

    @property
    def duration_s(self) -> float:
        return self.duration_ns / 1e9

    @property
    def sha256(self) -> str:
        """Hash of the content: row count, duration, offsets and service times, little-endian."""
        digest = hashlib.sha256(f"surgeproof schedule 1: {len(self)} rows, {self.duration_ns} ns\n".encode())
        digest.update(self.offset_ns.astype("<i8").tobytes())
        digest.update(self.service_time_s.astype("<f8").tobytes())
        return digest.hexdigest()

    @property
    def peak_rate_rps(self) -> float:
        """The largest number of requests in any window of one second."""
        ends = np.searchsorted(self.offset_ns, self.offset_ns + 1_000_000_000, side="left")
        return float(np.max(ends - np.arange(len(self)), initial=0))


def build_schedule(scenario: Scenario) -> Schedule:
    """The schedule of one scenario: replicate 0 of its seed, to the nanosecond."""
    arrivals_s = arrival_times(scenario, REPLICATE)
    if len(arrivals_s) == 0:
        raise InputError(f"scenario {scenario.name}: plans no request in {scenario.duration_s:g} s, nothing to replay")
    return Schedule(
        offset_ns=np.floor(arrivals_s * 1e9).astype(np.int64),
        service_time_s=np.array(service_times(scenario, REPLICATE, len(arrivals_s)), dtype=np.float64),
        duration_ns=round(scenario.duration_s * 1e9),
    )


def write_schedule(path: Path, schedule: Schedule) -> None:
    table = pa.table(
        {
            "request": np.arange(len(schedule), dtype=np.int64),
            "offset_ns": schedule.offset_ns,
            "service_time_s": schedule.service_time_s,
        }
    )
    metadata = {_HASH_KEY: schedule.sha256.encode(), _DURATION_KEY: str(schedule.duration_ns).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def read_schedule(path: Path) -> Schedule:
    """Read a schedule and check its hash; a file that was changed is refused."""
    try:
        table = pq.read_table(path, use_threads=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    metadata = table.schema.metadata or {}
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing or _HASH_KEY not in metadata or _DURATION_KEY not in metadata:
        raise InputError(f"{path}: not a schedule ({missing[0] if missing else 'its hash'} is missing)")
    try:
        schedule = Schedule(
            offset_ns=np.array(table.column("offset_ns"), dtype=np.int64),
            service_time_s=np.array(table.column("service_time_s"), dtype=np.float64),
            duration_ns=int(metadata[_DURATION_KEY]),
        )
    except ValueError as error:
        raise InputError(f"{path}: not a schedule ({error})") from None
    expected = metadata[_HASH_KEY].decode("ascii", "replace")
    if schedule.sha256 != expected:
        raise InputError(f"{path}: content does not match its SHA-256 ({expected[:12]}…), the file was changed")
    return schedule
