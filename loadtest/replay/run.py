"""Replays a scenario against a scoring URL and writes the run folder: the parent's side, without gevent."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.replay.endpoint import (
    KEY_VARIABLE,
    Endpoint,
    check_allowed,
    check_reachable,
    is_loopback,
    parse_url,
    resolve,
)
from loadtest.replay.interrupts import interrupts_restored
from loadtest.replay.merge import Observed, merge
from loadtest.replay.observe_lab import MALFORMED, lab_differences
from loadtest.replay.segment import read_segment
from loadtest.replay.session import OnProgress, Session
from loadtest.replay.settings import CLIENT_SLACK_S, MAX_IN_FLIGHT, WorkerSettings
from loadtest.replay.summary import conclude
from loadtest.runfolder import RunFolder, create_run_folder, provenance
from loadtest.schedule import Schedule, build_schedule, write_schedule
from planner.errors import InputError, NoVerdictError
from planner.model import ReplicaLog, RequestLog
from planner.records import write_replicas, write_requests
from planner.scenario import Scenario

MAX_WARM_SOCKETS = 512


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """What a replay leaves: its folder, the document of the command, the logs, and how the command should end."""

    folder: RunFolder
    document: dict[str, Any]
    requests: RequestLog
    replicas: ReplicaLog | None
    exit_code: int
    message: str | None
    """One sentence where the run did not go as planned."""


def replay(
    scenario: Scenario,
    url: str,
    *,
    out: Path | None = None,
    allow_hosts: Collection[str] = (),
    max_requests: int | None = None,
    on_progress: OnProgress | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> ReplayResult:
    """Send the scenario's requests to `url` at their times and write the run folder.

    Refuses (InputError) before the first request; afterwards everything measured is kept and the result says how it
    ended, Ctrl-C included (exit code 130).
    """
    endpoint = parse_url(url)
    key = endpoint_key()
    schedule = build_schedule(scenario)
    loopback = _check_target(endpoint, schedule, allow_hosts, max_requests)
    folder = create_run_folder(scenario.name, out)
    _write_plan(folder, scenario, schedule)
    settings = WorkerSettings(
        url=url,
        schedule=folder.schedule,
        segment=folder.segment,
        timeout_s=client_timeout_s(scenario),
        warm_sockets=warm_sockets(schedule, scenario),
        max_in_flight=max_in_flight,
        max_requests=max_requests,
        start_by_parent=True,
        key=key,
    )
    run = Session(endpoint, schedule, settings, folder, loopback=loopback, on_progress=on_progress or (lambda _: None))
    with interrupts_restored():
        run.perform()
        return _conclude(run, scenario, key)


def _check_target(
    endpoint: Endpoint, schedule: Schedule, allow_hosts: Collection[str], max_requests: int | None
) -> bool:
    """Whether the endpoint is this machine; refuses one that may not be loaded or that nobody answers at."""
    loopback = is_loopback(resolve(endpoint))
    check_allowed(
        endpoint,
        loopback=loopback,
        allow_hosts=allow_hosts,
        max_requests=max_requests,
        planned=len(schedule),
        peak_rate_rps=schedule.peak_rate_rps,
    )
    check_reachable(endpoint)
    return loopback


def _conclude(run: Session, scenario: Scenario, key: str | None) -> ReplayResult:
    """Merge, judge, write."""
    folder = run.folder
    started = run.started_at is not None
    try:
        records = read_segment(folder.segment, run.schedule.sha256)
        worker_words = _tidy_log(folder.worker_log, key)
    except OSError as error:
        raise NoVerdictError(f"{folder.path}: cannot be read after the run ({error.strerror or error})") from None
    seen = merge(run.schedule, records, run.start_s, without_end_mark=run.end_reason)
    replicas = run.observer.replica_log(run.start_s) if run.observer is not None and started else None
    ending = conclude(scenario, run.schedule, seen, interrupted=run.interrupted)
    document = {
        "command": "replay",
        "scenario": scenario.name,
        "url": run.endpoint.shown,
        "ended": ending.word,
        "message": ending.message,
        "exit_code": ending.exit_code,
        "started_at": run.started_at.isoformat(timespec="milliseconds") if run.started_at else None,
        "start_monotonic_s": run.start_s if started else None,
        "endpoint": {"is_lab": run.lab_state is not None},
        "aligned_to_tick": run.aligned,
        **ending.documents,
        "warnings": _warnings(run, scenario, replicas, worker_words) + ending.warnings,
        "replicas": _replica_notes(run, replicas),
        "client": _client_notes(run),
        "schedule_sha256": run.schedule.sha256,
        "provenance": provenance(scenario.seed),
    }
    _write_results(folder, seen, replicas, document)
    return ReplayResult(
        folder=folder,
        document=document | {"run": str(folder.path)},
        requests=seen.log,
        replicas=replicas,
        exit_code=ending.exit_code,
        message=ending.message,
    )


def _write_results(folder: RunFolder, seen: Observed, replicas: ReplicaLog | None, document: dict[str, Any]) -> None:
    """Write the logs and the summary; the worker's records go only when everything that is made of them is safe."""
    try:
        write_requests(folder.requests, seen.log, seen.extra_columns())
        if replicas is not None:
            write_replicas(folder.replicas, replicas)
        folder.write_summary(document)
        folder.segment.unlink(missing_ok=True)
    except OSError as error:
        raise NoVerdictError(
            f"{folder.path}: the results cannot be written ({error.strerror or error}); "
            f"what was measured is still in {folder.segment.name}"
        ) from None


