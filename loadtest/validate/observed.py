"""What a run observed, in the shape that the simulation of the same requests gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loadtest.runfolder import RunFolder
from loadtest.validate.pods import overheads
from loadtest.validate.slots import slot_gaps
from planner.causes import cause_counts
from planner.errors import InputError
from planner.model import ENDED, FloatArray, IntArray, Outcome, ReplicaLog, RequestLog
from planner.run_promise import RunFailures
from planner.scenario import Scenario
from planner.sim.engine import BIN_S

FEWEST_OVERHEADS = 30
"""Measured overheads to draw from; with fewer, the scenario's own overhead is used."""

OVERSLEPT_S, OVERSLEPT_SHARE = 0.005, 0.05
"""By how much more than planned work may take, in the median, and still be called as planned."""


CENSORED = (
    "drawn from the scenario: the run does not know how long those took that got 504, "
    "and the others alone are too short"
)
"""A run that knows only the times of those that were answered in time knows none that could be simulated."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The sent requests of a run, sorted by send time, and its replicas over time.

    All of shape (n,): request, their numbers in the schedule; sent_s, in [0, duration); service_time_s, NaN where the
    run does not know it; send_error_s, how much later than planned each left, a sample of the machine's timing noise.
    overhead_s: what holds a slot beside the work, a sample, may be empty: from dispatch to answer less the time in the
    worker, of the answers that tell (the lab's) and did not wait in their pod; else of answers that had waited
    (`slots`). overhead_interval_s: 95 %, of its mean, None where that is as good as exact. overhead_from: a sentence.
    bin_503: 503s by the second of their send. bin_ready: mean ready replicas in each second, None where the run could
    not see replicas. first_bin: the first second that lies wholly after the warm-up. on_tick: the run's time 0 is a
    tick of the autoscaler.
    """

    request: IntArray
    sent_s: FloatArray
    service_time_s: FloatArray
    send_error_s: FloatArray
    overhead_s: FloatArray
    overhead_interval_s: tuple[float, float] | None
    overhead_from: str
    requests: int
    """Answered requests scheduled in [warm_up, duration)."""
    n_503: int
    failures: RunFailures
    """How the same requests ended."""
    causes_503: dict[str, int]
    """503s by cause, and unattributed; they sum to n_503."""
    after_503_s: FloatArray
    """From send to answer of each 503 that counts, shape (n_503,)."""
    bin_503: IntArray
    bin_ready: FloatArray | None
    first_bin: int
    on_tick: bool
    service_times_from: str
    summary: dict[str, Any]

    @property
    def fraction_503(self) -> float:
        return self.n_503 / self.requests if self.requests else float("nan")

    @property
    def fraction_504(self) -> float:
        return self.failures.n_504 / self.requests if self.requests else float("nan")

    @property
    def fraction_failed(self) -> float:
        return self.failures.n_failed / self.requests if self.requests else float("nan")


