"""What the reference simulator keeps of a request, of a replica and of an event, and what it returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from planner.model import NO_CAUSE, Outcome


class ReplicaRow(NamedTuple):
    """The state after all events at one instant; busy counts the occupied slots of ready replicas."""

    time_s: float
    desired: int
    ready: int
    starting: int
    busy: int
    queued: int


class TickRow(NamedTuple):
    time_s: float
    signal: float
    unclamped: int
    desired: int
    current_after: int


@dataclass(kw_only=True)
class ReferenceResult:
    """Lists with one entry per request, then the replicas over time. Times in seconds, NaN where never."""

    dispatch_s: list[float]
    start_work_s: list[float]
    finish_s: list[float]
    """The instant at which the client has its answer: 200, 503 or 504."""
    outcome: list[Outcome]
    cause: list[int]
    replica: list[int]
    replica_rows: list[ReplicaRow]
    """One at 0 and one at each later instant that changed desired, ready or starting."""
    ticks: list[TickRow]
    paid_s: float
    ready_s: float
    fraction_503: float


class EventClass(IntEnum):
    """The order of events at one instant."""

    FINISH = 0
    READY = 1
    TICK = 2
    EXPIRY = 3
    ARRIVAL = 4


class Phase(Enum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    REMOVED = "removed"


@dataclass(eq=False)
class Request:
    index: int
    arrival_s: float
    service_time_s: float
    deadline_s: float
    outcome: Outcome = Outcome.UNRESOLVED
    cause: int = NO_CAUSE
    finish_s: float = math.nan
    # Known from the dispatch on:
    replica: Replica | None = None
    dispatch_s: float = math.nan
    start_work_s: float = math.nan
    answer: Outcome = Outcome.UNRESOLVED
    answer_s: float = math.nan
    slot_free_s: float = math.nan
    work_end_s: float = math.nan


@dataclass(eq=False)
class Replica:
    id: int
    created_s: float
    phase: Phase
    worker_free_s: list[float]
    holds: list[Request] = field(default_factory=list)
    """The requests that occupy its slots."""
    works: list[Request] = field(default_factory=list)
    """The requests whose work has not ended, in a worker or waiting for one; after a 504 perhaps without a slot."""
    ready_from_s: float = math.inf
    ready_until_s: float = math.inf
    removed_s: float = math.inf
