"""Estimates from independent replications, each with an interval. A fraction is a ratio of sums, not a mean of ratios.

Sources: ratio estimator and delta method: Law, *Simulation Modeling and Analysis*, ch. 9; intervals of log p for
fractions that come in clusters: coverage measured in the project's statistical tests; quantiles: R. S. Woodruff, JASA
47 (1952).

Where nothing that is random takes part all replications are one, and its numbers are exact: the interval is a point.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtrit

from planner.errors import NoVerdictError
from planner.model import Cause, Estimate, FloatArray, IntArray
from planner.promise import Failure, runs_within
from planner.scenario import Scenario
from planner.sim.engine import ReplicateResult
from planner.sim.layout import LATENCY_BUCKETS, LOWEST_OCTAVE, OCTAVE_BUCKETS

CONFIDENCE = 0.95

RESOLVED_HITS = 30
"""Replications that must have seen the event for its interval to be trusted (unless all did)."""

CLUSTER = 10
"""Assumption of the upper bound where few runs saw a 503: one that does loses this many requests at most. They come in
clusters, so one request would be too few."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What `simulate` prints. causes_503 holds each cause's share of the 503s, None without 503s.

    latency_p50_s, latency_p99_s: of the 200 answers. latency_p99_with_504_s: of 200s and 504s, infinite where it lies
    among the 504s.
    """

    replications: int
    requests: int
    fraction_503: Estimate
    fraction_504: Estimate
    fraction_failed: Estimate
    fraction_of_runs_within_slo: Estimate | None
    latency_p50_s: Estimate | None
    latency_p99_s: Estimate | None
    latency_p99_with_504_s: Estimate | None
    mean_replicas: Estimate
    replica_hours: Estimate
    causes_503: dict[str, Estimate | None]

    @property
    def has_504(self) -> bool:
        return self.fraction_504.value > 0

    def of(self, failure: Failure) -> Estimate:
        """The fraction of the requests that fail so."""
        if failure is Failure.STATUS_503:
            return self.fraction_503
        return self.fraction_failed if failure is Failure.ANY else self.fraction_504


class Repeatable(Protocol):
    """A replicate that knows whether every other one is the same."""

    @property
    def repeats(self) -> bool: ...


class Counted(Protocol):
    """What a replicate says of its failed requests; causes: 503s by `Cause`."""

    @property
    def n(self) -> int: ...
    @property
    def n_503(self) -> int: ...
    @property
    def n_504(self) -> int: ...
    @property
    def causes(self) -> IntArray: ...
    @property
    def repeats(self) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The requests, 503s and 504s of R replicates, shape (R,), and their 503s by `Cause`, shape (R, causes).

    exact: every further replicate would be the same.
    """

    n: FloatArray
    n_503: FloatArray
    n_504: FloatArray
    causes: FloatArray
    exact: bool = False

    @classmethod
    def of(cls, results: Sequence[Counted]) -> Counts:
        return cls(
            n=np.array([r.n for r in results], dtype=np.float64),
            n_503=np.array([r.n_503 for r in results], dtype=np.float64),
            n_504=np.array([r.n_504 for r in results], dtype=np.float64),
            causes=np.array([r.causes for r in results], dtype=np.float64),
            exact=are_exact(results),
        )

    def __len__(self) -> int:
        return len(self.n)

    def first(self, replications: int) -> Counts:
        """So many of them; exact ones stand for as many as are asked for."""
        rows = np.zeros(replications, dtype=np.int64) if self.exact else np.arange(min(replications, len(self)))
        columns = {name: getattr(self, name)[rows] for name in ("n", "n_503", "n_504", "causes")}
        return dataclasses.replace(self, **columns)

    @property
    def n_failed(self) -> FloatArray:
        return self.n_503 + self.n_504

    @property
    def fraction_503(self) -> Estimate:
        return fraction(self.n_503, self.n, exact=self.exact)

    @property
    def fraction_504(self) -> Estimate:
        return fraction(self.n_504, self.n, exact=self.exact)

    @property
    def fraction_failed(self) -> Estimate:
        return fraction(self.n_failed, self.n, exact=self.exact)

    @property
    def causes_503(self) -> dict[str, Estimate | None]:
        """Each cause's share of the 503s, None where there are none."""
        has_any = bool(self.n_503.any())
        return {c.label: share(self.causes[:, c], self.n_503, exact=self.exact) if has_any else None for c in Cause}

    def difference_to(self, other: Counts, failed: str = "n_503") -> Estimate:
        """The other's fraction of failures minus this one's, replicates paired. failed: n_503, n_504 or n_failed."""
        replications = len(other) if self.exact else len(self) if other.exact else min(len(self), len(other))
        a, b = self.first(replications), other.first(replications)
        hits, other_hits = getattr(a, failed), getattr(b, failed)
        return difference(hits, a.n, other_hits, b.n, exact=self.exact and other.exact)


