"""The smallest defect that each check catches with a chance of 95 %, each as something to be judged.

`python -m tests.statistical.known_defects` prints the table of `docs/tests.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from scipy import special

from planner.arrivals import Renewal
from planner.model import FloatArray, IntArray
from planner.rates import RateProfile
from planner.service import Distribution, Empirical, Exponential, Gamma, Lognormal
from tests.statistical.exact_laws import MarkovLaw, RenewalLaw
from tests.statistical.process_cases import (
    CASES,
    CONSTANT,
    DRAWS,
    DURATION_S,
    LONG,
    MEASURED_S,
    RAMPS,
    REPLICATES,
    STARTS,
    STEPS,
    THREE_PHASES,
    TWO_PHASES,
    Key,
    Phases,
    Rates,
    RowDraws,
    Sampled,
    all_rows,
    keyed,
    keys_p,
    measured_p,
    mmpp,
    played,
    renewal,
    request_draws,
    request_p_values,
    row_p_values,
    sampled,
    start_p,
)
from tests.statistical.process_checks import CHECKS, Observed, Sample

Gaps = list[FloatArray]
"""By replicate."""


def judged(case: str, check: str, defective: Sampled) -> Callable[[int], float]:
    """The p-value of a defective sample under the law of a correct one."""
    return lambda seed: CHECKS[check](Observed(defective(seed), CASES[case].law))


def chosen(share: float, n: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """That share of n places, evenly."""
    return np.asarray(np.diff(np.floor(share * np.arange(n + 1))) > 0)


def mixed(share: float, own: FloatArray, other: FloatArray) -> FloatArray:
    """`own`, a share of it replaced by what `other` has in the same places."""
    n = min(len(own), len(other))
    return np.concatenate((np.where(chosen(share, n), other[:n], own[:n]), own[n:]))


def repeating(share: float, draws: Sequence[FloatArray]) -> list[FloatArray]:
    """Each takes a share from the one before."""
    return list(accumulate(draws, lambda before, own: mixed(share, own, before)))


# Rates and phases


def scaled(rates: Rates, factor: float) -> Rates:
    edges, left, right = rates
    return edges, tuple(factor * x for x in left), tuple(factor * x for x in right)


def altered(phases: Phases, rate: float = 1.0, length: float = 1.0) -> Phases:
    return tuple(rate * x for x in phases[0]), tuple(x / length for x in phases[1])


LATE_STEP: Rates = ((0.0, 300.9, *STEPS[0][2:]), *STEPS[1:])
HIGH_START: Rates = (RAMPS[0], (0.8, 20.0), RAMPS[2])
OPPOSITE_ORDER: Phases = ((0.0, 60.0, 30.0), (2.0, 6.0, 3.0))


def restless(share: float) -> Sampled:
    """Poisson, the rate of each minute off by that share, up or down at random."""
    edges = (*np.arange(0.0, LONG[0][-1], 60.0), LONG[0][-1])

    def sample(seed: int) -> Sample:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], (REPLICATES, len(edges) - 1))
        rates = [tuple(20 * (1 + share * s)) for s in signs]
        return Sample.of_blocks(renewal((edges, r, r), 1.0).blocks(seed, n) for n, r in enumerate(rates))

    return sample


def constant_phases(seed: int) -> Sample:
    """The two-phase MMPP with phases that last exactly their mean, begun anywhere in their cycle."""
    lengths_s = 1 / np.array(TWO_PHASES[1])
    cycles = int(DURATION_S / lengths_s.sum()) + 2
    edges = np.concatenate(([0.0], np.cumsum(np.tile(lengths_s, cycles))))
    rates = np.tile(TWO_PHASES[0], cycles)
    process = Renewal(RateProfile(edges, rates, rates))
    start_s = np.random.default_rng(seed).random(REPLICATES) * lengths_s.sum()

    def cut(times_s: FloatArray, start: float) -> FloatArray:
        return times_s[(times_s >= start) & (times_s < start + DURATION_S)] - start

    times_s = Sample.of(process, seed, REPLICATES).times_s
    return Sample.of_blocks([cut(t, start)] for t, start in zip(times_s, start_s, strict=True))


# Times and gaps


def snapped(case: str, share: float) -> Sampled:
    """That share of the arrivals moved to the start of their second."""

    def sample(seed: int) -> Sample:
        good = CASES[case].sample(seed)
        return Sample(tuple(np.sort(np.where(chosen(share, len(t)), np.floor(t), t)) for t in good.times_s), good.opens)

    return sample


def narrow_spread(width_s: float) -> Sampled:
    def sample(seed: int) -> Sample:
        good = CASES["trace, spread"].sample(seed)
        return Sample(tuple(np.floor(t) + width_s * (t % 1) for t in good.times_s), good.opens)

    return sample


def regapped(change: Callable[[Gaps, Sample], Gaps]) -> Sampled:
    """Poisson arrivals with other gaps."""

    def sample(seed: int) -> Sample:
        good = CASES["Poisson"].sample(seed)
        gaps = change([np.diff(t, prepend=0.0) for t in good.times_s], good)
        return Sample(tuple(np.cumsum(g) for g in gaps), good.opens)

    return sample


def correlated(correlation: float) -> Callable[[Gaps, Sample], Gaps]:
    """Each gap takes something from the normal score of the one before; its distribution stays."""

    def one(gaps: FloatArray) -> FloatArray:
        scores = special.ndtri(np.exp(-20 * gaps))
        moving = scores + correlation * np.concatenate(([0.0], scores[:-1]))
        return np.asarray(-special.log_ndtr(moving / (1 + correlation**2) ** 0.5) / 20)

    return lambda gaps, _: [one(g) for g in gaps]


def opening_gaps(replaced_by: Callable[[FloatArray, FloatArray], FloatArray]) -> Callable[[Gaps, Sample], Gaps]:
    def one(gaps: FloatArray, opens: IntArray) -> FloatArray:
        gaps[opens] = replaced_by(gaps[opens], gaps[opens - 1])
        return gaps

    return lambda gaps, good: [one(g, o) for g, o in zip(gaps, good.opens, strict=True)]


def repeating_blocks(share: float) -> Callable[[Gaps, Sample], Gaps]:
    return lambda gaps, good: [
        np.concatenate(repeating(share, np.split(g, o))) for g, o in zip(gaps, good.opens, strict=True)
    ]


# Starts


def mmpp_starting(first_phase: float) -> Callable[[int], float]:
    """The two-phase MMPP, in its first phase with that probability in place of two thirds."""
    rates, lengths_s = np.array(TWO_PHASES[0]), 1 / np.array(TWO_PHASES[1])

    def first_two(random: np.random.Generator) -> FloatArray:
        phases = (int(random.random() >= first_phase) + np.arange(30)) % 2
        edges = np.concatenate(([0.0], random.exponential(lengths_s[phases]).cumsum()))
        return RateProfile(edges, rates[phases], rates[phases]).inverse(random.exponential(size=2).cumsum())

    def p(seed: int) -> float:
        random = np.random.default_rng(seed)
        return start_p([first_two(random) for _ in range(STARTS)], MarkovLaw(*TWO_PHASES, DURATION_S))

    return p


def begun_mid_gap(share: float) -> Callable[[int], float]:
    """Gamma arrivals of CV 0.3; that share of the runs begins anywhere inside a gap, which are the longer ones."""

    def p(seed: int) -> float:
        random = np.random.default_rng(seed)
        shape, scale = 1 / 0.3**2, 0.3**2 / 20
        gaps = random.gamma(shape, scale, (STARTS, 2))
        rest = random.gamma(shape + 1, scale, STARTS) * random.random(STARTS)
        gaps[:, 0] = np.where(chosen(share, STARTS), rest, gaps[:, 0])
        return start_p(list(np.cumsum(gaps, axis=1)), RenewalLaw(*CONSTANT, 0.3))

    return p


# Draws


def drawn_from(name: str, check: str, distribution: Distribution) -> Callable[[int], float]:
    return lambda seed: replace(DRAWS[name], distribution=distribution).p_values(seed)[check]


@dataclass(frozen=True)
class Uneven(Empirical):
    """Draws the first of its values less often by `rarer`, the second more often."""

    rarer: float = 0.0

    def draw(self, generator: np.random.Generator, n: int) -> FloatArray:
        values = super().draw(generator, n)
        is_moved = (values == self.values_s[0]) & (generator.random(n) < self.rarer)
        return np.where(is_moved, self.values_s[1], values)


def rows_with(check: str, name: str, change: Callable[[list[RowDraws]], list[FloatArray]]) -> Callable[[int], float]:
    """change: what the rows draw under `name`, by seed, from all that they draw."""

    def p(seed: int) -> float:
        rows = all_rows(seed)
        return row_p_values([r | {name: new} for r, new in zip(rows, change(rows), strict=True)])[check]

    return p


def service_follows_gaps(share: float) -> Callable[[int], float]:
    def p(seed: int) -> float:
        streams = request_draws(seed)
        streams["service"] = [mixed(share, s, a) for s, a in zip(streams["service"], streams["arrivals"], strict=True)]
        return request_p_values(streams)["arrivals and service"]

    return p


def added_keys(key: Key) -> FloatArray:
    seed, replicate, stream, block = key
    return keyed((seed + replicate, 0, stream, block))


def streams_share(share: float) -> Callable[[Key], FloatArray]:
    """That share of the numbers is the same in all streams."""
    return lambda key: mixed(share, keyed(key), keyed((key[0], key[1], type(key[2])(0), key[3])))


DEFECTS: dict[tuple[str, str], Callable[[int], float]] = {
    ("rate", "Poisson: 0.5 % more arrivals"): judged("Poisson", "rate", sampled(renewal(scaled(LONG, 1.005), 1.0))),
    ("rate", "gamma of CV 3: 2.3 % more arrivals"): judged(
        "gamma, CV 3", "rate", sampled(renewal(scaled(CONSTANT, 1.023), 3.0))
    ),
    ("rate", "MMPP of two phases: 3.7 % more arrivals"): judged(
        "MMPP, two phases", "rate", sampled(mmpp(altered(TWO_PHASES, rate=1.037)))
    ),
    ("rate", "MMPP of three phases: 2.4 % more arrivals"): judged(
        "MMPP, three phases", "rate", sampled(mmpp(altered(THREE_PHASES, rate=1.024)))
    ),
    ("rate", "thinning that keeps 40.3 % in place of 40 %"): judged(
        "trace, thinned", "rate", played(50, rate_scale=0.403)
    ),
    ("rate", "copies of 97.8 % of the requests in place of all"): judged(
        "trace, copied", "rate", played(10, rate_scale=1.978)
    ),
    ("dispersion, short windows", "Poisson: gaps of CV 1.011"): judged(
        "Poisson", "dispersion, short windows", sampled(renewal(LONG, 1.011))
    ),
    ("dispersion, short windows", "MMPP of three phases: phases last 11 % longer"): judged(
        "MMPP, three phases", "dispersion, short windows", sampled(mmpp(altered(THREE_PHASES, length=1.11)))
    ),
    ("dispersion, long windows", "MMPP of two phases: phases last 17 % longer"): judged(
        "MMPP, two phases", "dispersion, long windows", sampled(mmpp(altered(TWO_PHASES, length=1.17)))
    ),
    ("dispersion, long windows", "MMPP of two phases: phases of constant length"): judged(
        "MMPP, two phases", "dispersion, long windows", constant_phases
    ),
    ("dispersion, long windows", "Poisson: each minute's rate 3 % off, up or down"): judged(
        "Poisson", "dispersion, long windows", restless(0.03)
    ),
    ("gaps", "Poisson: gaps of CV 1.0055"): judged("Poisson", "gaps", sampled(renewal(LONG, 1.0055))),
    ("gaps", "gamma of CV 0.3: gaps of CV 0.3037"): judged("gamma, CV 0.3", "gaps", sampled(renewal(CONSTANT, 0.3037))),
    ("gaps", "gamma of CV 3: gaps of CV 3.018"): judged("gamma, CV 3", "gaps", sampled(renewal(CONSTANT, 3.018))),
    ("gaps", "MMPP of two phases: rates of 8.55 and 42.9 in place of 8 and 44"): judged(
        "MMPP, two phases", "gaps", sampled(mmpp(((8.55, 42.9), TWO_PHASES[1])))
    ),
    ("gaps", "MMPP of three phases: phases in the opposite order"): judged(
        "MMPP, three phases", "gaps", sampled(mmpp(OPPOSITE_ORDER))
    ),
    ("phase", "Poisson: 0.14 % of the arrivals at the start of their second"): judged(
        "Poisson", "phase", snapped("Poisson", 0.0014)
    ),
    ("phase", "gamma of CV 3: 0.7 % of the arrivals at the start of their second"): judged(
        "gamma, CV 3", "phase", snapped("gamma, CV 3", 0.007)
    ),
    ("phase", "whole seconds spread over 0.9975 s"): judged("trace, spread", "phase", narrow_spread(0.9975)),
    ("course", "steps: one comes 0.9 s late"): judged("Poisson, steps", "course", sampled(renewal(LATE_STEP, 1.0))),
    ("course", "ramps: one begins at 0.8 per second in place of 0"): judged(
        "Poisson, ramps", "course", sampled(renewal(HIGH_START, 1.0))
    ),
    ("neighbours", "Poisson: gaps correlate with the next by 0.5 %"): judged(
        "Poisson", "neighbours", regapped(correlated(0.005))
    ),
    ("borders", "the gap that opens a block is twice as long"): judged(
        "Poisson", "borders", regapped(opening_gaps(lambda own, _: 2 * own))
    ),
    ("borders", "half of the blocks open with the last gap of the one before"): judged(
        "Poisson", "borders", regapped(opening_gaps(partial(mixed, 0.5)))
    ),
    ("blocks", "0.7 % of a block's gaps are those of the one before"): judged(
        "Poisson", "blocks", regapped(repeating_blocks(0.007))
    ),
    ("replicates", "0.5 % of a replicate's gaps are those of the one before"): judged(
        "Poisson", "replicates", regapped(lambda gaps, _: repeating(0.005, gaps))
    ),
    ("start", "MMPP of two phases: begins in the first with 0.84 in place of 0.67"): mmpp_starting(0.84),
    ("start", "MMPP of two phases: begins in either alike"): mmpp_starting(0.5),
    ("start", "gamma of CV 0.3: 20 % of the runs begin in the middle of a gap"): begun_mid_gap(0.2),
    ("mean", "exponential service: 1 % longer"): drawn_from("exponential service", "mean", Exponential(0.202)),
    ("CV", "lognormal service: CV 0.61 in place of 0.6"): drawn_from(
        "lognormal service, CV 0.6", "CV", Lognormal(0.12, 0.61)
    ),
    ("distribution", "lognormal service: CV 0.61 in place of 0.6"): drawn_from(
        "lognormal service, CV 0.6", "distribution", Lognormal(0.12, 0.61)
    ),
    ("distribution", "gamma cold starts in place of lognormal ones"): drawn_from(
        "lognormal cold start, CV 0.3", "distribution", Gamma(35.0, 0.3)
    ),
    ("shares and pairs", "one of five measured times is 2.2 % too rare"): lambda seed: measured_p(
        Uneven(MEASURED_S, 0.022), seed
    ),
    ("jitter", "copies come up to 0.99 s away in place of 1 s"): rows_with(
        "jitter", "jitter", lambda by_seed: [0.5 + 0.99 * (rows["jitter"] - 0.5) for rows in by_seed]
    ),
    ("kept, seeds", "1.2 % of the rows are kept as with the seed before"): rows_with(
        "kept, seeds", "kept", lambda by_seed: repeating(0.012, [rows["kept"] for rows in by_seed])
    ),
    ("spread and jitter", "1 % of the copies are jittered as they are spread"): rows_with(
        "spread and jitter",
        "jitter",
        lambda by_seed: [mixed(0.01, rows["jitter"], rows["spread"]) for rows in by_seed],
    ),
    ("arrivals and service", "1 % of the service times follow the gap before"): service_follows_gaps(0.01),
    ("keys", "seed and replicate are added"): lambda seed: keys_p(seed, added_keys),
    ("keys", "the streams share a fifth of their numbers"): lambda seed: keys_p(seed, streams_share(0.2)),
}
"""Check and defect -> the p-value that a seed gives."""


def table() -> str:
    rows = [f"| {check} | {defect} |" for check, defect in DEFECTS]
    return "\n".join(("| Check | Smallest defect |", "|---|---|", *rows))


if __name__ == "__main__":
    print(table())
