"""What happens to a request: arrival, queue, dispatch, answer. Compiled; `planner.sim.layout` tells the flat state.

Inside a replica everything is known at the dispatch (workers are FIFO and service times are given), so the only event
that a dispatched request still needs is the one that frees its slot.
"""

import math

from planner.model import Cause, Outcome
from planner.sim.compiled import compiled, inlined
from planner.sim.finishes import pop_finish, push_finish
from planner.sim.layout import (
    DESIRED,
    FREE,
    HELD,
    I_BINS,
    I_CAUSE,
    I_LATENCY,
    I_OUTCOME,
    LAST_ANSWER,
    LATENCY_BUCKETS,
    LOWEST_OCTAVE,
    OCTAVE_BUCKETS,
    PHASE_READY,
    QUEUE_HEAD,
    QUEUED,
    READY,
)

OK = int(Outcome.OK)
STATUS_503 = int(Outcome.STATUS_503)
STATUS_504 = int(Outcome.STATUS_504)
NO_READY_REPLICA = int(Cause.NO_READY_REPLICA)
SCALE_UP_LAG = int(Cause.SCALE_UP_LAG)
AT_MAX_REPLICAS = int(Cause.AT_MAX_REPLICAS)
HEADROOM_TOO_SMALL = int(Cause.HEADROOM_TOO_SMALL)


@inlined
def arrive(s, i, f, out, arrival_s, service_s, request):
    if arrival_s >= s.warm_up_s:
        out.counts[I_BINS + _bin(s, arrival_s)] += 1
    if i[FREE] > 0:
        slot = i[s.layout.i_tree + 1]
        dispatch(s, i, f, out, slot, arrival_s, arrival_s, service_s, request)
        update_tree(s, i, slot)
    elif s.reject_without_replica and i[READY] == 0:
        _answer_503(s, i, out, arrival_s, arrival_s, request)
    else:
        tail = (i[QUEUE_HEAD] + i[QUEUED]) & (s.layout.queue - 1)
        f[s.layout.f_queue_arrival + tail] = arrival_s
        f[s.layout.f_queue_service + tail] = service_s
        i[s.layout.i_queue_request + tail] = request
        i[QUEUED] += 1


@inlined
def finish(s, i, f, out, now_s):
    slot = i[s.layout.i_finish_slot]
    replica_id = i[s.layout.i_finish_id]
    pop_finish(s.layout, i, f)
    if i[s.layout.i_id + slot] != replica_id or i[s.layout.i_phase + slot] != PHASE_READY:
        return  # it drains: its slots are not ours any more
    i[HELD] -= 1
    i[FREE] += 1
    i[s.layout.i_held + slot] -= 1
    if i[QUEUED] > 0:
        # Every other slot is taken, or the queue would be empty: the head goes here, and the tree stays as it is.
        dispatch_head(s, i, f, out, slot, now_s)
    else:
        update_tree(s, i, slot)


@inlined
def dispatch_head(s, i, f, out, slot, now_s):
    head = _pop_head(s, i)
    arrival_s, service_s = f[s.layout.f_queue_arrival + head], f[s.layout.f_queue_service + head]
    dispatch(s, i, f, out, slot, now_s, arrival_s, service_s, i[s.layout.i_queue_request + head])


@compiled
def expire(s, i, f, out, now_s):
    head = _pop_head(s, i)
    _answer_503(s, i, out, now_s, f[s.layout.f_queue_arrival + head], i[s.layout.i_queue_request + head])


@inlined
def _pop_head(s, i):
    head = i[QUEUE_HEAD]
    i[QUEUE_HEAD] = (head + 1) & (s.layout.queue - 1)
    i[QUEUED] -= 1
    return head