def are_exact(results: Sequence[Repeatable]) -> bool:
    """Whether every further replicate would be as these are."""
    return bool(results) and all(r.repeats for r in results)


def measure(scenario: Scenario, results: Sequence[ReplicateResult]) -> Measures:
    """All estimates from the replications of one scenario."""
    counts = Counts.of(results)
    observed_s = scenario.duration_s - scenario.warm_up_s
    slo, exact, p99_s = scenario.slo, counts.exact, quantile(results, 0.99)
    return Measures(
        replications=len(results),
        requests=int(counts.n.sum()),
        fraction_503=counts.fraction_503,
        fraction_504=counts.fraction_504,
        fraction_failed=counts.fraction_failed,
        fraction_of_runs_within_slo=None if slo is None else share_of_runs(runs_within(slo, counts), exact=exact),
        latency_p50_s=quantile(results, 0.5),
        latency_p99_s=p99_s,
        latency_p99_with_504_s=quantile(results, 0.99, with_504=True) if counts.n_504.any() else p99_s,
        mean_replicas=mean(np.array([r.ready_s for r in results]) / observed_s, exact=exact),
        replica_hours=mean(np.array([r.paid_s for r in results]) / 3600, exact=exact),
        causes_503=counts.causes_503,
    )


def fraction(hits: FloatArray, trials: FloatArray, *, exact: bool = False) -> Estimate:
    """E[hits] / E[trials] over replications, with the log-t interval p exp(+- t se / p).

    hits, trials: shape (R,). With fewer than RESOLVED_HITS replications that saw a hit (unless all did) the estimate is
    unresolved and `high` an upper bound: the share of runs that see any hit is below 1 - (1 - confidence)^(1/R) when
    none did (its Clopper-Pearson bound otherwise), and such a run is taken to lose at most the largest fraction seen
    or CLUSTER requests, whichever is more. Where few runs differ from what all others saw, a t interval would be too
    narrow, or a point: it reaches as far as `_where_few_differ` says.
    """
    replications = len(hits)
    p = _ratio(hits, trials)
    if exact:
        return _exact(p, replications)
    saw = int((hits > 0).sum())
    low, high = 0.0, 1.0
    if p > 0 and replications > 1:
        spread = _t(replications) * _ratio_error(hits, trials, p) / p
        low, high = p * math.exp(-spread), p * math.exp(spread)
    resolved = _is_resolved(saw, replications)
    if resolved:
        few_low, few_high = _where_few_differ(_single_runs(hits, trials), p, CLUSTER / float(trials.mean()))
        low, high = min(low, max(few_low, 0.0)), max(high, few_high)
    else:
        largest = _largest(_single_runs(hits, trials), trials)
        low, high = 0.0, max(high if p > 0 else 0.0, clopper_pearson_high(saw, replications) * largest)
    return Estimate(value=p, low=low, high=min(high, 1.0), replications=replications, resolved=resolved)


