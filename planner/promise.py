"""What a promise bounds: which failed requests each bound counts, and how many there may be.

A request has failed that was not answered 200. A simulation knows two ways to fail, 503 and 504; a replay sees others.
A promise that bounds the 503s alone says nothing of the rest. It does not count as kept while more requests fail
otherwise than it allows 503s, unless the file says `max_504: ignore`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from planner.model import FloatArray, Slo

IGNORE = "`max_504: ignore` leaves them out"
"""How a promise on 503s alone is said to be meant so."""

Count = TypeVar("Count", float, FloatArray)


class Failure(StrEnum):
    """Which requests a bound counts; the value is the name of their fraction in a document."""

    STATUS_503 = "fraction_503"
    ANY = "fraction_failed"
    STATUS_504 = "fraction_504"
    NOT_503 = "fraction_failed_otherwise"
    """Failed in any way but 503; in a simulation the 504s."""
    NEITHER = "fraction_failed_in_other_ways"
    """Failed in any way but 503 and 504; in a simulation none."""


@dataclass(frozen=True, kw_only=True)
class FailureBound:
    """At most `largest` of the requests fail so. is_implied: no key of the file says it."""

    failure: Failure
    largest: float
    is_implied: bool = False

    def hits(self, n_503: Count, n_504: Count, n_failed: Count) -> Count:
        """The requests that it counts. n_failed: those of every kind."""
        counted = {
            Failure.STATUS_503: n_503,
            Failure.ANY: n_failed,
            Failure.STATUS_504: n_504,
            Failure.NOT_503: n_failed - n_503,
            Failure.NEITHER: n_failed - n_503 - n_504,
        }
        return counted[self.failure]

    def simulated_hits(self, counts: SimulatedCounts) -> FloatArray:
        """The same of simulated runs, shape (R,)."""
        return self.hits(counts.n_503, counts.n_504, counts.n_503 + counts.n_504)


class SimulatedCounts(Protocol):
    """Requests, 503s and 504s of R simulated runs, shape (R,)."""

    @property
    def n(self) -> FloatArray: ...
    @property
    def n_503(self) -> FloatArray: ...
    @property
    def n_504(self) -> FloatArray: ...


def bounds_of(slo: Slo) -> tuple[FailureBound, ...]:
    """Every bound on failed requests, the main one first; the one that nobody wrote down last."""
    given = (
        (Failure.STATUS_503, slo.max_fraction_503),
        (Failure.ANY, slo.max_fraction_failed),
        (Failure.STATUS_504, slo.max_fraction_504),
    )
    bounds = [FailureBound(failure=failure, largest=most) for failure, most in given if most is not None]
    if slo.max_fraction_failed is None:
        assert slo.max_fraction_503 is not None
        is_settled = slo.ignores_504 or slo.max_fraction_504 is not None
        rest = Failure.NEITHER if is_settled else Failure.NOT_503
        bounds.append(FailureBound(failure=rest, largest=slo.max_fraction_503, is_implied=True))
    return tuple(bounds)


def main_bound(slo: Slo) -> FailureBound:
    """The one that figures show: of the 503s where they are bounded, else of all that fail."""
    return bounds_of(slo)[0]


def largest_503(slo: Slo) -> float:
    """More 503s than this break the promise."""
    return min(most for most in (slo.max_fraction_503, slo.max_fraction_failed) if most is not None)


def simulated_bounds(slo: Slo, has_504: bool) -> tuple[FailureBound, ...]:
    """Those that simulated runs are judged by. What nobody wrote down is not said while nothing of it was seen."""
    return tuple(b for b in bounds_of(slo) if not b.is_implied or (b.failure is Failure.NOT_503 and has_504))


def runs_within(slo: Slo, counts: SimulatedCounts) -> npt.NDArray[np.bool_]:
    """Which runs keep every bound that the file gives, shape (R,)."""
    kept = np.ones(len(counts.n), dtype=np.bool_)
    for bound in bounds_of(slo):
        if not bound.is_implied:
            # Divided, as a fraction is: 29 of 100 keep a bound of 0.29, but 0.29 x 100 is a little less than 29.
            kept &= bound.simulated_hits(counts) / np.maximum(counts.n, 1) <= bound.largest
    return kept
