"""The planner keeps its promise: P(success) >= 0.95, on scenarios on which equal allocation of 20 runs does not.

Success: the recommended setting's true fraction is at most 1.1 x SLO, and its cost at most max(1.02 x, one replica
above) that of the cheapest setting whose true fraction is at most 0.9 x SLO. `plan_scenarios` has the truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scipy import stats

from planner.executors import usable_cores
from planner.executors.processes import Processes
from planner.plan.answer import PlanWord, recommended
from planner.plan.search import Found, Search
from planner.plan.settings import Setting
from planner.plan.space import among
from planner.scenario import Scenario
from planner.sim.replications import SERIAL
from tests.statistical.plan_scenarios import Case, cases, middle, run_of_search, small, success

pytestmark = pytest.mark.statistical

RUNS, PROMISED = 100, 91


def searched(scenario: Scenario, settings: Sequence[Setting]) -> Found:
    assert scenario.slo is not None
    return Search(scenario, scenario.slo, among(scenario, scenario.slo, settings), SERIAL).run()


def chosen(scenario: Scenario, settings: Sequence[Setting]) -> Setting | None:
    """What `surgeproof plan` would recommend."""
    word, best = recommended(searched(scenario, settings))
    return best.setting if best is not None and word is PlanWord.FEASIBLE else None


def requests_of(found: Found) -> int:
    """All that were simulated, the confirmations included."""
    return found.pool.requests + sum(c.measures.requests for c in found.confirmations)


def test_the_error_rates_are_as_stated() -> None:
    """Of 100: right at 95 % it passes with 97 %, at 85 % with 5.5 %. Of 12: at 99 % with 99.4 %, at 70 % with 8.5 %."""
    assert [stats.binom.sf(PROMISED - 1, RUNS, p) for p in (0.95, 0.85)] == pytest.approx([0.972, 0.055], abs=1e-3)
    assert [stats.binom.sf(10, 12, p) for p in (0.99, 0.7)] == pytest.approx([0.9938, 0.085], abs=1e-3)


@pytest.mark.parametrize("case", [small(), pytest.param(middle(), marks=pytest.mark.long)], ids=str)
def test_twelve_searches_are_right(case: Case) -> None:
    """11 of 12: passes with 99.4 % where 99 % of the searches are right, with 8.5 % where 70 % are."""
    assert sum(run_of_search(case, chosen, 12)) >= 11


def test_a_search_is_cheaper_than_looking_everywhere() -> None:
    """Beside simulating each candidate as often as the one that took the most runs to decide."""
    case = middle()
    found = searched(case.in_run(0), case.settings)
    most = max(found.pool.count(setting) for setting in found.pool.settings)
    per_run = found.pool.requests / found.pool.replications
    assert requests_of(found) * 20 <= most * len(case.settings) * per_run
    assert success(case.truth, found.best, case.slo)


@pytest.mark.verify
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("case", cases(), ids=str)
def test_ninety_one_of_a_hundred_searches_are_right(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    with Processes(usable_cores()) as executor:
        successes = run_of_search(case, chosen, RUNS, executor)
    with capsys.disabled():
        print(f"\n{case}: {sum(successes)} of {RUNS} searches are right")
    assert sum(successes) >= PROMISED
