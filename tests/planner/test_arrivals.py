"""Arrival processes tested as processes: rate, dispersion, gaps, phase within the second, independence.

Seeds are fixed, so a test passes always or never. Bounds lie where a correct process would fall with a probability of
about 1e-4 (z = 3.9); each docstring says what smaller defect would still go unseen.
"""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from planner.arrivals import ArrivalProcess, MarkovModulatedPoisson, Recorded, Renewal
from planner.draws import LARGEST_BLOCK
from planner.errors import InputError
from planner.model import FloatArray
from planner.rates import RateProfile

SEED = 20261122
Z = 3.9
P = 1e-4


def times(process: ArrivalProcess, replicate: int = 0, seed: int = SEED) -> FloatArray:
    return np.concatenate([np.empty(0), *process.blocks(seed, replicate)])


def counts(times_s: FloatArray, window_s: float, duration_s: float) -> FloatArray:
    return np.histogram(times_s, np.arange(0, duration_s + window_s / 2, window_s))[0].astype(float)


def constant(rps: float, duration_s: float, cv: float) -> Renewal:
    return Renewal(RateProfile.constant(rps, duration_s), cv)


RAMP = RateProfile(np.array([0.0, 500, 1000, 2000]), np.array([5.0, 0, 40]), np.array([35.0, 0, 10]))

