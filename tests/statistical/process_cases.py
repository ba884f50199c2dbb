"""What is judged: every process, start, distribution and stream, as p-values that a seed gives.

JUDGED holds all of it. `tests.statistical.known_defects` says how small an error each check sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations, islice, product

import numpy as np
from scipy import special, stats

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Recorded, Renewal
from planner.draws import LARGEST_BLOCK, Stream, block_size
from planner.model import FloatArray
from planner.rates import RateProfile
from planner.service import Distribution, Empirical, Exponential, Gamma, Lognormal, Scaled
from planner.traces.playing import JITTER_S, Trace, play
from planner.workload import drawn, first_draws
from tests.statistical.exact_laws import CopiedLaw, Law, MarkovLaw, RenewalLaw
from tests.statistical.process_checks import (
    BLOCK_CHECKS,
    CHECKS,
    COUNT_CHECKS,
    GAP_CHECKS,
    Observed,
    Sample,
    blocks_p,
    borders_p,
    correlation_p,
    kolmogorov_p,
    neighbours_p,
    normal_p,
    replicates_p,
    smallest_p,
)

PValues = dict[str, float]
Sampled = Callable[[int], Sample]
"""From a seed."""

REPLICATES = 40
DURATION_S = 800.0

Rates = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
"""Edges, and the rates at the two ends of each piece."""

CONSTANT: Rates = ((0.0, DURATION_S), (20.0,), (20.0,))
LONG: Rates = ((0.0, 2000.0), (20.0,), (20.0,))
LARGEST: Rates = ((0.0, 2.5 * LARGEST_BLOCK), (1.0,), (1.0,))
STEPS: Rates = ((0.0, 300.0, 360.0, 400.0, DURATION_S), (10.0, 120.0, 0.0, 15.0), (10.0, 120.0, 0.0, 15.0))
RAMPS: Rates = ((0.0, 300.0, DURATION_S), (0.0, 20.0), (60.0, 10.0))

Phases = tuple[tuple[float, ...], tuple[float, ...]]
"""Rates per second, and how often a second each phase ends."""

TWO_PHASES: Phases = ((8.0, 44.0), (0.5, 1.0))
THREE_PHASES: Phases = ((0.0, 30.0, 60.0), (2.0, 3.0, 6.0))


# Processes


@dataclass(frozen=True)
class Case:
    sample: Sampled
    law: Law
    checks: dict[str, Callable[[Observed], float]]

    def p_values(self, seed: int) -> PValues:
        seen = Observed(self.sample(seed), self.law)
        return {name: check(seen) for name, check in self.checks.items()}


def renewal(rates: Rates, cv: float) -> Renewal:
    return Renewal(RateProfile(*(np.array(x) for x in rates)), cv)


def mmpp(phases: Phases, duration_s: float = DURATION_S) -> MarkovModulatedPoisson:
    return MarkovModulatedPoisson(np.array(phases[0]), np.array(phases[1]), duration_s)


def sampled(process: ArrivalProcess, replicates: int = REPLICATES) -> Sampled:
    return lambda seed: Sample.of(process, seed, replicates)


def renewal_case(rates: Rates, cv: float) -> Case:
    return Case(sampled(renewal(rates, cv)), RenewalLaw(*rates, cv), CHECKS)


def mmpp_case(phases: Phases) -> Case:
    return Case(sampled(mmpp(phases)), MarkovLaw(*phases, DURATION_S), CHECKS)


def trace_case(sample: Sampled, rps: float, duration_s: float = DURATION_S) -> Case:
    """A Poisson trace; its blocks are not blocks of draws."""
    return Case(sample, RenewalLaw((0.0, duration_s), (rps,), (rps,), 1.0), COUNT_CHECKS | GAP_CHECKS)


def played(rps: float, *, whole_seconds: bool = False, time_scale: float = 1.0, rate_scale: float = 1.0) -> Sampled:
    """Recorded Poisson arrivals, another recording for each replicate, played with a seed of its own."""
    recorded = renewal(((0.0, DURATION_S), (rps,), (rps,)), 1.0)

    def one(times_s: FloatArray, seed: int) -> Recorded:
        trace = Trace(times_s=np.floor(times_s) if whole_seconds else times_s, has_cut_stamps=whole_seconds)
        scaled = play(trace, for_s=DURATION_S, seed=seed, time_scale=time_scale, rate_scale=rate_scale)
        return Recorded(scaled.times_s)

    def sample(seed: int) -> Sample:
        traces = Sample.of(recorded, seed, REPLICATES).times_s
        return Sample.of_blocks(one(times_s, seed + n).blocks(seed, 0) for n, times_s in enumerate(traces))

    return sample


CASES: dict[str, Case] = {
    "Poisson": renewal_case(LONG, 1.0),
    "Poisson, largest blocks": Case(
        sampled(renewal(LARGEST, 1.0), 8), RenewalLaw(*LARGEST, 1.0), GAP_CHECKS | BLOCK_CHECKS
    ),
    "gamma, CV 0.3": renewal_case(CONSTANT, 0.3),
    "gamma, CV 3": renewal_case(CONSTANT, 3.0),
    "Poisson, steps": renewal_case(STEPS, 1.0),
    "gamma, CV 3, steps": renewal_case(STEPS, 3.0),
    "Poisson, ramps": renewal_case(RAMPS, 1.0),
    "gamma, CV 0.3, ramps": renewal_case(RAMPS, 0.3),
    "MMPP, two phases": mmpp_case(TWO_PHASES),
    "MMPP, three phases": mmpp_case(THREE_PHASES),
    "trace, spread": trace_case(played(20, whole_seconds=True), 20),
    "trace, thinned": trace_case(played(50, rate_scale=0.4), 20),
    "trace, twice as fast": trace_case(played(20, time_scale=0.5), 40, DURATION_S / 2),
    "trace, copied": Case(played(10, rate_scale=2), CopiedLaw(10, DURATION_S), COUNT_CHECKS),
}


# The start

STARTS = 1000

START_LAWS: dict[str, tuple[ArrivalProcess, Law]] = {
    "gamma, CV 0.3": (renewal(((0.0, 30.0), (20.0,), (20.0,)), 0.3), RenewalLaw(*CONSTANT, 0.3)),
    "MMPP, two phases": (mmpp(TWO_PHASES, 30.0), MarkovLaw(*TWO_PHASES, DURATION_S)),
    "MMPP, three phases": (mmpp(THREE_PHASES, 30.0), MarkovLaw(*THREE_PHASES, DURATION_S)),
}


def start_p(first_two: Sequence[FloatArray], law: Law) -> float:
    """The first two arrivals of many replicates: a renewal process begins with a full gap, an MMPP stationary."""
    uniforms = np.array(law.uniforms(first_two))
    return smallest_p([kolmogorov_p(uniforms[:, 0]), kolmogorov_p(uniforms[:, 1])])


def start_p_values(name: str, seed: int) -> PValues:
    process, law = START_LAWS[name]
    return {"start": start_p([next(iter(process.blocks(seed, r)))[:2] for r in range(STARTS)], law)}


# Service times and cold starts


@dataclass(frozen=True)
class Draws:
    """A distribution in its stream, beside what it should be."""

    distribution: Distribution
    stream: Stream
    mean_s: float
    cv: float
    kurtosis: float
    """In excess of 3, for the error of the CV."""
    cdf: Callable[[FloatArray], FloatArray]

    def p_values(self, seed: int) -> PValues:
        sample = Sample.of_blocks(islice(drawn(self.distribution, seed, r, self.stream), 4) for r in range(25))
        values = np.concatenate(sample.times_s)
        beyond = (values / self.mean_s - 1) / self.cv
        uniforms = [self.cdf(x) for x in sample.times_s]
        return {
            "mean": normal_p(beyond.mean() * len(values) ** 0.5),
            "CV": normal_p(((beyond**2).mean() - 1) * (len(values) / (self.kurtosis + 2)) ** 0.5),
            "distribution": kolmogorov_p(np.concatenate(uniforms)),
            "neighbours": neighbours_p(uniforms),
            "borders": borders_p(uniforms, sample.opens),
            "blocks": blocks_p(uniforms, sample.opens),
            "replicates": replicates_p(uniforms),
        }


def gamma_draws(distribution: Distribution, stream: Stream, mean_s: float, cv: float) -> Draws:
    def cdf(x: FloatArray) -> FloatArray:
        return np.asarray(special.gammainc(cv**-2, x / (mean_s * cv**2)), dtype=float)

    return Draws(distribution, stream, mean_s, cv, 6 * cv**2, cdf)


def lognormal_draws(stream: Stream, mean_s: float, cv: float) -> Draws:
    w = 1 + cv**2
    variance, kurtosis = np.log(w), w**4 + 2 * w**3 + 3 * w**2 - 6

    def cdf(x: FloatArray) -> FloatArray:
        return np.asarray(special.ndtr((np.log(x / mean_s) + variance / 2) / variance**0.5))

    return Draws(Lognormal(mean_s, cv), stream, mean_s, cv, kurtosis, cdf)


DRAWS: dict[str, Draws] = {
    "exponential service": gamma_draws(Exponential(0.2), Stream.SERVICE, 0.2, 1.0),
    "lognormal service, CV 0.6": lognormal_draws(Stream.SERVICE, 0.12, 0.6),
    "gamma service, CV 3": gamma_draws(Gamma(0.25, 3.0), Stream.SERVICE, 0.25, 3.0),
    "lognormal cold start, CV 0.3": lognormal_draws(Stream.COLD_STARTS, 35.0, 0.3),
    "scaled gamma cold start, CV 0.5": gamma_draws(Scaled(Gamma(20.0, 0.5), 1.5), Stream.COLD_STARTS, 30.0, 0.5),
}

MEASURED_S = np.array([0.1, 0.2, 0.4, 0.8, 1.6])


def measured_p(distribution: Distribution, seed: int) -> float:
    """Chi-square of the 25 pairs that 400,000 draws make two by two: equal shares and independence."""
    values = first_draws(distribution, seed, 0, Stream.SERVICE, 400_000)
    place = np.searchsorted(MEASURED_S, values)
    assert np.array_equal(MEASURED_S[place], values)
    return float(stats.chisquare(np.bincount(place[::2] * 5 + place[1::2], minlength=25)).pvalue)


# What a trace draws for its rows

ROWS = 2 * LARGEST_BLOCK + 1000
ROW_SEEDS = 3
KEPT, DOUBLED = 0.3, 0.4

RowDraws = dict[str, FloatArray]
"""By row: where in its second the request is spread to and how far its copy is jittered, both on [0, 1]; whether it is
kept, and doubled, brought to the mean and variance of a uniform, which is all that a correlation needs."""


def row_draws(seed: int) -> RowDraws:
    """Of one trace with stamps of whole seconds, 10 s apart, so that nothing meets."""
    stamps_s = 10 * np.arange(1, ROWS + 1, dtype=float)
    trace = Trace(times_s=stamps_s, context_tokens=np.arange(ROWS, dtype=float), has_cut_stamps=True)

    def by_row(rate_scale: float) -> tuple[FloatArray, FloatArray]:
        """How often each row is played, and the sum of its times."""
        requests = play(trace, for_s=10.0 * (ROWS + 2), rate_scale=rate_scale, seed=seed)
        assert requests.context_tokens is not None
        row = requests.context_tokens.astype(int)
        times = np.zeros((2, ROWS))
        np.add.at(times[0], row, 1.0)
        np.add.at(times[1], row, requests.times_s)
        return times[0], times[1]

    spread_s = by_row(1.0)[1]
    jitter_s = by_row(2.0)[1] - 2 * spread_s
    return {
        "spread": spread_s - stamps_s,
        "jitter": (jitter_s / JITTER_S + 1) / 2,
        "kept": like_uniforms(by_row(KEPT)[0], KEPT),
        "doubled": like_uniforms(by_row(1 + DOUBLED)[0] - 1, DOUBLED),
    }


def like_uniforms(happened: FloatArray, probability: float) -> FloatArray:
    assert set(happened.tolist()) <= {0.0, 1.0}
    return np.asarray(0.5 + (happened - probability) / (12 * probability * (1 - probability)) ** 0.5)


def row_p_values(by_seed: Sequence[RowDraws]) -> PValues:
    opens = [np.arange(LARGEST_BLOCK, ROWS, LARGEST_BLOCK)] * len(by_seed)
    found: PValues = {}
    for name in by_seed[0]:
        draws = [rows[name] for rows in by_seed]
        together = np.concatenate(draws)
        if name in ("spread", "jitter"):
            found[name] = kolmogorov_p(together)
        else:
            found[name] = normal_p((together.mean() - 0.5) * (12 * len(together)) ** 0.5)
        found[f"{name}, neighbours"] = neighbours_p(draws)
        found[f"{name}, blocks"] = blocks_p(draws, opens)
        found[f"{name}, seeds"] = replicates_p(draws)
    for a, b in combinations(by_seed[0], 2):
        found[f"{a} and {b}"] = correlation_p([(rows[a], rows[b]) for rows in by_seed])
    return found


def all_rows(seed: int) -> list[RowDraws]:
    return [row_draws(seed + n) for n in range(ROW_SEEDS)]


# Streams, replicates, seeds and blocks


def exponentials(seed: int, replicate: int, stream: Stream, n: int) -> FloatArray:
    """The first n numbers of a stream as arrivals, service times or cold starts show them, made uniform."""
    if stream is Stream.ARRIVALS:
        process = renewal(((0.0, 1.2 * n + 500), (1.0,), (1.0,)), 1.0)
        draws = np.diff(np.concatenate(list(process.blocks(seed, replicate)))[:n], prepend=0.0)
    else:
        draws = first_draws(Exponential(1.0), seed, replicate, stream, n)
    return np.asarray(-np.expm1(-draws))


REQUEST_STREAMS = {"arrivals": Stream.ARRIVALS, "service": Stream.SERVICE, "cold starts": Stream.COLD_STARTS}


def request_draws(seed: int) -> dict[str, list[FloatArray]]:
    """By stream and replicate."""
    return {
        name: [exponentials(seed, r, stream, 40_000) for r in range(10)] for name, stream in REQUEST_STREAMS.items()
    }


def request_p_values(by_stream: dict[str, list[FloatArray]]) -> PValues:
    return {
        f"{a} and {b}": correlation_p(list(zip(by_stream[a], by_stream[b], strict=True)))
        for a, b in combinations(by_stream, 2)
    }


Key = tuple[int, int, Stream, int]
"""Seed, replicate, stream, block."""


@cache
def key_blocks(seed: int, replicate: int, stream: Stream) -> list[FloatArray]:
    """1,024 draws of each of the first three blocks."""
    starts = (0, block_size(0), block_size(0) + block_size(1))
    draws = exponentials(seed, replicate, stream, starts[-1] + 1024)
    return [draws[start : start + 1024] for start in starts]


def keyed(key: Key) -> FloatArray:
    seed, replicate, stream, block = key
    return key_blocks(seed, replicate, stream)[block]


def keys_p(seed: int, draws_of: Callable[[Key], FloatArray] = keyed) -> float:
    """The largest correlation between any two of 189 keys."""
    keys = product((seed, seed + 1, 2**63 + seed), range(3), Stream, range(3))
    rows = np.array([draws_of(key) for key in keys]) - 0.5
    z = 12 * (rows @ rows.T) / rows.shape[1] ** 0.5
    of_pairs = np.abs(z[np.triu_indices(len(rows), k=1)])
    return min(1.0, len(of_pairs) * normal_p(float(of_pairs.max())))


JUDGED: dict[str, Callable[[int], PValues]] = {
    **{name: case.p_values for name, case in CASES.items()},
    **{f"start of {name}": partial(start_p_values, name) for name in START_LAWS},
    **{name: draws.p_values for name, draws in DRAWS.items()},
    "measured times": lambda seed: {"shares and pairs": measured_p(Empirical(MEASURED_S), seed)},
    "rows of a trace": lambda seed: row_p_values(all_rows(seed)),
    "streams of a request": lambda seed: request_p_values(request_draws(seed)),
    "keys": lambda seed: {"any two": keys_p(seed)},
}
"""What is judged -> the p-value of each check on it."""
