"""What the lab's tests share: scenarios small enough for them, a plain HTTP client, and a look at the process table."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

from loadtest.lab.process import LabProcess

SCENARIO = """
schema_version: 1
name: {name}
shows: A lab under test.
duration: 60s
traffic: {{arrivals: poisson, rate: [{{from: 0s, rps: 5}}]}}
service_time: {{distribution: deterministic, mean: 100ms}}
deployment: {{api: v2, {deployment}}}
cold_start: {{distribution: deterministic, mean: {cold_start}}}
seed: 1
"""


def write_scenario(folder: Path, deployment: str, *, cold_start: str = "1s", name: str = "tested") -> Path:
    """A scenario file with these deployment settings."""
    path = folder / f"{name}.yaml"
    path.write_text(SCENARIO.format(name=name, deployment=deployment, cold_start=cold_start))
    return path


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes
    took_s: float

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Client:
    """Talks to one lab, with its key unless told otherwise."""

    def __init__(self, lab: LabProcess) -> None:
        self._address = urlsplit(lab.url)
        self._key = lab.key

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        named = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
        started = time.monotonic()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), named)
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        heads = {name.lower(): value for name, value in reply.getheaders()}
        return Reply(reply.status, heads, content, time.monotonic() - started)

    def score(self, service_time_s: float, number: int = 0) -> Reply:
        return self.ask("POST", "/score", {"request": number, "service_time_s": service_time_s})

    def score_together(self, service_times_s: list[float], apart_s: float = 0.02) -> list[Reply]:
        """One request after the other, each sent without waiting for the answer to the last."""
        with ThreadPoolExecutor(len(service_times_s)) as pool:
            futures = []
            for i, service_time_s in enumerate(service_times_s):
                futures.append(pool.submit(self.score, service_time_s, i))
                time.sleep(apart_s)
            return [future.result() for future in futures]

    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = self.ask("GET", "/lab/state", Authorization="").document
        return document

    def log(self, kind: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.ask("GET", f"/lab/log?after=0&kinds={kind}").document
        return events

    def wait_for(self, condition: Callable[[dict[str, Any]], object], limit_s: float = 30.0) -> dict[str, Any]:
        """The first state that meets a condition."""
        deadline = time.monotonic() + limit_s
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, f"not within {limit_s} s; last state: {state}"
            time.sleep(0.05)
        return state


def eventually(is_so: Callable[[], object], limit_s: float = 30.0) -> None:
    """Wait until it is so; fail after limit_s."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {limit_s} s"
        time.sleep(0.05)


def scoring_processes(lab_pid: int) -> list[int]:
    """A lab's launcher, and the masters and workers that it has forked, which keep its command line."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if any(part.endswith("launcher.py") for part in command[:3]) and str(lab_pid) in command[:4]:
            found.append(process.info["pid"])
    return found