def difference(
    hits: FloatArray, trials: FloatArray, other_hits: FloatArray, other_trials: FloatArray, *, exact: bool = False
) -> Estimate:
    """E[other_hits] / E[other_trials] - E[hits] / E[trials] over pairs of replications, with a t interval.

    The variance is that of the pairs' own differences (delta method), so what both have in common cancels. Where fewer
    than RESOLVED_HITS pairs differ (unless all do) the difference is unresolved, and its interval reaches as far either
    way as the upper bound of `fraction` for an event that so few runs saw.
    """
    replications = len(hits)
    p, other = _ratio(hits, trials), _ratio(other_hits, other_trials)
    if exact:
        return _exact(other - p, replications)
    spread = 1.0
    if replications > 1:
        effects = (other_hits - other * other_trials) / other_trials.mean() - (hits - p * trials) / trials.mean()
        spread = _t(replications) * math.sqrt(float(effects @ effects) / (replications - 1) / replications)
    low, high = other - p - spread, other - p + spread
    changes = np.abs(_single_runs(other_hits, other_trials) - _single_runs(hits, trials))
    differ = int((changes > 0).sum())
    resolved = _is_resolved(differ, replications)
    if not resolved:
        fewer = min(trials, other_trials, key=lambda n: float(n.mean()))  # where a request is the larger share
        reach = clopper_pearson_high(differ, replications) * _largest(changes, fewer)
        low, high = min(low, -reach), max(high, reach)
    return Estimate(
        value=other - p, low=max(low, -1.0), high=min(high, 1.0), replications=replications, resolved=resolved
    )


def share(parts: FloatArray, wholes: FloatArray, *, exact: bool = False) -> Estimate:
    """E[parts] / E[wholes] with a plain t interval within [0, 1]: for shares that are not small."""
    p = float(parts.sum() / wholes.sum())
    if exact:
        return _exact(p, len(parts))
    spread = _t(len(parts)) * _ratio_error(parts, wholes, p) if len(parts) > 1 else 1.0
    return Estimate(
        value=p,
        low=max(0.0, p - spread),
        high=min(1.0, p + spread),
        replications=len(parts),
        resolved=_is_resolved(int((wholes > 0).sum()), len(parts)),
    )


def mean(values: FloatArray, *, exact: bool = False) -> Estimate:
    """Mean over replications with its t interval."""
    n = len(values)
    value = float(values.mean())
    if exact:
        return _exact(value, n)
    low, high = 0.0, math.inf
    if n > 1:
        spread = _t(n) * float(values.std(ddof=1)) / math.sqrt(n)
        few_low, few_high = _where_few_differ(values, value)
        low, high = max(0.0, min(value - spread, few_low)), max(value + spread, few_high)
    return Estimate(
        value=value,
        low=low,
        high=high,
        replications=n,
        resolved=n > 1,
    )


def share_of_runs(kept: npt.NDArray[np.bool_], *, exact: bool = False) -> Estimate:
    """The share of single runs with a property, with the exact (Clopper-Pearson) interval."""
    n, k = len(kept), int(np.sum(kept))
    if exact:
        return _exact(k / n, n)
    return Estimate(
        value=k / n, low=1 - clopper_pearson_high(n - k, n, 2), high=clopper_pearson_high(k, n, 2), replications=n
    )


TIMED_OUT = LATENCY_BUCKETS
"""The bucket of 504s, after all others."""


def quantile(results: Sequence[ReplicateResult], q: float, *, with_504: bool = False) -> Estimate | None:
    """The q-quantile of latency in seconds over replications, None without answers.

    with_504: of 200s and 504s, a 504 taking for ever. The interval maps the interval of the share of answers below the
    estimate back through the pooled histogram (Woodruff).
    """
    timed_out = np.array([r.n_504 if with_504 else 0 for r in results], dtype=np.int64)
    pooled = np.zeros(LATENCY_BUCKETS + 1, dtype=np.int64)
    pooled[TIMED_OUT] = timed_out.sum()
    for r in results:
        pooled[r.latency_bucket] += r.latency_count
    total = int(pooled.sum())
    if total == 0:
        return None
    cumulative = np.cumsum(pooled)
    bucket = _bucket_at(cumulative, q * total)
    if are_exact(results):
        return _exact(bucket_value_s(bucket), len(results))
    last = min(bucket, LATENCY_BUCKETS - 1)  # for ever is known by the share of those that are answered in time
    answers = np.array([r.latency_count.sum() for r in results], dtype=np.float64) + timed_out
    below = np.array([r.latency_count[r.latency_bucket <= last].sum() for r in results], dtype=np.float64)
    replications = len(results)
    spread = 1.0
    if replications > 1:
        spread = _t(replications) * _ratio_error(below, answers, float(below.sum() / total))
    low, high = (_bucket_at(cumulative, min(max(level, 0.0), 1.0) * total) for level in (q - spread, q + spread))
    middle, low_s, high_s = (bucket_value_s(b) for b in (bucket, low, high))
    return Estimate(value=middle, low=low_s, high=high_s, replications=replications, resolved=replications > 1)


