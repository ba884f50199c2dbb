"""From what a run left in its folder (schedule, journal, segments) to its results. One way for every kind of end.

`replay` comes here when a run is over and `replay --recover` when its processes were killed: both read the same files.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from loadtest.observe.record import (
    ROW_COLUMNS,
    SEEN_OF_REPLICAS,
    Line,
    cluster_document,
    gaps,
    read_lines,
    replica_rows,
)
from loadtest.replay.books import balance
from loadtest.replay.credential_settings import CredentialSettings, known_secrets
from loadtest.replay.ending import EXIT_DONE, EXIT_NO_VERDICT, Ending, ending, note_sentence
from loadtest.replay.in_use import wait_until_unused
from loadtest.replay.journal import JOURNAL, last, read_journal
from loadtest.replay.merge import Observed, merge
from loadtest.replay.messages import PAYLOADS_FILE
from loadtest.replay.observe_lab import MALFORMED, build_replica_log, lab_differences
from loadtest.replay.redaction import redact
from loadtest.replay.retries import retries_document
from loadtest.replay.segment import EndReason, read_segment
from loadtest.replay.settings import ReplaySettings
from loadtest.replay.statistics import generator, observed
from loadtest.results.latencies import latency_over_time, write_latencies
from loadtest.runfolder import RunFolder, provenance
from loadtest.schedule import Schedule
from planner.causes import causes_at
from planner.errors import InputError, NoVerdictError, SurgeproofError
from planner.model import NO_CAUSE, Outcome, ReplicaLog, RequestLog
from planner.records import write_replicas, write_requests
from planner.scenario import Scenario

Entries = list[tuple[str, Any]]

_DAMAGE = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)
"""What files that nobody has checked can cause: a journal is plain JSON, a segment plain bytes."""

LARGEST_DRIFT_S = 0.005
"""Two machines whose clocks drift apart by more during a run no longer send as if they were one."""


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """What a replay leaves: its folder, the document of the command, the logs, and how the command should end."""

    folder: RunFolder
    document: dict[str, Any]
    seen: Observed
    replicas: ReplicaLog | None
    exit_code: int
    message: str | None
    """One sentence where the run did not go as planned."""

    @property
    def requests(self) -> RequestLog:
        return self.seen.log


def conclude(
    folder: RunFolder, scenario: Scenario, entries: Entries | None = None, *, secrets: Collection[str] = ()
) -> ReplayResult:
    """Merge, judge, write. entries: the journal, where it is still in memory. secrets: cut out of the logs."""
    entries = read_journal(folder.path) if entries is None else entries
    schedule = folder.read_schedule()
    try:
        seen = _merged(folder, schedule, entries)
        words = _tidy_logs(folder, secrets)
    except OSError as error:
        raise NoVerdictError(f"{folder.path}: cannot be read after the run ({error.strerror or error})") from None
    lines = read_lines(folder.path)
    replicas = _replica_log(entries, lines)
    cluster = cluster_document(lines, _zero_s(entries))
    seen = _attributed(seen, scenario, replicas, _replica_gaps(entries, lines))
    document, end = _document(scenario, schedule, seen, replicas, entries, words, cluster)
    document["replicas"] = _replica_notes(replicas, entries, lines)
    _write_results(folder, seen, replicas, document)
    return ReplayResult(
        folder=folder,
        document=document | {"run": str(folder.path)},
        seen=seen,
        replicas=replicas,
        exit_code=end.exit_code,
        message=end.message,
    )


def recover(path: Path) -> ReplayResult:
    """The results of a run whose processes were killed before they could write them."""
    from planner.scenario_file import load

    folder = RunFolder(path)
    if not path.is_dir():
        raise InputError(f"--recover {path}: no such run folder")
    if not (path / JOURNAL).is_file():
        why = "this run is complete" if folder.summary.is_file() else "not the folder of a replay"
        raise InputError(f"--recover {path}: {why}, there is nothing to recover")
    try:
        wait_until_unused([path / JOURNAL, *folder.segments()])
        return conclude(folder, load(str(folder.scenario)), secrets=known_secrets(CredentialSettings(), os.environ))
    except SurgeproofError:
        raise
    except _DAMAGE as error:
        what = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise InputError(f"--recover {path}: its journal or a segment is damaged ({what}), all is there") from None


def _merged(folder: RunFolder, schedule: Schedule, entries: Entries) -> Observed:
    plan = last(entries, "plan")
    if not isinstance(plan, dict):
        raise InputError(f"{folder.path / JOURNAL}: does not say what was planned")
    ended = {about["worker"]: about.get("ended") for name, about in entries if name == "worker_ended"}
    said = {k: EndReason[word.upper()] for k, word in ended.items() if word}
    workers = len(last(entries, "armed") or ()) or plan["processes"] + plan["expect_workers"]
    if last(entries, "started") is None:  # nothing was sent
        said = dict.fromkeys(range(workers), EndReason.STOPPED)
    segments = [read_segment(path, schedule.sha256) for path in folder.segments()]
    return merge(schedule, segments, workers, without_end_mark=said)


def _replica_log(entries: Entries, lines: list[Line]) -> ReplicaLog | None:
    """As the lab tells it, which knows its queue too; else as the cluster shows it."""
    started = last(entries, "started")
    rows = [row for name, row in entries if name == "row"] or replica_rows(lines)
    return build_replica_log(rows, started["start_monotonic_s"]) if started else None


def _zero_s(entries: Entries) -> float:
    return float((last(entries, "started") or {}).get("start_monotonic_s") or 0.0)


def _replica_gaps(entries: Entries, lines: list[Line]) -> list[dict[str, Any]]:
    """When nobody saw the replicas; a lab always knows its own."""
    seen_by_lab = any(name == "row" for name, _ in entries)
    return [] if seen_by_lab else gaps(lines, _zero_s(entries), SEEN_OF_REPLICAS)


def _attributed(
    seen: Observed, scenario: Scenario, replicas: ReplicaLog | None, blind: list[dict[str, Any]]
) -> Observed:
    """With a cause for every 503 that does not carry one and whose instant the replica log knows."""
    unknown = np.flatnonzero((seen.log.outcome == Outcome.STATUS_503) & (seen.log.cause == NO_CAUSE))
    if replicas is None or len(unknown) == 0:
        return seen
    cause = seen.log.cause.copy()
    spans = [(gap["from_s"], gap["to_s"]) for gap in blind]
    most = scenario.deployment.max_replicas
    cause[unknown] = causes_at(replicas, seen.log.finish_s[unknown], most, spans)
    return replace(seen, log=replace(seen.log, cause=cause))


def _document(
    scenario: Scenario,
    schedule: Schedule,
    seen: Observed,
    replicas: ReplicaLog | None,
    entries: Entries,
    words: dict[str, str],
    cluster: dict[str, Any] | None,
) -> tuple[dict[str, Any], Ending]:
    plan, started = last(entries, "plan"), last(entries, "started") or {}
    settings = ReplaySettings.from_document(plan["settings"])
    about = {a["worker"]: a for name, entry in entries for a in _workers_in(name, entry)}
    problems = {k: a["problem"] for k, a in about.items() if a.get("problem")}
    documents = {
        "books": balance(schedule, seen.log, seen.worker),
        "observed": observed(seen, warm_up_s=scenario.warm_up_s, duration_s=scenario.duration_s),
        "generator": generator(seen.log, seen.worker, about),
    }
    end = ending(seen, settings, problems, interrupted=bool(last(entries, "interrupted")))
    end = _judged(end, documents)
    lab = last(entries, "lab") or {}
    document = {
        "command": "replay",
        "scenario": scenario.name,
        "url": plan["url"],
        "ended": end.word,
        "message": end.message,
        "exit_code": end.exit_code,
        "started_at": started.get("started_at"),
        "start_monotonic_s": started.get("start_monotonic_s"),
        "endpoint": {"is_lab": lab.get("state") is not None},
        "aligned_to_tick": bool(started.get("aligned_to_tick")),
        **documents,
        "latency_over_time": latency_over_time(seen),
        "retries": retries_document(seen, settings),
        "warnings": _warnings(scenario, seen, replicas, entries, about, words)
        + _cluster_warnings(scenario, cluster, replicas)
        + (documents["observed"]["problems"] if end.exit_code == EXIT_DONE else []),
        "cluster": cluster,
        "client": _client_notes(settings, plan, list(about.values())),
        "schedule": {"sha256": schedule.sha256, "source": schedule.source, "source_sha256": schedule.source_sha256},
        "schedule_sha256": schedule.sha256,
        "provenance": provenance(scenario.seed),
    }
    return document, end


def _judged(end: Ending, documents: dict[str, Any]) -> Ending:
    """A run that ended by itself supports a verdict only if its generator kept up and it has seen something."""
    if end.exit_code != EXIT_DONE:
        return end
    observed = documents["observed"]
    if not documents["generator"]["valid"]:
        why = "The generator did not keep to the plan, so this run supports no verdict."
        problems = documents["generator"]["problems"]
    elif observed["answers_known_to_the_model"] == 0:
        why, problems = "This run observed nothing.", observed["problems"] or ["No request that counts has an answer."]
    else:
        return end
    return Ending(word=end.word, message=" ".join([why, *problems]), exit_code=EXIT_NO_VERDICT)


def _workers_in(name: str, entry: Any) -> list[dict[str, Any]]:
    """What an entry says of workers; what a worker says at its end comes after what it said when it was armed."""
    return entry if name == "armed" else [entry] if name == "worker_ended" else []


def _warnings(
    scenario: Scenario,
    seen: Observed,
    replicas: ReplicaLog | None,
    entries: Entries,
    about: dict[int, dict[str, Any]],
    words: dict[str, str],
) -> list[str]:
    """What in the circumstances of a run casts a doubt on it."""
    found = list(scenario.warnings)
    why_not = (last(entries, "lab") or {}).get("why_not") or ""
    if why_not.startswith(MALFORMED):
        found.append(why_not)
    observer = last(entries, "observer") or {}
    if observer.get("problem"):
        found.append(observer["problem"])
    if observer.get("states") and replicas is not None:
        first, newest = observer["states"]["first"], observer["states"]["last"]
        found += lab_differences(scenario.deployment, int(replicas.ready[0]), first)
        if slow := int(newest.get("slow_starts") or 0) - int(first.get("slow_starts") or 0):
            found.append(f"{slow} replicas of the lab took longer to start than the cold start drawn for them")
    if warning := (last(entries, "plan") or {}).get("credentials_warning"):
        found.append(warning)
    if warning := (last(entries, "plan") or {}).get("payloads_warning"):
        found.append(warning)
    found += sorted({sentence for worker in about.values() for sentence in worker.get("remarks", {}).values()})
    found += [note_sentence(note) for note in seen.notes]
    for k, worker in about.items():
        if abs(worker.get("clock_drift_s") or 0.0) > LARGEST_DRIFT_S:
            found.append(f"worker {k}: its clock drifted by {worker['clock_drift_s'] * 1e3:+.1f} ms during the run")
        if worker.get("token_problem"):
            found.append(f"worker {k}: {worker['token_problem']}")
    found += [f"the replay wrote to {name}: {word}" for name, word in words.items()]
    return found


def _cluster_warnings(scenario: Scenario, cluster: dict[str, Any] | None, replicas: ReplicaLog | None) -> list[str]:
    """What in the cluster, or in how it was seen, casts a doubt on a run."""
    if cluster is None:
        return []
    found = [*cluster["missing_rights"], *cluster["problems"]]
    for gap in cluster["gaps"]:
        found.append(
            f"from {gap['from_s']:.1f} s to {gap['to_s']:.1f} s changes of {', '.join(gap['resources'])} were not seen "
            f"as they happened ({gap['why']})"
        )
    for hpa in cluster["autoscalers"]:
        found.append(
            f"the HorizontalPodAutoscaler {hpa} scales this Deployment too; Azure's documents say not to, since it and "
            "azureml-fe's autoscaler compete"
        )
    if replicas is not None and int(replicas.ready[0]) != scenario.deployment.initial_count:
        found.append(
            f"{int(replicas.ready[0])} pods were ready at the start, the scenario says "
            f"{scenario.deployment.initial_count}"
        )
    return found


def _replica_notes(replicas: ReplicaLog | None, entries: Entries, lines: list[Line]) -> dict[str, Any]:
    """Where the replica log comes from, or why there is none."""
    observer = last(entries, "observer") or {}
    if replicas is None:
        return {"observed": False, "why": _why_no_replicas(entries, observer)}
    by_lab = any(name == "row" for name, _ in entries)
    return {
        "observed": True,
        "source": observer.get("source", "/lab/log and /lab/state") if by_lab else "the Kubernetes API",
        "changes": len(replicas),
        "at_start": {name: int(getattr(replicas, name)[0]) for name in ROW_COLUMNS},
        "gaps": _replica_gaps(entries, lines),
        "lab_was_told_the_start": bool((last(entries, "started") or {}).get("lab_was_told")),
    }


def _why_no_replicas(entries: Entries, observer: dict[str, Any]) -> str:
    why_not = (last(entries, "lab") or {}).get("why_not")
    if why_not:
        return str(why_not)
    if last(entries, "started") is None:
        return "the run did not start"
    return observer.get("problem") or "the lab was not seen again after the start"


def _client_notes(settings: ReplaySettings, plan: dict[str, Any], workers: list[dict[str, Any]]) -> dict[str, Any]:
    def total(name: str) -> int | None:
        values = [worker[name] for worker in workers if worker.get(name) is not None]
        return sum(values) if values else None

    return {
        "timeout_s": settings.timeout_s,
        "cutoff_s": settings.cutoff_s,
        "max_in_flight": min([settings.max_in_flight, *(w["max_in_flight"] for w in workers if "max_in_flight" in w)]),
        "sockets_warmed": total("sockets_warmed"),
        "connections_opened": total("connections_opened"),
        "token_refreshes": total("token_refreshes"),
        "credentials": plan.get("credentials"),
        "payloads": plan.get("payloads"),
    }


def _write_results(folder: RunFolder, seen: Observed, replicas: ReplicaLog | None, document: dict[str, Any]) -> None:
    """Write the logs and the summary; the workers' records go only when everything that is made of them is safe."""
    started_at = datetime.fromisoformat(document["started_at"]) if document["started_at"] else None
    try:
        write_requests(folder.requests, seen.log, seen.extra_columns())
        write_latencies(folder.latencies, seen, started_at)
        if replicas is not None:
            write_replicas(folder.replicas, replicas)
        folder.write_summary(document)
        for path in (*folder.segments(), folder.path / PAYLOADS_FILE, folder.path / JOURNAL):
            path.unlink(missing_ok=True)
    except OSError as error:
        first = f"{document['message']} " if document["message"] else ""
        raise NoVerdictError(
            f"{first}{folder.path}: the results cannot be written ({error.strerror or error}); "
            f"what was measured is still there: surgeproof replay --recover {folder.path}"
        ) from None


def _tidy_logs(folder: RunFolder, secrets: Collection[str]) -> dict[str, str]:
    """Remove logs that are empty, and any secret from the others. Returns their last lines."""
    words = {}
    for log in folder.logs():
        text = log.read_text(encoding="utf-8", errors="replace").strip()
        if not text:
            log.unlink()
            continue
        if (clean := redact(text, secrets)) != text:
            log.write_text(clean + "\n", encoding="utf-8")
        words[log.name] = clean.splitlines()[-1]
    return words
