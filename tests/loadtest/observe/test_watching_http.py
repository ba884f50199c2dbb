"""A watcher over HTTP: what only a connection does to it, and that each change is told exactly once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadtest.observe import watching
from loadtest.observe.api import KubernetesApi
from loadtest.observe.watching import Watcher
from tests.loadtest.observe.test_watching import Told, wait_for, watcher_on
from tests.loadtest.observe.watch_server import World, serving

AT_ONCE_S = 1.5
FORBIDDEN = ("list", "403")


@pytest.fixture
def world_and_api(tmp_path: Path) -> Iterator[tuple[World, KubernetesApi]]:
    with serving(tmp_path) as (world, api):
        world.change("a")
        yield world, api


@pytest.fixture
def world(world_and_api: tuple[World, KubernetesApi]) -> World:
    return world_and_api[0]


@pytest.fixture
def api(world_and_api: tuple[World, KubernetesApi]) -> KubernetesApi:
    return world_and_api[1]


def started(api: KubernetesApi) -> tuple[Watcher, Told]:
    watcher, told = watcher_on(api)
    watcher.start()
    assert watcher.wait_listed(5.0)
    return watcher, told


def stop_s(watcher: Watcher) -> float:
    began_s = time.monotonic()
    watcher.stop()
    return time.monotonic() - began_s


def names(told: Told) -> list[tuple[str, str, bool]]:
    return [(change.type, str(change.object["metadata"]["name"]), change.listed) for change in told.changes]


def check_history(told: Told) -> None:
    """Only what is not known is added, only what is known is modified or deleted, and nothing is told unchanged."""
    known: dict[str, str] = {}
    for change in told.changes:
        name, version = (str(change.object["metadata"][key]) for key in ("name", "resourceVersion"))
        assert (change.type == "ADDED") == (name not in known), change
        assert change.type == "DELETED" or known.get(name) != version, change
        known[name] = version
        if change.type == "DELETED":
            del known[name]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["CHANGED", "CHANGED", "DELETED"])),
        st.tuples(st.just("server"), st.sampled_from(["reset", "torn", "end", "error", "401", "429", "500", "break"])),
        st.just(("watcher", "catches up")),
    ),
    max_size=15,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, forgets_at=st.none() | st.integers(0, 14))
@example(steps=[("a", "DELETED"), ("watcher", "catches up"), ("b", "CHANGED")], forgets_at=2)
def test_each_change_is_told_exactly_once_in_order_unless_the_server_forgets(
    tmp_path: Path, steps: list[tuple[str, str]], forgets_at: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIRST_BACKOFF_S", "LONGEST_BACKOFF_S", "CREDENTIALS_AGAIN_S"):
            patch.setattr(watching, name, 0.002)
        with serving(tmp_path) as (world, api):
            for name in "abc":
                world.change(name)
            watcher, told = started(api)
            first = len(world.events)
            for i, (name, kind) in enumerate(steps):
                if i == forgets_at:
                    world.compact()
                if name == "watcher":  # else every break would come before the first change was told
                    assert wait_for(lambda: told.versions == world.versions)
                elif name == "server":
                    world.meet(*[("watch", kind)] * (kind != "break"))
                    world.break_watches()
                else:
                    world.change(name, kind)
            assert wait_for(lambda: told.versions == world.versions), (told, world)
            if forgets_at is None:
                happened = [(e["type"], e["object"]["metadata"]["resourceVersion"]) for _, e in world.events[first:]]
                live = lambda: [  # noqa: E731
                    (c.type, c.object["metadata"]["resourceVersion"]) for c in list(told.changes) if not c.listed
                ]
                assert wait_for(lambda: len(live()) >= len(happened))
            watcher.stop()
        if forgets_at is None:
            assert live() == happened
            assert len(world.lists) == 1
        check_history(told)


@pytest.mark.parametrize("prepare", ["list", "watch", "back-off", "credentials", "right", "heard"])
def test_stop_ends_at_once_whatever_the_watcher_waits_for(world: World, api: KubernetesApi, prepare: str) -> None:
    watcher, told = watcher_on(api)
    if prepare == "list":
        world.silent.set()
    elif prepare == "back-off":
        world.meet(*[("list", "500")] * 5)
    elif prepare in ("credentials", "right"):
        world.meet(*[("list", "401" if prepare == "credentials" else "403")] * 20)
    watcher.start()
    if prepare in ("watch", "heard"):
        assert watcher.wait_listed(5.0)
        assert wait_for(lambda: len(world.watches) == 1)
    if prepare == "watch":  # the next one is not answered
        world.silent.set()
        world.break_watches()
    time.sleep(0.5)
    assert stop_s(watcher) < AT_ONCE_S
    said = len(told.changes), len(told.gaps)
    world.silent.clear()
    world.change("a")
    time.sleep(0.2)
    assert (len(told.changes), len(told.gaps)) == said, "nothing is told after the end"


def test_a_watch_that_is_not_answered_is_a_gap_also_if_it_is_stopped_meanwhile(
    world: World, api: KubernetesApi
) -> None:
    watcher, told = started(api)
    assert wait_for(lambda: len(world.watches) == 1)
    world.silent.set()
    silent_s = time.monotonic()
    world.break_watches()
    time.sleep(0.6)
    watcher.stop()
    (gap,) = told.gaps
    assert gap.why == "the API server does not answer"
    assert gap.from_s == pytest.approx(silent_s, abs=0.3)
    assert gap.to_s - gap.from_s > 0.5


def test_a_silent_server_is_noticed_when_its_watch_is_overdue(
    world: World, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "WATCH_S", 1.0)
    monkeypatch.setattr("loadtest.observe.api.WATCH_SLACK_S", 0.5)
    watcher, told = started(api)
    assert wait_for(lambda: len(world.watches) == 1)
    world.silent.set()
    world.change("b")
    time.sleep(2.5)
    world.silent.clear()
    assert wait_for(lambda: told.versions == world.versions)
    assert wait_for(lambda: len(told.gaps) == 1)
    watcher.stop()
    assert told.gaps[0].to_s - told.gaps[0].from_s > 2.0
    assert len(told.changes) == 2


def test_a_line_that_is_torn_is_told_once_and_whole(world: World, api: KubernetesApi) -> None:
    world.meet(("watch", "torn"))
    watcher, told = started(api)
    world.change("b")
    assert wait_for(lambda: told.versions == world.versions)
    watcher.stop()
    assert names(told) == [("ADDED", "a", True), ("ADDED", "b", False)]
    assert [gap.why for gap in told.gaps] == ["the watch broke off: Response ended prematurely"]


def test_pages_that_expire_in_the_middle_are_asked_for_in_one_and_without_hurry(
    world: World, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PAGE", 1)
    for name in "bc":
        world.change(name)
    world.meet(("page", "410"))
    watcher, told = started(api)
    assert wait_for(lambda: told.versions == world.versions)
    watcher.stop()
    assert ["limit" in query for query in world.lists] == [True, True, False]
    assert told.gaps == []


def test_a_server_that_forgets_at_once_is_not_hammered(world: World, api: KubernetesApi) -> None:
    world.meet(*[("watch", "410")] * 1000)
    watcher, _ = started(api)
    time.sleep(1.5)
    lists = len(world.lists)
    assert stop_s(watcher) < AT_ONCE_S
    assert lists <= 5


def test_credentials_that_are_refused_a_second_time_are_told_a_second_time(
    world: World, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "CREDENTIALS_AGAIN_S", 0.05)
    watcher, told = started(api)
    for times in (1, 2):
        watches = len(world.watches)
        world.meet(*[("watch", "401")] * 6)  # each call asks twice: with the credentials it has, and with newer ones
        world.break_watches()
        assert wait_for(lambda n=watches: not world.troubles and len(world.watches) >= n + 7)  # type: ignore[misc]
        assert wait_for(lambda n=times: len(told.gaps) >= n)  # type: ignore[misc]
        assert len(told.problems) == times
    watcher.stop()


def test_a_quiet_watch_costs_no_time(world: World, api: KubernetesApi) -> None:
    watcher, _ = started(api)
    before_s = time.process_time()
    time.sleep(1.0)
    spent_s = time.process_time() - before_s
    watcher.stop()
    assert spent_s < 0.1  # nearly all of it is the server's


def test_a_right_that_is_missing_does_not_stop_the_others(
    world: World, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "REFUSALS_BEFORE_A_RIGHT_IS_MISSING", 1)
    world.meet(FORBIDDEN)
    refused, told_refused = started(api)
    allowed, told = started(api)
    world.change("b")
    assert wait_for(lambda: told.versions == world.versions)
    for watcher in (refused, allowed):
        assert stop_s(watcher) < AT_ONCE_S
    assert [right.verb for right in told_refused.missing] == ["list"]
    assert told.missing == []


def test_watchers_of_a_silent_server_stop_one_after_the_other_in_seconds(world: World, api: KubernetesApi) -> None:
    watchers = [started(api)[0] for _ in range(4)]
    world.silent.set()
    world.break_watches()
    time.sleep(0.4)
    began_s = time.monotonic()
    for watcher in watchers:
        watcher.stop()
    assert time.monotonic() - began_s < 4 * watching.STOP_LIMIT_S + 0.5
