"""Pods as replicas: changes fed by hand, calls that scale noted or refused; no cluster."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from loadtest.lab import pod_scaler, pod_trouble, pods
from loadtest.lab.event_log import EventLog
from loadtest.lab.fleet import Phase
from loadtest.lab.http_client import ConnectionBroken
from loadtest.lab.pod_server import PodServer, port_of
from loadtest.lab.pods import PodFleet
from loadtest.observe.api import Refused, Unreachable
from loadtest.observe.observer import Connection
from loadtest.observe.resources import Resource
from loadtest.observe.scaling import check_scaled_by_nobody_else
from loadtest.observe.watching import Change
from planner.errors import InputError

DEPLOYMENT, REPLICA_SET = "deployment-uid", "set-uid"


class QuietWatcher:
    """Changes are fed by hand."""

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def wait_listed(self, timeout_s: float) -> bool:
        return True


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
        monkeypatch.setattr(pod_scaler, "scale", self._scale)
        monkeypatch.setattr(pods, "Watcher", QuietWatcher)
        self.log = EventLog(asyncio.get_running_loop().time)
        connection = Connection(cast(Any, FakeApi()), deployment(found))
        self.fleet = PodFleet(connection, self, self.log, lambda: None, self.errors.append, self.said.append, 0.3)
        self.tell(Resource.DEPLOYMENTS, deployment(found))
        self.tell(Resource.REPLICASETS, {"metadata": owned(REPLICA_SET, DEPLOYMENT)})

    def _scale(self, api: object, name: str, replicas: int) -> None:
        self.slow.wait(5)
        if self.trouble:
            raise self.trouble.pop(0)
        self.scaled.append(replicas)

    def find(self, monkeypatch: pytest.MonkeyPatch, cause: str, *pods: str, evidence: str = "the evidence") -> None:
        """From now on a diagnosis says this."""
        finding = {"cause": cause, "title": f"it is {cause}", "pods": pods, "evidence": [evidence], "next_step": "Act."}
        monkeypatch.setattr(pod_trouble, "FIRST_LOOK_S", 0.0)
        monkeypatch.setattr(pod_trouble, "PERIOD_S", 0.0)
        monkeypatch.setattr(pod_trouble.StartTrouble, "_findings", lambda self: [finding])

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
            leaving: bool = False, unschedulable: bool = False, evicted: bool = False, ip: str = "10.0.0.1",
            port: int | None = 5001, listed: bool = False) -> None:  # fmt: skip
        conditions = [{"type": "Ready", "status": str(ready)}]
        if unschedulable:
            conditions.append({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"})
        metadata = owned(name, owner) | ({"deletionTimestamp": "now"} if leaving else {})
        ports = {} if port is None else {"ports": [{"containerPort": port}]}
        thing = {
            "metadata": metadata,
            "spec": {"containers": [ports]},
            "status": {"podIP": ip, "conditions": conditions, "phase": "Failed" if evicted else "Running"},
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
    bench.fleet._scaler.start()


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
        monkeypatch.setattr(pod_scaler, "RETRY_S", 0.01)
        start_scaler(bench)
        bench.trouble += [trouble, trouble]
        bench.fleet.scale_to(4)
        await until(lambda: bench.scaled == [4])
        assert bench.errors == []
        await bench.fleet.stop()

    run(monkeypatch, test)


def test_a_lasting_refusal_ends_the_lab_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pod_scaler, "RETRY_S", 0.01)
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
        monkeypatch.setattr(pod_scaler, "RETRY_S", 0.01)
        monkeypatch.setattr(pod_scaler, "RESTORE_LIMIT_S", 0.2)
        start_scaler(bench)
        bench.fleet.scale_to(5)
        await until(lambda: bench.scaled == [5])
        bench.trouble += [Unreachable("away")] * 3
        await bench.fleet.stop()
        assert (bench.scaled, bench.said) == ([5, 2], [])

    run(monkeypatch, test)


def test_what_could_not_be_restored_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        monkeypatch.setattr(pod_scaler, "RETRY_S", 0.01)
        monkeypatch.setattr(pod_scaler, "RESTORE_LIMIT_S", 0.05)
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


def test_the_start_ends_when_exactly_the_initial_pods_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        healthy: list[int] = []
        monkeypatch.setattr(pods, "LOOK_PERIOD_S", 0.01)
        monkeypatch.setattr(PodFleet, "_check_reachable", lambda self: asyncio.sleep(0))
        for name in ("a", "b", "c"):
            bench.pod(name, ready=True)
        starting = asyncio.create_task(bench.fleet.start_initial(2, lambda: healthy.append(1)))
        await until(lambda: bench.scaled == [2])
        bench.tell(Resource.DEPLOYMENTS, deployment(2))
        bench.pod("c", ready=True, leaving=True)
        await asyncio.sleep(0.05)
        assert not starting.done()
        bench.pod("c", kind="DELETED")
        await starting
        assert len(healthy) == 2
        await bench.fleet.stop()
        assert bench.scaled == [2, 3]

    run(monkeypatch, test, found=3)


def refusal_of_start(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> Coroutine[Any, Any, str]:
    async def start() -> str:
        monkeypatch.setattr(pods, "LOOK_PERIOD_S", 0.01)
        with pytest.raises(InputError) as refused:
            await bench.fleet.start_initial(2, lambda: None)
        await bench.fleet.stop()
        return str(refused.value)

    return start()


def test_a_start_without_hope_ends_at_once_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("a")
        bench.find(monkeypatch, "init_raised", "a", evidence="ValueError: no model")
        began_s = time.monotonic()
        said = await refusal_of_start(monkeypatch, bench)
        assert said == "blue: it is init_raised: ValueError: no model. Act."
        assert time.monotonic() - began_s < 0.25

    run(monkeypatch, test)


def test_a_node_may_still_come_until_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("a", ready=True)
        bench.pod("b", unschedulable=True)
        bench.find(monkeypatch, "does_not_fit", "b", evidence="Insufficient cpu")
        said = await refusal_of_start(monkeypatch, bench)
        assert said == "blue: 1 of 2 pods ready after 0.3 s: it is does_not_fit: Insufficient cpu. Act."
        assert bench.said == ["still waiting: it is does_not_fit: Insufficient cpu. Act."]

    run(monkeypatch, test)


@pytest.mark.parametrize(("cause", "pod"), [("run_raised", "b"), ("crashed", "a")])
def test_what_says_nothing_of_the_pods_that_are_missing_ends_no_start(
    monkeypatch: pytest.MonkeyPatch, cause: str, pod: str
) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("a", ready=True)
        bench.pod("b")
        bench.find(monkeypatch, cause, pod)
        said = await refusal_of_start(monkeypatch, bench)
        assert said == "blue: 1 of 2 pods ready after 0.3 s: surgeproof diagnose --deployment blue may say why"
        assert bench.said == []

    run(monkeypatch, test)


def test_pods_that_are_ready_but_out_of_reach_refuse_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            closed = listener.getsockname()[1]
        for name in ("a", "b"):
            bench.pod(name, ready=True, ip="127.0.0.1", port=closed)
        said = await refusal_of_start(monkeypatch, bench)
        assert f"blue: a is ready, but 127.0.0.1:{closed} does not answer from here" in said
        assert "Connect call failed" in said

    run(monkeypatch, test)


def test_a_pod_seen_to_go_before_the_smaller_count_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        for name in ("a", "b"):
            bench.pod(name, ready=True)
        bench.fleet.scale_to(1)
        bench.pod("b", ready=True, leaving=True)
        assert bench.fleet.lost == 0
        bench.tell(Resource.DEPLOYMENTS, deployment(1))
        assert bench.fleet.lost == 0
        bench.pod("a", kind="DELETED")
        assert bench.fleet.lost == 1

    run(monkeypatch, test)


def test_an_evicted_pod_ends_its_work_though_it_stays_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        bench.pod("a", ready=True)
        replica = bench.fleet.replicas[0]
        bench.busy.add(0)
        bench.pod("a", evicted=True)
        assert replica.server.ended.is_set()
        assert (bench.in_traffic, bench.fleet.lost) == (set(), 1)
        bench.fleet.drained(0)
        bench.pod("a", evicted=True)
        assert bench.fleet.replicas == {}
        assert bench.phases(0) == ["created", "ready", "draining", "gone"]
        bench.pod("a", kind="DELETED")
        assert (bench.fleet.replicas, bench.fleet._pods) == ({}, {})

    run(monkeypatch, test)


@pytest.mark.parametrize(
    ("ports", "port"),
    [([], 5001), ([[]], 5001), ([[8080]], 8080), ([[15090], [8080, 5001]], 5001), ([[], [8080, 9090]], 8080)],
)
def test_the_port_is_the_scoring_servers_own_else_the_first_that_is_named(ports: list[list[int]], port: int) -> None:
    containers = [{"ports": [{"containerPort": number} for number in numbers]} for numbers in ports]
    assert port_of({"spec": {"containers": containers}}) == port


def test_a_pod_that_is_gone_ends_what_is_under_way_there() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ports = [{"containerPort": listener.getsockname()[1]}]
            thing = {"metadata": {"name": "a"}, "spec": {"containers": [{"ports": ports}]}}
            server = PodServer("here", thing | {"status": {"podIP": "127.0.0.1"}})
            asking = asyncio.create_task(server.score(b"{}", {}))
            await asyncio.sleep(0.05)
            assert not asking.done()
            await server.stop()
            with pytest.raises(ConnectionBroken, match="gone"):
                await asking

    asyncio.run(main())


class HpaApi(FakeApi):
    def get(self, path: str) -> dict[str, Any]:
        assert path == "/apis/autoscaling/v2/namespaces/here/horizontalpodautoscalers"
        about = {"kind": "Deployment", "name": "blue"}
        return {"items": [{"metadata": {"name": "its-hpa"}, "spec": {"scaleTargetRef": about}}]}


def test_a_second_autoscaler_is_refused() -> None:
    api = cast(Any, HpaApi())
    with pytest.raises(InputError, match="HorizontalPodAutoscaler its-hpa scales blue too"):
        check_scaled_by_nobody_else(api, "blue")
    check_scaled_by_nobody_else(api, "green")


def test_a_reload_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(InputError, match="roll out"):
            bench.fleet.reload()

    run(monkeypatch, test)
