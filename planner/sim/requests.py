"""What happens to a request: arrival, queue, dispatch, answer. Compiled; `planner.sim.layout` tells the flat state.

Inside a replica everything is known at the dispatch (workers are FIFO and service times are given), so the only event
that a dispatched request still needs is the one that frees its slot.
"""

from planner.model import Cause, Outcome
from planner.sim.compiled import bits_of, inlined
from planner.sim.finishes import first_finish_slot, pop_finish, push_finish, replace_finish
from planner.sim.layout import (
    BIN,
    BIN_END,
    CAPACITY,
    DESIRED,
    HELD,
    I_BINS,
    I_CAUSE,
    I_OUTCOME,
    LAST_ANSWER,
    LAST_TAKER,
    LATENCY_BUCKETS,
    LOWEST_OCTAVE,
    NEXT_REQUEST,
    OCTAVE_BITS,
    QUEUE_HEAD,
    QUEUED,
    READY,
    SLOT_BITS,
)
from planner.sim.room import give_back, take_replica

OK = int(Outcome.OK)
STATUS_503 = int(Outcome.STATUS_503)
STATUS_504 = int(Outcome.STATUS_504)
NO_READY_REPLICA = int(Cause.NO_READY_REPLICA)
SCALE_UP_LAG = int(Cause.SCALE_UP_LAG)
AT_MAX_REPLICAS = int(Cause.AT_MAX_REPLICAS)
HEADROOM_TOO_SMALL = int(Cause.HEADROOM_TOO_SMALL)

_FRACTION_BITS = 52
_FIRST_BUCKET = (1023 + LOWEST_OCTAVE) << OCTAVE_BITS
"""Of the numbers that the upper bits of a float give, the one of 2**LOWEST_OCTAVE; 1023 is the exponent's bias."""


@inlined
def arrive(s, i, f, out, arrival_s, service_s):
    request = i[NEXT_REQUEST]
    i[NEXT_REQUEST] = request + 1
    if arrival_s >= f[BIN_END]:
        _next_bin(s, i, f, arrival_s)
    if arrival_s >= s.warm_up_s:
        out.counts[I_BINS + i[BIN]] += 1
    if i[HELD] < i[CAPACITY]:
        slot = take_replica(s, i)
        end_s = _work(s, i, f, out, slot, arrival_s, arrival_s, service_s, request)
        push_finish(s, i, end_s, request << SLOT_BITS | slot)
    elif s.reject_without_replica and i[READY] == 0:
        _answer_503(s, i, out, arrival_s, arrival_s, request)
    else:
        tail = (i[QUEUE_HEAD] + i[QUEUED]) & (s.queue - 1)
        f[s.f_queue_arrival + tail] = arrival_s
        f[s.f_queue_service + tail] = service_s
        i[s.i_queue_request + tail] = request
        i[QUEUED] += 1


@inlined
def finish(s, i, f, out, now_s):
    slot = first_finish_slot(s, i)
    if i[QUEUED] > 0:
        # Every other slot is taken, or the queue would be empty: the head goes here.
        i[LAST_TAKER] = slot
        end_s, key = _work_on_head(s, i, f, out, slot, now_s)
        replace_finish(s, i, end_s, key)
    else:
        give_back(s, i, slot)
        pop_finish(s, i)


@inlined
def dispatch_head(s, i, f, out, now_s):
    slot = take_replica(s, i)
    end_s, key = _work_on_head(s, i, f, out, slot, now_s)
    push_finish(s, i, end_s, key)


@inlined
def _work_on_head(s, i, f, out, slot, now_s):
    """The head of the queue goes to a replica: when its slot is free again, and the key of that finish."""
    head = _pop_head(s, i)
    request = i[s.i_queue_request + head]
    arrival_s, service_s = f[s.f_queue_arrival + head], f[s.f_queue_service + head]
    end_s = _work(s, i, f, out, slot, now_s, arrival_s, service_s, request)
    return end_s, request << SLOT_BITS | slot


@inlined
def expire(s, i, f, out, now_s):
    head = _pop_head(s, i)
    _answer_503(s, i, out, now_s, f[s.f_queue_arrival + head], i[s.i_queue_request + head])


@inlined
def _pop_head(s, i):
    head = i[QUEUE_HEAD]
    i[QUEUE_HEAD] = (head + 1) & (s.queue - 1)
    i[QUEUED] -= 1
    return head


@inlined
def _work(s, i, f, out, slot, now_s, arrival_s, service_s, request):
    """Settle what becomes of a dispatched request; when its slot is free again."""
    worker = _first_free_worker(s, f, slot)
    start_s = max(now_s, f[worker])
    finish_s = start_s + (s.router_overhead_s + service_s)
    timeout_s = (arrival_s if s.timeout_from_arrival else now_s) + s.scoring_timeout_s
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
    f[s.f_end + slot] = max(f[s.f_end + slot], work_end_s)
    f[LAST_ANSWER] = max(f[LAST_ANSWER], answer_s)
    _count_answer(s, out, request, arrival_s, answer_s, outcome)
    if s.log_requests > 0:
        out.request_f[request] = now_s
        out.request_i[s.log_requests + request] = i[s.i_id + slot]
    return slot_end_s


@inlined
def _first_free_worker(s, f, slot):
    first = s.f_worker_free + slot * s.workers
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
            out.latencies[_latency_bucket(answer_s - arrival_s)] += 1
    if s.log_requests > 0:
        out.request_f[s.log_requests + request] = answer_s
        out.request_i[request] = outcome


@inlined
def _next_bin(s, i, f, arrival_s):
    i[BIN] = _bin(s, arrival_s)
    f[BIN_END] = (i[BIN] + 1) * s.bin_s


@inlined
def _bin(s, arrival_s):
    """The last bin that begins at or before the arrival."""
    b = int(arrival_s / s.bin_s)  # the quotient may be rounded over an edge
    if (b + 1) * s.bin_s <= arrival_s:
        b += 1
    elif b * s.bin_s > arrival_s:
        b -= 1
    return min(b, s.bins - 1)


@inlined
def _latency_bucket(latency_s):
    bucket = (bits_of(latency_s) >> (_FRACTION_BITS - OCTAVE_BITS)) - _FIRST_BUCKET
    return min(max(bucket, 0), LATENCY_BUCKETS - 1)


@inlined
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
        out.counts[I_BINS + s.bins + _bin(s, arrival_s)] += 1
    _count_answer(s, out, request, arrival_s, now_s, STATUS_503)
    if s.log_requests > 0:
        out.request_i[2 * s.log_requests + request] = cause
