"""The schedule of a replay: when each request is to be sent. Built once, hashed, verified by whoever reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from planner.arrivals import Recorded, Renewal
from planner.errors import InputError
from planner.model import FloatArray, IntArray
from planner.scenario import Scenario
from planner.workload import arrival_times, service_times

REPLICATE = 0
"""The replicate of the scenario that is replayed."""

_COLUMNS = ("request", "offset_ns", "service_time_s", "payload_id")
_PREFIX = b"surgeproof_"
_HASH, _DURATION, _SEED, _SOURCE, _SOURCE_HASH = (
    _PREFIX + name for name in (b"sha256", b"duration_ns", b"seed", b"source", b"source_sha256")
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Planned requests: row i is sent offset_ns[i] nanoseconds after the start and takes service_time_s[i] of work.

    offset_ns: int64, sorted, in [0, duration_ns]; service_time_s: seconds; payload_id: int64, which payload each
    request carries (default 0). All of shape (n,). source: one sentence, where the times come from and how they were
    made; source_sha256: hash of what they were made from, in hex.
    """

    offset_ns: IntArray
    service_time_s: FloatArray
    duration_ns: int
    payload_id: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    seed: int = 0
    source: str = ""
    source_sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.payload_id) == 0:
            object.__setattr__(self, "payload_id", np.zeros(len(self.offset_ns), dtype=np.int64))
        for name, values in (("service times", self.service_time_s), ("payload ids", self.payload_id)):
            if len(self.offset_ns) != len(values):
                raise ValueError(f"{len(self.offset_ns)} offsets but {len(values)} {name}")
        if len(bad := np.flatnonzero(np.diff(self.offset_ns) < 0)):
            raise ValueError(f"offset_ns[{bad[0] + 1}] comes before offset_ns[{bad[0]}]")
        if len(self) and not 0 <= int(self.offset_ns[0]) <= int(self.offset_ns[-1]) <= self.duration_ns:
            raise ValueError(f"offsets must lie in [0, {self.duration_ns}] ns")
        if len(bad := np.flatnonzero(self.payload_id < 0)):
            raise ValueError(f"payload_id[{bad[0]}] = {self.payload_id[bad[0]]}, must be at least 0")
        for values in (self.offset_ns, self.service_time_s, self.payload_id):
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

    @cached_property
    def sha256(self) -> str:
        """Hash of everything: row count, duration, seed, source, and the three columns, little-endian."""
        origin = json.dumps([self.seed, self.source, self.source_sha256])
        digest = hashlib.sha256(f"surgeproof schedule 2: {len(self)} rows, {self.duration_ns} ns, {origin}\n".encode())
        digest.update(self.offset_ns.astype("<i8").tobytes())
        digest.update(self.service_time_s.astype("<f8").tobytes())
        digest.update(self.payload_id.astype("<i8").tobytes())
        return digest.hexdigest()

    @property
    def peak_rate_rps(self) -> float:
        """The largest number of requests in any window of one second."""
        return float(self._most_within(1_000_000_000))

    @property
    def peak_100ms_rps(self) -> float:
        """The largest number of requests in any window of 100 ms, as a rate per second: it sizes the senders."""
        return 10.0 * self._most_within(100_000_000)

    def _most_within(self, window_ns: int) -> int:
        ends = np.searchsorted(self.offset_ns, self.offset_ns + window_ns, side="left")
        return int(np.max(ends - np.arange(len(self)), initial=0))


def build_schedule(scenario: Scenario, payload_id: IntArray | None = None) -> Schedule:
    """The schedule of one scenario: replicate 0 of its seed, to the nanosecond. payload_id: one for each request."""
    arrivals_s = arrival_times(scenario, REPLICATE)
    if len(arrivals_s) == 0:
        raise InputError(f"scenario {scenario.name}: plans no request in {scenario.duration_s:g} s, nothing to replay")
    n = len(arrivals_s)
    if payload_id is not None and len(payload_id) != n:
        raise ValueError(f"{n} requests but {len(payload_id)} payload ids")
    return Schedule(
        offset_ns=np.floor(arrivals_s * 1e9).astype(np.int64),
        service_time_s=np.array(service_times(scenario, REPLICATE, n), dtype=np.float64),
        duration_ns=round(scenario.duration_s * 1e9),
        payload_id=np.zeros(n, dtype=np.int64) if payload_id is None else np.array(payload_id, dtype=np.int64),
        seed=scenario.seed,
        source=_source(scenario, n),
        source_sha256=_source_sha256(scenario),
    )


def _source(scenario: Scenario, n: int) -> str:
    arrivals = scenario.arrivals
    if isinstance(arrivals, Recorded):
        made = arrivals.made or arrivals.describe()
        return made.encode("utf-8", "replace").decode()  # a file may have any bytes for a name
    return f"{n:,} requests of scenario {scenario.name}, drawn by seed {scenario.seed}: {arrivals.describe()}"


def _source_sha256(scenario: Scenario) -> str:
    """Of the scenario's text, and of the hash of the trace that it plays."""
    trace = scenario.arrivals.file_sha256 if isinstance(scenario.arrivals, Recorded | Renewal) else ""
    return hashlib.sha256(f"{scenario.text}\0{trace}".encode()).hexdigest()


def write_schedule(path: Path, schedule: Schedule) -> None:
    table = pa.table(
        {
            "request": np.arange(len(schedule), dtype=np.int64),
            "offset_ns": schedule.offset_ns,
            "service_time_s": schedule.service_time_s,
            "payload_id": schedule.payload_id,
        }
    )
    metadata = {
        _HASH: schedule.sha256,
        _DURATION: str(schedule.duration_ns),
        _SEED: str(schedule.seed),
        _SOURCE: schedule.source,
        _SOURCE_HASH: schedule.source_sha256,
    }
    pq.write_table(table.replace_schema_metadata({key: text.encode() for key, text in metadata.items()}), path)


def read_schedule(path: Path) -> Schedule:
    """Read a schedule and check its hash; a file that was changed is refused."""
    try:
        table = pq.read_table(path, use_threads=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    metadata = table.schema.metadata or {}
    _check_is_complete(path, table.column_names, metadata)
    try:
        schedule = Schedule(
            offset_ns=np.array(table.column("offset_ns"), dtype=np.int64),
            service_time_s=np.array(table.column("service_time_s"), dtype=np.float64),
            duration_ns=int(metadata[_DURATION]),
            payload_id=np.array(table.column("payload_id"), dtype=np.int64),
            seed=int(metadata[_SEED]),
            source=metadata[_SOURCE].decode(),
            source_sha256=metadata[_SOURCE_HASH].decode(),
        )
        in_order = np.array_equal(np.array(table.column("request")), np.arange(len(schedule)))
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: not a schedule ({error})") from None
    expected = metadata[_HASH].decode("ascii", "replace")
    if schedule.sha256 != expected or not in_order:
        raise InputError(f"{path}: content does not match its SHA-256 ({expected[:12]}…), the file was changed")
    return schedule


def _check_is_complete(path: Path, columns: list[str], metadata: Mapping[bytes, bytes]) -> None:
    missing = [name for name in _COLUMNS if name not in columns]
    if _HASH not in metadata or _DURATION not in metadata or missing not in ([], ["payload_id"]):
        raise InputError(f"{path}: not a schedule ({missing[0] if missing else 'its hash'} is missing)")
    missing += [key[len(_PREFIX) :].decode() for key in (_SEED, _SOURCE, _SOURCE_HASH) if key not in metadata]
    if missing:
        raise InputError(f"{path}: a schedule of an older version ({missing[0]} is missing), which must be built anew")
