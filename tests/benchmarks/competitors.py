"""The programs of others, written as their documentation writes them and, where that is faster, by hand.

All numbers are drawn by numpy in one block, which is faster than the documented one at a time (Ciw and SimFaaS draw
their own). Importing a library is left to the function that uses it: one that is missing only leaves its rows out.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.benchmarks.cases import Queue, Work

Process = Generator[Any, Any, None]


def simpy_documented(queue: Queue, requests: int, seed: int) -> Work:
    """A process a customer and a Resource; the wait limit as in the example `bank_renege`."""
    import simpy

    env = simpy.Environment()
    servers = simpy.Resource(env, capacity=queue.servers)
    n_503, waited_s = 0, 0.0

    def patient(service_s: float) -> Process:
        nonlocal waited_s
        arrived_s = env.now
        with servers.request() as request:
            yield request
            waited_s += env.now - arrived_s
            yield env.timeout(service_s)

    def impatient(service_s: float) -> Process:
        nonlocal n_503
        with servers.request() as request:
            results: Any = yield request | env.timeout(queue.wait_limit_s)
            if request in results:
                yield env.timeout(service_s)
            else:
                n_503 += 1

    customer = patient if math.isinf(queue.wait_limit_s) else impatient
    _simpy_run(env, queue, requests, seed, lambda service_s: env.process(customer(service_s)))
    return Work(requests, n_503, waited_s)


def simpy_tuned(queue: Queue, requests: int, seed: int) -> Work:
    """The same, but a customer who is served at once waits for nothing."""
    import simpy

    env = simpy.Environment()
    servers = simpy.Resource(env, capacity=queue.servers)
    has_limit = math.isfinite(queue.wait_limit_s)
    n_503, waited_s = 0, 0.0

    def customer(service_s: float) -> Process:
        nonlocal n_503, waited_s
        with servers.request() as request:
            if not request.triggered:
                arrived_s = env.now
                yield request | env.timeout(queue.wait_limit_s) if has_limit else request
                if not request.triggered:
                    n_503 += 1
                    return
                waited_s += env.now - arrived_s
            yield env.timeout(service_s)

    _simpy_run(env, queue, requests, seed, lambda service_s: env.process(customer(service_s)))
    return Work(requests, n_503, waited_s)


def simpy_events_only(queue: Queue, requests: int, seed: int) -> Work:
    """SimPy's event list alone: servers are a number, the queue a deque; who has waited too long is found at its head.

    Two events a request is the least that SimPy can do. A 503 is counted, but is no event at its deadline.
    """
    import simpy

    env = simpy.Environment()
    waiting: deque[tuple[float, float]] = deque()
    free, n_503, waited_s = queue.servers, 0, 0.0

    def arrive(service_s: float) -> None:
        nonlocal free
        if free:
            free -= 1
            env.timeout(service_s).callbacks.append(finish)
        else:
            waiting.append((env.now, service_s))

    def finish(_event: simpy.Event) -> None:
        nonlocal free, n_503, waited_s
        while waiting:
            arrived_s, service_s = waiting.popleft()
            wait_s = env.now - arrived_s
            if wait_s <= queue.wait_limit_s:
                waited_s += wait_s
                env.timeout(service_s).callbacks.append(finish)
                return
            n_503 += 1
        free += 1

    _simpy_run(env, queue, requests, seed, arrive)
    return Work(requests, n_503, waited_s)


def _simpy_run(env, queue, requests, seed, arrive) -> None:  # type: ignore[no-untyped-def]
    gaps, services = queue.draws(requests, seed)

    def source() -> Process:
        for gap_s, service_s in zip(gaps.tolist(), services.tolist(), strict=True):
            yield env.timeout(gap_s)
            arrive(service_s)

    env.process(source())
    env.run()


def ciw_documented(queue: Queue, requests: int, seed: int) -> Work:
    """The wait limit as in the guide to reneging customers."""
    import ciw

    has_limit = math.isfinite(queue.wait_limit_s)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=queue.rate_rps)],
        service_distributions=[ciw.dists.Exponential(rate=1.0)],
        reneging_time_distributions=[ciw.dists.Deterministic(value=queue.wait_limit_s)] if has_limit else None,
        number_of_servers=[queue.servers],
    )
    ciw.seed(seed)
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(requests / queue.rate_rps)
    records = simulation.get_all_records()
    n_503 = sum(record.record_type == "renege" for record in records)
    return Work(len(records), n_503, sum(record.waiting_time for record in records))


def queueing_tool_documented(queue: Queue, requests: int, seed: int) -> Work:
    server = _queueing_tool_server(queue, requests, seed, collect_data=True)
    server.simulate(nD=requests)
    arrived_s, started_s = server.fetch_data()[:, :2].T
    return Work(requests, 0, float((started_s - arrived_s).sum()))


def queueing_tool_tuned(queue: Queue, requests: int, seed: int) -> Work:
    """An agent that sums up its waits instead of the table of all times."""
    queueing_tool = _import_queueing_tool()
    waited_s = 0.0

    class Agent(queueing_tool.Agent):  # type: ignore[misc, name-defined]
        def queue_action(self, server, event):  # type: ignore[no-untyped-def]
            nonlocal waited_s
            if event == 0:
                self.arrived_s = server.current_time
            elif event == 1:
                waited_s += server.current_time - self.arrived_s

    _queueing_tool_server(queue, requests, seed, AgentFactory=Agent).simulate(nD=requests)
    return Work(requests, 0, waited_s)


def _queueing_tool_server(queue, requests, seed, **options):  # type: ignore[no-untyped-def]
    gaps, services = (iter(values.tolist()) for values in queue.draws(requests, seed))
    server = _import_queueing_tool().QueueServer(
        queue.servers,
        arrival_f=lambda now_s: now_s + next(gaps),
        service_f=lambda now_s: now_s + next(services),
        active_cap=requests,
        **options,
    )
    server.set_active()
    return server


def _import_queueing_tool():  # type: ignore[no-untyped-def]
    np.infty = np.inf  # type: ignore[attr-defined]  # numpy 2 has dropped the name, queueing-tool 1.2.5 imports it
    import queueing_tool

    return queueing_tool


def simfaas_documented(queue: Queue, requests: int, seed: int) -> Work:
    """Knows no queue: a request that finds every instance busy is rejected. The instances never expire."""
    from simfaas.ServerlessSimulator import ServerlessSimulator

    np.random.seed(seed)
    simulator = ServerlessSimulator(
        arrival_rate=queue.rate_rps,
        warm_service_rate=1.0,
        cold_service_rate=1.0,
        expiration_threshold=1e9,
        max_time=requests / queue.rate_rps,
        maximum_concurrency=queue.servers,
    )
    simulator.generate_trace(debug_print=False, progress=False)
    return Work(simulator.total_req_count, simulator.total_reject_count, 0.0)


@dataclass(frozen=True)
class Competitor:
    library: str
    way: str
    run: Callable[[Queue, int, int], Work]
    requests: int
    """In one round: about a second's worth."""
    limits_s: tuple[float, ...]
    """The wait limits with which it is measured."""
    lacks: str = ""
    """Why not with the others."""
    is_documented: bool = True

    @property
    def name(self) -> str:
        version = importlib.metadata.version(self.library)
        return f"{self.library} {version}, {self.way}{'' if self.is_documented else ' (by hand)'}"

    def obstacle(self) -> str | None:
        """Why it cannot run here."""
        try:
            self.run(Queue(self.limits_s[0]), 10, 0)
        except ImportError as error:
            return f"{self.library}: {error}"
        return None


NONE, SHORT, NO_QUEUE = math.inf, 0.5, 0.0
COMPETITORS = (
    Competitor("simpy", "Resource", simpy_documented, 40_000, (NONE, SHORT)),
    Competitor("simpy", "Resource, fewer events", simpy_tuned, 40_000, (NONE, SHORT), is_documented=False),
    Competitor("simpy", "event list only", simpy_events_only, 200_000, (NONE, SHORT), is_documented=False),
    Competitor("ciw", "one node", ciw_documented, 30_000, (NONE, SHORT)),
    Competitor("queueing-tool", "collect_data", queueing_tool_documented, 50_000, (NONE,), "knows no wait limit"),
    Competitor("queueing-tool", "counting agent", queueing_tool_tuned, 200_000, (NONE,), "the same", False),
    Competitor("simfaas", "rejects at once", simfaas_documented, 30_000, (NO_QUEUE,), "knows no queue"),
)
