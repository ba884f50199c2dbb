"""The search: which settings to simulate, how often, and when it is decided.

1. A first design: settings that theory takes to be enough, and others spread over the whole space.
2. Rounds. A surrogate (`planner.plan.surrogate`) of each part of the promise and of the cost says how probable it is
   that a setting which nobody has simulated is cheaper than the best one known and keeps the promise well. The most
   probable are simulated, until none is likely. Simulated ones that might be cheaper, and the best one itself, get more
   runs, until their own runs decide.
3. The best one is simulated again on random numbers that no choice has seen. Where these do not confirm it, the search
   goes on with what they have taught.

What is printed and promised rests on 3 and on the probabilities of 2; the guarantee is measured in `docs/planning.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from planner.errors import WorkersLostError
from planner.model import FloatArray, ScaleStep, Slo
from planner.plan.assessment import Assessed, assess, cheaper_bound_s
from planner.plan.confirmation import Confirmation, confirm
from planner.plan.guesses import Guesses, guess_all
from planner.plan.neighbours import Neighbours
from planner.plan.pool import Pool
from planner.plan.settings import Setting
from planner.plan.space import Space
from planner.scenario import Scenario
from planner.sim.replications import Executor

FIRST_REQUESTS = 4e5
FIRST_RUNS = (2, 20)
"""Runs of a setting when it is first simulated: as many as make FIRST_REQUESTS, within these bounds."""

FIRST_SETTINGS = 8
"""In the first design, for each coordinate in which the settings differ."""

BATCH = 6
"""Settings of a round that nobody has simulated; not a matter of cores, so that these change no plan."""

CONTENDERS = 8
"""Simulated settings that get more runs in a round, the most doubtful first."""

HOPES = 2
"""The same while none is known that keeps the promise."""

UNLIKELY = 0.01
"""A setting with less chance of being cheaper and good is discarded."""

LEAST_UNLIKELY = 1e-4
PROMISED = 0.96
"""Probability of success before the confirmation; below it, where many small chances add up, smaller ones are looked
at."""

KEEPS = 0.99
"""Probability of keeping the promise that the best one must have before it is confirmed on fresh random numbers."""

HOPEFUL = 0.8
"""Probability at which a setting can be the best one known."""

HOPELESS = 1e-3
"""With no setting above it, nothing in the space keeps the promise."""

GROWTH = 2.0
SURE = 4
"""Times the first runs that the nearest miss must have before nothing is said to keep the promise."""

STRICT = 0.25
STRICT_GROWTH = 2.0
STRICT_REQUESTS = 1e8
"""Once it is decided within the tolerance, a quarter of it is asked for, up to so many times the requests until then
and at most so many: where it is cheap, a plan is better than promised."""

CLOSER = 3
CLOSER_RUNS = 75
CLOSER_REQUESTS = 3e7
"""Before the confirmation, so many cheaper settings within the tolerance that may keep the promise get so many runs, if
these make no more requests: nobody wants to hear that one was undecided."""

MOST_ROUNDS = 400
MOST_RUNS = 20_000
MOST_SIMULATED = 500
"""Runs of one setting, and settings simulated: beyond them a doubt stays one, and is told as such."""

DEFAULT_MOST_REQUESTS = 5_000_000_000


class Stopped(StrEnum):
    """Why a search came to its end."""

    DECIDED = "decided"
    BUDGET = "budget"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What can be said while it runs. settled: settings that are discarded or decided."""

    settings: int
    settled: int
    simulated: int
    requests: int
    best: Assessed | None
    pool: Pool


@dataclass(frozen=True, kw_only=True)
class Found:
    """The result of a search; `planner.plan.answer` makes a plan of it."""

    scenario: Scenario
    slo: Slo
    space: Space
    coordinates: dict[Setting, FloatArray]
    pool: Pool
    assessed: dict[Setting, Assessed]
    guesses: Guesses | None
    best: Setting | None
    confirmations: tuple[Confirmation, ...]
    """In order; where the last holds, it is that of the best one."""
    stopped: Stopped
    ended_by: BaseException | None
    """What interrupted it."""
    probability: float | None
    """That the best one keeps the promise and is within the tolerance of the cheapest."""
    is_proved_hopeless: bool = False
    """Nothing can keep the promise, whatever was simulated."""
    over_worlds: bool = False
    """The best one was chosen over many worlds, of which this is one."""

    @property
    def is_hopeless(self) -> bool:
        """All settings were looked at, and none may keep the promise."""
        return self.is_proved_hopeless or (
            self.best is None
            and self.stopped is Stopped.DECIDED
            and all(a.keeps < UNLIKELY for a in self.assessed.values())
        )


