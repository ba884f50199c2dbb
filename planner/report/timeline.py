"""A run over time: counts in bins, and what the replica log says at each 503."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.arrivals import MarkovModulatedPoisson, Renewal
from planner.causes import UNATTRIBUTED, cause_counts, causes_at
from planner.model import NO_CAUSE, Cause, FloatArray, IntArray, Outcome, ReplicaLog
from planner.rates import RateProfile
from planner.report.data import RunReport
from planner.scenario import Scenario

MOST_BINS = 240
"""More bars than this across a page cannot be told apart."""

SMALLEST_SHARE = 0.0005
"""Of the 503s: a cause below it would not be seen in a figure."""

BIN_WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A run in bins: edges_s has shape (bins + 1,), everything else (bins,). Counts, not rates.

    predicted_503 is the mean over the replicates, None where nothing was predicted.
    """

    edges_s: FloatArray
    planned: IntArray
    sent: IntArray
    observed_503: FloatArray
    predicted_503: FloatArray | None

    @property
    def widths_s(self) -> FloatArray:
        return np.diff(self.edges_s)

    @property
    def bin_s(self) -> float:
        return float(self.edges_s[1] - self.edges_s[0])


def timeline(report: RunReport) -> Timeline:
    """The run of a report in at most MOST_BINS bins."""
    duration_s = report.scenario.duration_s
    edges = bin_edges(duration_s)
    log = report.requests
    predicted = None
    if report.over_time is not None:
        predicted = _rebinned(report.over_time["predicted_cumulative_503"]["mean"], report.over_time["bin_s"], edges)
    return Timeline(
        edges_s=edges,
        planned=counts(log.scheduled_s, edges),
        sent=counts(log.sent_s, edges),
        observed_503=np.diff(np.interp(edges, *cumulative_503(report))),
        predicted_503=predicted,
    )


def bin_edges(duration_s: float) -> FloatArray:
    """Edges of equal bins from 0 to the duration, the last one cut short where it must be."""
    width = next((w for w in BIN_WIDTHS_S if duration_s <= w * MOST_BINS), duration_s / MOST_BINS)
    return np.asarray(np.append(np.arange(0.0, duration_s, width), duration_s))


def counts(times_s: FloatArray, edges_s: FloatArray) -> IntArray:
    """Known times in each bin; a time past the last edge belongs to the last bin."""
    known = times_s[np.isfinite(times_s)]
    return np.histogram(np.clip(known, edges_s[0], edges_s[-1]), edges_s)[0].astype(np.int64)


def cumulative_503(report: RunReport) -> tuple[FloatArray, FloatArray]:
    """Times and number of 503s so far, by the second of their send, as the verdict counted them."""
    if report.over_time is not None:
        so_far = np.asarray(report.over_time["observed_cumulative_503"], dtype=np.float64)
        times = _bin_ends(len(so_far), report.over_time["bin_s"], report.scenario.duration_s)
    else:
        times = np.append(np.arange(1.0, report.scenario.duration_s), report.scenario.duration_s)
        sent = report.requests.sent_s[report.with_outcome(Outcome.STATUS_503)]
        so_far = np.cumsum(counts(sent, np.append(0.0, times))).astype(np.float64)
    seen = np.append(True, times - np.diff(times, prepend=0.0) < report.seen_until_s)
    return np.append(0.0, times)[seen], np.append(0.0, so_far)[seen]


def predicted_curve(report: RunReport, name: str, which: str) -> tuple[FloatArray, FloatArray]:
    """One predicted curve of `over_time`: the times at which its bins end, and its values there."""
    assert report.over_time is not None
    values = np.asarray(report.over_time[name][which], dtype=np.float64)
    return _bin_ends(len(values), report.over_time["bin_s"], report.scenario.duration_s), values


def largest_in_bins(times_s: FloatArray, values: FloatArray, edges_s: FloatArray) -> FloatArray:
    """The largest value of a step function in each bin; row i holds from times_s[i] on, times_s[0] <= edges_s[0]."""
    first = np.searchsorted(times_s, edges_s[:-1], side="right") - 1
    last = np.searchsorted(times_s, edges_s[1:], side="left")
    return np.array([np.max(values[start:end]) for start, end in zip(first, last, strict=True)])


def rate_profile(scenario: Scenario) -> RateProfile | None:
    """The arrival rate that the replayed run was drawn from; None for a recorded trace."""
    arrivals = scenario.arrivals
    if isinstance(arrivals, Renewal):
        return arrivals.profile
    return arrivals.rate_path(scenario.seed, 0) if isinstance(arrivals, MarkovModulatedPoisson) else None


def short_spans(replicas: ReplicaLog | None, duration_s: float) -> list[tuple[float, float]]:
    """Times (from, to) at which fewer replicas were ready than desired."""
    if replicas is None:
        return []
    short = (replicas.desired >= 0) & (replicas.ready >= 0) & (replicas.ready < replicas.desired)
    edges = np.diff(np.concatenate(([0], short.astype(np.int64), [0])))
    ends = np.append(replicas.time_s, max(duration_s, float(replicas.time_s[-1])))
    spans = zip(ends[np.flatnonzero(edges == 1)], ends[np.flatnonzero(edges == -1)], strict=True)
    return [(float(start), min(float(end), duration_s)) for start, end in spans if start < duration_s]


def observed_causes(report: RunReport) -> dict[str, int] | None:
    """503s by cause, UNATTRIBUTED among them: as logged, else read off the replica log at the instant of each answer.

    None where not a single one has a cause.
    """
    is_503 = report.with_outcome(Outcome.STATUS_503)
    causes = report.requests.cause[is_503].copy()
    if report.replicas is not None:
        times_s, most = report.requests.finish_s[is_503], report.scenario.deployment.max_replicas
        unknown = causes == NO_CAUSE
        causes[unknown] = causes_at(report.replicas, times_s, most, report.blind_s)[unknown]
    if len(causes) == 0 or np.all(causes == NO_CAUSE):
        return None
    return cause_counts(causes)


def cause_shares(report: RunReport) -> list[tuple[str, float | None, float | None]]:
    """Cause, predicted and observed share of the 503s (None: unknown); causes below 0.05 % of either are left out."""
    predicted = report.validation["predicted"].get("causes_503") or {}
    observed = observed_causes(report)
    total = sum(observed.values()) if observed else 0
    shares = [
        (label, predicted.get(label), observed[label] / total if observed and total else None)
        for label in [*(cause.label for cause in Cause), UNATTRIBUTED]
    ]
    return [share for share in shares if max(share[1] or 0.0, share[2] or 0.0) >= SMALLEST_SHARE]


def _rebinned(cumulative: list[float], bin_s: float, edges_s: FloatArray) -> FloatArray:
    times = _bin_ends(len(cumulative), bin_s, float(edges_s[-1]))
    return np.asarray(np.diff(np.interp(edges_s, np.append(0.0, times), np.append(0.0, cumulative))))


def _bin_ends(bins: int, bin_s: float, duration_s: float) -> FloatArray:
    return np.asarray(np.minimum((np.arange(bins) + 1) * bin_s, duration_s))
