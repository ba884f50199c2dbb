"""Pods as replicas: changes fed by hand, calls that scale noted or refused; no cluster."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from loadtest.lab import pods
from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import Phase
from loadtest.lab.pods import PodFleet
from loadtest.observe.api import Refused, Unreachable
from loadtest.observe.observer import Connection
from loadtest.observe.resources import Resource
from loadtest.observe.watching import Change
from planner.errors import InputError

DEPLOYMENT, REPLICA_SET = "deployment-uid", "set-uid"


class FakeApi:
    namespace, server = "here", "https://cluster"

    def close(self) -> None:
        pass


def owned(uid: str, owner: str | None) -> dict[str, Any]:
    owners = [{"uid": owner, "controller": True}] if owner else []
    return {"name": uid, "uid": uid, "resourceVersion": "1", "ownerReferences": owners}


def deployment(replicas: int) -> dict[str, Any]:
    return {"metadata": owned(DEPLOYMENT, None) | {"name": "blue"}, "spec": {"replicas": replicas}}


class Bench:
    """A fleet, the traffic that it lets in, and the calls that it made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, found: int = 2) -> None:
        self.in_traffic: set[int] = set()
        self.busy: set[int] = set()
        self.errors: list[BaseException] = []
        self.said: list[str] = []
        self.scaled: list[int] = []
        self.trouble: list[Exception] = []
        self.slow = threading.Event()
        self.slow.set()
        monkeypatch.setattr(pods, "scale", self._scale)
        self.log = EventLog(asyncio.get_running_loop().time)
        connection = Connection(cast(Any, FakeApi()), deployment(found))
        self.fleet = PodFleet(connection, self, self.log, lambda: None, self.errors.append, self.said.append)
        self.tell(Resource.DEPLOYMENTS, deployment(found))
        self.tell(Resource.REPLICASETS, {"metadata": owned(REPLICA_SET, DEPLOYMENT)})

    def _scale(self, api: object, name: str, replicas: int) -> None:
        self.slow.wait(5)
        if self.trouble:
            raise self.trouble.pop(0)
        self.scaled.append(replicas)

    def put_in_service(self, replica: int) -> None:
        assert replica not in self.in_traffic
        self.in_traffic.add(replica)

    def take_out(self, replica: int) -> None:
        self.in_traffic.remove(replica)
        if replica not in self.busy:
            self.fleet.drained(replica)

    def tell(self, resource: Resource, thing: dict[str, Any], kind: str = "MODIFIED", *, listed: bool = False) -> None:
        self.fleet._changed(Change(seen_s=time.monotonic(), resource=resource, type=kind, object=thing, listed=listed))

    def pod(self, name: str, *, ready: bool = False, kind: str = "MODIFIED", owner: str | None = REPLICA_SET,
            leaving: bool = False, unschedulable: bool = False, ip: str = "10.0.0.1", port: int | None = 5001,
            listed: bool = False) -> None:  # fmt: skip
        conditions = [{"type": "Ready", "status": str(ready)}]
        if unschedulable:
            conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"})
        metadata = owned(name, owner) | ({"deletionTimestamp": "now"} if leaving else {})
        ports = {} if port is None else {"ports": [{"containerPort": port}]}
        thing = {
            "metadata": metadata,
            "spec": {"containers": [ports]},
            "status": {"podIP": ip, "conditions": conditions},
        }
        self.tell(Resource.PODS, thing, kind, listed=listed)

    def phases(self, replica: int) -> list[object]:
        return [event["phase"] for event in self.log.after(0, ["replica"]) if event["replica"] == replica]


def run(monkeypatch: pytest.MonkeyPatch, test: Callable[[Bench], Coroutine[Any, Any, None]], found: int = 2) -> None:
    async def main() -> None:
        await test(Bench(monkeypatch, found))

    asyncio.run(main())


def start_scaler(bench: Bench) -> None:
    """As `start_initial` does, without the watchers' threads."""
    bench.fleet._start_scaler()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.01)


def test_a_pod_is_in_service_from_ready_until_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("a")
        assert (bench.fleet.count(Phase.STARTING), bench.in_traffic) == (1, set())
        bench.pod("a", ready=True, ip="10.0.0.7", port=8080)
        assert bench.in_traffic == {0}
        server = bench.fleet.replicas[0].server
        assert (server.port, cast(Any, server).host) == (8080, "10.0.0.7")
        bench.pod("a", ready=False)
        assert bench.in_traffic == set()
        bench.pod("a", ready=True, port=None)
        assert (bench.in_traffic, bench.fleet.replicas[0].server.port) == ({0}, 5001)
        bench.pod("a", ready=True, leaving=True)
        assert (bench.in_traffic, bench.fleet.count(Phase.DRAINING)) == (set(), 1)
        bench.pod("a", kind="DELETED")
        assert (bench.fleet.replicas, bench.errors) == ({}, [])
        assert bench.phases(0) == ["created", "ready", "draining", "ready", "draining", "gone"]

    run(monkeypatch, test)