class Search:
    """One search over one scenario. quick: without more than the tolerance asks for, and without confirmation."""

    def __init__(
        self,
        scenario: Scenario,
        slo: Slo,
        space: Space,
        executor: Executor,
        *,
        most_requests: int = DEFAULT_MOST_REQUESTS,
        quick: bool = False,
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        self.scenario, self.slo, self.space = scenario, slo, space
        self.pool = Pool(scenario, slo, executor, self._tell)
        self._most_requests = most_requests
        self._is_quick = quick
        self._strict_until = 0.0
        self._has_looked_closer = False
        self._watch = watch
        self._first_runs = _first_runs(scenario)
        self._best: Assessed | None = None
        self._assessed: dict[Setting, Assessed] = {}
        self._guesses: Guesses | None = None
        self._confirmations: list[Confirmation] = []
        self._coordinates = dict(zip(space.settings, coordinates(space.settings), strict=True))
        self._neighbours = Neighbours(space.settings)
        self._executor = executor
        self._settled = 0
        self._unlikely = UNLIKELY

    def run(self) -> Found:
        """Ends when it is decided, when the budget is used up, or with what is known when it is interrupted."""
        stopped, ended_by = Stopped.INTERRUPT, None
        try:
            stopped = self._rounds()
        except (KeyboardInterrupt, WorkersLostError) as interruption:
            if not self._assessed:
                raise
            ended_by = interruption
        return Found(
            scenario=self.scenario,
            slo=self.slo,
            space=self.space,
            coordinates=self._coordinates,
            pool=self.pool,
            assessed=self._assessed,
            guesses=self._guesses,
            best=None if self._best is None else self._best.setting,
            confirmations=tuple(self._confirmations),
            stopped=stopped,
            ended_by=ended_by,
            probability=self._probability(),
        )

    def _rounds(self) -> Stopped:
        self.pool.extend([(setting, self._first_runs) for setting in first_design(self.space)])
        for _ in range(MOST_ROUNDS):
            self._look()
            wanted = self._wanted()
            while not wanted and self._is_too_doubtful():
                self._unlikely /= 3
                wanted = self._wanted()
            if not wanted and self._becomes_strict():
                continue
            wanted = wanted or self._closer()
            if not wanted:
                if self._best is None or self._is_quick or self._confirmed():
                    return Stopped.DECIDED
                continue
            if self.pool.requests >= self._most_requests:
                self._confirmed()
                return Stopped.BUDGET
            self.pool.extend(wanted)
        self._confirmed()
        return Stopped.BUDGET

    def _look(self) -> None:
        self._assessed = assess(self.pool, self.slo)
        self._best = self._choose()
        self._guesses = guess_all(self._coordinates, self._assessed, self._guesses, self._left())

    def _left(self) -> list[Setting]:
        """Candidates that are not simulated and that nothing proved has discarded."""
        same = self.pool.same_runs(self.space.settings)
        cost_s = math.inf if self._best is None else self._best.cost.mean_s
        left = [
            s
            for s in self.space.settings
            if s not in self.pool and s not in same and least_cost_s(s, self.scenario) < cost_s
        ]
        self._settled = len(self.space.settings) - len(left)
        return left

    def _choose(self) -> Assessed | None:
        """The cheapest that probably keeps the promise, or one nearly as cheap that does so surely."""
        hopeful = [a for a in self._assessed.values() if a.keeps >= HOPEFUL and not self._is_refuted(a.setting)]
        cheapest = min(hopeful, key=lambda a: (a.cost.mean_s, a.setting), default=None)
        if cheapest is None or cheapest.keeps >= KEEPS:
            return cheapest
        sure = [
            a
            for a in hopeful
            if a.keeps >= KEEPS and cheapest.cost.mean_s >= self._cheaper_bound_s(a.cost.mean_s, self._strictness)
        ]
        return min(sure, key=lambda a: (a.cost.mean_s, a.setting), default=cheapest)

    def _is_refuted(self, setting: Setting) -> bool:
        return any(c.setting == setting and not c.holds for c in self._confirmations)

    def _wanted(self) -> list[tuple[Setting, int]]:
        """What to simulate next: settings with the number of runs they shall have."""
        assert self._guesses is not None
        bound_s = self._bound_s()
        least = self._unlikely if self._best is not None else HOPELESS
        room = MOST_SIMULATED - len(self.pool.settings)
        new = self._guesses.most_likely(bound_s, min(BATCH, max(0, room)), least)
        doubtful = sorted(self._doubts(bound_s), reverse=True)
        if self._best is not None:
            if new:  # one of them may take its place
                doubtful = [(doubt, s) for doubt, s in doubtful if s != self._best.setting]
            else:
                new = self._beside_best(self._best.setting, bound_s)
        elif not new and not doubtful:
            return self._beside_least_bad()
        wanted = [(setting, self._first_runs) for setting in new]
        more = doubtful[: CONTENDERS if self._best is not None else HOPES]
        return wanted + [(s, math.ceil(GROWTH * self.pool.count(s))) for _, s in more]

    @property
    def _strictness(self) -> float:
        return STRICT if self.pool.requests < self._strict_until else 1.0

    def _becomes_strict(self) -> bool:
        """At the first decision, where more is affordable."""
        if self._is_quick or self._best is None or self._strict_until > 0:
            return False
        self._strict_until = min(STRICT_GROWTH * self.pool.requests, STRICT_REQUESTS)
        return self._strictness < 1.0

    def _cheaper_bound_s(self, cost_s: float, strictness: float) -> float:
        return cheaper_bound_s(cost_s, self.scenario.duration_s, strictness)

    def _beside_best(self, best: Setting, bound_s: float) -> list[Setting]:
        """One step away from the best, and on each line through it the first that would be cheap enough to matter."""
        assert self._guesses is not None
        near = self._neighbours.of(best)
        for line in self._neighbours.lines(best):
            cheap = (s for s in line if s in self.pool or self._guesses.cost_s(s, self._coordinates) < bound_s)
            near += [s for s in [next(cheap, None)] if s is not None]
        return [s for s in dict.fromkeys(near) if s not in self.pool]

    def _beside_least_bad(self) -> list[tuple[Setting, int]]:
        """Before nothing is said to keep the promise: what is nearest to it often enough, and all its neighbours."""
        nearest = min(self._assessed.values(), key=lambda a: (max(r.smooth for r in a.ratios), a.setting)).setting
        wanted = [(s, self._first_runs) for s in self._neighbours.of(nearest) if s not in self.pool]
        sure = SURE * self._first_runs
        return wanted + ([] if self.pool.has(nearest, sure) else [(nearest, sure)])

    def _is_too_doubtful(self) -> bool:
        """Many small chances may add up; then smaller ones are looked at."""
        probability = self._probability()
        return probability is not None and probability < PROMISED and self._unlikely > LEAST_UNLIKELY

    def _bound_s(self) -> float:
        return math.inf if self._best is None else self._cheaper_bound_s(self._best.cost.mean_s, self._strictness)

    def _closer(self) -> list[tuple[Setting, int]]:
        """The cheaper settings that a reader would ask about; once."""
        if self._best is None or self._is_quick or self._has_looked_closer:
            return []
        self._has_looked_closer = True
        cost_s = self._best.cost.mean_s
        cheaper = [
            a
            for a in self._assessed.values()
            if a.cost.mean_s < cost_s and a.keeps >= 0.5 and not self._is_refuted(a.setting)
        ]
        chosen = sorted(cheaper, key=lambda a: (a.cost.mean_s, a.setting))[:CLOSER]
        chosen = [a for a in chosen if not self.pool.has(a.setting, CLOSER_RUNS)]
        missing = {a.setting: CLOSER_RUNS - self.pool.count(a.setting) for a in chosen}
        if sum(missing.values()) * self.scenario.arrivals.expected_count > CLOSER_REQUESTS:
            return []
        return [(setting, CLOSER_RUNS) for setting, runs in missing.items() if runs > 0]

    def _doubts(self, bound_s: float) -> list[tuple[float, Setting]]:
        """Simulated settings whose own runs leave a doubt that matters, with how much."""
        doubts = []
        for a in self._assessed.values():
            if self._best is not None and a.setting == self._best.setting:
                doubt = 1 - a.keeps if a.keeps < KEEPS else 0.0
            elif self._best is None:
                doubt = a.keeps if a.keeps >= HOPELESS else 0.0
            else:
                doubt = min(a.keeps_well, a.cheaper_than(bound_s))
                doubt = doubt if doubt >= self._unlikely and not self._is_refuted(a.setting) else 0.0
            if doubt > 0 and not self.pool.has(a.setting, MOST_RUNS):
                doubts.append((doubt, a.setting))
        return doubts

    def _confirmed(self) -> bool:
        """Whether fresh runs let the best one stand."""
        if self._best is None:
            return False
        confirmation = confirm(
            self.scenario,
            self.slo,
            self._best.setting,
            self._executor,
            attempt=len(self._confirmations),
            advance=self._tell,
        )
        self._confirmations.append(confirmation)
        return confirmation.holds

    def _probability(self) -> float | None:
        if self._best is None:
            return None
        best, confirmations = self._best.setting, tuple(self._confirmations)
        return probability_of(self._assessed, best, self._guesses, confirmations, self.scenario.duration_s)

    def _tell(self) -> None:
        self._watch(
            Progress(
                settings=len(self.space.settings),
                settled=self._settled,
                simulated=len(self.pool.settings),
                requests=self.pool.requests,
                best=self._best,
                pool=self.pool,
            )
        )


def probability_of(
    assessed: Mapping[Setting, Assessed],
    best: Setting,
    guesses: Guesses | None,
    confirmations: Sequence[Confirmation],
    duration_s: float,
) -> float:
    """P(the best keeps the promise) x P(nobody is good and cheaper by more than the tolerance)."""
    last = confirmations[-1] if confirmations else None
    keeps = last.keeps if last is not None and last.setting == best else assessed[best].keeps
    bound_s = cheaper_bound_s(assessed[best].cost.mean_s, duration_s)
    others = [min(a.keeps_well, a.cheaper_than(bound_s)) for a in assessed.values() if a.setting != best]
    unseen = 0.0 if guesses is None else guesses.any_likely(bound_s)
    return keeps * math.prod(1 - p for p in others) * (1 - unseen)


def least_cost_s(setting: Setting, scenario: Scenario) -> float:
    """No run pays less: min_replicas exist from the start or, where fewer are initial, from the first tick on, with
    `scale_step: one` one more each tick."""
    deployment, duration_s = scenario.deployment, scenario.duration_s
    initial = setting.min_replicas if deployment.initial_replicas is None else deployment.initial_replicas
    missing, period_s = max(0, setting.min_replicas - initial), deployment.refresh_period_s
    late_s = missing * min(period_s, duration_s)
    if deployment.scale_step is ScaleStep.ONE:
        in_time = min(missing, int(duration_s / period_s))
        late_s = in_time * (in_time + 1) / 2 * period_s + (missing - in_time) * duration_s
    return setting.min_replicas * duration_s - late_s


def first_design(space: Space) -> list[Setting]:
    """What theory takes to be enough, at rest and scaled, and a spread over the space."""
    settings = space.settings
    x = coordinates(settings)
    most = FIRST_SETTINGS * max(1, int((np.ptp(x, axis=0) > 0).sum()))
    if len(settings) <= most:
        return list(settings)
    goals = [
        np.array([math.log(share * space.likely), math.log(room * space.likely)])
        for share, room in ((1.0, 1.0), (1.15, 1.15), (0.5, 1.1), (0.25, 1.1))
    ]
    safest = max(range(len(settings)), key=lambda i: (settings[i].min_replicas, settings[i].max_replicas, -i))
    lowest = max(range(len(settings)), key=lambda i: (settings[i].max_replicas, -settings[i].target_percent, -i))
    chosen = [safest, lowest]
    plain = np.log([(s.min_replicas, s.max_replicas) for s in settings])
    for goal in goals:
        distance = np.sum((plain - goal) ** 2, axis=1) + np.sum((x[:, 2:] - 0.7) ** 2, axis=1)
        chosen.append(int(np.argmin(distance)))
    chosen = list(dict.fromkeys(chosen))
    distance = np.min([np.sum((x - x[i]) ** 2, axis=1) for i in chosen], axis=0)
    while len(chosen) < most:  # the point farthest from all others
        farthest = int(np.argmax(distance))
        chosen.append(farthest)
        distance = np.minimum(distance, np.sum((x - x[farthest]) ** 2, axis=1))
    return [settings[i] for i in chosen]


def coordinates(settings: Sequence[Setting]) -> FloatArray:
    """Where the surrogate sees each setting: logarithms scaled to [0, 1], shape (n, 4)."""
    raw = np.log(
        np.array([(s.min_replicas, s.max_replicas, s.target_percent, s.max_concurrent) for s in settings], dtype=float)
    )
    low, span = raw.min(axis=0), np.ptp(raw, axis=0)
    return np.asarray((raw - low) / np.where(span > 0, span, 1.0))


def _first_runs(scenario: Scenario) -> int:
    least, most = FIRST_RUNS
    return int(min(most, max(least, round(FIRST_REQUESTS / max(scenario.arrivals.expected_count, 1.0)))))
