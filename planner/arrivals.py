"""Arrival processes: who asks when. Each yields sorted arrival times in [0, duration) in blocks.

CONTRIBUTING.md says how to add one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from planner.draws import LARGEST_BLOCK, Stream, block_generator, block_size
from planner.errors import InputError
from planner.model import FloatArray, IntArray
from planner.rates import RateProfile
from planner.service import LARGEST_CV, SMALLEST_CV


class ArrivalProcess(Protocol):
    """Arrivals in [0, duration) of one replicate."""

    @property
    def fixed_count(self) -> int | None:
        """Number of arrivals where it is the same in every replicate (a trace), else None."""
        ...

    @property
    def expected_count(self) -> float:
        """Expected number of arrivals."""
        ...

    @property
    def is_random(self) -> bool:
        """Whether two replicates may have other arrivals."""
        ...

    def blocks(self, seed: int, replicate: int) -> Iterator[FloatArray]:
        """Sorted times in seconds, in blocks of any length."""
        ...

    def describe(self) -> str: ...


@dataclass(frozen=True)
class Renewal:
    """Unit-mean gaps carried through the inverse of a cumulative rate; CV 0 is regular, 1 Poisson, others gamma.

    With a constant rate the gaps have that CV exactly; with a varying rate they are stretched by it (for CV 1 this is
    the non-homogeneous Poisson process, exactly). The first arrival comes one full gap after 0. made: where a recorded
    rate comes from, in words; file_sha256: of its bytes.
    """

    profile: RateProfile
    cv: float = 1.0
    made: str = ""
    file_sha256: str = ""

    def __post_init__(self) -> None:
        if not (self.cv == 0 or SMALLEST_CV <= self.cv <= LARGEST_CV):
            raise InputError(f"cv = {self.cv}, must be 0 (regular) or from {SMALLEST_CV:g} to {LARGEST_CV:g}")

    @property
    def fixed_count(self) -> int | None:
        return None

    @property
    def expected_count(self) -> float:
        return float(self.profile.edge_count[-1])

    @property
    def is_random(self) -> bool:
        return self.cv > 0

    def blocks(self, seed: int, replicate: int) -> Iterator[FloatArray]:
        total, end_s = self.expected_count, self.profile.time_s[-1]
        reached = last_s = 0.0
        block = 0
        while reached < total:
            counts = np.cumsum(self._unit_gaps(seed, replicate, block))
            counts += reached
            reached = float(counts[-1])
            times = self.profile.inverse(counts if reached < total else counts[counts < total])
            if len(times):
                if not self.profile.is_stepwise:  # two counts an ulp apart may come back in the wrong order
                    times = np.maximum.accumulate(np.maximum(times, last_s))
                last_s = float(times[-1])
                yield times if last_s < end_s else times[times < end_s]
            block += 1

    def _unit_gaps(self, seed: int, replicate: int, block: int) -> FloatArray:
        size = block_size(block)
        if self.cv == 0:
            return np.ones(size)
        generator = block_generator(seed, replicate, Stream.ARRIVALS, block)
        if self.cv == 1:
            return generator.standard_exponential(size)
        shape = 1 / self.cv**2
        return generator.standard_gamma(shape, size) / shape

    def describe(self) -> str:
        kind = {0.0: "regular", 1.0: "Poisson"}.get(self.cv, f"gamma with CV {self.cv:g}")
        rates = np.concatenate((self.profile.left_rps, self.profile.right_rps))
        span = f"{rates.min():g}" if rates.min() == rates.max() else f"{rates.min():g} to {rates.max():g}"
        of = f" ({self.made})" if self.made else ""
        return f"{kind}, {span} requests per second{of}"


@dataclass(frozen=True)
class MarkovModulatedPoisson:
    """MMPP: Poisson arrivals whose rate is rates_rps[phase]; phase i lasts exponentially with rate switching_per_s[i].

    Phases are visited in turn and start in their stationary distribution, pi_i proportional to 1 / switching_per_s[i].
    """

    rates_rps: FloatArray
    switching_per_s: FloatArray
    duration_s: float

    def __post_init__(self) -> None:
        if not len(self.rates_rps) == len(self.switching_per_s) >= 2:
            raise InputError("mmpp needs as many switching rates as rates, and at least two")
        if not (np.all(np.asarray(self.rates_rps) >= 0) and np.any(np.asarray(self.rates_rps) > 0)):
            raise InputError(f"mmpp rates = {np.asarray(self.rates_rps).tolist()}, must be at least 0 and not all 0")
        if not np.all(np.asarray(self.switching_per_s) > 0):
            raise InputError(f"mmpp switching = {np.asarray(self.switching_per_s).tolist()}, must be above 0")

    @property
    def fixed_count(self) -> int | None:
        return None

    @property
    def stationary(self) -> FloatArray:
        """Share of time in each phase, shape (phases,)."""
        weights = 1 / np.asarray(self.switching_per_s)
        return np.asarray(weights / weights.sum())

    @property
    def expected_count(self) -> float:
        return float(self.stationary @ np.asarray(self.rates_rps) * self.duration_s)

    @property
    def is_random(self) -> bool:
        return True

    def blocks(self, seed: int, replicate: int) -> Iterator[FloatArray]:
        return Renewal(self.rate_path(seed, replicate)).blocks(seed, replicate)

    def rate_path(self, seed: int, replicate: int) -> RateProfile:
        """The rate over [0, duration) that one replicate's phases give."""
        phases = len(self.rates_rps)
        now_s, block, done = 0.0, 0, 0
        first = -1
        sojourns: list[FloatArray] = []
        while now_s < self.duration_s:
            generator = block_generator(seed, replicate, Stream.PHASES, block)
            if block == 0:
                first = int(np.searchsorted(np.cumsum(self.stationary), generator.random(), side="right"))
                first = min(first, phases - 1)
            size = block_size(block)
            phase = (first + done + np.arange(size)) % phases
            sojourns.append(generator.standard_exponential(size) / np.asarray(self.switching_per_s)[phase])
            now_s += float(sojourns[-1].sum())
            done += size
            block += 1
        ends = np.cumsum(np.concatenate(sojourns))
        inner = ends[ends < self.duration_s]
        edges = np.concatenate(([0.0], inner, [self.duration_s]))
        rates = np.asarray(self.rates_rps, dtype=np.float64)[(first + np.arange(len(edges) - 1)) % phases]
        return RateProfile(edges, rates, rates)

    def describe(self) -> str:
        rates = ", ".join(f"{r:g}" for r in self.rates_rps)
        sojourns = ", ".join(f"{1 / s:g} s" for s in self.switching_per_s)
        return f"MMPP, rates {rates} requests per second, mean sojourns {sojourns}"