def observe(folder: RunFolder, scenario: Scenario) -> Observation:
    """Read a run folder; `scenario` gives the duration and the warm-up."""
    log, schedule, summary = folder.read_requests(), folder.read_schedule(), folder.read_summary()
    if len(log) != len(schedule):
        raise InputError(f"{folder.requests}: {len(log)} rows, the schedule has {len(schedule)}")
    sent = np.flatnonzero(np.isfinite(log.sent_s))
    sent = sent[np.argsort(log.sent_s[sent], kind="stable")]
    # A send that slips past the end of the scenario belongs to its last instant.
    sent_s = np.clip(log.sent_s[sent], 0.0, np.nextafter(scenario.duration_s, 0.0))
    known = np.isin(log.outcome[sent], ENDED)
    counted = known & (log.scheduled_s[sent] >= scenario.warm_up_s) & (log.scheduled_s[sent] < scenario.duration_s)
    is_503 = counted & (log.outcome[sent] == Outcome.STATUS_503)
    bins = max(1, int(np.ceil(scenario.duration_s / BIN_S)))
    planned_by_lab = bool((summary.get("endpoint") or {}).get("is_lab"))
    measured = log.service_time_s[sent]
    planned = schedule.service_time_s[sent]
    if not planned_by_lab or not _as_planned(measured, planned):
        planned = np.full(len(sent), np.nan)
    service_s = np.where(np.isfinite(measured), measured, planned)
    source = _source(measured, planned)
    if np.any((log.outcome[sent] == Outcome.STATUS_504) & ~np.isfinite(service_s)):
        service_s, source = np.full(len(sent), np.nan), CENSORED
    replicas = folder.read_replicas()
    overhead_s, overhead_interval_s, overhead_from = _overheads(log, scenario)
    return Observation(
        request=sent,
        sent_s=sent_s,
        service_time_s=service_s,
        send_error_s=np.maximum(log.sent_s[sent] - log.scheduled_s[sent], 0.0),
        overhead_s=overhead_s,
        overhead_interval_s=overhead_interval_s,
        overhead_from=overhead_from,
        requests=int(counted.sum()),
        n_503=int(is_503.sum()),
        failures=RunFailures.of(log, _rows(counted, sent, len(log))),
        causes_503=cause_counts(log.cause[sent][is_503]),
        after_503_s=(log.finish_s - log.sent_s)[sent][is_503],
        bin_503=np.bincount((sent_s[is_503] / BIN_S).astype(np.int64), minlength=bins),
        bin_ready=None if replicas is None else mean_in_bins(replicas, bins, scenario.duration_s),
        first_bin=int(np.ceil(scenario.warm_up_s / BIN_S)),
        on_tick=bool(summary.get("aligned_to_tick")),
        service_times_from=source,
        summary=summary,
    )


def _as_planned(measured: FloatArray, planned: FloatArray) -> bool:
    """Whether the work took as long as the schedule told it to: a score.py of the user's own may not listen."""
    off_s = np.abs(measured - planned)[np.isfinite(measured)]
    longest_s = max(OVERSLEPT_S, OVERSLEPT_SHARE * float(planned.mean())) if len(planned) else 0.0
    return not len(off_s) or bool(np.median(off_s) <= longest_s)


def _rows(counted: npt.NDArray[np.bool_], sent: IntArray, length: int) -> npt.NDArray[np.bool_]:
    """Which rows of the log count. counted: the same for those that were sent."""
    rows = np.zeros(length, dtype=np.bool_)
    rows[sent] = counted
    return rows


def _overheads(log: RequestLog, scenario: Scenario) -> tuple[FloatArray, tuple[float, float] | None, str]:
    """What the run measured of the router's overhead, the interval of its mean, and one sentence on it."""
    if np.isfinite(log.start_s).any():
        overhead_s = overheads(log, scenario.deployment.max_concurrent_requests)
        if len(overhead_s) < FEWEST_OVERHEADS:
            return np.empty(0), None, f"{len(overhead_s)} dispatches tell it, {FEWEST_OVERHEADS} are needed."
        return overhead_s, None, f"The front end tells when it dispatched: {len(overhead_s)} answers."
    gaps = slot_gaps(log)
    sentence = f"{gaps.why[0].upper()}{gaps.why[1:]}."
    return gaps.values_s, gaps.interval_s if gaps.told else None, sentence


def mean_in_bins(log: ReplicaLog, bins: int, duration_s: float) -> FloatArray:
    """Mean ready replicas in each bin of BIN_S seconds, of a step function that holds its last value to the end."""
    edges = np.minimum(np.arange(bins + 1) * BIN_S, duration_s)
    times = np.concatenate((log.time_s, [max(duration_s, float(log.time_s[-1]))]))
    area = np.concatenate(([0.0], np.cumsum(np.diff(times) * log.ready)))
    return np.asarray(np.diff(np.interp(edges, times, area)) / np.diff(edges))


def _source(measured: FloatArray, planned: FloatArray) -> str:
    if np.isfinite(planned).all() and len(planned):
        return "measured in the scoring server; for requests it never saw, the times that the schedule gave them"
    if np.isfinite(measured).any():
        return "measured in the scoring server; for requests it never saw, drawn from the scenario"
    return "drawn from the scenario"
