"""Which replicas there are, and which are lost."""

from __future__ import annotations

import random  # noqa: TID251 (histories, not draws of the model)
from typing import Any

import pytest

from loadtest.observe.state import Counts, Phase, Replicas, phase_of
from tests.loadtest.observe.objects import DEPLOYMENT, deployment, pod, replica_set


def replicas(desired: int, ready: int) -> Replicas:
    state = Replicas(DEPLOYMENT)
    state.deployment_changed(deployment(desired))
    state.set_changed(replica_set())
    for i in range(ready):
        state.pod_changed(pod(f"p{i}"), 0.0)
        state.pod_changed(pod(f"p{i}", phase="ready"), 1.0)
    return state


@pytest.mark.parametrize("phase", ["pending", "starting", "ready", "terminating", "failed"])
def test_the_phase_of_a_pod(phase: str) -> None:
    assert phase_of(pod("p", phase=phase)) == (None if phase == "failed" else Phase(phase))


def test_a_pod_that_no_node_was_chosen_for_yet_is_starting_not_pending() -> None:
    fresh = pod("p")
    fresh["status"]["conditions"] = []
    assert phase_of(fresh) is Phase.STARTING


def test_only_pods_of_the_deployments_own_sets_count_also_if_the_set_is_seen_later() -> None:
    state = Replicas(DEPLOYMENT)
    state.deployment_changed(deployment(2))
    state.pod_changed(pod("mine", phase="ready"), 0.0)
    state.pod_changed(pod("other", phase="ready", owner="uid-of-another"), 0.0)
    assert state.counts().ready == 0
    state.set_changed(replica_set())
    state.set_changed(replica_set(owner="another", uid="uid-of-another"))
    assert state.counts() == Counts(desired=2, ready=1, starting=0, pending=0, terminating=0, lost=0)


def test_a_killed_pod_is_lost_until_one_that_was_created_afterwards_is_ready() -> None:
    state = replicas(desired=3, ready=3)
    state.pod_changed(pod("p0", phase="terminating"), 10.0)
    assert (state.counts().ready, state.counts().lost, state.counts().terminating) == (2, 1, 1)
    state.pod_changed(pod("p0", phase="terminating"), 11.0, deleted=True)
    state.pod_changed(pod("new"), 10.1)
    assert state.counts().lost == 1
    state.pod_changed(pod("new", phase="ready"), 15.0)
    assert (state.counts().ready, state.counts().lost) == (3, 0)


def test_a_replica_that_was_on_its_way_before_the_loss_is_no_replacement() -> None:
    state = replicas(desired=3, ready=3)
    state.deployment_changed(deployment(5))
    state.pod_changed(pod("up1"), 9.0)
    state.pod_changed(pod("up2"), 9.0)
    state.pod_changed(pod("p0", phase="terminating"), 10.0)
    state.pod_changed(pod("up1", phase="ready"), 12.0)
    assert state.counts().lost == 1
    state.pod_changed(pod("up2", phase="ready"), 13.0)
    assert (state.counts().ready, state.counts().lost) == (4, 1)
    state.pod_changed(pod("new"), 10.2)
    state.pod_changed(pod("new", phase="ready"), 16.0)
    assert (state.counts().ready, state.counts().lost) == (5, 0)


def test_a_container_that_restarts_is_lost_until_it_is_ready_again() -> None:
    state = replicas(desired=2, ready=2)
    state.pod_changed(pod("p1"), 10.0)
    assert (state.counts().ready, state.counts().starting, state.counts().lost) == (1, 1, 1)
    state.pod_changed(pod("p1", phase="ready"), 14.0)
    assert state.counts().lost == 0


@pytest.mark.parametrize("deployment_first", [True, False])
def test_a_scale_down_loses_nothing_whichever_change_is_seen_first(deployment_first: bool) -> None:
    state = replicas(desired=4, ready=4)
    if deployment_first:
        state.deployment_changed(deployment(3))
    state.pod_changed(pod("p3", phase="terminating"), 10.0)
    if not deployment_first:
        state.deployment_changed(deployment(3))
    assert (state.counts().desired, state.counts().ready, state.counts().lost) == (3, 3, 0)


def test_no_history_of_pods_makes_counts_that_contradict_each_other() -> None:
    """Against a count by hand over the objects as they are, for 300 random histories."""
    for seed in range(300):
        draw = random.Random(seed)
        state = Replicas(DEPLOYMENT)
        state.set_changed(replica_set())
        objects: dict[str, dict[str, Any]] = {}
        desired = 0
        for step in range(60):
            if draw.random() < 0.15:
                desired = draw.randrange(6)
                state.deployment_changed(deployment(desired))
            else:
                name = f"p{draw.randrange(8)}"
                if draw.random() < 0.2 and name in objects:
                    state.pod_changed(objects.pop(name), float(step), deleted=True)
                else:
                    objects[name] = pod(name, phase=draw.choice(["pending", "starting", "ready", "terminating"]))
                    state.pod_changed(objects[name], float(step))
            phases = [phase_of(thing) for thing in objects.values()]
            seen = state.counts()
            assert (seen.ready, seen.starting, seen.pending, seen.terminating) == tuple(
                phases.count(Phase(name)) for name in ("ready", "starting", "pending", "terminating")
            )
            assert 0 <= seen.lost <= max(0, desired - seen.ready)