@dataclass(frozen=True, kw_only=True)
class Places:
    """Between which times each request of a trace may have come, where only its bin is known.

    low_s, high_s: shape (n,), low_s <= high_s, both in [0, end_s]. draw, shift_s: where there are copies, which draw
    places each request (a copy has that of its original) and by how much a copy is jittered from there, shape (n,).
    """

    low_s: FloatArray
    high_s: FloatArray
    end_s: float
    draw: IntArray | None = None
    shift_s: FloatArray | None = None

    def drawn(self, seed: int, replicate: int) -> FloatArray:
        """A time for each request, uniform between its bounds, shape (n,)."""
        n = len(self.low_s)
        starts = range(0, n, LARGEST_BLOCK)
        draws = [
            block_generator(seed, replicate, Stream.TRACE, block).random(min(LARGEST_BLOCK, n - start))
            for block, start in enumerate(starts)
        ]
        place = np.concatenate([np.empty(0), *draws])
        times_s = self.low_s + (place if self.draw is None else place[self.draw]) * (self.high_s - self.low_s)
        times_s = np.maximum(self.low_s, np.minimum(times_s, np.nextafter(self.high_s, -np.inf)))
        return times_s if self.shift_s is None else reflected(times_s + self.shift_s, self.end_s)


def reflected(times_s: FloatArray, end_s: float) -> FloatArray:
    """Times that left [0, end) turned back at its edges, so that jitter changes no count."""
    inside = np.abs(times_s)
    inside = np.where(inside >= end_s, 2 * end_s - inside, inside)
    return np.clip(inside, 0.0, np.nextafter(end_s, 0.0) if end_s > 0 else 0.0)


@dataclass(frozen=True)
class Recorded:
    """The arrival times of a trace.

    times_s: sorted, in [0, duration), those of replicate 0. Where the trace has stamps of whole seconds, spread inside
    their second for times_s, start_of_second_s holds the other extreme: the same requests, each at the start of its
    second. payload: a text for each request, shape (n,). made: one sentence, where the times come from and how they
    were made. file_sha256: of the trace's bytes. places: every further replicate draws its times from them; None: every
    replicate has times_s. by_seed: what of the requests the seed chose once for all replicates ("each kept with
    probability 0.5 by seed 7"); empty if nothing.
    """

    times_s: FloatArray
    source: str = "trace"
    start_of_second_s: FloatArray | None = None
    payload: np.ndarray[Any, np.dtype[np.object_]] | None = None
    made: str = ""
    file_sha256: str = ""
    places: Places | None = None
    by_seed: str = ""

    def __post_init__(self) -> None:
        if self.payload is not None and len(self.payload) != len(self.times_s):
            raise ValueError(f"{len(self.payload)} payloads but {len(self.times_s)} arrival times")
        if len(self.times_s) == 0:
            raise InputError(f"{self.source}: no request falls into the chosen part of the trace")

    @property
    def fixed_count(self) -> int | None:
        return len(self.times_s)

    @property
    def expected_count(self) -> float:
        return float(len(self.times_s))

    @property
    def is_random(self) -> bool:
        return self.places is not None

    def placed(self, seed: int, replicate: int) -> tuple[FloatArray, IntArray]:
        """The sorted times of one replicate, and which of the trace's requests came at each, both of shape (n,)."""
        if self.places is None or replicate == 0:
            return self.times_s, np.arange(len(self.times_s))
        times_s = self.places.drawn(seed, replicate)
        order = np.argsort(times_s, kind="stable")
        return times_s[order], order

    def blocks(self, seed: int, replicate: int) -> Iterator[FloatArray]:
        times_s, _ = self.placed(seed, replicate)
        for i in range(0, len(times_s), LARGEST_BLOCK):
            yield times_s[i : i + LARGEST_BLOCK]

    def describe(self) -> str:
        return f"{len(self.times_s)} recorded requests from {self.source}"
