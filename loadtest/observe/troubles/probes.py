"""Probes that fail though the server runs, or that give up before init() has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from loadtest.observe.init_time import BEGUN, DONE, init_seconds
from loadtest.observe.state import is_true
from loadtest.observe.troubles.containers import PROBE_KILLED, name_of, statuses
from loadtest.observe.troubles.findings import Cause, Finding
from loadtest.observe.troubles.snapshot import CURRENT, PREVIOUS, Json, Snapshot

PATIENCE_S = 10.0
"""A probe is asked every few seconds: so long after init() has ended a replica may still become ready."""

_DEFAULTS = {"initialDelaySeconds": 0, "periodSeconds": 10, "timeoutSeconds": 1, "failureThreshold": 3}


def probe_findings(snapshot: Snapshot, pod: Json) -> Iterator[Finding]:
    failed = [str(e.get("message") or "") for e in snapshot.events_of(pod) if e.get("reason") == "Unhealthy"]
    killed = [str(e.get("message") or "") for e in snapshot.events_of(pod) if e.get("reason") == "Killing"]
    by_probe = [message for message in killed if PROBE_KILLED.search(message)]
    current = snapshot.logs.get((name_of(pod), CURRENT), "")
    previous = snapshot.logs.get((name_of(pod), PREVIOUS), "")
    if by_probe and not is_true(pod, "Ready"):
        yield _killed(snapshot, pod, by_probe[-1], failed, previous or current)
    elif failed and not is_true(pod, "Ready") and _server_is_up(snapshot, pod, current):
        evidence = (
            "init() has ended and the scoring server runs, but the pod is not ready",
            failed[-1],
            _probe(pod, "readinessProbe"),
        )
        yield Finding(cause=Cause.PROBE_FAILS, pods=(name_of(pod),), evidence=evidence)


def _killed(snapshot: Snapshot, pod: Json, killed: str, failed: list[str], log: str) -> Finding:
    """The liveness probe restarted it: during init(), or though the server was up."""
    kind = "startupProbe" if "startup" in killed.lower() else "livenessProbe"
    probe = _settings(pod, kind)
    patience_s = probe["initialDelaySeconds"] + probe["periodSeconds"] * probe["failureThreshold"]
    took_s = init_seconds(log) or _slowest_init(snapshot)
    evidence = [killed, _probe(pod, kind), *failed[-1:]]
    measured: dict[str, Any] = {"probe_patience_s": patience_s, "init_s": took_s}
    if DONE in log:
        return Finding(cause=Cause.PROBE_FAILS, pods=(name_of(pod),), evidence=tuple(evidence), measured=measured)
    began = "init() had begun and not ended" if BEGUN in log else "the scoring server had not come to init()"
    took = f"; on a pod that made it init() took {took_s:.1f} s" if took_s is not None else ""
    evidence.append(
        f"{began} when the probe gave up, {patience_s:g} s after the container's start at the earliest{took}"
    )
    return Finding(cause=Cause.PROBE_TOO_STRICT, pods=(name_of(pod),), evidence=tuple(evidence), measured=measured)


def _server_is_up(snapshot: Snapshot, pod: Json, log: str) -> bool:
    started = [((s.get("state") or {}).get("running") or {}).get("startedAt") for s in statuses(pod)]
    if DONE not in log or None in started or not started:
        return False
    try:
        since_s = (snapshot.taken_at - max(datetime.fromisoformat(str(t)) for t in started)).total_seconds()
    except ValueError:
        return False
    return since_s > PATIENCE_S + (init_seconds(log) or 0.0)


def _slowest_init(snapshot: Snapshot) -> float | None:
    times = [init_seconds(log) for (_, which), log in snapshot.logs.items() if which == CURRENT]
    return max((t for t in times if t is not None), default=None)


def _settings(pod: Json, kind: str) -> dict[str, float]:
    container = ((pod.get("spec") or {}).get("containers") or [{}])[0]
    given = container.get(kind) or {}
    return {name: float(given.get(name) or default) for name, default in _DEFAULTS.items()}


def _probe(pod: Json, kind: str) -> str:
    container = ((pod.get("spec") or {}).get("containers") or [{}])[0]
    asked = (container.get(kind) or {}).get("httpGet") or {}
    s = _settings(pod, kind)
    where = f"GET {asked.get('path', '/')} on port {asked.get('port')}" if asked else "no HTTP"
    return (
        f"{kind}: {where}, initial delay {s['initialDelaySeconds']:g} s, period {s['periodSeconds']:g} s, timeout "
        f"{s['timeoutSeconds']:g} s, failure threshold {s['failureThreshold']:g}"
    )
