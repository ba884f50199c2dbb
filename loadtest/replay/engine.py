"""The dispatcher: walks a schedule at absolute deadlines, one greenlet per request, and never waits for an answer."""

from __future__ import annotations

import gc
import time
from typing import Any

import gevent

from loadtest.replay.alarm import Alarm
from loadtest.replay.endpoint import parse_url
from loadtest.replay.segment import FLUSH_PERIOD_S, EndReason, SegmentWriter
from loadtest.replay.sender import Answer, Sender
from loadtest.replay.settings import WorkerSettings
from loadtest.replay.tripwire import Tripwire
from loadtest.schedule import read_schedule
from planner.model import Outcome

WARM_WITHIN_S = 5.0


class _Stop(Exception):
    """Thrown into the dispatcher to end it."""


class StatusError(Exception):
    """What Locust's failure table shows for a request; made once per kind."""


_FAILURES = {outcome: StatusError(outcome.name.lower().replace("_", " ")) for outcome in Outcome}


class Engine:
    """One worker's share of a replay: `arm`, then `run`. Records every event in the segment as it happens."""

    def __init__(self, settings: WorkerSettings, request_event: Any) -> None:
        self._settings = settings
        self._request_event = request_event
        self._endpoint = parse_url(settings.url)
        self._schedule = read_schedule(settings.schedule)
        self._max_in_flight = min(settings.max_in_flight, _descriptors_free())
        self._sender = Sender(
            self._endpoint,
            key=settings.key,
            timeout_s=settings.timeout_s,
            size=self._max_in_flight,
            run_id=self._schedule.sha256[:12],
        )
        self._segment = SegmentWriter(settings.segment, self._schedule.sha256)
        self._tripwire = Tripwire()
        self._name = self._endpoint.path.partition("?")[0]
        self._in_flight: dict[int, int] = {}
        self._start_ns = 0
        self._dispatcher: Any = None
        self._reason: EndReason | None = None
        self._all_dispatched = False

    def arm(self) -> dict[str, Any]:
        """Open connections, resolve the name, settle the garbage collector. Nothing is requested yet."""
        warm = self._sender.warm(min(self._settings.warm_sockets, self._max_in_flight), WARM_WITHIN_S)
        self._offsets = self._schedule.offset_ns.tolist()
        self._service_times = self._schedule.service_time_s.tolist()
        gc.collect()
        gc.freeze()
        return {"sockets_warmed": warm, "max_in_flight": self._max_in_flight}

    def run(self, start_ns: int) -> EndReason:
        """Send everything, wait for the answers, close the segment. start_ns: T0 on the monotonic clock."""
        self._start_ns = start_ns
        self._dispatcher = gevent.getcurrent()
        flusher = gevent.spawn(self._flush_forever)
        alarm = Alarm()
        try:
            if self._reason is None:
                self._dispatch(alarm)
                while self._in_flight:
                    gevent.sleep(0.005)
        except _Stop:
            pass
        finally:
            # GreenletExit comes this way too, when Locust stops its users.
            self._dispatcher = None
            flusher.kill()
            alarm.close()
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
        return self._sender.connections_opened

    def _dispatch(self, alarm: Alarm) -> None:
        cutoff_ns = round(self._settings.cutoff_s * 1e9)
        limit = self._settings.max_requests
        sent = 0
        for index, offset_ns in enumerate(self._offsets):
            if sent == limit:
                self._reason = self._reason or EndReason.MAX_REQUESTS
                return
            deadline_ns = self._start_ns + offset_ns
            if deadline_ns > time.monotonic_ns():
                alarm.wait_until(deadline_ns)
            else:
                gevent.sleep(0)  # running behind: let the requests that were started reach their sockets
            if time.monotonic_ns() - deadline_ns > cutoff_ns:
                self._segment.resolved(index, Outcome.SKIPPED_LATE)
            elif len(self._in_flight) >= self._max_in_flight:
                self._segment.resolved(index, Outcome.DROPPED_MAX_INFLIGHT)
            else:
                sent += 1
                self._in_flight[index] = 0
                gevent.spawn(self._request, index)
        self._all_dispatched = True

    def _request(self, index: int) -> None:
        def on_send(sent_ns: int) -> None:
            self._in_flight[index] = sent_ns
            self._segment.sent(index, sent_ns - self._start_ns)

        answer = self._sender.send(self._sender.request_bytes(index, self._service_times[index]), on_send)
        del self._in_flight[index]
        self._segment.resolved(
            index,
            answer.outcome,
            sent_ns=answer.sent_ns - self._start_ns,
            finish_ns=answer.finish_ns - self._start_ns,
            status=answer.status,
            flagged=answer.flagged,
            exec_ms=answer.exec_ms,
            dispatch_s=answer.dispatch_s,
            replica=answer.replica,
            cause=answer.cause,
        )
        if reason := self._tripwire.saw(answer.outcome, answer.status, answer.finish_ns):
            self.stop(reason)
        self._tell_locust(answer)

    def _tell_locust(self, answer: Answer) -> None:
        """Locust's own statistics, for its tables and web UI; the verdict rests on the segment."""
        self._request_event.fire(
            request_type="POST",
            name=self._name,
            response_time=(answer.finish_ns - answer.sent_ns) / 1e6,
            response_length=answer.length,
            response=None,
            context={},
            exception=None if answer.outcome is Outcome.OK else _FAILURES[answer.outcome],
        )

    def _flush_forever(self) -> None:
        while True:
            gevent.sleep(FLUSH_PERIOD_S)
            try:
                self._segment.flush()
            except OSError:
                self.stop(EndReason.LOG_UNWRITABLE)
                return

    def _close(self) -> EndReason:
        complete = self._all_dispatched and not self._in_flight
        reason = self._reason
        if reason is None:
            reason = EndReason.COMPLETE if complete else EndReason.STOPPED
        for index, sent_ns in self._in_flight.items():
            if sent_ns:
                self._segment.resolved(index, Outcome.IN_FLIGHT_AT_STOP, sent_ns=sent_ns - self._start_ns)
        try:
            self._segment.close(reason)
        except OSError:
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
