"""Probes that fail though the server runs, or that give up before init() has ended; init() that does not end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from loadtest.observe.diagnosis.containers.crashes import is_out_of_memory
from loadtest.observe.diagnosis.findings import Finding
from loadtest.observe.diagnosis.logs import KILLED, PORT, Where, newest, raised_in
from loadtest.observe.diagnosis.reading import (
    Json,
    container_of,
    count,
    ended_status,
    instant,
    is_ready,
    items,
    main_container,
    mapping,
    name_of,
    one_line,
    part,
    server_status,
    text,
    when,
    whole,
)
from loadtest.observe.diagnosis.snapshot import CURRENT, RECENT_S, Snapshot
from loadtest.observe.diagnosis.words import Cause
from loadtest.observe.init_time import BEGUN, DONE, init_seconds

PATIENCE_S = 10.0
"""So long after init() has ended, and after the probe was due, a replica may still become ready."""
INIT_PATIENCE_S = 600.0
"""An init() that takes longer is named; the defaults of Azure's probes allow 340 s (v1) and 310 s (v2)."""

_DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}
_KILLED_BY_PROBE = re.compile(r"failed (liveness|startup) probe", re.I)


def probe_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    killed = [e for e in _of_the_server(snapshot, pod, "Killing") if _KILLED_BY_PROBE.search(text(e, "message"))]
    if killed and snapshot.is_recent(when(killed[-1]), RECENT_S):
        if not _is_of_another_cause(snapshot, pod):
            yield _killed(snapshot, pod, text(killed[-1], "message"))
        return
    server = server_status(pod)
    if is_ready(pod) or part(server, "ready") is True or not part(server, "state", "running"):
        return  # what is not ready is another container, or a gate
    failed = _failed(snapshot, pod, "Readiness")
    log = snapshot.current(pod)
    if failed and _has_waited(snapshot, pod, server, log):
        yield _not_ready(snapshot, pod, failed)
    elif log and DONE not in log and (begun := newest(log, BEGUN)) is not None:
        since_s = snapshot.age_s(begun) or 0.0
        if since_s > INIT_PATIENCE_S:
            yield Finding(
                cause=Cause.INIT_DOES_NOT_END,
                pods=(name_of(pod),),
                evidence=("init() has begun and not ended", f"it has been running for {since_s:.0f} s"),
                measured={"init_running_s": round(since_s, 1)},
            )


def _not_ready(snapshot: Snapshot, pod: Json, failed: list[Json]) -> Finding:
    log = snapshot.current(pod)
    message = text(failed[-1], "message")
    times = count(failed)
    begun = "init() has ended and the scoring server runs" if DONE in log else "the container runs"
    evidence = [
        f"{begun}, but the pod is not ready: {_how(message)}",
        _settings_words(pod, "readinessProbe"),
        *_wrong_port(pod, "readinessProbe", log),
        f"{times} failures so far; the last: {one_line(message)}",
    ]
    measured = {"probe": "readiness", "failures": times, "init_s": init_seconds(log)}
    return Finding(cause=Cause.PROBE_FAILS, pods=(name_of(pod),), evidence=tuple(evidence), measured=measured)


def _killed(snapshot: Snapshot, pod: Json, message: str) -> Finding:
    """By the liveness or startup probe: during init(), or though the server was up."""
    is_startup = "startup" in message.lower()
    kind = "startupProbe" if is_startup else "livenessProbe"
    settings = _settings(pod, kind)
    patience_s = settings["initialDelaySeconds"] + settings["periodSeconds"] * settings["failureThreshold"]
    log = snapshot.previous(pod) or snapshot.current(pod)
    failed = _failed(snapshot, pod, "Startup" if is_startup else "Liveness")
    how = [f"the last failure: {one_line(text(failed[-1], 'message'))}"] if failed else []
    status = ended_status(pod)
    ran_s = _ran_s(status)
    restarts = whole(status, "restartCount") or 0
    measured: dict[str, Any] = {
        "probe": "startup" if is_startup else "liveness",
        "probe_patience_s": patience_s,
        "container_ran_s": ran_s,
        "init_s": init_seconds(log) or _slowest_init(snapshot),
        "init_ran_s": _init_ran_s(log, status),
        "restarts": restarts,
    }
    wrong = _wrong_port(pod, kind, log)
    times = f"restarts so far: {restarts}"
    if DONE in log or wrong:
        first = f"the {kind} ends the container though the scoring server runs" if DONE in log else wrong.pop()
        evidence = (first, _settings_words(pod, kind), *wrong, *how, times)
        return Finding(cause=Cause.PROBE_FAILS, pods=(name_of(pod),), evidence=evidence, measured=measured)
    evidence = (
        f"the {kind} gives up {patience_s:g} s after the container's start (initial delay "
        f"{settings['initialDelaySeconds']:g} s + {settings['failureThreshold']:g} failures x "
        f"{settings['periodSeconds']:g} s), and init() had not ended by then",
        *_init_words(measured, BEGUN in log),
        _settings_words(pod, kind),
        *how,
        times,
    )
    return Finding(cause=Cause.PROBE_TOO_STRICT, pods=(name_of(pod),), evidence=evidence, measured=measured)


