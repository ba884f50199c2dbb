"""The scenarios on which the planner's guarantee is tested, with what is true of each of their settings.

Three have a fixed number of replicas: bursts (MMPP), exponential service and a wait limit, counted from a warm-up on,
so that the truth is that of the steady state, exact (`planner.queueing.markov`). The fourth is autoscaled: its truth
was simulated once (`plan_truth`). In each a setting breaks the promise by a little more than is forgiven.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import numpy as np

from planner.arrivals import MarkovModulatedPoisson
from planner.model import Autoscaler, Deployment, Slo
from planner.plan.settings import Setting
from planner.queueing.markov import MarkovArrivals, MarkovArrivalsQueue
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential, Lognormal
from planner.sim.replications import SERIAL, Executor
from tests.statistical import plan_truth

SLO = Slo(max_fraction_503=1e-3)

FORGIVEN = 1.1
"""A recommended setting may have so much of the promised fraction ..."""

ASKED = 0.9
"""... and is compared with the cheapest one that has no more than so much of it: ..."""

DEARER = 1.02
"""... it may cost so much of that, or one replica more for the whole run."""

FIRST_SEED = 1000
"""Of the scenario in run 0 of a test; that of run n is n higher."""

Choose = Callable[[Scenario, Sequence[Setting]], Setting | None]
"""A procedure under test: the setting that it recommends for the scenario's `slo`, None if none of them keeps it."""


@dataclass(frozen=True)
class Truth:
    """503 fraction and mean cost, in replica-hours a run, of every candidate. one_replica: that of a whole run."""

    fraction_503: dict[Setting, float]
    replica_hours: dict[Setting, float]
    one_replica: float

    def cheapest(self, max_fraction_503: float) -> Setting:
        kept = [setting for setting, fraction in self.fraction_503.items() if fraction <= max_fraction_503]
        return min(kept, key=self.replica_hours.__getitem__)

    def most_replica_hours(self, slo: Slo) -> float:
        """What a recommended setting may cost."""
        least = self.replica_hours[self.cheapest(ASKED * slo.max_fraction_503)]
        return max(DEARER * least, least + self.one_replica)


def keeps(truth: Truth, setting: Setting, slo: Slo) -> bool:
    return truth.fraction_503[setting] <= FORGIVEN * slo.max_fraction_503


def success(truth: Truth, setting: Setting | None, slo: Slo) -> bool:
    """Whether a search that recommends the setting has kept the planner's promise."""
    if setting is None or not keeps(truth, setting, slo):
        return False
    return truth.replica_hours[setting] <= truth.most_replica_hours(slo) * (1 + 1e-12)


@dataclass(frozen=True)
class Case:
    """scenario: with its SLO, and settings of no importance. settings: the candidates, sorted."""

    scenario: Scenario
    settings: tuple[Setting, ...]
    truth_of: Callable[[Case], Truth]

    def __str__(self) -> str:
        return self.scenario.name

    @property
    def slo(self) -> Slo:
        assert self.scenario.slo is not None
        return self.scenario.slo

    @cached_property
    def truth(self) -> Truth:
        return self.truth_of(self)

    def in_run(self, run: int) -> Scenario:
        return dataclasses.replace(self.scenario, seed=FIRST_SEED + run)

    def succeeds(self, choose: Choose, run: int) -> bool:
        """Whether the procedure finds a setting as good as promised, with draws of its own in each run."""
        return success(self.truth, choose(self.in_run(run), self.settings), self.slo)


def fixed_count(setting: Setting) -> int:
    return setting.min_replicas


def exact_fraction(scenario: Scenario, replicas: int) -> float:
    """Of MMPP arrivals, exponential service and one request at a time, in the steady state."""
    arrivals = scenario.arrivals
    assert isinstance(arrivals, MarkovModulatedPoisson)
    process = MarkovArrivals.mmpp(arrivals.rates_rps, arrivals.switching_per_s)
    wait_s = scenario.deployment.max_request_wait_s
    return MarkovArrivalsQueue(replicas, process, scenario.service_time.mean_s, wait_s).fraction_503