def test_pods_of_others_are_no_replicas(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("other", ready=True, owner="another-set")
        bench.pod("naked", ready=True, owner=None)
        assert (bench.in_traffic, bench.fleet.replicas) == (set(), {})
        bench.pod("new", ready=True, owner="set-2")  # its ReplicaSet becomes known later
        assert bench.in_traffic == set()
        bench.tell(Resource.REPLICASETS, {"metadata": owned("set-2", DEPLOYMENT)})
        assert (bench.in_traffic, list(bench.fleet.replicas)) == ({0}, [0])

    run(monkeypatch, test)


def test_a_start_that_was_not_seen_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("old", ready=True, listed=True)
        bench.pod("new")
        bench.pod("new", ready=True)
        old, new = bench.fleet.replicas.values()
        assert old.real_start_s is None
        assert new.real_start_s is not None
        assert [old.pod, new.pod] == ["old", "new"]

    run(monkeypatch, test)


def test_lost_and_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        for name in ("a", "b"):
            bench.pod(name, ready=True)
        bench.pod("a", kind="DELETED")
        assert (bench.fleet.lost, bench.fleet.pending) == (1, 0)
        bench.pod("c", unschedulable=True)
        assert (bench.fleet.lost, bench.fleet.pending, bench.fleet.count(Phase.STARTING)) == (1, 1, 0)
        bench.pod("c", ready=True)
        assert (bench.fleet.lost, bench.fleet.pending) == (0, 0)

    run(monkeypatch, test)


def test_work_of_two_terms_of_service_may_end_after_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.busy.add(0)
        for ready in (True, False, True, False):
            bench.pod("a", ready=ready)
        bench.pod("a", kind="DELETED")
        bench.fleet.drained(0)
        bench.fleet.drained(0)
        assert bench.fleet.replicas == {}

    run(monkeypatch, test)


def test_only_the_newest_count_is_asked_for_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        start_scaler(bench)
        bench.slow.clear()
        bench.fleet.scale_to(3)
        await asyncio.sleep(0.05)
        bench.fleet.scale_to(4)
        bench.fleet.scale_to(5)
        assert bench.fleet.current == 5
        bench.slow.set()
        await until(lambda: bench.scaled == [3, 5])
        await bench.fleet.stop()

    run(monkeypatch, test)


@pytest.mark.parametrize(
    "trouble",
    [Unreachable("away"), Refused(503, "", "starting"), Refused(409, "Conflict", "again"), Refused(403, "", "RBAC")],
)
def test_an_api_server_that_is_away_or_just_started_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pods, "RETRY_S", 0.01)
        start_scaler(bench)
        bench.trouble += [trouble, trouble]
        bench.fleet.scale_to(4)
        await until(lambda: bench.scaled == [4])
        assert bench.errors == []
        await bench.fleet.stop()

    run(monkeypatch, test)


def test_a_lasting_refusal_ends_the_lab_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pods, "RETRY_S", 0.01)
        start_scaler(bench)
        bench.trouble += [Refused(403, "Forbidden", "you may not") for _ in range(20)]
        bench.fleet.scale_to(4)
        await until(lambda: bench.errors)
        assert "you may not" in str(bench.errors[0])

    run(monkeypatch, test)


def test_the_count_is_restored_after_a_call_that_is_still_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        start_scaler(bench)
        bench.slow.clear()
        bench.fleet.scale_to(5)
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(bench.fleet.stop())
        await asyncio.sleep(0.05)
        bench.slow.set()
        await stopping
        assert bench.scaled == [5, 2]

    run(monkeypatch, test)


def test_the_restoring_is_tried_again_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pods, "RETRY_S", 0.01)
        monkeypatch.setattr(pods, "RESTORE_LIMIT_S", 0.2)
        start_scaler(bench)
        bench.fleet.scale_to(5)
        await until(lambda: bench.scaled == [5])
        bench.trouble += [Unreachable("away")] * 3
        await bench.fleet.stop()
        assert (bench.scaled, bench.said) == ([5, 2], [])

    run(monkeypatch, test)


def test_what_could_not_be_restored_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pods, "RETRY_S", 0.01)
        monkeypatch.setattr(pods, "RESTORE_LIMIT_S", 0.05)
        start_scaler(bench)
        bench.fleet.scale_to(5)
        await until(lambda: bench.scaled == [5])
        bench.trouble += [Unreachable("away")] * 1000
        await bench.fleet.stop()
        assert "kubectl --namespace here scale deployment blue --replicas=2" in bench.said[0]

    run(monkeypatch, test)


def test_a_count_that_was_never_set_is_not_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        await bench.fleet.stop()
        assert bench.scaled == []

    run(monkeypatch, test)


def test_a_reload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(InputError, match="roll out"):
            bench.fleet.reload()

    run(monkeypatch, test)