def bucket_value_s(bucket: int) -> float:
    """The middle of a latency bucket in seconds."""
    if bucket == TIMED_OUT:
        return math.inf
    octave, step = divmod(bucket, OCTAVE_BUCKETS)
    return math.ldexp(1 + (step + 0.5) / OCTAVE_BUCKETS, octave + LOWEST_OCTAVE)


def clopper_pearson_high(hits: int, n: int, sides: int = 1) -> float:
    """Upper confidence bound of a probability; for 0 hits and one side it is 1 - (1 - confidence)^(1/n)."""
    if hits >= n:
        return 1.0
    return float(betaincinv(hits + 1, n - hits, 1 - (1 - CONFIDENCE) / sides))


def _bucket_at(cumulative: IntArray, count: float) -> int:
    return min(int(np.searchsorted(cumulative, max(count, 1), side="left")), TIMED_OUT)


def _exact(value: float, replications: int) -> Estimate:
    return Estimate(value=value, low=value, high=value, replications=replications, exact=True)


def _ratio(parts: FloatArray, wholes: FloatArray) -> float:
    if wholes.sum() == 0:
        raise NoVerdictError("no request arrives in the time that counts: there is nothing to estimate")
    return float(parts.sum() / wholes.sum())


def _single_runs(hits: FloatArray, trials: FloatArray) -> FloatArray:
    """The fraction of each run, 0 where it had no requests."""
    return np.asarray(hits / np.maximum(trials, 1))


def _largest(fractions: FloatArray, trials: FloatArray) -> float:
    """The largest fraction that a run is taken to have: the largest seen or CLUSTER requests, whichever is more."""
    return min(1.0, max(float(fractions.max()), CLUSTER / float(trials.mean())))


def _where_few_differ(values: FloatArray, mean_value: float, least_change: float = 0.0) -> tuple[float, float]:
    """Where a mean may lie if most runs gave one value and few another; `mean_value` twice where many did.

    Few are fewer than RESOLVED_HITS and than half. The share of runs that differ is below its Clopper-Pearson bound,
    and one that does is taken to lie as far off as any that was seen; where none was, by `least_change` either way.
    """
    n = len(values)
    common, counts = np.unique(values, return_counts=True)
    most = int(np.argmax(counts))
    usual, differ = float(common[most]), n - int(counts[most])
    if differ >= min(RESOLVED_HITS, (n + 1) // 2):
        return mean_value, mean_value
    share = clopper_pearson_high(differ, n)
    down, up = (usual - float(values.min()), float(values.max()) - usual) if differ else (least_change, least_change)
    return usual - share * down, usual + share * up


def _is_resolved(saw: int, replications: int) -> bool:
    return replications > 1 and (saw >= RESOLVED_HITS or saw == replications)


def _ratio_error(parts: FloatArray, wholes: FloatArray, ratio: float) -> float:
    """Standard error of sum(parts) / sum(wholes) by the delta method; 0 exactly where all runs are equal."""
    n = len(parts)
    if (parts == parts[0]).all() and (wholes == wholes[0]).all():
        return 0.0
    residuals = parts - ratio * wholes
    return float(math.sqrt(float(residuals @ residuals) / (n - 1) / n) / float(wholes.mean()))


def _t(replications: int) -> float:
    return float(stdtrit(replications - 1, (1 + CONFIDENCE) / 2)) if replications > 1 else math.inf
