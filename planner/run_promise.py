"""A promise held against what one run observed, with every way to fail that a replay sees.

One run shows what can happen, not how often: of 503s and 504s the simulation says that. Of other failures (HTTP 500,
a bad body, a timeout, a broken connection) no simulation knows anything: a run with more of them than promised has the
last word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from planner.model import ENDED, Outcome, RequestLog, Slo
from planner.percent import percent
from planner.promise import IGNORE, Failure, FailureBound, bounds_of


@dataclass(frozen=True, kw_only=True)
class RunFailures:
    """Requests of one run that count and whose end is known, and how many of them failed."""

    answered: int
    n_503: int
    n_504: int
    n_failed: int
    """Not answered 200."""
    n_client_timeouts: int = 0
    """Given up by the client; of the failed ones."""
    p99_s: float | None = None
    """Latency from the planned send, of 200s and of what timed out (for ever). Infinite where it lies among these."""
    p99_predictable_s: float | None = None
    """The same without client timeouts, which no simulation knows."""

    @classmethod
    def of(cls, log: RequestLog, counted: npt.NDArray[np.bool_]) -> RunFailures:
        """counted: which requests count, shape (n,)."""
        counts = np.bincount(log.outcome[counted], minlength=len(Outcome))
        answered = int(counts[list(ENDED)].sum())
        ok = counted & (log.outcome == Outcome.OK)
        latency_s = log.finish_s[ok] - log.scheduled_s[ok]
        n_504, n_client_timeouts = int(counts[Outcome.STATUS_504]), int(counts[Outcome.TIMEOUT])
        return cls(
            answered=answered,
            n_503=int(counts[Outcome.STATUS_503]),
            n_504=n_504,
            n_failed=answered - int(counts[Outcome.OK]),
            n_client_timeouts=n_client_timeouts,
            p99_s=p99_with_timeouts_s(latency_s, n_504 + n_client_timeouts),
            p99_predictable_s=p99_with_timeouts_s(latency_s, n_504),
        )

    @property
    def n_other(self) -> int:
        """Failed in a way that no simulation knows."""
        return self.n_failed - self.n_503 - self.n_504

    def fraction(self, n: float) -> float | None:
        return n / self.answered if self.answered else None


@dataclass(frozen=True, kw_only=True)
class RunPromise:
    """kept: in this run; None where nothing was answered. sentences: one for each bound that has something to say.

    broken_unpredicted: failures that no simulation predicts are more than promised, or make it slower than promised.
    """

    kept: bool | None
    broken_unpredicted: bool
    sentences: tuple[str, ...]


def hold(slo: Slo, seen: RunFailures, *, predicts_504: bool = True) -> RunPromise:
    """Every bound but that on runs. predicts_504: False where the run has refuted what was predicted of them."""
    if not seen.answered:
        return RunPromise(kept=None, broken_unpredicted=False, sentences=())
    n_504 = seen.n_504 if predicts_504 else 0
    kept, unpredicted, sentences = True, False, []
    for bound in bounds_of(slo):
        hits = bound.hits(float(seen.n_503), float(seen.n_504), float(seen.n_failed))
        predicted = bound.hits(float(seen.n_503), float(n_504), float(seen.n_503 + n_504))
        # Divided, as in `runs_within`: 29 of 100 keep a bound of 0.29.
        share, predicted_share = hits / seen.answered, predicted / seen.answered
        if share > bound.largest:
            kept = False
            unpredicted |= predicted_share <= bound.largest or (hits - predicted) / seen.answered > bound.largest
        if hits or not bound.is_implied:
            sentences.append(_sentence(bound, seen, hits))
    if slo.p99_latency_s is not None:
        if seen.p99_s is None or seen.p99_s > slo.p99_latency_s:
            kept = False
            unpredicted |= seen.p99_predictable_s is None or seen.p99_predictable_s <= slo.p99_latency_s
        sentences.append(_latency_sentence(slo.p99_latency_s, seen))
    return RunPromise(kept=kept, broken_unpredicted=unpredicted, sentences=tuple(sentences))


def _sentence(bound: FailureBound, seen: RunFailures, hits: float) -> str:
    share, most = percent(hits / seen.answered), percent(bound.largest)
    what = {
        Failure.STATUS_503: "got 503",
        Failure.STATUS_504: "got 504",
        Failure.ANY: f"failed ({_kinds(seen)})",
        Failure.NOT_503: f"failed otherwise than by 503 ({_kinds(seen, of_503=False)})",
        Failure.NEITHER: f"failed otherwise than by 503 and 504 ({seen.n_other} of {seen.answered})",
    }[bound.failure]
    promised = f"promised are at most {most}"
    if bound.is_implied:
        promised = f"the promise does not bound these, so they are held to its {most} for 503s"
        promised += f" ({IGNORE.replace('them', '504s')})" if bound.failure is Failure.NOT_503 and seen.n_504 else ""
    return f"In this run {share} of the requests {what}; {promised}."


def _latency_sentence(most_s: float, seen: RunFailures) -> str:
    late = [(seen.n_504, "504"), (seen.n_client_timeouts, "client timeout")]
    what = " and ".join(f"{n} {name}{'s' if n > 1 else ''}" for n, name in late if n)
    of = f"200 answers, {what} (slower than any bound)" if what else "the 200 answers"
    p99 = "not known" if seen.p99_s is None else "above any bound" if math.isinf(seen.p99_s) else f"{seen.p99_s:.3g} s"
    return f"In this run the p99 latency of {of} is {p99}; promised are at most {most_s:g} s."


def _kinds(seen: RunFailures, *, of_503: bool = True) -> str:
    counts = [(seen.n_503 if of_503 else 0, "503s"), (seen.n_504, "504s"), (seen.n_other, "in other ways")]
    return ", ".join(f"{n} {name}" for n, name in counts if n) or "none"


def p99_with_timeouts_s(latency_s: npt.NDArray[np.float64], n_timed_out: int) -> float | None:
    """The p99 of 200 answers and of requests that timed out, which take for ever.

    Infinite where it lies among these, None without any.
    """
    n = len(latency_s) + n_timed_out
    if n == 0:
        return None
    rank = math.ceil(0.99 * n - 1e-9)
    return float(np.sort(latency_s)[rank - 1]) if rank <= len(latency_s) else math.inf
