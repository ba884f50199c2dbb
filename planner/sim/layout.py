"""The kernel's data: one flat record of state, one of counts, one of logs, and the settings that say where things lie.

The state is an int64 and a float64 array. Scalars stand at fixed indices at its front, tables behind them at the
offsets of a `Layout`; the policy has a memory of its own. So a state is copied by copying three arrays, and compiled
functions pass pointers around rather than twenty arrays (every array that a call passes costs reference counting).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import numpy.typing as npt

from planner.model import Cause, Deployment, DispatchRule, FloatArray, IntArray, ScoringTimeoutFrom, WhenNoReplica
from planner.scaling import PolicySettings, new_memory, settings_of
from planner.sim.compiled import bits_of

# --- scalars of the state: int64 ...
(
    READY,  # replicas that take requests
    STARTING,
    HELD,  # occupied slots of ready replicas
    CAPACITY,  # slots of ready replicas
    QUEUED,
    QUEUE_HEAD,
    FINISHES,  # entries of the heap
    NEXT_ID,
    CREATED,  # replicas created after the start: cold starts used
    TICK,  # number of the next tick
    DESIRED,  # of the last tick
    PEAK_UNCLAMPED,  # largest over all ticks
    NEXT_REQUEST,
    NEXT_PROBE,  # tick whose window start comes next
    NEXT_STARTER,  # slot of the starting replica that is ready first
    LEVEL,  # no replica with room holds fewer requests
    LAST_TAKER,  # slot of the replica that got a request last
    BIN,  # of the last arrival
    ROWS,
    ROW_DESIRED,
    ROW_READY,
    ROW_STARTING,
    INT_SCALARS,
) = range(23)

# ... and float64.
(
    LAST_ANSWER,  # when the last of the dispatched requests has its answer
    READY_SINCE,  # up to when READY has been integrated
    DESIRED_SINCE,
    LEVEL_SINCE,  # up to when the signal has been integrated
    LEVEL_AREA,
    NEXT_READY,
    BIN_END,  # of BIN
    ROW_AT,  # the instant that may need a row in the replica log
    FLOAT_SCALARS,
) = range(9)

PHASE_GONE, PHASE_STARTING, PHASE_READY = range(3)

FEWEST_REQUESTS, ROUND_ROBIN, LOWEST_ID = range(3)
_DISPATCH_CODES = {
    DispatchRule.FEWEST_REQUESTS: FEWEST_REQUESTS,
    DispatchRule.ROUND_ROBIN: ROUND_ROBIN,
    DispatchRule.LOWEST_ID: LOWEST_ID,
}

WORD_SHIFT = 5
WORD_BITS = 1 << WORD_SHIFT
"""Bits in use in each word of a set of slots."""

NEVER = bits_of(math.inf)
"""The time of a finish that does not come."""

SLOT_BITS = 20
SLOT_MASK = (1 << SLOT_BITS) - 1
"""A finish is known by request << SLOT_BITS | slot, so that the lower request comes first."""


class Layout(NamedTuple):
    """Capacities and offsets. `i_` offsets point into the int64 array of the state, `f_` into the float64 one.

    The replicas that exist (starting or ready, not draining) have the slots from 0 on, in the order of their ids.
    """

    replicas: int
    queue: int  # a power of two
    probes: int
    levels: int
    summary_words: int
    room_words: int  # of one level: its summary and its words
    i_id: int  # by slot: a replica's id, phase and requests
    i_phase: int
    i_held: int
    i_moved: int  # scratch: new slots when replicas go
    i_room: int  # by level: the set of slots that can take a request, see `planner.sim.room`
    i_finish: int  # heap of (time, key), see `planner.sim.finishes`
    i_queue_request: int  # ring
    f_created: int  # by slot
    f_ready: int
    f_end: int  # when the last work it was given ends
    f_worker_free: int  # (slot, worker)
    f_queue_arrival: int
    f_queue_service: int
    f_probe: int  # ring by tick: area of the signal at the start of its window
    bins: int
    log_requests: int  # 0: no request log
    log_rows: int  # 0: no replica log


class Rules(NamedTuple):
    """One deployment and the window of statistics, as plain numbers."""

    workers: int
    dispatch: int
    period_s: float
    tick_offset_s: float
    max_wait_s: float
    scoring_timeout_s: float
    timeout_from_arrival: bool
    router_overhead_s: float
    utilization_window_s: float
    counts_queued: bool
    reject_without_replica: bool
    slot_busy_after_504: bool
    worker_busy_after_504: bool
    duration_s: float
    warm_up_s: float
    bin_s: float


class Settings(NamedTuple):
    policy: PolicySettings
    rules: Rules
    layout: Layout

    def packed(self) -> npt.NDArray[Any]:
        """All fields side by side in a structured array of one element: what compiled functions get as `s`."""
        return np.array([(*self.policy, *self.rules, *self.layout)], dtype=_PACKED)


def _fields(*parts: type) -> list[tuple[str, type]]:
    kinds = {int: np.int64, float: np.float64, bool: np.bool_}
    return [(name, kinds[kind]) for part in parts for name, kind in get_type_hints(part).items()]


_PACKED = np.dtype(_fields(PolicySettings, Rules, Layout), align=True)


class State(NamedTuple):
    """Everything the kernel remembers between two calls."""

    i: IntArray
    f: FloatArray
    memory: IntArray  # the policy's

    def copy(self) -> State:
        return State(self.i.copy(), self.f.copy(), self.memory.copy())


# --- counts: int64: outcomes (3), causes (6), requests by bin, 503s by bin; float64: two totals, then replica-seconds
# ready and desired by bin. Requests are those that arrive in [warm_up, duration).
I_OUTCOME, I_CAUSE = 0, 3
I_BINS = I_CAUSE + len(Cause)

# 1024 buckets per octave from 2**-20 s (1 us) up: a bucket is 0.1 % wide at most. The octave and the first ten bits
# of the fraction are the upper bits of a float. The last octave ends at 2**21 s, beyond any wait and timeout.
OCTAVE_BITS = 10
OCTAVE_BUCKETS = 1 << OCTAVE_BITS
LOWEST_OCTAVE = -20
OCTAVES = 41
LATENCY_BUCKETS = OCTAVES * OCTAVE_BUCKETS

READY_SECONDS, PAID_SECONDS, F_BINS = range(3)


class Output(NamedTuple):
    """What no event depends on: counts and, where wanted, logs."""

    counts: IntArray
    latencies: npt.NDArray[np.uint32]  # small: the buckets in use stay in the first cache
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
    rules = Rules(
        workers=deployment.worker_count,
        dispatch=_DISPATCH_CODES[deployment.dispatch],
        period_s=float(deployment.refresh_period_s),
        tick_offset_s=float(tick_offset_s),
        max_wait_s=float(deployment.max_request_wait_s),
        scoring_timeout_s=float(deployment.scoring_timeout_s),
        timeout_from_arrival=deployment.scoring_timeout_from is ScoringTimeoutFrom.ARRIVAL,
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
    layout = _layout(
        replicas=max(deployment.max_replicas, deployment.initial_count),
        slots_per_replica=policy.slots_per_replica,
        rules=rules,
        queue=64,
        probes=math.ceil(rules.utilization_window_s / rules.period_s) + 3,
        bins=max(1, math.ceil(duration_s / bin_s)),
        log_requests=log_requests or 0,
        log_rows=0 if log_requests is None else 64,
    )
    return Settings(policy, rules, layout)


def _layout(
    *,
    replicas: int,
    slots_per_replica: int,
    rules: Rules,
    queue: int,
    probes: int,
    bins: int,
    log_requests: int,
    log_rows: int,
) -> Layout:
    levels = slots_per_replica if rules.dispatch == FEWEST_REQUESTS else 1
    words = -(-replicas // WORD_BITS)
    summary_words = -(-words // WORD_BITS)
    room_words = summary_words + words
    finishes = replicas * slots_per_replica + 1  # one that never comes, behind the last
    i_sizes = (replicas, replicas, replicas, replicas, levels * room_words, 2 * finishes, queue)
    f_sizes = (replicas, replicas, replicas, replicas * rules.workers, queue, queue, probes)
    i_offsets = INT_SCALARS + np.concatenate(([0], np.cumsum(i_sizes[:-1])))
    f_offsets = FLOAT_SCALARS + np.concatenate(([0], np.cumsum(f_sizes[:-1])))
    tables = [int(offset) for offset in (*i_offsets, *f_offsets)]
    sizes = (replicas, queue, probes, levels, summary_words, room_words)
    return Layout._make((*sizes, *tables, bins, log_requests, log_rows))


@lru_cache(maxsize=4)
def _first_state(initial: int, settings: Settings) -> State:
    policy, layout = settings.policy, settings.layout
    state = State(
        np.zeros(layout.i_queue_request + layout.queue, dtype=np.int64),
        np.zeros(layout.f_probe + layout.probes),
        new_memory(policy.window_ticks, initial),
    )
    state.i[[READY, NEXT_ID, DESIRED]] = initial
    state.i[CAPACITY] = initial * policy.slots_per_replica
    state.i[[TICK, NEXT_PROBE]] = 1
    state.i[[NEXT_STARTER, ROW_READY, LAST_TAKER]] = -1
    state.f[NEXT_READY] = math.inf
    state.f[BIN_END] = settings.rules.bin_s
    state.f[ROW_AT] = 0.0 if layout.log_rows else math.inf
    state.i[layout.i_finish] = NEVER
    state.i[layout.i_id : layout.i_id + initial] = np.arange(initial)
    state.i[layout.i_phase : layout.i_phase + initial] = PHASE_READY
    words = layout.i_room + layout.summary_words
    for slot in range(initial):
        word = slot >> WORD_SHIFT
        state.i[words + word] |= 1 << (slot & (WORD_BITS - 1))
        state.i[layout.i_room + (word >> WORD_SHIFT)] |= 1 << (word & (WORD_BITS - 1))
    return state


def new_state(deployment: Deployment, settings: Settings) -> State:
    """The state at time 0: the initial replicas are ready and empty."""
    return _first_state(deployment.initial_count, settings).copy()


def new_output(settings: Settings) -> Output:
    layout = settings.layout
    return Output(
        counts=np.zeros(I_BINS + 2 * layout.bins, dtype=np.int64),
        latencies=np.zeros(LATENCY_BUCKETS, dtype=np.uint32),
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


def enlarge_queue(settings: Settings, state: State) -> tuple[Settings, State]:
    """The same state in a layout with twice the room for queued requests."""
    old = settings.layout
    new = _layout(
        replicas=old.replicas,
        slots_per_replica=settings.policy.slots_per_replica,
        rules=settings.rules,
        queue=2 * old.queue,
        probes=old.probes,
        bins=old.bins,
        log_requests=old.log_requests,
        log_rows=old.log_rows,
    )
    i = np.zeros(new.i_queue_request + new.queue, dtype=np.int64)
    f = np.zeros(new.f_probe + new.probes)
    i[: old.i_queue_request] = state.i[: old.i_queue_request]
    f[: old.f_queue_arrival] = state.f[: old.f_queue_arrival]
    f[new.f_probe :] = state.f[old.f_probe :]
    ring = (int(state.i[QUEUE_HEAD]) + np.arange(old.queue)) % old.queue
    i[new.i_queue_request : new.i_queue_request + old.queue] = state.i[old.i_queue_request + ring]
    f[new.f_queue_arrival : new.f_queue_arrival + old.queue] = state.f[old.f_queue_arrival + ring]
    f[new.f_queue_service : new.f_queue_service + old.queue] = state.f[old.f_queue_service + ring]
    i[QUEUE_HEAD] = 0
    return settings._replace(layout=new), State(i, f, state.memory)