PROCESSES: dict[str, Callable[[], ArrivalProcess]] = {
    "regular": lambda: constant(20, 1000, 0),
    "poisson": lambda: constant(20, 1000, 1),
    "gamma, smoother": lambda: constant(20, 1000, 0.5),
    "gamma, burstier": lambda: constant(20, 1000, 3),
    "poisson on a ramp": lambda: Renewal(RAMP, 1),
    "gamma on a ramp": lambda: Renewal(RAMP, 2),
    "mmpp": lambda: MarkovModulatedPoisson(np.array([10.0, 30]), np.array([0.05, 0.05]), 1000),
    "trace": lambda: Recorded(np.arange(20000) / 20),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_times_are_sorted_inside_the_duration_and_a_function_of_seed_and_replicate(name: str) -> None:
    process = PROCESSES[name]()
    first = times(process)
    assert np.all(np.diff(first) >= 0)
    assert first[0] >= 0
    assert first[-1] < 2000
    assert np.array_equal(first, times(process))
    if process.fixed_count is not None:
        assert len(first) == process.fixed_count == len(times(process, 1))
    elif name != "regular":
        assert not np.array_equal(first[:100], times(process, 1)[:100])
        assert not np.array_equal(first[:100], times(process, seed=1)[:100])
    assert process.describe()


@pytest.mark.statistical
@pytest.mark.parametrize("name", PROCESSES)
def test_the_mean_count_is_the_expected_one(name: str) -> None:
    """60 replicates, z = 3.9 of their own scatter. Sees a rate error of 1 % for Poisson, of 4 % for gamma with CV 3.

    An ordinary renewal process is (cv^2 - 1) / 2 arrivals away from rate x time; regular ones have no scatter.
    """
    process = PROCESSES[name]()
    found = np.array([len(times(process, r)) for r in range(60)])
    cv = process.cv if isinstance(process, Renewal) else 1.0
    expected = process.expected_count + (cv**2 - 1) / 2
    assert abs(found.mean() - expected) <= Z * found.std(ddof=1) / 60**0.5 + 1


@pytest.mark.statistical
@pytest.mark.parametrize(("cv", "windows_s"), [(1.0, (1.0, 25.0)), (0.5, (5.0, 50.0)), (3.0, (20.0, 100.0))])
def test_counts_scatter_as_the_gaps_say_at_two_window_sizes(cv: float, windows_s: tuple[float, float]) -> None:
    """Index of dispersion of counts, cv^2 in the limit of long windows (1 at any window for Poisson).

    20 x 5,000 s at 20/s. The estimate's standard error is about sqrt(2 / windows); 4 of them, and 6 % for windows that
    are not endlessly long against the gaps. Sees a dispersion that is 15 % off.
    """
    process = constant(20, 5000, cv)
    samples = [times(process, r) for r in range(20)]
    for window_s in windows_s:
        found = np.concatenate([counts(t, window_s, 5000)[1:] for t in samples])
        dispersion = found.var(ddof=1) / found.mean()
        tolerance = Z * (2 / len(found)) ** 0.5 * max(1.0, cv / 2) + (0 if cv == 1 else 0.06)
        assert dispersion == pytest.approx(cv**2, rel=tolerance)


@pytest.mark.statistical
@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gaps_have_the_distribution_that_they_claim(cv: float) -> None:
    """Kolmogorov-Smirnov at p = 1e-4 on 100,000 gaps: sees a distance of 0.7 % between the distribution functions.

    With CV 3 one gap in eight is below a nanosecond, where a difference of two times has no digits left: such gaps are
    only counted.
    """
    gaps = np.diff(times(constant(20, 5000, cv)), prepend=0.0)
    expected = stats.gamma(cv**-2, scale=cv**2 / 20)
    tiny = float(expected.cdf(1e-9))
    assert stats.binomtest(int((gaps <= 1e-9).sum()), len(gaps), tiny).pvalue > P
    above = gaps[gaps > 1e-9]
    assert stats.kstest(above, lambda x: (expected.cdf(x) - tiny) / (1 - tiny)).pvalue > P


@pytest.mark.statistical
@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_the_phase_within_the_second_is_uniform(cv: float) -> None:
    """Of every 40th arrival, so that neighbours do not share bursts: sees a 2 % excess on any part of the second.

    A timer that starts anew each second passes every test of gaps and fails this one.
    """
    phase = times(constant(20, 20000, cv))[::40] % 1
    assert stats.kstest(phase, "uniform").pvalue > P


@pytest.mark.statistical
@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("lag", [1, 2, LARGEST_BLOCK])
def test_successive_gaps_are_independent(cv: float, lag: int) -> None:
    """Rank correlation of gaps at a distance, 100,000 pairs, z = 3.9: sees a correlation of 1.6 %.

    The lag of a block would show blocks that repeat their numbers.
    """
    gaps = np.diff(times(constant(20, 5000, cv)), prepend=0.0)
    correlation = stats.spearmanr(gaps[:-lag], gaps[lag:]).statistic
    assert abs(correlation) < Z / len(gaps[lag:]) ** 0.5


@pytest.mark.statistical
def test_replicates_are_independent() -> None:
    """Counts per second of two replicates, z = 3.9 on 10,000 seconds: sees a correlation of 5 %."""
    a, b = (counts(times(constant(20, 10000, 1), r), 1.0, 10000) for r in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < Z / 100


def test_regular_arrivals_come_one_full_gap_after_the_start() -> None:
    assert times(constant(4, 2, 0)).tolist() == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75]


@pytest.mark.statistical
@pytest.mark.parametrize("cv", [1.0, 2.0])
def test_a_varying_rate_stretches_the_same_gaps(cv: float) -> None:
    """Counted in expected arrivals, the gaps are those of a constant rate. KS at p = 1e-4 on 60,000: sees 1 %."""
    process = Renewal(RAMP, cv)
    reached = np.concatenate([np.diff(RAMP.cumulative(times(process, r)), prepend=0.0) for r in range(2)])
    shape = 1 / cv**2
    assert stats.kstest(reached, stats.gamma(shape, scale=1 / shape).cdf).pvalue > P


@pytest.mark.statistical
def test_poisson_on_a_ramp_follows_the_rate_bin_by_bin() -> None:
    """Chi-square of counts per 10 s over 40 replicates at p = 1e-4: sees a 5 % error on a quarter of the bins."""
    found = sum(counts(times(Renewal(RAMP, 1), r), 10.0, 2000) for r in range(40))
    edges = RAMP.cumulative(np.arange(0, 2001, 10.0))
    expected = 40 * np.diff(edges)
    assert np.all(np.asarray(found)[expected == 0] == 0)
    used = expected > 0
    chi2 = (((found - expected) ** 2)[used] / expected[used]).sum()
    assert stats.chi2.sf(chi2, used.sum()) > P


# MMPP: rates 10 and 30, switching 0.05 each


def mmpp(duration_s: float = 4000.0) -> MarkovModulatedPoisson:
    return MarkovModulatedPoisson(np.array([10.0, 30.0]), np.array([0.05, 0.05]), duration_s)


@pytest.mark.statistical
def test_mmpp_starts_in_its_stationary_phase() -> None:
    """The first phase of 2,000 replicates, two-sided binomial at p = 1e-4: sees a share of 0.54 in place of 0.5."""
    process = MarkovModulatedPoisson(np.array([10.0, 30.0]), np.array([0.05, 0.15]), 50.0)
    first = np.array([process.rate_path(SEED, r).left_rps[0] for r in range(2000)])
    assert stats.binomtest(int((first == 10).sum()), 2000, 0.75).pvalue > P


@pytest.mark.statistical
def test_mmpp_phases_last_exponentially() -> None:
    """The completed phases of 40 replicates but the first, KS at p = 1e-4 on about 8,000: sees 2.5 %."""
    lengths = np.concatenate([np.diff(mmpp().rate_path(SEED, r).time_s)[1:-1] for r in range(40)])
    assert stats.kstest(lengths, stats.expon(scale=20).cdf).pvalue > P


@pytest.mark.statistical
@pytest.mark.parametrize("window_s", [1.0, 10.0, 100.0])
def test_mmpp_counts_scatter_as_theory_says(window_s: float) -> None:
    """Index of dispersion of an MMPP(2) with equal switching r: 1 + (d^2 / m) (1 - (1 - e^{-2rt}) / (2rt)) / r.

    d is half the distance of the rates, m the mean (Heffes & Lucantoni 1986 for two phases). 40 x 4,000 s; windows
    share phases, so the scatter of 40 replicates gives the error, z = 3.9. Sees 10 % at 10 s.
    """
    found = np.array([_dispersion(counts(times(mmpp(), r), window_s, 4000), 20 * window_s) for r in range(40)])
    decay = 2 * 0.05 * window_s
    expected = 1 + (10.0**2 / 20) * (1 - (1 - np.exp(-decay)) / decay) / 0.05
    assert abs(found.mean() - expected) < Z * found.std(ddof=1) / 40**0.5


def _dispersion(found: FloatArray, mean: float) -> float:
    return float(((found - mean) ** 2).mean() / mean)


def test_more_than_two_phases_are_visited_in_turn() -> None:
    process = MarkovModulatedPoisson(np.array([1.0, 2, 3]), np.array([1.0, 1, 1]), 1000.0)
    rates = process.rate_path(SEED, 0).left_rps
    assert set(np.diff(rates).tolist()) <= {1.0, -2.0}
    assert process.stationary == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Renewal(RAMP, -1), "cv = -1, must be 0"),
        (lambda: Renewal(RAMP, float("nan")), "cv = nan"),
        (lambda: MarkovModulatedPoisson(np.array([1.0]), np.array([1.0]), 1), "at least two"),
        (lambda: MarkovModulatedPoisson(np.array([1.0, 2]), np.array([1.0]), 1), "as many switching rates"),
        (lambda: MarkovModulatedPoisson(np.array([0.0, 0]), np.array([1.0, 1]), 1), "not all 0"),
        (lambda: MarkovModulatedPoisson(np.array([1.0, 2]), np.array([1.0, 0]), 1), "must be above 0"),
        (lambda: Recorded(np.empty(0), "t.csv"), "t.csv: no request"),
    ],
)
def test_impossible_processes_cannot_be_made(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_no_traffic_is_no_arrivals() -> None:
    assert len(times(constant(0, 100, 1))) == 0
    assert len(times(constant(0.001, 1, 0))) == 0


def test_bursty_arrivals_on_a_rising_ramp_stay_sorted() -> None:
    """Gaps of CV 5 are often so small that the inverse rate returned two times in the wrong order, an ulp apart."""
    profile = RateProfile(np.array([0.0, 60.0, 600.0]), np.array([0.5, 20.0]), np.array([20.0, 140.0]))
    for replicate in range(20):
        times = np.concatenate(list(Renewal(profile, cv=5.0).blocks(1, replicate)))
        assert (np.diff(times) >= 0).all()