@cache
def small() -> Case:
    """8 replicas have 1.21 times the promised fraction, 9 a quarter of it: 9 and 10 are right."""
    arrivals = _bursts(rates_rps=(5.0, 25.0), mean_sojourns_s=(400.0, 25.0), duration_s=540.0)
    return _fixed("small", arrivals, service_s=0.21, wait_s=0.2, warm_up_s=10.0, counts=range(1, 101))


@cache
def middle() -> Case:
    """36 replicas have 1.22 times the promised fraction, 37 two thirds of it: 37 and 38 are right."""
    arrivals = _bursts(rates_rps=(12.0, 30.0), mean_sojourns_s=(200.0, 20.0), duration_s=300.0)
    return _fixed("middle", arrivals, service_s=1.07, wait_s=0.5, warm_up_s=15.0, counts=range(1, 151))


@cache
def large() -> Case:
    """110 replicas have 1.19 times the promised fraction, 112 the first below 0.9 of it: 111 to 114 are right."""
    arrivals = _bursts(rates_rps=(10.0, 26.0), mean_sojourns_s=(150.0, 25.0), duration_s=400.0)
    return _fixed("large", arrivals, service_s=3.85, wait_s=0.5, warm_up_s=40.0, counts=range(1, 251))


@cache
def autoscaled() -> Case:
    """Without queue 1.8 requests are at work on average, 6 in a burst; replicas take 5 s to start. 16 of 72 are right.

    The cheapest within 0.9 of the promise is (8, 11, 65 %); four that cost less break it by 29 to 43 %.
    """
    duration_s = 480.0
    scenario = Scenario(
        name="autoscaled",
        shows="",
        duration_s=duration_s,
        arrivals=_bursts(rates_rps=(3.0, 10.0), mean_sojourns_s=(200.0, 30.0), duration_s=duration_s),
        service_time=Exponential(0.6),
        deployment=Deployment(min_replicas=1, max_replicas=20),
        cold_start=Lognormal(5.0, 0.3),
        slo=SLO,
    )
    settings = [
        Setting(least, most, target) for least in range(5, 11) for most in (11, 13) for target in range(45, 96, 10)
    ]
    return Case(scenario, tuple(sorted(settings)), _simulated_truth)


def cases() -> list[Case]:
    return [small(), middle(), large(), autoscaled()]


def _bursts(
    *, rates_rps: tuple[float, ...], mean_sojourns_s: tuple[float, ...], duration_s: float
) -> MarkovModulatedPoisson:
    return MarkovModulatedPoisson(np.array(rates_rps), 1 / np.array(mean_sojourns_s), duration_s)


def _fixed(
    name: str, arrivals: MarkovModulatedPoisson, *, service_s: float, wait_s: float, warm_up_s: float, counts: range
) -> Case:
    scenario = Scenario(
        name=name,
        shows="",
        duration_s=arrivals.duration_s,
        warm_up_s=warm_up_s,
        arrivals=arrivals,
        service_time=Exponential(service_s),
        deployment=Deployment(
            autoscaler=Autoscaler.FIXED, min_replicas=counts[-1], max_replicas=counts[-1], max_request_wait_s=wait_s
        ),
        cold_start=Deterministic(0.0),
        slo=SLO,
    )
    return Case(scenario, tuple(Setting(count, count, 70) for count in counts), _exact_truth)


def _exact_truth(case: Case) -> Truth:
    one_replica = case.scenario.duration_s / 3600
    return Truth(
        fraction_503={s: exact_fraction(case.scenario, fixed_count(s)) for s in case.settings},
        replica_hours={s: fixed_count(s) * one_replica for s in case.settings},
        one_replica=one_replica,
    )


def _simulated_truth(case: Case) -> Truth:
    rows = plan_truth.read()
    return Truth(
        fraction_503={s: rows[s].fraction_503 for s in case.settings},
        replica_hours={s: rows[s].replica_hours for s in case.settings},
        one_replica=case.scenario.duration_s / 3600,
    )


def run_of_search(case: Case, choose: Choose, runs: int, executor: Executor = SERIAL) -> list[bool]:
    """Which of so many runs of a procedure keep the promise. choose: of a module, where workers are processes."""
    return list(executor.in_order(partial(case.succeeds, choose), range(runs)))
