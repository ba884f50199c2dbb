"""Every setting, as often as every other: the slow way, for small spaces and to hold the search against.

The choice rests on the same runs whatever is promised, so a looser promise never costs more.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.errors import WorkersLostError
from planner.model import Slo, VerdictWord
from planner.plan.assessment import assess
from planner.plan.confirmation import Confirmation, confirm
from planner.plan.judgement import judge_runs
from planner.plan.pool import Pool
from planner.plan.search import Found, Progress, Stopped, coordinates, probability_of
from planner.plan.settings import Setting
from planner.plan.space import Space
from planner.scenario import Scenario
from planner.sim.replications import Executor

BATCH = 50


def exhaustive(
    scenario: Scenario,
    slo: Slo,
    space: Space,
    executor: Executor,
    replications: int,
    *,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Found:
    """The cheapest setting whose intervals keep the promise, confirmed on fresh runs as the search does."""

    def tell() -> None:
        done = len(pool.settings)
        watch(
            Progress(
                settings=len(space.settings), settled=done, simulated=done, requests=pool.requests, best=None, pool=pool
            )
        )

    pool = Pool(scenario, slo, executor, tell)
    stopped, ended_by = Stopped.DECIDED, None
    confirmations: tuple[Confirmation, ...] = ()
    best: Setting | None = None
    try:
        for i in range(0, len(space.settings), BATCH):
            pool.extend([(setting, replications) for setting in space.settings[i : i + BATCH]])
        best = cheapest(pool, slo)
        if best is not None:
            first_runs = replications
            confirmations = (confirm(scenario, slo, best, executor, attempt=0, advance=tell, first_runs=first_runs),)
    except (KeyboardInterrupt, WorkersLostError) as interruption:
        if not pool.settings:
            raise
        stopped, ended_by = Stopped.INTERRUPT, interruption
    assessed = assess(pool, slo)
    return Found(
        scenario=scenario,
        slo=slo,
        space=space,
        coordinates=dict(zip(space.settings, coordinates(space.settings), strict=True)),
        pool=pool,
        assessed=assessed,
        guesses=None,
        best=best,
        confirmations=confirmations,
        stopped=stopped,
        ended_by=ended_by,
        probability=None if best is None else probability_of(assessed, best, None, confirmations, scenario.duration_s),
    )


def cheapest(pool: Pool, slo: Slo) -> Setting | None:
    """Of all that keep the promise over their whole intervals."""
    kept = [s for s in pool.settings if judge_runs(slo, pool.runs(s)).word is VerdictWord.PASS]
    return min(kept, key=lambda s: (float(pool.runs(s).paid_s.mean()), s), default=None)
