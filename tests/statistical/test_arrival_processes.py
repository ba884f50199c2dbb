"""Arrival processes and draws tested as processes, each check against an exact law.

Level: a p-value below LEVEL fails. All of them together fail correct code for fewer than 1 % of the seeds, and the
seed is fixed, so that what passes once passes always. Smallest defects: `tests.statistical.known_defects`, each caught
with a chance of 95 %. `make verify` repeats both claims over other seeds.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from planner.arrivals import Recorded
from planner.draws import Stream
from planner.service import Exponential
from planner.traces.playing import Trace, play
from planner.workload import first_draws
from tests.statistical.exact_laws import RenewalLaw
from tests.statistical.known_defects import DEFECTS, table
from tests.statistical.process_cases import CONSTANT, JUDGED, RAMPS, STEPS, PValues, Rates, renewal

pytestmark = pytest.mark.statistical

SEED = 20261123
LEVEL = 4e-5


@cache
def p_values(name: str) -> PValues:
    return JUDGED[name](SEED)


@pytest.mark.parametrize("name", JUDGED)
def test_nothing_is_odd(name: str) -> None:
    odd = {check: p for check, p in p_values(name).items() if p < LEVEL}
    assert not odd, f"{name}: a correct one looks as odd as this with these chances"


def test_correct_code_would_fail_for_fewer_than_one_seed_in_a_hundred() -> None:
    assert LEVEL * sum(len(p_values(name)) for name in JUDGED) < 0.01


@pytest.mark.parametrize(("check", "defect"), DEFECTS)
def test_known_defects_are_caught(check: str, defect: str) -> None:
    """At 95 % neither of two seeds shows it once in 400 times."""
    assert any(DEFECTS[check, defect](seed) < LEVEL for seed in (SEED, SEED + 1))


def test_the_page_lists_the_known_defects() -> None:
    assert table() in Path("docs/tests.md").read_text(encoding="utf-8")


# What has no chance in it


@pytest.mark.parametrize("rates", [CONSTANT, STEPS, RAMPS], ids=["constant", "steps", "ramps"])
def test_regular_arrivals_come_whenever_one_more_is_expected(rates: Rates) -> None:
    """No scatter at any window, phases known: one arrival too many, or 10 ns, would show."""
    law = RenewalLaw(*rates, cv=1.0)
    times_s = np.concatenate(list(renewal(rates, 0.0).blocks(SEED, 0)))
    total = law.expected(np.array([law.duration_s]))[0]
    assert len(times_s) == np.ceil(total) - 1
    assert np.abs(law.expected(times_s) - np.arange(1, len(times_s) + 1)).max() < 1e-7


def test_a_recorded_trace_keeps_its_times_in_every_replicate_and_at_every_speed() -> None:
    times_s = np.concatenate(list(renewal(CONSTANT, 3.0).blocks(SEED, 0)))
    for replicate, time_scale in product((0, 1), (1.0, 0.5, 3.0)):
        recorded = Recorded(play(Trace(times_s=times_s), time_scale=time_scale, seed=replicate).times_s)
        assert np.array_equal(np.concatenate(list(recorded.blocks(SEED, replicate))), times_s * time_scale)


def test_no_number_is_drawn_twice() -> None:
    """Of 258,000. One that is shared would show; of 53 random bits two agree by chance once in 100,000 times."""
    keys = product((0, 1, SEED), range(3), Stream)
    draws = np.concatenate([first_draws(Exponential(1.0), seed, r, stream, 4096) for seed, r, stream in keys])
    assert len(np.unique(draws)) == len(draws)


# The two claims, over other seeds

OTHER_SEEDS = [1000 * n for n in range(20)]


@pytest.mark.verify
@pytest.mark.timeout(1800)
def test_p_values_mean_what_they_say() -> None:
    """About 4,000, some of the same draws. Those that combine several checks are careful: fewer are small."""
    found = np.array([p for seed in OTHER_SEEDS for judge in JUDGED.values() for p in judge(seed).values()])
    for level in (0.01, 0.1, 0.5):
        assert 0.5 * level < (found < level).mean() < 1.2 * level + 0.005


@pytest.mark.verify
@pytest.mark.parametrize(("check", "defect"), DEFECTS)
def test_known_defects_are_caught_with_a_chance_of_95_percent(check: str, defect: str) -> None:
    """15 of 20: at 95 % fewer are caught once in 3,000 times, at 70 % in 58 % of the times."""
    assert sum(DEFECTS[check, defect](seed) < LEVEL for seed in OTHER_SEEDS) >= 15
