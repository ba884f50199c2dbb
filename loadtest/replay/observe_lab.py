"""Watches the replicas of a Surgeproof lab during a replay, from a thread of the parent: no gevent, no Locust.

`/lab/log` has the exact instant of every change; `/lab/state` is sampled beside it for the queue and as a fallback.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from loadtest.replay.endpoint import Endpoint
from loadtest.replay.lab_client import ROW, LabClient, LabMalformed, LabUnavailable
from planner.model import Deployment, ReplicaLog

SAMPLE_PERIOD_S = 0.25
LOG_PERIOD_S = 1.0
LOG_PAGES_AT_ONCE = 100
"""The lab keeps 20."""
LONGEST_WAIT_FOR_A_TICK_S = 60.0
MALFORMED = "the endpoint shows no usable replicas"


def find_lab(endpoint: Endpoint, *, is_lab: bool) -> tuple[dict[str, Any] | None, str]:
    """The state of the lab behind a URL, or None and the reason why no replicas can be observed.

    Nothing is asked of an endpoint that has not said that it is a lab. An answer that is nearly a lab's is worth a
    warning: then the reason starts with MALFORMED.
    """
    if not is_lab:
        return None, "the endpoint is not a Surgeproof lab on this machine, so replicas were not observed"
    client = LabClient(endpoint)
    try:
        return client.state(), ""
    except LabMalformed as error:
        return None, f"{MALFORMED} ({error})"
    except LabUnavailable as error:
        return None, f"the endpoint shows no replicas ({error})"
    finally:
        client.close()


def aligned_start_s(last_state: list[dict[str, Any]], earliest_s: float) -> float | None:
    """The first autoscaler tick at or after `earliest_s` (monotonic clock).

    None if the lab does not name its ticks, or one that is too far away to wait for.
    """
    state = last_state[0] if last_state else {}
    tick_s, period_s = state.get("next_tick_monotonic_s"), state.get("refresh_period_s")
    if tick_s is None or period_s is None:
        return None
    start_s = float(tick_s + max(0, math.ceil((earliest_s - tick_s) / period_s)) * period_s)
    return start_s if start_s - earliest_s <= LONGEST_WAIT_FOR_A_TICK_S else None


class ReplicaObserver:
    """A thread that hands every state of the lab to `on_row`, in no order, from `start` to `stop`."""

    def __init__(self, endpoint: Endpoint, on_row: Callable[[tuple[float, ...]], object]) -> None:
        self._endpoint = endpoint
        self._client = LabClient(endpoint)
        self._on_row = on_row
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

    def begin(self, start_monotonic_s: float, authorization: str | None) -> bool:
        """Make that instant the lab's time 0; False where the lab does not take it."""
        client = LabClient(self._endpoint)
        try:
            client.begin(start_monotonic_s, authorization)
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
            self.problem = f"the lab could not be observed all the time ({error})"
            return
        self.ready = state["ready"]
        self.states[1:] = [state]
        self._note(state)

    def _read_log(self) -> None:
        if not self._log_works:
            return
        try:
            self._read_pages()
        except LabMalformed as error:
            self._log_works = False
            self.problem = f"the lab's log could not be used ({error})"
        except LabUnavailable:
            self._log_works = bool(self._after)

    def _read_pages(self) -> None:
        for _ in range(LOG_PAGES_AT_ONCE):
            events = self._client.events_after(self._after)
            if not events:
                return
            self._after = max(event["seq"] for event in events)
            for event in events:
                if event.get("kind") == "state":
                    self._note(event)
        raise LabMalformed(f"/lab/log has no end: {LOG_PAGES_AT_ONCE} pages are not all of it")

    def _note(self, row: dict[str, Any]) -> None:
        self._on_row(tuple(float(row.get(name, -1)) for name in ROW))


def build_replica_log(rows: Sequence[Sequence[float]], start_monotonic_s: float) -> ReplicaLog | None:
    """Rows of ROW in any order, its last columns left out or not, as a log that keeps only changes."""
    if not rows:
        return None
    table = np.array(rows, dtype=np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    time_s = table[:, 0] - start_monotonic_s
    first = max(0, int(np.searchsorted(time_s, 0.0, side="right")) - 1)
    time_s, states = np.maximum(time_s[first:], 0.0), table[first:, 1:].astype(np.int64)
    changed = np.concatenate(([True], np.any(np.diff(states, axis=0) != 0, axis=1)))
    columns = {name: states[changed, i] for i, name in enumerate(ROW[1 : table.shape[1]])}
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