@inlined
def dispatch(s, i, f, out, slot, now_s, arrival_s, service_s, request):
    """Give a request to a replica, which settles what becomes of it. The caller brings the tree up to date."""
    worker = _first_free_worker(s, f, slot)
    start_s = max(now_s, f[worker])
    finish_s = start_s + (s.router_overhead_s + service_s)
    timeout_s = now_s + s.scoring_timeout_s
    work_end_s = slot_end_s = answer_s = finish_s
    outcome = OK
    if finish_s > timeout_s:
        outcome = STATUS_504
        answer_s = timeout_s
        if not s.worker_busy_after_504:
            work_end_s = slot_end_s = timeout_s
        elif not s.slot_busy_after_504:
            slot_end_s = timeout_s
    if start_s < timeout_s or s.worker_busy_after_504:
        f[worker] = work_end_s
    f[s.layout.f_end + slot] = max(f[s.layout.f_end + slot], work_end_s)
    f[LAST_ANSWER] = max(f[LAST_ANSWER], answer_s)
    i[HELD] += 1
    i[FREE] -= 1
    i[s.layout.i_held + slot] += 1
    push_finish(s.layout, i, f, slot_end_s, request, slot)
    _count_answer(s, out, request, arrival_s, answer_s, outcome)
    if s.layout.log_requests > 0:
        out.request_f[request] = now_s
        out.request_i[s.layout.log_requests + request] = i[s.layout.i_id + slot]


@inlined
def _first_free_worker(s, f, slot):
    first = s.layout.f_worker_free + slot * s.workers
    worker = first
    for other in range(first + 1, first + s.workers):
        if f[other] < f[worker]:
            worker = other
    return worker


@inlined
def _count_answer(s, out, request, arrival_s, answer_s, outcome):
    if arrival_s >= s.warm_up_s:
        out.counts[I_OUTCOME + outcome] += 1
        if outcome == OK:
            out.counts[I_LATENCY + _latency_bucket(answer_s - arrival_s)] += 1
    if s.layout.log_requests > 0:
        out.request_f[s.layout.log_requests + request] = answer_s
        out.request_i[request] = outcome


@inlined
def _bin(s, arrival_s):
    return min(int(arrival_s / s.bin_s), s.layout.bins - 1)  # the quotient may round up at the very end


@inlined
def _latency_bucket(latency_s):
    if latency_s <= 0.0:
        return 0
    fraction, exponent = math.frexp(latency_s)  # fraction in [0.5, 1)
    bucket = (exponent - 1 - LOWEST_OCTAVE) * OCTAVE_BUCKETS + int((2.0 * fraction - 1.0) * OCTAVE_BUCKETS)
    return min(max(bucket, 0), LATENCY_BUCKETS - 1)


@compiled
def _answer_503(s, i, out, now_s, arrival_s, request):
    cause = HEADROOM_TOO_SMALL
    if i[READY] == 0:
        cause = NO_READY_REPLICA
    elif i[READY] < i[DESIRED]:
        cause = SCALE_UP_LAG
    elif i[READY] >= s.max_replicas:
        cause = AT_MAX_REPLICAS
    if arrival_s >= s.warm_up_s:
        out.counts[I_CAUSE + cause] += 1
        out.counts[I_BINS + s.layout.bins + _bin(s, arrival_s)] += 1
    _count_answer(s, out, request, arrival_s, now_s, STATUS_503)
    if s.layout.log_requests > 0:
        out.request_i[2 * s.layout.log_requests + request] = cause


@inlined
def update_tree(s, i, slot):
    """Play the tournament of the slots again on the way from one slot to the root."""
    tree = s.layout.i_tree
    node = s.layout.leaves + slot
    takes = i[s.layout.i_phase + slot] == PHASE_READY and i[s.layout.i_held + slot] < s.slots
    i[tree + node] = slot if takes else -1
    node >>= 1
    while node >= 1:
        left, right = i[tree + 2 * node], i[tree + 2 * node + 1]
        i[tree + node] = left if right < 0 or (left >= 0 and _goes_first(s, i, left, right)) else right
        node >>= 1


@inlined
def _goes_first(s, i, slot, other):
    held, other_held = i[s.layout.i_held + slot], i[s.layout.i_held + other]
    return held < other_held or (held == other_held and i[s.layout.i_id + slot] < i[s.layout.i_id + other])
