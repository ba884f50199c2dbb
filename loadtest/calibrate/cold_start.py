"""The cold start: of each pod where a cluster was observed, else from `starting` to `ready` in the replica log.

The log counts replicas, it does not name them, so each one that becomes ready is taken for the one that has been
starting longest. The mean does not depend on that pairing, the CV does: where launches overlap it is a lower bound.
The launches of a cluster are named: each is what it was, and they become an empirical distribution.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loadtest.calibrate.evidence import Evidence
from loadtest.calibrate.families import CONSTANT_CV, family_of, kept_values, made
from loadtest.calibrate.finding import CONFIDENCE, Finding, Part, unknown
from loadtest.validate.comparison import READY_RESOLUTION_S
from planner.model import FloatArray, ReplicaLog
from planner.scenario_file.retiming import duration_text
from planner.service import SMALLEST_CV, Distribution, Empirical

FEWEST = 3
"""Launches that an interval needs."""

SOURCE = "starting to ready in the replica log"
SOURCE_LIVE = "creation to Ready of each pod, as it was seen"
SOURCE_STAMPS = "creation to Ready of each pod, by the API's stamps of whole seconds"


@dataclass(frozen=True, kw_only=True)
class Launches:
    """times_s: of each launch that became ready, shape (n,). overlapped: launches of different instants were under way
    at one time. under_way: still starting when the log ended; cancelled: given up by the autoscaler before."""

    times_s: FloatArray
    overlapped: bool
    under_way: int
    cancelled: int


def launches(log: ReplicaLog) -> Launches:
    """First created, first ready; what the autoscaler takes back is the latest created."""
    # A replica that starts when the log begins was created at an instant that nobody saw.
    under_way: deque[float] = deque([-math.inf] * max(0, int(log.starting[0])))
    times_s, overlapped, cancelled = [], False, 0
    for i in range(1, len(log)):
        now_s = float(log.time_s[i])
        started = int(log.starting[i] - log.starting[i - 1])
        became_ready = max(0, min(-started, int(log.ready[i] - log.ready[i - 1])))
        for _ in range(max(0, started)):
            overlapped = overlapped or bool(under_way and under_way[0] < now_s)
            under_way.append(now_s)
        for _ in range(became_ready):
            times_s.append(now_s - under_way.popleft())
        for _ in range(max(0, -started - became_ready)):
            under_way.pop()
            cancelled += 1
    times = np.array(times_s, dtype=np.float64)
    return Launches(
        times_s=times[np.isfinite(times)], overlapped=overlapped, under_way=len(under_way), cancelled=cancelled
    )


def measure(evidence: Evidence) -> Part:
    before = evidence.scenario.cold_start
    if pods := (evidence.seen.summary.get("cluster") or {}).get("launches"):
        return _of_pods(before, pods)
    log = evidence.replicas
    if log is None or (log.starting < 0).any():
        why = "The run could not see replicas start." if log is None else "The log does not say which replicas start."
        return _kept(before, why, 0)
    return _of_launches(before, launches(log))


def _of_launches(before: Distribution, found: Launches) -> Part:
    """What the launches of a replica log say of the scenario's cold start."""
    n = len(found.times_s)
    left_out = f" {found.under_way} were still starting at the end, {found.cancelled} were given up: left out."
    left_out = left_out if found.under_way or found.cancelled else ""
    if n < FEWEST:
        return _kept(before, f"{n} launches became ready, an interval needs {FEWEST}.{left_out}", n)
    shape = _shape(before, found)
    mean = _mean(before, found, shape, left_out)
    warnings: tuple[str, ...] = ()
    if found.under_way > n / 4:
        warnings = (f"{found.under_way} launches had not ended when the run did: the mean cold start may be longer.",)
    if not (mean.changed or shape.changed):
        return Part(name="cold_start", findings=(mean, shape), warnings=warnings)
    return _changed(before, mean, shape, warnings)


