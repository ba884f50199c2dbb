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
        bin_s=s.bin_s,
        bins=s.bins,
        dispatch=s.dispatch,
        f_end=s.f_end,
        f_queue_arrival=s.f_queue_arrival,
        f_queue_service=s.f_queue_service,
        f_worker_free=s.f_worker_free,
        i_finish=s.i_finish,
        i_held=s.i_held,
        i_id=s.i_id,
        i_queue_request=s.i_queue_request,
        i_room=s.i_room,
        log_requests=s.log_requests,
        max_replicas=s.max_replicas,
        max_wait_s=s.max_wait_s,
        queue=s.queue,
        reject_without_replica=s.reject_without_replica,
        room_words=s.room_words,
        router_overhead_s=s.router_overhead_s,
        scoring_timeout_s=s.scoring_timeout_s,
        slot_busy_after_504=s.slot_busy_after_504,
        slots_per_replica=s.slots_per_replica,
        summary_words=s.summary_words,
        timeout_from_arrival=s.timeout_from_arrival,
        utilization_window_s=s.utilization_window_s,
        warm_up_s=s.warm_up_s,
        worker_busy_after_504=s.worker_busy_after_504,
        workers=s.workers,
    )