def _init_words(measured: dict[str, Any], has_begun: bool) -> Iterator[str]:
    if measured["container_ran_s"] is not None:
        yield f"the container was ended after {measured['container_ran_s']:.0f} s"
    if measured["init_ran_s"] is not None:
        yield f"init() had been running for {measured['init_ran_s']:.1f} s"
    elif not has_begun:
        yield "the scoring server had not come to init() yet, by its log"
    if measured["init_s"] is not None:
        yield f"where it could end, init() took {measured['init_s']:.1f} s"


def _is_of_another_cause(snapshot: Snapshot, pod: Json) -> bool:
    """Its last end was not the probe's doing, but came of what a probe only notices."""
    log = snapshot.previous(pod)
    return (
        is_out_of_memory(ended_status(pod))
        or KILLED in log
        or any(raised.where in (Where.INIT, Where.IMPORT) for raised in raised_in(log))
    )


def _has_waited(snapshot: Snapshot, pod: Json, server: Json, log: str) -> bool:
    """Long enough after init() has ended, for a probe of these settings to have succeeded; by the container's start
    where the log does not tell."""
    settings = _settings(pod, "readinessProbe")
    started = instant(server, "state", "running", "startedAt")
    if started is None:
        return False
    due = started + timedelta(seconds=settings["initialDelaySeconds"])
    if (done := newest(log, DONE)) is not None:
        due = max(due, done)
        patience_s = PATIENCE_S + 2 * settings["periodSeconds"]
    elif log and BEGUN in log:
        return False  # init() is at work
    else:
        patience_s = INIT_PATIENCE_S
    return (snapshot.age_s(due) or 0.0) > patience_s


def _failed(snapshot: Snapshot, pod: Json, kind: str) -> list[Json]:
    events = [e for e in _of_the_server(snapshot, pod, "Unhealthy") if text(e, "message").startswith(kind)]
    return events if events and snapshot.is_recent(when(events[-1]), RECENT_S) else []


def _of_the_server(snapshot: Snapshot, pod: Json, reason: str) -> list[Json]:
    """Events of a sidecar's probes are not the server's. One that names no container is taken to be."""
    names = ("", text(main_container(pod), "name"))
    return [event for event in snapshot.events_of(pod, reason) if container_of(event) in names]


def _how(message: str) -> str:
    if "connection refused" in message:
        return "nothing listens where the probe asks"
    if found := re.search(r"statuscode: (\d{3})", message):
        return f"the probe is answered with HTTP {found[1]}"
    if "deadline exceeded" in message or "Timeout" in message or "timeout" in message:
        return "the probe is not answered within its timeout"
    return "the probe fails"


def _wrong_port(pod: Json, kind: str, log: str) -> list[str]:
    """One sentence where the server says in its log that it listens elsewhere."""
    asked = part(main_container(pod), kind, "httpGet", "port") or part(main_container(pod), kind, "tcpSocket", "port")
    named = {text(p, "name"): whole(p, "containerPort") for p in items(main_container(pod), "ports") if p.get("name")}
    port = named.get(asked) if isinstance(asked, str) else asked
    found = PORT.search(log)
    if port is None or found is None or str(port) == found[1]:
        return []
    return [f"the {kind} asks port {port}, but the scoring server listens on {found[1]}"]


def _init_ran_s(log: str, status: Json) -> float | None:
    """For how long init() had been at work when the container was ended."""
    begun, finished = newest(log, BEGUN), instant(status, "lastState", "terminated", "finishedAt")
    if begun is None or finished is None or DONE in log:
        return None
    ran_s = (finished - begun).total_seconds()
    return round(ran_s, 1) if ran_s >= 0.0 else None


def _ran_s(status: Json) -> float | None:
    how = mapping(status, "lastState", "terminated") or mapping(status, "state", "terminated")
    started, finished = instant(how, "startedAt"), instant(how, "finishedAt")
    return None if started is None or finished is None else (finished - started).total_seconds()


def _slowest_init(snapshot: Snapshot) -> float | None:
    """Of any pod of the Deployment that made it."""
    times = [init_seconds(log) for (_, which), log in snapshot.logs.items() if which == CURRENT]
    return max((took_s for took_s in times if took_s is not None), default=None)


def _settings(pod: Json, kind: str) -> dict[str, float]:
    given = mapping(main_container(pod), kind)
    read = {name: whole(given, name) for name in _DEFAULTS}
    return {name: float(default if read[name] is None else read[name] or 0) for name, default in _DEFAULTS.items()}


def _settings_words(pod: Json, kind: str) -> str:
    probe = mapping(main_container(pod), kind)
    s = _settings(pod, kind)
    path, port = text(probe, "httpGet", "path") or "/", text(probe, "httpGet", "port")
    asked = f"GET {path} on port {port}" if port else "no HTTP request"
    return (
        f"{kind}: {asked}, initial delay {s['initialDelaySeconds']:g} s, period {s['periodSeconds']:g} s, timeout "
        f"{s['timeoutSeconds']:g} s, failure threshold {s['failureThreshold']:g}"
    )
