"""Containers that ended, and workers of a scoring server that were killed inside a container that runs on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.logs import KILLED, TOO_SLOW, Raised, Where, last_line, newest, raised_in
from loadtest.observe.diagnosis.preparation.configuration import OTHER_PLATFORM, PLATFORM_STEP
from loadtest.observe.diagnosis.reading import (
    Json,
    container,
    ended,
    ended_status,
    instant,
    is_ready,
    main_container,
    name_of,
    one_line,
    part,
    statuses,
    text,
    whole,
)
from loadtest.observe.diagnosis.snapshot import RECENT_S, Snapshot
from loadtest.observe.diagnosis.words import Cause

_SIGNALS = {134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}
_RAISED = {Where.INIT: Cause.INIT_RAISED, Where.IMPORT: Cause.IMPORT_RAISED}
_NEVER_RAN = ("StartError", "ContainerCannotRun", "CreateContainerError")
_RUNTIME_OUT_OF_MEMORY = "init was OOM-killed"
"""Of runc: the limit is too small for the container to even begin."""
_NO_LOG = "its log cannot be read, or is empty"


def crash_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    has_log = text(ended_status(pod), "name")
    found = False
    for status in statuses(pod):
        if ended(status) and _matters(snapshot, status):
            found = True
            yield _crash(pod, status, snapshot.previous(pod) if text(status, "name") == has_log else "")
    if not found:
        yield from _killed_workers(snapshot, pod)


def is_out_of_memory(status: Json) -> bool:
    return text(ended(status), "reason") == "OOMKilled"


def _crash(pod: Json, status: Json, log: str) -> Finding:
    code, restarts = whole(ended(status), "exitCode"), whole(status, "restartCount") or 0
    name, limit = text(status, "name"), _memory_limit(pod, status)
    signal = f" ({_SIGNALS[code]})" if code in _SIGNALS else ""
    how = f"container {name} ended with exit code {code}{signal}, reason {text(ended(status), 'reason') or 'not given'}"
    times = f"restarts so far: {restarts}"
    measured: dict[str, Any] = {"container": name, "exit_code": code, "restarts": restarts}
    if (never := text(ended(status), "reason") in _NEVER_RAN) or OTHER_PLATFORM.search(last_line(log)):
        words = one_line(text(ended(status), "message") if never else last_line(log)) or "the runtime gives no message"
        if _RUNTIME_OUT_OF_MEMORY not in words:
            return _cannot_start(pod, words, (how, times), measured)
        evidence = (words, f"{how}; {_limit_words(limit)}", times)
        measured |= {"memory_limit": limit}
        return Finding(cause=Cause.MEMORY_LIMIT, pods=(name_of(pod),), evidence=evidence, measured=measured)
    if is_out_of_memory(status) or (KILLED in log and TOO_SLOW not in log):
        return Finding(
            cause=Cause.MEMORY_LIMIT,
            pods=(name_of(pod),),
            evidence=(f"{how}; {_limit_words(limit)}", times),
            measured=measured | {"memory_limit": limit},
        )
    if raised := [entry for entry in raised_in(log) if entry.where in _RAISED] or raised_in(log)[-1:]:
        return _raised(pod, raised[-1], (how, times), measured)
    if TOO_SLOW in log:
        how += "; gunicorn ended a worker that did not answer within WORKER_TIMEOUT"
    said = f"its log ends with: {one_line(last_line(log))}" if last_line(log) else _NO_LOG
    return Finding(cause=Cause.CRASHED, pods=(name_of(pod),), evidence=(how, said, times), measured=measured)


def _cannot_start(pod: Json, words: str, more: tuple[str, ...], measured: dict[str, Any]) -> Finding:
    """Nothing of the image has run."""
    step = PLATFORM_STEP if OTHER_PLATFORM.search(words) else ""
    pods = (name_of(pod),)
    return Finding(cause=Cause.CANNOT_START, pods=pods, evidence=(words, *more), measured=measured, step=step)


def _raised(pod: Json, raised: Raised, more: tuple[str, ...], measured: dict[str, Any]) -> Finding:
    return Finding(
        cause=_RAISED.get(raised.where, Cause.CRASHED),
        pods=(name_of(pod),),
        evidence=(raised.sentence, *more, raised.traceback),
        measured=measured | {"exception": raised.exception[:300], "file": raised.file, "line": raised.line},
    )


def _killed_workers(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    """Where the kernel kills only the worker, the container runs on and begins anew with another one."""
    log = snapshot.current(pod)
    at = newest(log, KILLED)
    if at is None or not snapshot.is_recent(at, RECENT_S):
        return
    times = log.count(KILLED)
    if TOO_SLOW in log:
        cause, why = Cause.CRASHED, "after WORKER_TIMEOUT: init() or run() took longer than it allows"
    else:
        cause, why = Cause.MEMORY_LIMIT, "as the kernel does when the memory limit is reached"
    limit = text(main_container(pod), "resources", "limits", "memory") or None
    yield Finding(
        cause=cause,
        pods=(name_of(pod),),
        evidence=(
            f"a worker of the scoring server was killed (SIGKILL), {why}; {_limit_words(limit)}",
            f"so often in the log of {name_of(pod)}: {times}, last at {at:%H:%M:%S} UTC; the container itself runs on",
        ),
        measured={"memory_limit": limit, "workers_killed": times, "ready": is_ready(pod)},
    )


def _matters(snapshot: Snapshot, status: Json) -> bool:
    if not part(status, "state", "running"):
        return True
    return snapshot.is_recent(instant(ended(status), "finishedAt"), RECENT_S)


def _memory_limit(pod: Json, status: Json) -> str | None:
    name = text(status, "name")
    return text(container(pod, name), "resources", "limits", "memory") or None


def _limit_words(limit: str | None) -> str:
    return f"the memory limit is {limit}" if limit else "the container has no memory limit: its node's memory ran out"
