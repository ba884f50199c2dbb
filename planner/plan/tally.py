"""What the search has seen of each setting: runs, their sums, and what these say of promise and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betainc, ndtri, stdtr

from planner.model import FloatArray, Slo
from planner.plan.observation import Observed
from planner.promise import Failure, FailureBound, bounds_of, runs_within, simulated_bounds

CLUSTER = 10
"""503s come in clusters: so many in one run count as one event where few runs saw any."""

PRIOR_RUNS = 4.0
"""Runs that the spread common to all settings counts for in the spread of one."""

INDIFFERENCE, INDIFFERENCE_RUNS = 0.9, 0.75
"""A cheaper setting is not missed unless it is below this share of the bound: of the 503s and the slow answers, and of
the runs that break the promise, which so many fewer runs can tell apart."""


SLOW_SHARE = 0.01
"""A p99 is kept where no more of the answers are slower; a 504 is slower than any bound."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the promise, a ratio of sums over runs that must not exceed `bound`."""

    name: str
    bound: float
    is_share_of_runs: bool = False
    failures: FailureBound | None = None
    """The failed requests that it bounds."""

    @property
    def indifference(self) -> float:
        return INDIFFERENCE_RUNS if self.is_share_of_runs else INDIFFERENCE

    def hits_and_trials(self, runs: Runs, slo: Slo) -> tuple[FloatArray, FloatArray]:
        if self.is_share_of_runs:
            return (~runs_within(slo, runs)).astype(np.float64), np.ones(len(runs))
        if self.failures is not None:
            return self.failures.simulated_hits(runs), runs.n
        return runs.slow, runs.answers


FRACTION, SLOW, BROKEN_RUNS = str(Failure.STATUS_503), "latency_p99", "fraction_of_runs"


def parts_of(slo: Slo, has_504: bool = False) -> tuple[Part, ...]:
    """The parts of a promise: failed requests, and if promised the latency (1 % of the answers may be slower) and the
    runs. has_504: some run has seen one; until then a bound on them that nobody wrote down is no part."""
    bounds = simulated_bounds(slo, has_504)
    parts = [Part(name=str(b.failure), bound=b.largest, failures=b) for b in bounds]
    if slo.p99_latency_s is not None:
        parts.append(Part(name=SLOW, bound=SLOW_SHARE))
    if slo.min_fraction_of_runs is not None:
        parts.append(Part(name=BROKEN_RUNS, bound=1 - slo.min_fraction_of_runs, is_share_of_runs=True))
    return tuple(parts)


@dataclass(frozen=True)
class Runs:
    """The runs of one setting, columns of shape (R,)."""

    n: FloatArray
    n_503: FloatArray
    answers: FloatArray
    slow: FloatArray
    paid_s: FloatArray
    peak_unclamped: FloatArray
    n_504: FloatArray
    repeats: FloatArray = field(default_factory=lambda: np.zeros(1))

    @classmethod
    def of(cls, observed: Sequence[Observed]) -> Runs:
        return cls(*np.array(observed, dtype=np.float64).reshape(len(observed), len(Observed._fields)).T)

    def __len__(self) -> int:
        return len(self.n)

    @property
    def exact(self) -> bool:
        """Whether every further run would be as these are."""
        return bool(self.repeats.all())


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A part of the promise as one setting's runs show it, on a logarithmic scale: log(ratio / bound) and its error.

    exact: every further run shows the same, so there is no error. log_value is -inf where the ratio is 0 for sure.
    """

    log_value: float
    variance_per_run: float
    """Of log_value, for one run; what others show of it is not yet in it."""
    runs: int
    saw: int
    part: Part
    smooth: float
    """What stands for log_value where settings are compared: a share of runs jumps from 0 to 1 between two of them,
    the quantile of single runs that it speaks of does not."""
    exact: bool = False

    def error(self, common_variance: float) -> float:
        """Standard error of log_value; the spread of few runs is drawn towards that of all settings."""
        if self.exact:
            return 0.0
        pooled = (PRIOR_RUNS * common_variance + (self.runs - 1) * self.variance_per_run) / (PRIOR_RUNS + self.runs - 1)
        return math.sqrt(max(pooled / self.runs, self._rare()))

    def _rare(self) -> float:
        """The variance of the logarithm of a count of events, where not all runs saw one and few did."""
        return 0.0 if self.saw == self.runs else 1 / (self.saw + 0.5)

    def probability_below(self, factor: float, common_variance: float) -> float:
        """How probable it is that the true ratio is below factor x bound; of one that is known, that it is kept."""
        if self.exact:
            return float(self.log_value <= 0)
        if self.part.is_share_of_runs:  # exact: a uniform prior on the share of runs that break the promise
            return float(betainc(self.saw + 1, self.runs - self.saw + 1, min(1.0, factor * self.part.bound)))
        error = self.error(common_variance)
        if error == 0:
            return float(self.log_value <= math.log(factor))
        score = (math.log(factor) - self.log_value) / error
        return float(stdtr(PRIOR_RUNS + self.runs - 1, score))


def ratio(part: Part, runs: Runs, slo: Slo) -> Ratio:
    """One part of the promise, from all runs of a setting."""
    hits, trials = part.hits_and_trials(runs, slo)
    unit = 0 if runs.exact else 1 if part.is_share_of_runs else CLUSTER
    value, variance = _value_and_variance(hits, trials, unit)
    return Ratio(
        log_value=_log(value / part.bound),
        variance_per_run=variance,
        runs=len(hits),
        saw=int((hits > 0).sum()),
        part=part,
        smooth=_log_quantile(runs, slo) if part.is_share_of_runs else _log(value / part.bound),
        exact=runs.exact,
    )


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _value_and_variance(hits: FloatArray, trials: FloatArray, unit: float) -> tuple[float, float]:
    """Ratio of sums, not below half a unit, and the relative variance of one run's share in it (delta method)."""
    total = float(trials.sum())
    if total == 0:
        return 1.0, 0.0
    value = float(hits.sum()) / total
    variance = 0.0
    if value > 0 and len(hits) > 1:
        residuals = hits - value * trials
        variance = float(residuals @ residuals) / (len(hits) - 1) / float(trials.mean()) ** 2 / value**2
    return max(value, 0.5 * unit / total), variance


def _log_quantile(runs: Runs, slo: Slo) -> float:
    """log(q / bound), q the quantile of single runs' fractions of failures at the promised share of runs, as if they
    were lognormal; of several bounds the one that is broken most."""
    return max(_log_quantile_of(bound, runs, slo) for bound in bounds_of(slo) if not bound.is_implied)


def _log_quantile_of(bound: FailureBound, runs: Runs, slo: Slo) -> float:
    assert slo.min_fraction_of_runs is not None
    value, variance = _value_and_variance(bound.simulated_hits(runs), runs.n, unit=0 if runs.exact else CLUSTER)
    deviation = math.sqrt(math.log1p(variance))
    quantile = float(ndtri(slo.min_fraction_of_runs)) * deviation - deviation**2 / 2
    return _log(value / bound.largest) + quantile


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Paid replica-seconds of a run: the mean over a setting's runs and its standard error."""

    mean_s: float
    error_s: float

    @classmethod
    def of(cls, runs: Runs) -> Cost:
        n = len(runs)
        spread = float(runs.paid_s.std(ddof=1)) if n > 1 else 0.0
        return cls(mean_s=float(runs.paid_s.mean()), error_s=spread / math.sqrt(n))
