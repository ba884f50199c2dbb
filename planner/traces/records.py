"""What a file of recorded traffic holds, whatever its format: single requests, counts per bin, or rates over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np

from planner.model import FloatArray, IntArray
from planner.traces.columns import ObjectArray


class Stamps(StrEnum):
    """Which moment of a request its stamp names: when it came, or when its answer was sent."""

    START = "start"
    END = "end"


@dataclass(frozen=True)
class Categories:
    """A text for each request. codes: index into `names`, shape (n,), -1 where the file says nothing."""

    codes: IntArray
    names: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Requests of each name that occurs, the most frequent first."""
        numbers = np.bincount(self.codes[self.codes >= 0], minlength=len(self.names))
        order = np.argsort(-numbers, kind="stable")
        return {self.names[i]: int(numbers[i]) for i in order if numbers[i]}


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Lines (or rows) that hold no request and were left out. first_line: number of the first, from 1."""

    lines: int
    of_lines: int
    first_line: int
    first_text: str


@dataclass(frozen=True, kw_only=True)
class Requests:
    """A stamp for each request, in the order of the file. Columns have shape (n,), None where the file has none.

    stamp_s: seconds since 2020 (UTC), or from any zero where utc_offset_s is None (then the trace has no clock).
    resolution_s: a stamp stands for [stamp_s, stamp_s + resolution_s); 0 where it is as exact as it needs to be.
    stamps: what the stamps of this format name, unless the user says otherwise; None where a line does not tell.
    duration_s: from the arrival to the end of the answer, NaN where a line does not say.
    service_time_s: work on the request alone, NaN where a line does not say; service_time_of: what it was read from, in
    words, where that may hold waiting too. notes: sentences that the user must read.
    """

    stamp_s: FloatArray
    utc_offset_s: float | None
    resolution_s: float = 0.0
    stamps: Stamps | None = Stamps.START
    duration_s: FloatArray | None = None
    service_time_s: FloatArray | None = None
    service_time_of: str = ""
    context_tokens: FloatArray | None = None
    generated_tokens: FloatArray | None = None
    payload: ObjectArray | None = None
    method: Categories | None = None
    path: Categories | None = None
    status: Categories | None = None
    agent: Categories | None = None
    skipped: Skipped | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.stamp_s)

    def rows(self, chosen: Any) -> Requests:
        """Some of the requests."""
        columns: dict[str, Any] = {}
        for name in ("stamp_s", "duration_s", "service_time_s", "context_tokens", "generated_tokens", "payload"):
            column = getattr(self, name)
            columns[name] = None if column is None else column[chosen]
        for name in ("method", "path", "status", "agent"):
            known = getattr(self, name)
            columns[name] = None if known is None else Categories(known.codes[chosen], known.names)
        return replace(self, **columns)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many requests came in each bin, in order of time; bins that are left out hold none.

    first_s: the first stamp, seconds since 2020 (UTC), or from any zero where utc_offset_s is None. start_s: of each
    bin, from the first one's, whole multiples of bin_s; requests: shape (n,). is_derived: bin_s was not given but found
    in the stamps.
    """

    first_s: float
    start_s: FloatArray
    requests: IntArray
    bin_s: float
    is_derived: bool
    utc_offset_s: float | None
    skipped: Skipped | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rates:
    """A rate over time: rate_rps[i] requests per second, shape (n,), from edge_s[i] to edge_s[i + 1], shape (n + 1,).

    edge_s: seconds from the first edge; first_s: that edge, seconds since 2020 (UTC), or from any zero where
    utc_offset_s is None.
    """

    first_s: float
    edge_s: FloatArray
    rate_rps: FloatArray
    utc_offset_s: float | None
    skipped: Skipped | None = None
    notes: tuple[str, ...] = ()


Recorded = Requests | Counts | Rates
