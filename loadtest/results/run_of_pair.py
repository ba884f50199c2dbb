"""One of two runs that are compared: what its folder holds, and what speaks against trusting it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.results.metrics import Measured
from loadtest.runfolder import open_run_folder
from loadtest.schedule import Schedule
from loadtest.validate.observed import Observation, observe
from planner.documents import scenario_document
from planner.model import Outcome, RequestLog
from planner.percent import percent
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.service import ServiceTime

MAX_UNKNOWN_FRACTION = 0.01
"""Of the planned requests: with more whose fate nobody knows, the sends cannot be simulated."""

_LONGEST_TEXT = 60

_NOT_SETTINGS = ("name", "shows", "expected_requests")


@dataclass(frozen=True, kw_only=True)
class Run:
    """name: `run A` or `run B`, as sentences call it."""

    name: str
    path: Path
    scenario: Scenario
    summary: dict[str, Any]
    log: RequestLog
    seen: Observation
    schedule: Schedule

    @cached_property
    def measured(self) -> Measured:
        return Measured.of(self.log, self.scenario)

    @property
    def doubts(self) -> list[str]:
        """Why the run supports less than a run should: said, and compared all the same."""
        found = [f"{self.name} is invalid: {problem}" for problem in self.summary["generator"]["problems"]]
        if self.summary.get("ended") != "complete":
            found.append(
                f"{self.name} did not end by itself ({self.summary.get('ended')}): {self.summary.get('message')}"
            )
        ready = ((self.summary.get("replicas") or {}).get("at_start") or {}).get("ready")
        expected = self.scenario.deployment.initial_count
        if ready is not None and ready != expected:
            found.append(f"{self.name} began with {ready} ready replicas, its scenario with {expected}.")
        return found

    @property
    def not_simulable(self) -> list[str]:
        """Why the model cannot say what chance makes of this run."""
        found = [f"{self.name}: {problem}" for problem in self.summary["observed"]["problems"]]
        unknown = int(np.isin(self.log.outcome, (Outcome.UNACCOUNTED, Outcome.UNRESOLVED)).sum())
        if unknown > MAX_UNKNOWN_FRACTION * len(self.log):
            found.append(
                f"{self.name}: of {unknown} of {len(self.log)} planned requests nobody knows whether they reached the "
                f"endpoint or what it answered; at most {percent(MAX_UNKNOWN_FRACTION)} may be so."
            )
        return found

    def document(self) -> dict[str, Any]:
        books, generator = self.summary["books"], self.summary["generator"]
        return {
            "run": str(self.path),
            "scenario": self.scenario.name,
            "started_at": self.summary.get("started_at"),
            "ended": self.summary.get("ended"),
            "url": self.summary.get("url"),
            "is_lab": (self.summary.get("endpoint") or {}).get("is_lab"),
            "schedule_sha256": self.schedule.sha256,
            "surgeproof": self.summary["provenance"].get("surgeproof"),
            "generator": generator,
            "books": {name: n for name, n in books.items() if type(n) is int},
            "doubts": self.doubts,
        }


def read_run(path: Path, name: str) -> Run:
    """Read a run folder; InputError names what is missing or broken."""
    folder = open_run_folder(path)
    scenario = load(str(folder.scenario))
    return Run(
        name=name,
        path=path,
        scenario=scenario,
        summary=folder.read_summary(),
        log=folder.read_requests(),
        seen=observe(folder, scenario),
        schedule=folder.read_schedule(),
    )


def plan_the_same(a: Schedule, b: Schedule) -> bool:
    """Whether two schedules plan the same requests at the same times, whatever they were made from."""
    return all(
        np.array_equal(getattr(a, column), getattr(b, column))
        for column in ("offset_ns", "service_time_s", "payload_id")
    )


def settings_that_differ(a: Scenario, b: Scenario) -> list[dict[str, Any]]:
    """`{setting, before, after}` of everything in which two scenarios differ but their names and texts."""
    before, after = (_flat(scenario_document(scenario)) | _request(scenario) for scenario in (a, b))
    return [
        {"setting": name, "before": before.get(name), "after": after.get(name)}
        for name in [*before, *(name for name in after if name not in before)]
        if before.get(name) != after.get(name) and name != _WHOSE_NAMES
    ]


_WHOSE_NAMES = "names"
"""Under whose names a scenario writes its settings: nothing in which two runs differ."""


def _request(scenario: Scenario) -> dict[str, Any]:
    """What each request carries and how its answer is checked; of headers only the names are anybody's business."""
    found = {}
    for name, value in vars(scenario.request).items():
        parts = value if isinstance(value, tuple) else (value,)
        found[f"request.{name}"] = _short(", ".join(str(getattr(part, "name", part)) for part in parts))
    return found


def _short(text: str) -> str:
    """A text that fits into a table; of a longer one the start, and a hash that tells it from others."""
    if len(text) <= _LONGEST_TEXT:
        return text
    return f"{text[:_LONGEST_TEXT]}… (SHA-256 {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:12]})"


def _flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if not prefix and name in _NOT_SETTINGS:
            continue
        # The endpoint's own settings keep Azure's plain names.
        inside = "" if name == "settings" else f"{prefix}{name}."
        flat |= _flat(value, inside or " ") if isinstance(value, dict) else {f"{prefix.strip()}{name}": value}
    return flat


def behave_alike(a: Scenario, b: Scenario) -> bool:
    """Whether two scenarios have the same endpoint, whatever their traffic."""
    return a.deployment == b.deployment and _same(a.service_time, b.service_time) and _same(a.cold_start, b.cold_start)


def _same(one: ServiceTime, other: ServiceTime) -> bool:
    """Equal in every field, arrays and nested distributions included."""
    if type(one) is not type(other):
        return False
    return all(_equal(value, vars(other)[name]) for name, value in vars(one).items())


def _equal(one: Any, other: Any) -> bool:
    if hasattr(one, "describe"):
        return _same(one, other)
    return bool(np.array_equal(one, other))