def _of_pods(before: Distribution, pods: list[dict[str, Any]]) -> Part:
    """Launches seen as they happened; where these are too few all of them, by the API's stamps of whole seconds."""
    ended = [pod for pod in pods if pod.get("cold_start_s") is not None]
    live = [pod for pod in ended if pod.get("live")]
    used, source = (live, SOURCE_LIVE) if len(live) >= FEWEST else (ended, SOURCE_STAMPS)
    under_way, restarted = len(pods) - len(ended), sum(bool(pod.get("restarts")) for pod in used)
    notes = [f"{under_way} were not ready at the end: left out."] if under_way else []
    notes += [f"{restarted} had restarted before they were ready."] if restarted else []
    left_out = "".join(f" {note}" for note in notes)
    if len(used) < FEWEST:
        return _kept(before, f"{len(used)} launches became ready, an interval needs {FEWEST}.{left_out}", len(used))
    times_s = np.array([float(pod["cold_start_s"]) for pod in used])
    found = Launches(times_s=times_s, overlapped=False, under_way=under_way, cancelled=0)
    shape = replace(_shape(before, found), why="Each pod is named.", measured_from=source)
    mean = replace(_mean(before, found, shape, left_out), measured_from=source)
    warnings: tuple[str, ...] = ()
    if under_way > len(used) / 4:
        warnings = (f"{under_way} launches had not ended when the run did: the mean cold start may be longer.",)
    if not (mean.changed or shape.changed):
        return Part(name="cold_start", findings=(mean, shape), warnings=warnings)
    values_s = [round(value, 3) for value in kept_values(times_s)]
    distribution = Empirical(np.array(values_s))
    return Part(
        name="cold_start",
        findings=(mean, shape),
        overrides={"cold_start": {"distribution": "empirical", "values": [duration_text(v) for v in values_s]}},
        apply=lambda scenario: replace(scenario, cold_start=distribution),
        warnings=warnings,
    )


def _mean(before: Distribution, found: Launches, shape: Finding, left_out: str) -> Finding:
    """The scenario's spread counts as long as the launches do not contradict it."""
    n = len(found.times_s)
    mean_s, spread_s = float(found.times_s.mean()), float(found.times_s.std(ddof=1))
    half_s = _t(n) * max(spread_s, float(shape.after or 0.0) * mean_s) / math.sqrt(n) + READY_RESOLUTION_S
    low_s, high_s = max(0.0, mean_s - half_s), mean_s + half_s
    return Finding(
        setting="cold_start.mean",
        before=before.mean_s,
        after=before.mean_s if low_s <= before.mean_s <= high_s else round(mean_s, 6),
        low=low_s,
        high=high_s,
        unit="s",
        identified=True,
        n=n,
        measured_from=SOURCE,
        why=f"{n} launches; their spread, or that of the scenario if it is larger.{left_out}",
    )


def _shape(before: Distribution, found: Launches) -> Finding:
    n = len(found.times_s)
    mean_s = float(found.times_s.mean())
    cv, cv_low, cv_high = _cv(float(found.times_s.std(ddof=1)) / mean_s if mean_s > 0 else 0.0, n)
    contradicted = cv_low > max(before.cv, CONSTANT_CV) or (cv_high < before.cv and not found.overlapped)
    return Finding(
        setting="cold_start.cv",
        before=before.cv,
        after=_supported(cv) if contradicted else before.cv,
        low=cv_low,
        high=None if found.overlapped else cv_high,
        unit=None,
        identified=not found.overlapped,
        n=n,
        measured_from=SOURCE,
        why="Launches overlapped, and first created, first ready is only the smallest spread that fits."
        if found.overlapped
        else "Launches did not overlap, or began at one instant: the pairing is exact.",
    )


def _changed(before: Distribution, mean: Finding, shape: Finding, warnings: tuple[str, ...]) -> Part:
    assert isinstance(mean.after, float)
    assert isinstance(shape.after, float)
    mean_s = mean.after
    cv = shape.after if mean_s > 0 else 0.0
    family = family_of(before)
    if family == "empirical" or (family == "exponential") == (cv != 1) or (family == "deterministic") == (cv > 0):
        family = {0.0: "deterministic"}.get(cv, family if family == "gamma" else "lognormal")
    cv = round(cv, 6)
    distribution = made(family, mean_s, cv)
    override: dict[str, Any] = {"distribution": family, "mean": duration_text(mean_s)}
    override |= {"cv": cv} if family in ("lognormal", "gamma") else {}
    return Part(
        name="cold_start",
        findings=(mean, shape),
        overrides={"cold_start": override},
        apply=lambda scenario: replace(scenario, cold_start=distribution),
        warnings=warnings,
    )


def _supported(cv: float) -> float:
    """As a scenario file can say it: times that spread less than its smallest CV are constant there."""
    return round(cv, 6) if cv >= SMALLEST_CV else 0.0


def _kept(before: Distribution, why: str, n: int) -> Part:
    return Part(
        name="cold_start",
        findings=(
            unknown("cold_start.mean", before.mean_s, "s", SOURCE, why, n),
            unknown("cold_start.cv", before.cv, None, SOURCE, why, n),
        ),
    )


def _t(n: int) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, n - 1))


def _cv(cv: float, n: int) -> tuple[float, float, float]:
    """With the interval of a standard deviation of normal draws."""
    from scipy.stats import chi2

    tail = (1 - CONFIDENCE) / 2
    low, high = (cv * math.sqrt((n - 1) / chi2.ppf(q, n - 1)) for q in (1 - tail, tail))
    return cv, float(low), float(high)
