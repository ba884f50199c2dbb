"""The settings that the hot loop needs, as values. Compiled.

A field of a record is read again after every write to memory; values may stay in registers. Functions of requests take
either, and call it `s`.
"""

from __future__ import annotations

from typing import NamedTuple

from planner.sim.compiled import inlined


class HotSettings(NamedTuple):
    """Fields of `planner.sim.layout.Settings`, under the same names."""

    bin_s: float
    bins: int
    dispatch: int
    f_end: int
    f_queue_arrival: int
    f_queue_service: int
    f_worker_free: int
    i_finish: int
    i_held: int
    i_id: int
    i_queue_request: int
    i_room: int
    log_requests: int
    max_replicas: int
    max_wait_s: float
    queue: int
    reject_without_replica: bool
    room_words: int
    router_overhead_s: float
    scoring_timeout_s: float
    slot_busy_after_504: bool
    slots_per_replica: int
    summary_words: int
    timeout_from_arrival: bool
    utilization_window_s: float
    warm_up_s: float
    worker_busy_after_504: bool
    workers: int


@inlined
def hot_settings(s):
    return HotSettings(
        s.bin_s,
        s.bins,
        s.dispatch,
        s.f_end,
        s.f_queue_arrival,
        s.f_queue_service,
        s.f_worker_free,
        s.i_finish,
        s.i_held,
        s.i_id,
        s.i_queue_request,
        s.i_room,
        s.log_requests,
        s.max_replicas,
        s.max_wait_s,
        s.queue,
        s.reject_without_replica,
        s.room_words,
        s.router_overhead_s,
        s.scoring_timeout_s,
        s.slot_busy_after_504,
        s.slots_per_replica,
        s.summary_words,
        s.timeout_from_arrival,
        s.utilization_window_s,
        s.warm_up_s,
        s.worker_busy_after_504,
        s.workers,
    )
