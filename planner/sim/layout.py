"""The kernel's data: one flat record of state, one of counts, one of logs, and the settings that say where things lie.

A record is an int64 and a float64 array. Scalars stand at fixed indices at its front, tables behind them at the
offsets of a `Layout`. So a state is copied by copying two arrays, and compiled functions pass two arrays around
rather than twenty (every array that a compiled call passes costs reference counting).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from planner.model import Deployment, FloatArray, IntArray, WhenNoReplica
from planner.scaling import PolicySettings, new_memory, settings_of

# --- scalars of the state: int64 ...
(
    READY,  # replicas that take requests
    STARTING,
    HELD,  # occupied slots of ready replicas
    FREE,  # free slots of ready replicas
    QUEUED,
    QUEUE_HEAD,
    FINISHES,  # entries of the heap
    NEXT_ID,
    CREATED,  # replicas created after the start: cold starts used
    TICK,  # number of the next tick
    DESIRED,  # of the last tick
    NEXT_REQUEST,
    NEXT_PROBE,  # tick whose window start comes next
    NEXT_STARTER,  # slot of the starting replica that is ready first
    ROWS,
    ROW_DESIRED,
    ROW_READY,
    ROW_STARTING,
    INT_SCALARS,
) = range(19)

# ... and float64.
(
    NOW,
    LAST_ANSWER,  # when the last of the dispatched requests has its answer
    READY_SINCE,  # up to when READY has been integrated
    LEVEL_SINCE,  # up to when the signal has been integrated
    LEVEL_AREA,
    NEXT_READY,
    FLOAT_SCALARS,
) = range(7)

PHASE_NONE, PHASE_STARTING, PHASE_READY = range(3)


class Layout(NamedTuple):
    """Capacities and offsets. `i_` offsets point into the int64 array of the state, `f_` into the float64 one."""

    replicas: int
    finishes: int
    queue: int  # a power of two
    probes: int
    leaves: int
    i_id: int  # by slot: a replica's id, phase and occupied slots
    i_phase: int
    i_held: int
    i_tree: int  # tournament over slots: the one with the smallest (held, id) that can take a request, or -1
    i_finish_request: int
    i_finish_slot: int
    i_finish_id: int  # the replica's id: a slot may have a new tenant by then
    i_queue_request: int
    f_created: int  # by slot
    f_ready: int
    f_end: int  # when the last work it was given ends
    f_worker_free: int  # (slot, worker)
    f_finish_time: int  # heap ordered by (time, request)
    f_queue_arrival: int  # ring
    f_queue_service: int
    f_probe: int  # ring by tick: area of the signal at the start of its window
    bins: int
    log_requests: int  # 0: no request log
    log_rows: int  # 0: no replica log


class Settings(NamedTuple):
    """One deployment and the window of statistics, as plain numbers."""

    policy: PolicySettings
    layout: Layout
    slots: int
    workers: int
    max_replicas: int
    period_s: float
    tick_offset_s: float
    max_wait_s: float
    scoring_timeout_s: float
    router_overhead_s: float
    utilization_window_s: float
    counts_queued: bool
    reject_without_replica: bool
    slot_busy_after_504: bool
    worker_busy_after_504: bool
    duration_s: float
    warm_up_s: float
    bin_s: float


class State(NamedTuple):
    """Everything the kernel remembers between two calls."""

    i: IntArray
    f: FloatArray
    memory: IntArray  # the policy's

    def copy(self) -> State:
        return State(self.i.copy(), self.f.copy(), self.memory.copy())


# --- counts: int64: outcomes (3), causes (6), latency histogram, requests by bin, 503s by bin; float64: two totals,
# then replica-seconds ready and desired by bin. Requests are those that arrive in [warm_up, duration).
I_OUTCOME, I_CAUSE, I_LATENCY = 0, 3, 9

# 1024 buckets per octave from 2**-20 s (1 us) up: a bucket is 0.1 % wide at most.
OCTAVE_BUCKETS = 1024
LOWEST_OCTAVE = -20
OCTAVES = 36
LATENCY_BUCKETS = OCTAVES * OCTAVE_BUCKETS
I_BINS = I_LATENCY + LATENCY_BUCKETS

READY_SECONDS, PAID_SECONDS, F_BINS = range(3)


class Output(NamedTuple):
    """What the kernel writes and never reads: counts and, where wanted, logs."""

    counts: IntArray
    totals: FloatArray
    request_i: IntArray  # outcomes, then replicas, then causes
    request_f: FloatArray  # dispatches, then answers
    row_i: IntArray  # five a row: desired, ready, starting, busy, queued
    row_s: FloatArray


@lru_cache(maxsize=256)
def make_settings(
    deployment: Deployment,
    duration_s: float,
    warm_up_s: float,
    bin_s: float,
    log_requests: int | None = None,
    tick_offset_s: float = 0.0,
) -> Settings:
    """log_requests: how many requests the logs are for, None: no logs. tick_offset_s: tick k is at k period + it."""
    policy = settings_of(deployment)
    layout = _layout(
        replicas=max(deployment.max_replicas, deployment.initial_count),
        workers=deployment.worker_count,
        finishes=max(deployment.max_replicas, deployment.initial_count) * deployment.max_concurrent_requests + 64,
        queue=64,
        probes=math.ceil(deployment.utilization_window_s / deployment.refresh_period_s) + 3,
        bins=max(1, math.ceil(duration_s / bin_s)),
        log_requests=log_requests or 0,
        log_rows=0 if log_requests is None else 64,
    )
    return Settings(
        policy=policy,
        layout=layout,
        slots=deployment.max_concurrent_requests,
        workers=deployment.worker_count,
        max_replicas=deployment.max_replicas,
        period_s=float(deployment.refresh_period_s),
        tick_offset_s=float(tick_offset_s),
        max_wait_s=float(deployment.max_request_wait_s),
        scoring_timeout_s=float(deployment.scoring_timeout_s),
        router_overhead_s=float(deployment.router_overhead_s),
        utilization_window_s=float(deployment.utilization_window_s),
        counts_queued=deployment.counts_queued,
        reject_without_replica=deployment.when_no_replica_is_ready is WhenNoReplica.REJECT,
        slot_busy_after_504=deployment.slot_busy_after_504,
        worker_busy_after_504=deployment.worker_busy_after_504,
        duration_s=float(duration_s),
        warm_up_s=float(warm_up_s),
        bin_s=float(bin_s),
    )


def _layout(
    *,
    replicas: int,
    workers: int,
    finishes: int,
    queue: int,
    probes: int,
    bins: int,
    log_requests: int,
    log_rows: int,
) -> Layout:
    leaves = 1 << max(0, replicas - 1).bit_length()
    i_sizes = (replicas, replicas, replicas, 2 * leaves, finishes, finishes, finishes, queue)
    f_sizes = (replicas, replicas, replicas, replicas * workers, finishes, queue, queue, probes)
    i_offsets = INT_SCALARS + np.concatenate(([0], np.cumsum(i_sizes[:-1])))
    f_offsets = FLOAT_SCALARS + np.concatenate(([0], np.cumsum(f_sizes[:-1])))
    tables = [int(offset) for offset in (*i_offsets, *f_offsets)]
    return Layout._make((replicas, finishes, queue, probes, leaves, *tables, bins, log_requests, log_rows))


def new_state(deployment: Deployment, settings: Settings) -> State:
    """The state at time 0: the initial replicas are ready and empty."""
    layout, initial = settings.layout, deployment.initial_count
    state = State(
        np.zeros(layout.i_queue_request + layout.queue, dtype=np.int64),
        np.zeros(layout.f_probe + layout.probes),
        new_memory(settings.policy.window_ticks, initial),
    )
    state.i[[READY, NEXT_ID, DESIRED]] = initial
    state.i[FREE] = initial * settings.slots
    state.i[[TICK, NEXT_PROBE]] = 1
    state.i[[NEXT_STARTER, ROW_READY]] = -1
    state.f[NEXT_READY] = math.inf
    state.i[layout.i_id : layout.i_id + initial] = np.arange(initial)
    state.i[layout.i_phase : layout.i_phase + initial] = PHASE_READY
    tree = state.i[layout.i_tree : layout.i_tree + 2 * layout.leaves]
    tree[:] = -1
    for slot in reversed(range(initial)):  # lowest id on ties: every node's winner is its leftmost ready leaf
        node = layout.leaves + slot
        while node >= 1:
            tree[node] = slot
            node //= 2
    return state


def new_output(settings: Settings) -> Output:
    layout = settings.layout
    return Output(
        counts=np.zeros(I_BINS + 2 * layout.bins, dtype=np.int64),
        totals=np.zeros(F_BINS + 2 * layout.bins),
        request_i=np.full(3 * layout.log_requests, -1, dtype=np.int64),
        request_f=np.full(2 * layout.log_requests, np.nan),
        row_i=np.zeros(5 * layout.log_rows, dtype=np.int64),
        row_s=np.zeros(layout.log_rows),
    )


def enlarge_log(settings: Settings, out: Output) -> tuple[Settings, Output]:
    """Twice the room for rows of the replica log."""
    layout = settings.layout._replace(log_rows=2 * settings.layout.log_rows)
    row_i, row_s = np.zeros(5 * layout.log_rows, dtype=np.int64), np.zeros(layout.log_rows)
    row_i[: len(out.row_i)] = out.row_i
    row_s[: len(out.row_s)] = out.row_s
    return settings._replace(layout=layout), out._replace(row_i=row_i, row_s=row_s)


def enlarge(settings: Settings, state: State, *, finishes: bool = False, queue: bool = False) -> tuple[Settings, State]:
    """The same state in a layout with twice the room for finish events or for queued requests."""
    old = settings.layout
    new = _layout(
        replicas=old.replicas,
        workers=settings.workers,
        finishes=old.finishes * (2 if finishes else 1),
        queue=old.queue * (2 if queue else 1),
        probes=old.probes,
        bins=old.bins,
        log_requests=old.log_requests,
        log_rows=old.log_rows,
    )
    i = np.zeros(new.i_queue_request + new.queue, dtype=np.int64)
    f = np.zeros(new.f_probe + new.probes)
    i[: old.i_finish_request] = state.i[: old.i_finish_request]
    f[: old.f_finish_time] = state.f[: old.f_finish_time]
    larger = State(i, f, state.memory)
    for name in ("i_finish_request", "i_finish_slot", "i_finish_id", "f_finish_time"):
        _copy_table(name, state, old, larger, new, np.arange(old.finishes))
    ring = (int(state.i[QUEUE_HEAD]) + np.arange(old.queue)) % old.queue
    for name in ("i_queue_request", "f_queue_arrival", "f_queue_service"):
        _copy_table(name, state, old, larger, new, ring)
    i[QUEUE_HEAD] = 0
    _copy_table("f_probe", state, old, larger, new, np.arange(old.probes))
    return settings._replace(layout=new), larger


def _copy_table(name: str, source: State, old: Layout, target: State, new: Layout, order: IntArray) -> None:
    from_array, to_array = (source.i, target.i) if name.startswith("i_") else (source.f, target.f)
    start = getattr(new, name)
    to_array[start : start + len(order)] = from_array[getattr(old, name) + order]
