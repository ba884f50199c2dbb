"""Watches the replicas of a Surgeproof lab during a replay, from a thread of the parent: no gevent, no Locust.

`/lab/log` has the exact instant of every change; `/lab/state` is sampled beside it for the queue and as a fallback.
"""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from typing import Any

import numpy as np

from loadtest.replay.endpoint import Endpoint
from planner.model import REPLICA_COLUMNS, Deployment, ReplicaLog

SAMPLE_PERIOD_S = 0.25
LOG_PERIOD_S = 1.0
TIMEOUT_S = 2.0

_STATE_COLUMNS = REPLICA_COLUMNS[1:]
_NEEDED = ("monotonic_s", *_STATE_COLUMNS)


class LabClient:
    """Reads the lab's state and log over one kept connection; every failure is a LabUnavailable."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=TIMEOUT_S)

    def state(self) -> dict[str, Any]:
        """The lab's present state."""
        document = self._call("GET", "/lab/state")
        if not isinstance(document, dict) or any(not isinstance(document.get(k), int | float) for k in _NEEDED):
            raise LabUnavailable("/lab/state answers, but not as a Surgeproof lab does")
        return document

    def events_after(self, seq: int) -> list[dict[str, Any]]:
        """State events with a sequence number above `seq`, oldest first; a lab that does not filter sends all kinds."""
        document = self._call("GET", f"/lab/log?after={seq}&kinds=state")
        if not isinstance(document, list):
            raise LabUnavailable("/lab/log answers, but not as a Surgeproof lab does")
        return [event for event in document if isinstance(event, dict) and isinstance(event.get("seq"), int)]

    def begin(self, start_monotonic_s: float, key: str | None) -> None:
        """Tell the lab which instant is time 0 of the scenario, so that its tick k is the model's."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self._call("POST", "/lab/begin", json.dumps({"monotonic_s": start_monotonic_s}), headers)

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Any:
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise LabUnavailable(f"{method} {path} answers {response.status}")
            return json.loads(answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._connection.close()
            raise LabUnavailable(f"{method} {path}: {error or type(error).__name__}") from None


class LabUnavailable(Exception):
    """The lab did not answer, or this is no lab."""


def find_lab(endpoint: Endpoint, *, loopback: bool) -> tuple[dict[str, Any] | None, str]:
    """The state of the lab behind a URL, or None and the reason why no replicas can be observed."""
    if not loopback or endpoint.is_tls:
        return None, "the endpoint is not a Surgeproof lab on this machine, so replicas were not observed"
    client = LabClient(endpoint)
    try:
        return client.state(), ""
    except LabUnavailable as error:
        return None, f"the endpoint shows no replicas ({error})"
    finally:
        client.close()


def aligned_start_s(last_state: list[dict[str, Any]], earliest_s: float) -> float | None:
    """The first autoscaler tick at or after `earliest_s` (monotonic clock); None if the lab does not name its ticks."""
    state = last_state[0] if last_state else {}
    tick_s, period_s = state.get("next_tick_monotonic_s"), state.get("refresh_period_s")
    if not isinstance(tick_s, int | float) or not isinstance(period_s, int | float) or period_s <= 0:
        return None
    return float(tick_s + max(0, math.ceil((earliest_s - tick_s) / period_s)) * period_s)


class ReplicaObserver:
    """A thread that collects the lab's states from `start` to `stop`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = LabClient(endpoint)
        self._rows: list[tuple[float, ...]] = []
        self._after = 0
        self._log_works = True
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="replay-lab-observer", daemon=True)
        self.ready: int | None = None
        self.problem: str | None = None
        self.states: list[dict[str, Any]] = []
        """First and last state seen."""

    @property
    def source(self) -> str:
        return "/lab/log and /lab/state" if self._log_works else "/lab/state"

    def start(self) -> None:
        self._sample()
        self._thread.start()

    def begin(self, start_monotonic_s: float, key: str | None) -> bool:
        """Make that instant the lab's time 0; False where the lab does not take it."""
        client = LabClient(self._endpoint)
        try:
            client.begin(start_monotonic_s, key)
        except LabUnavailable:
            return False
        finally:
            client.close()
        return True

    def stop(self) -> None:
        """Take a last look and end the thread."""
        if self._thread.is_alive():
            self._stopping.set()
            self._thread.join()
        self._client.close()

    def replica_log(self, start_monotonic_s: float) -> ReplicaLog | None:
        """Changes relative to the start of the run; the state at the start is the first row, at 0."""
        return build_replica_log(self._rows, start_monotonic_s)

    def _watch(self) -> None:
        next_log_s = time.monotonic()
        while not self._stopping.wait(SAMPLE_PERIOD_S):
            self._sample()
            if time.monotonic() >= next_log_s:
                next_log_s += LOG_PERIOD_S
                self._read_log()
        self._sample()
        self._read_log()

    def _sample(self) -> None:
        try:
            state = self._client.state()
        except LabUnavailable as error:
            self.problem = f"the lab stopped answering during the run ({error})"
            return
        self.ready = int(state["ready"])
        self.states[1:] = [state]
        self._rows.append(tuple(float(state[name]) for name in _NEEDED))

    def _read_log(self) -> None:
        if not self._log_works:
            return
        try:
            while events := self._client.events_after(self._after):  # the lab answers in pages
                self._after = max(int(event["seq"]) for event in events)
                self._rows += [
                    tuple(float(event[name]) for name in _NEEDED)
                    for event in events
                    if event.get("kind") == "state" and all(isinstance(event.get(k), int | float) for k in _NEEDED)
                ]
        except LabUnavailable:
            self._log_works = bool(self._after)


def build_replica_log(rows: list[tuple[float, ...]], start_monotonic_s: float) -> ReplicaLog | None:
    """Rows (monotonic_s, desired, ready, starting, busy, queued) in any order, as a log that keeps only changes."""
    if not rows:
        return None
    table = np.array(rows, dtype=np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    time_s = table[:, 0] - start_monotonic_s
    first = max(0, int(np.searchsorted(time_s, 0.0, side="right")) - 1)
    time_s, states = np.maximum(time_s[first:], 0.0), table[first:, 1:].astype(np.int64)
    changed = np.concatenate(([True], np.any(np.diff(states, axis=0) != 0, axis=1)))
    columns = {name: states[changed, i] for i, name in enumerate(_STATE_COLUMNS)}
    return ReplicaLog(time_s=time_s[changed], **columns)


def lab_differences(deployment: Deployment, ready: int, state: dict[str, Any]) -> list[str]:
    """Sentences on a lab that is not the one the scenario describes: its prediction would be of something else."""
    found = []
    if ready != deployment.initial_count:
        found.append(f"the lab had {ready} ready replicas at the start, the scenario says {deployment.initial_count}")
    settings = state.get("settings")
    expected = {
        "autoscale_min_replicas": deployment.min_replicas,
        "autoscale_max_replicas": deployment.max_replicas,
        "autoscale_target_utilization": deployment.target_utilization_percent,
    }
    for name, value in expected.items():
        if isinstance(settings, dict) and isinstance(settings.get(name), int) and settings[name] != value:
            found.append(f"the lab runs with {name} = {settings[name]}, the scenario says {value}")
    return found
