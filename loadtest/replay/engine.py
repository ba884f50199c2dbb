"""The dispatcher: walks one worker's share of a schedule at absolute deadlines and never waits for an answer."""

from __future__ import annotations

import gc
import math
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent

from loadtest.payloads import Payloads, resolve_headers
from loadtest.replay.alarm import Alarm
from loadtest.replay.answers import Answer
from loadtest.replay.clocks import ClockWatch
from loadtest.replay.connections import Connections, Exchange
from loadtest.replay.credentials import Credentials
from loadtest.replay.endpoint import parse_url
from loadtest.replay.locust_statistics import LocustStatistics
from loadtest.replay.segment import FLUSH_PERIOD_S, UNKNOWN_NS, EndReason, SegmentWriter
from loadtest.replay.settings import ReplaySettings, share
from loadtest.replay.tripwire import Tripwire
from loadtest.replay.wire import RequestWriter
from loadtest.schedule import Schedule
from planner.errors import SurgeproofError
from planner.model import Outcome

WARM_WITHIN_S = 5.0

SENDS_BEFORE_ANSWERS = 8
"""While it is behind, the dispatcher lets answers be read after that many requests: their latency must not grow."""

_CHUNK = 4096


class _Stop(Exception):
    """Thrown into the dispatcher to end it."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """The rows of a schedule that one worker sends: worker, worker + workers, worker + 2 workers, ..."""

    schedule: Schedule
    payloads: Payloads
    worker: int = 0
    workers: int = 1

    def rows(self) -> Iterator[tuple[int, int, float, int]]:
        """(request, offset in ns, service time in s, payload), in order of time."""
        n, step = len(self.schedule), self.workers
        columns = (self.schedule.offset_ns, self.schedule.service_time_s, self.schedule.payload_id)
        for begin in range(self.worker, n, _CHUNK * step):
            part = range(begin, min(begin + _CHUNK * step, n), step)
            yield from zip(part, *(column[part.start : part.stop : step].tolist() for column in columns), strict=True)


class Engine:
    """One worker's share of a replay: `arm`, then `run`. Records every event in the segment as it happens."""

    def __init__(
        self,
        share_of: Share,
        settings: ReplaySettings,
        credentials: Credentials,
        segment: SegmentWriter,
        request_event: Any,
        on_flush: Callable[[bytes], object] = lambda records: None,
    ) -> None:
        self._share = share_of
        self._settings = settings
        self._credentials = credentials
        self._segment = segment
        self._on_flush = on_flush
        endpoint = parse_url(settings.url)
        payloads = share_of.payloads
        self._max_in_flight = min(settings.max_in_flight, _descriptors_free())
        self._most_sends = share(settings.max_requests, share_of.worker, share_of.workers)
        self._alarm = Alarm()
        self._connections = Connections(endpoint, settings.timeout_s, payloads.check.problem, self._alarm.let_pass)
        run_id = share_of.schedule.sha256[:12]
        self._writer = RequestWriter(endpoint, credentials, resolve_headers(payloads, os.environ), run_id)
        self._statistics = LocustStatistics(request_event, endpoint.path.partition("?")[0])
        self._tripwire = Tripwire(settings.errors)
        self._in_flight: dict[Exchange, None] = {}
        self._retrying = 0
        self._sends = 0
        most = math.ceil((settings.max_rps or 0) / share_of.workers)
        self._recent: deque[int] = deque(maxlen=most)
        """When the last requests left, as many as --max-rps allows in a second."""
        self._start_ns = 0
        self._dispatcher: Any = None
        self._reason: EndReason | None = None
        self._all_dispatched = False
        self.remarks: dict[int, str] = {}
        """The first sentence on each HTTP status that is worth one."""
        self.problem: str | None = None
        """What is to blame where the run ends because of this worker."""

    def arm(self) -> dict[str, Any]:
        """Open connections, resolve the name, settle the garbage collector. Nothing is requested yet."""
        wanted = share(self._settings.warm_sockets, self._share.worker, self._share.workers) or 1
        warm = self._connections.warm(min(wanted, self._max_in_flight), WARM_WITHIN_S)
        gc.collect()
        gc.freeze()
        return {"sockets_warmed": warm, "max_in_flight": self._max_in_flight}

    def flush(self) -> None:
        self._on_flush(self._segment.flush())

    def run(self, start_ns: int) -> EndReason:
        """Send everything, wait for the answers, close the segment. start_ns: T0 on this machine's monotonic clock."""
        self._start_ns = start_ns
        self._dispatcher = gevent.getcurrent()
        flusher = gevent.spawn(self._flush_forever)
        try:
            if self._reason is None:
                self._dispatch()
                while self._in_flight or self._retrying:
                    gevent.sleep(0.005)
        except _Stop:
            pass
        except SurgeproofError as error:  # a payload that cannot be made
            self.problem, self._reason = str(error), EndReason.CRASHED
        except Exception as error:
            traceback.print_exc()
            self.problem, self._reason = f"{type(error).__name__}: {error}", EndReason.CRASHED
        finally:
            # GreenletExit comes this way too, when Locust stops its users.
            self._dispatcher = None
            flusher.kill()
            self._alarm.close()
            reason = self._close()
        return reason

    def stop(self, reason: EndReason) -> None:
        """End the run now; what is in flight stays without an answer. The first reason stands."""
        if self._reason is None:
            self._reason = reason
            if self._dispatcher is not None and self._dispatcher is not gevent.getcurrent():
                self._dispatcher.kill(_Stop, block=False)

    @property
    def connections_opened(self) -> int:
        return self._connections.opened

    def _dispatch(self) -> None:
        cutoff_ns = round(self._settings.cutoff_s * 1e9)
        behind = 0
        for index, offset_ns, service_time_s, payload_id in self._share.rows():
            deadline_ns = self._start_ns + offset_ns
            body = self._share.payloads.body(index, payload_id, service_time_s, offset_ns / 1e9)
            request = self._writer.request(index, body)
            if deadline_ns > time.monotonic_ns():
                self._alarm.wait_until(deadline_ns)
            else:
                behind += 1
                if behind % SENDS_BEFORE_ANSWERS == 0:
                    gevent.sleep(0)
            if self._is_spent:  # retries may have done that during the wait
                self._reason = self._reason or EndReason.MAX_REQUESTS
                return
            if time.monotonic_ns() - deadline_ns > cutoff_ns:
                self._segment.resolved(index, Outcome.SKIPPED_LATE)
            elif len(self._in_flight) >= self._max_in_flight:
                self._segment.resolved(index, Outcome.DROPPED_MAX_INFLIGHT)
            else:
                self._send(index, 0, request)
        self._all_dispatched = True

    @property
    def _is_spent(self) -> bool:
        return self._most_sends is not None and self._sends >= self._most_sends

    def _send(self, index: int, attempt: int, request: bytes) -> None:
        exchange = Exchange(index, attempt, request, self._sent, self._done)
        self._sends += 1
        self._recent.append(time.monotonic_ns())
        self._in_flight[exchange] = None
        self._connections.send(exchange)

    def _sent(self, exchange: Exchange) -> None:
        self._segment.sent(exchange.index, exchange.sent_ns - self._start_ns, exchange.attempt)

    def _done(self, exchange: Exchange, answer: Answer) -> None:
        if self._in_flight.pop(exchange, exchange) is exchange:
            return  # the run is over and has been told that this one was in flight
        dispatch_ns = UNKNOWN_NS
        if answer.dispatch_s == answer.dispatch_s:  # known
            dispatch_ns = round(answer.dispatch_s * 1e9) - self._start_ns
        self._segment.resolved(
            exchange.index,
            answer.outcome,
            sent_ns=answer.sent_ns - self._start_ns,
            finish_ns=answer.finish_ns - self._start_ns,
            status=answer.status,
            flagged=answer.flagged,
            exec_ms=answer.exec_ms,
            dispatch_ns=dispatch_ns,
            replica=answer.replica,
            cause=answer.cause,
            attempt=exchange.attempt,
        )
        if answer.remark is not None and answer.status not in self.remarks:
            self.remarks[answer.status] = answer.remark
        if reason := self._tripwire.saw(answer.outcome, answer.status, answer.finish_ns):
            if reason is EndReason.UNAUTHORIZED and self._reason is None:
                self.problem = self._credentials.refused(answer.status)
            self.stop(reason)
        else:
            self._retry(exchange, answer)
        self._statistics.add(answer, exchange.attempt)

    def _retry(self, exchange: Exchange, answer: Answer) -> None:
        """Ask again where the client is allowed to and the answer says that it may help."""
        policy = self._settings.retry
        if policy is None or answer.outcome not in (Outcome.STATUS_503, Outcome.STATUS_429):
            return
        wait_s = policy.wait_s(exchange.attempt + 1, answer.retry_after)
        if wait_s is not None:
            self._retrying += 1
            gevent.spawn_later(wait_s, self._send_again, exchange)

    def _send_again(self, exchange: Exchange) -> None:
        self._retrying -= 1
        room = len(self._in_flight) < self._max_in_flight and self._has_room_in_this_second()
        if self._reason is None and self._dispatcher is not None and room and not self._is_spent:
            self._send(exchange.index, exchange.attempt + 1, exchange.request)

    def _has_room_in_this_second(self) -> bool:
        """Retries come on top of a plan that --max-rps has been held against."""
        if self._settings.max_rps is None:
            return True
        before_ns = time.monotonic_ns() - 1_000_000_000
        while self._recent and self._recent[0] < before_ns:
            self._recent.popleft()
        return len(self._recent) < self._settings.max_rps / self._share.workers

    def _flush_forever(self) -> None:
        watch = ClockWatch(round(FLUSH_PERIOD_S * 1e9))
        while True:
            gevent.sleep(FLUSH_PERIOD_S)
            for note, at_ns, lasted_ns in watch.notice(time.monotonic_ns(), time.time_ns()):
                self._segment.note(note, at_ns - self._start_ns, lasted_ns)
            try:
                self.flush()
            except OSError as error:
                self.problem = error.strerror or str(error)
                self.stop(EndReason.LOG_UNWRITABLE)
                return

    def _close(self) -> EndReason:
        self._connections.close()
        complete = self._all_dispatched and not self._in_flight
        reason = self._reason
        if reason is None:
            reason = EndReason.COMPLETE if complete else EndReason.STOPPED
        for exchange in self._in_flight:
            if exchange.response is not None:  # else it never got a connection
                self._segment.resolved(
                    exchange.index,
                    Outcome.IN_FLIGHT_AT_STOP,
                    sent_ns=exchange.sent_ns - self._start_ns,
                    attempt=exchange.attempt,
                )
        self._in_flight.clear()
        try:
            self._on_flush(self._segment.close(reason))
        except OSError as error:
            self.problem = error.strerror or str(error)
            return EndReason.LOG_UNWRITABLE
        return reason


def _descriptors_free() -> int:
    """How many sockets this process may open, after raising its soft limit as far as it may."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 65536 if hard == resource.RLIM_INFINITY else max(1, hard - 64)
