"""The search's memory: what it knows of a run is what the run itself would say, however it came to know it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planner.arrivals import MarkovModulatedPoisson
from planner.measures import measure
from planner.model import Autoscaler, Deployment, ScaleDownRule, ScaleStep, Slo
from planner.plan.observation import Observed, observe, observed
from planner.plan.pool import Pool
from planner.plan.search import least_cost_s
from planner.plan.settings import Setting
from planner.plan.tally import Runs
from planner.scenario import Scenario
from planner.service import Exponential
from planner.sim.engine import simulate_replicate
from planner.sim.replications import SERIAL
from tests.planner.plan.plan_cases import scenario, steps
from tests.reference.cases import deployments

SLO = Slo(max_fraction_503=0.05, p99_latency_s=1.0, min_fraction_of_runs=0.9)

Task = TypeVar("Task")
R = TypeVar("R")


class Counting:
    """One task after the other, all of them kept."""

    workers = 1

    def __init__(self) -> None:
        self.tasks: list[Any] = []

    def in_order(self, function: Callable[[Task], R], tasks: Iterable[Task]) -> Iterator[R]:
        for task in tasks:
            self.tasks.append(task)
            yield function(task)


def pool(of: Scenario, executor: Any = SERIAL) -> Pool:
    return Pool(of, SLO, executor, lambda: None)


def direct(of: Scenario, setting: Setting, replicate: int) -> Observed:
    """The run, simulated for itself, with the deployment written out."""
    deployment = of.deployment
    initial = deployment.initial_replicas
    deployment = dataclasses.replace(
        deployment,
        min_replicas=setting.min_replicas,
        max_replicas=setting.max_replicas,
        target_utilization_percent=setting.target_percent,
        max_concurrent_requests=setting.max_concurrent,
        worker_count=setting.worker_count,
        initial_replicas=None if initial is None else min(initial, setting.max_replicas),
    )
    seen = observed(simulate_replicate(dataclasses.replace(of, deployment=deployment), replicate), SLO)
    return seen._replace(peak_unclamped=max(seen.peak_unclamped, initial or 0))


SPIKE = steps((4.0, 1.0), (2.0, 30.0), (6.0, 1.0))


@st.composite
def bursts(draw: st.DrawFn) -> Scenario:
    """Any deployment of the random cases, autoscaled, with a burst of 60 requests in the middle of 12 s."""
    deployment = draw(deployments(None))
    assume(deployment.autoscaler is not Autoscaler.FIXED)
    return scenario(
        SPIKE,
        seed=draw(st.integers(0, 1000)),
        deployment=deployment,
        service_time=Exponential(draw(st.sampled_from([0.05, 0.2, 0.5]))),
        cold_start=Exponential(draw(st.sampled_from([0.1, 1.0]))),
        warm_up_s=draw(st.sampled_from([0.0, 3.0])),
    )


some_settings = st.builds(
    lambda low, more, target, size: Setting(low, low + more, target, size, size),
    st.integers(1, 4),
    st.sampled_from([0, 1, 2, 4, 8, 20]),
    st.sampled_from([50, 100]),
    st.sampled_from([1, 1, 2]),
)


@settings(max_examples=100, deadline=None)
@given(bursts(), st.lists(some_settings, min_size=1, max_size=12), st.data())
def test_what_it_knows_of_a_run_is_the_run_itself(of: Scenario, wanted: list[Setting], data: st.DataObject) -> None:
    made = pool(of)
    for setting in wanted:  # one by one: what was seen before is used again
        made.extend([(setting, made.count(setting) + data.draw(st.integers(1, 2)))])
    for setting in made.settings:
        known = made.runs(setting)
        whole = Runs.of([direct(of, setting, r) for r in range(made.count(setting))])
        for field in dataclasses.fields(Runs):
            assert getattr(known, field.name).tolist() == getattr(whole, field.name).tolist(), (setting, field.name)


@settings(max_examples=100, deadline=None)
@given(bursts(), st.lists(some_settings, min_size=1, max_size=4, unique=True), st.lists(some_settings, min_size=8))
def test_same_runs_are_the_same(of: Scenario, simulated: list[Setting], others: list[Setting]) -> None:
    made = pool(of)
    made.extend([(setting, 2) for setting in simulated])
    for candidate, same in made.same_runs(others).items():
        assert candidate not in made
        assert same in made
        assert [direct(of, candidate, r) for r in range(2)] == [direct(of, same, r) for r in range(2)]


def test_many_max_replicas_cost_one_simulation() -> None:
    of = scenario(max_replicas=50)
    executor = Counting()
    made = pool(of, executor)
    made.extend([(Setting(2, 50, 70), 10)])
    peak = int(made.runs(Setting(2, 50, 70)).peak_unclamped.max())
    assert 5 < peak < 50
    same = made.same_runs([Setting(2, high, 70) for high in range(2, 60)])
    assert [s.max_replicas for s in same] == [high for high in range(peak, 60) if high != 50]
    before = made.requests
    made.extend([(Setting(2, high, 70), 10) for high in range(peak, 50)])
    assert len(executor.tasks) == made.replications == 10
    assert made.requests == before == int(made.runs(Setting(2, 50, 70)).n.sum())
    made.extend([(Setting(2, peak - 1, 70), 10)])
    below = [r for r in range(10) if made.runs(Setting(2, 50, 70)).peak_unclamped[r] > peak - 1]
    assert [task[1] for task in executor.tasks[10:]] == below
    same = made.same_runs([Setting(2, high, 70) for high in range(2, 60)])
    assert [s.max_replicas for s in same] == list(range(51, 60))
    assert made.same_runs([Setting(2, 55, 80), Setting(3, 55, 70), Setting(2, 55, 70, 2, 2)]) == {}


def test_a_run_that_was_cut_off_stands_for_no_other() -> None:
    of = scenario()
    made = pool(of)
    made.extend([(Setting(2, 4, 70), 5)])
    assert (made.runs(Setting(2, 4, 70)).peak_unclamped > 4).all()
    assert made.same_runs([Setting(2, high, 70) for high in range(5, 20)]) == {}


@settings(max_examples=15, deadline=None)
@given(st.permutations([Setting(2, high, target) for high in (4, 6, 9, 12) for target in (50, 90)]))
def test_the_order_within_a_batch_changes_nothing(order: list[Setting]) -> None:
    of = scenario(SPIKE)
    executor, made = Counting(), pool(of)
    made.extend([(setting, 3) for setting in order])
    other = pool(of, executor)
    other.extend([(setting, 3) for setting in sorted(order)])
    assert (made.requests, made.replications) == (other.requests, other.replications)
    assert made.settings == order
    for setting in order:
        for field in dataclasses.fields(Runs):
            assert (getattr(made.runs(setting), field.name) == getattr(other.runs(setting), field.name)).all()


def test_more_runs_follow_those_that_are_there() -> None:
    of = scenario(SPIKE)
    executor = Counting()
    made = pool(of, executor)
    setting = Setting(2, 3, 70)
    for count in (2, 5, 5, 3):
        made.extend([(setting, count)])
    assert executor.tasks == [(setting, r) for r in range(5)]
    assert made.count(setting) == len(made.runs(setting)) == 5
    assert made.count(Setting(1, 3, 70)) == 0
    assert (setting in made, Setting(1, 3, 70) in made) == (True, False)


def test_an_interruption_leaves_the_batch_out() -> None:
    left = [12]

    def advance() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    made = Pool(scenario(SPIKE), SLO, SERIAL, advance)
    made.extend([(Setting(2, 4, 70), 5)])
    with pytest.raises(KeyboardInterrupt):
        made.extend([(Setting(3, 4, 70), 5), (Setting(4, 5, 70), 5)])
    assert made.settings == [Setting(2, 4, 70)]
    assert made.count(Setting(2, 4, 70)) == 5


# What is kept of a run


def test_an_observation_counts_what_the_simulation_prints() -> None:
    of = scenario(MarkovModulatedPoisson(np.array([2.0, 20.0]), np.array([0.2, 0.2]), 60.0), duration_s=60.0)
    setting = Setting(2, 5, 60)
    changed = dataclasses.replace(of, deployment=setting.applied_to(of.deployment), slo=SLO)
    results = [simulate_replicate(changed, r) for r in range(20)]
    runs = Runs.of([observe(of, SLO, (setting, r)) for r in range(20)])
    printed = measure(changed, results)
    assert runs.n.sum() == printed.requests
    assert runs.n_503.sum() / runs.n.sum() == printed.fraction_503.value
    assert runs.paid_s.mean() / 3600 == pytest.approx(printed.replica_hours.value, rel=1e-12)
    assert runs.answers.sum() == sum(int(r.outcomes[0]) for r in results)
    assert printed.latency_p99_s is not None
    for bound_s, is_more in ((printed.latency_p99_s.value * 0.99, True), (printed.latency_p99_s.value * 1.01, False)):
        slo = dataclasses.replace(SLO, p99_latency_s=bound_s)
        slow = sum(observed(r, slo).slow for r in results)
        assert bool(slow > 0.01 * runs.answers.sum()) is is_more
    without = dataclasses.replace(SLO, p99_latency_s=None)
    assert {observed(r, without).slow for r in results} == {0}


# The bound of the cost


@settings(max_examples=150, deadline=None)
@given(deployments(None), some_settings, st.integers(0, 100))
def test_no_run_costs_less_than_its_minimum(deployment: Deployment, setting: Setting, seed: int) -> None:
    if deployment.autoscaler is Autoscaler.FIXED:
        setting = dataclasses.replace(setting, max_replicas=setting.min_replicas)
    of = scenario(SPIKE, deployment=deployment, seed=seed, cold_start=Exponential(0.5))
    run = observe(of, SLO, (setting, 0))
    assert run.paid_s >= least_cost_s(setting, of) - 1e-9


@pytest.mark.parametrize(
    ("initial", "step", "paid_s"),
    [
        (None, ScaleStep.JUMP, 48),
        (4, ScaleStep.JUMP, 48),
        (1, ScaleStep.JUMP, 45),
        (0, ScaleStep.JUMP, 44),
        (1, ScaleStep.ONE, 42),
        (0, ScaleStep.ONE, 38),
    ],
)
def test_the_bound_of_an_idle_deployment_is_what_it_pays(initial: int | None, step: ScaleStep, paid_s: float) -> None:
    of = scenario(steps((12.0, 1e-9)), initial_replicas=initial, max_replicas=4, scale_step=step)
    setting = Setting(4, 4, 70)
    assert least_cost_s(setting, of) == pytest.approx(paid_s)
    assert observe(of, SLO, (setting, 0)).paid_s == pytest.approx(paid_s)


def test_a_minimum_that_is_never_reached() -> None:
    of = scenario(steps((3.5, 1e-9)), initial_replicas=0, max_replicas=9, scale_step=ScaleStep.ONE)
    paid_s = observe(of, SLO, (Setting(9, 9, 70), 0)).paid_s
    assert least_cost_s(Setting(9, 9, 70), of) == pytest.approx(paid_s) == pytest.approx(2.5 + 1.5 + 0.5)


@pytest.mark.parametrize("rule", ScaleDownRule)
def test_more_initial_replicas_than_the_maximum_are_not_started(rule: ScaleDownRule) -> None:
    """A run that starts with more than a lower maximum allows is not that maximum's run."""
    of = scenario(steps((12.0, 0.5)), initial_replicas=8, max_replicas=8, scale_down_rule=rule)
    made = pool(of)
    made.extend([(Setting(1, 8, 70), 3)])
    made.extend([(Setting(1, 4, 70), 3)])
    assert made.runs(Setting(1, 4, 70)).paid_s.tolist() == [direct(of, Setting(1, 4, 70), r).paid_s for r in range(3)]
    assert made.same_runs([Setting(1, 5, 70)]) == {}


def test_an_executor_gets_what_it_can_send_elsewhere() -> None:
    import pickle

    work = pickle.loads(pickle.dumps(partial(observe, scenario(SPIKE), SLO)))
    assert work((Setting(2, 4, 70), 1)) == direct(scenario(SPIKE), Setting(2, 4, 70), 1)