def _replica_notes(run: Session, replicas: ReplicaLog | None) -> dict[str, Any]:
    """Where the replica log comes from, or why there is none."""
    if run.observer is None or replicas is None:
        return {"observed": False, "why": run.no_replicas_because or _nothing_seen(run)}
    at_start = {name: int(getattr(replicas, name)[0]) for name in ("desired", "ready", "starting", "busy", "queued")}
    return {
        "observed": True,
        "source": run.observer.source,
        "changes": len(replicas),
        "at_start": at_start,
        "lab_was_told_the_start": run.told_lab,
    }


def _nothing_seen(run: Session) -> str:
    """Why a lab that was found at first has shown no replicas."""
    if run.started_at is None:
        return "the run did not start"
    problem = run.observer.problem if run.observer is not None else None
    return problem or "the lab was not seen again after the start"


def _warnings(run: Session, scenario: Scenario, replicas: ReplicaLog | None, worker_words: str) -> list[str]:
    """What in the circumstances of a run casts a doubt on it."""
    found = list(scenario.warnings)
    if run.no_replicas_because.startswith(MALFORMED):
        found.append(run.no_replicas_because)
    if run.observer is not None and run.observer.problem:
        found.append(run.observer.problem)
    if run.observer is not None and run.observer.states and replicas is not None:
        first, last = run.observer.states[0], run.observer.states[-1]
        found += lab_differences(scenario.deployment, int(replicas.ready[0]), first)
        if slow := int(last.get("slow_starts") or 0) - int(first.get("slow_starts") or 0):
            found.append(f"{slow} replicas of the lab took longer to start than the cold start drawn for them")
    if worker_words:
        found.append(f"the replay worker wrote to {run.folder.worker_log.name}: {worker_words}")
    return found


def _client_notes(run: Session) -> dict[str, Any]:
    return {
        "timeout_s": run.settings.timeout_s,
        "cutoff_s": run.settings.cutoff_s,
        "max_in_flight": run.armed.get("max_in_flight", run.settings.max_in_flight),
        "sockets_warmed": run.armed.get("sockets_warmed"),
        "connections_opened": run.ended.get("connections_opened"),
    }


def endpoint_key() -> str | None:
    """The key from the environment, None where there is none. It is never shown, not even when it is refused."""
    key = os.environ.get(KEY_VARIABLE) or None
    if key is not None and not all(33 <= ord(c) <= 126 for c in key):
        raise InputError(f"{KEY_VARIABLE}: holds a space, a line break or another character that no key has")
    return key


def client_timeout_s(scenario: Scenario) -> float:
    """Long enough that the front end's own 504 always comes first."""
    deployment = scenario.deployment
    return deployment.max_request_wait_s + deployment.scoring_timeout_s + CLIENT_SLACK_S


def warm_sockets(schedule: Schedule, scenario: Scenario) -> int:
    """Connections worth opening beforehand: the most requests that are out at once if each waits its full limit."""
    longest_s = schedule.service_time_s + scenario.deployment.max_request_wait_s + scenario.deployment.router_overhead_s
    ends_s = np.sort(schedule.scheduled_s + np.minimum(longest_s, scenario.deployment.scoring_timeout_s))
    out = np.arange(1, len(schedule) + 1) - np.searchsorted(ends_s, schedule.scheduled_s, side="right")
    return int(np.clip(out.max(initial=0), 4, MAX_WARM_SOCKETS))


def _write_plan(folder: RunFolder, scenario: Scenario, schedule: Schedule) -> None:
    from planner.scenario_file import save_copy

    try:
        save_copy(scenario, folder.path)
        write_schedule(folder.schedule, schedule)
    except OSError as error:
        raise InputError(f"{folder.path}: the run folder cannot be written ({error.strerror or error})") from None


def _tidy_log(log: Path, key: str | None) -> str:
    """Remove the worker's log if it is empty, and any key from it. Returns its last line."""
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    if not text:
        log.unlink()
        return ""
    if key and key in text:
        text = text.replace(key, "***")
        log.write_text(text + "\n", encoding="utf-8")
    return text.splitlines()[-1]
