"""The autoscaler as a Markov chain embedded at its ticks: exact 503 fractions and replica counts.

Written from `docs/model.md` alone. Covered: `azureml-fe` with its default rules, D = 0 (nobody waits, so api v1 and
v2 are the same), Poisson arrivals with a piecewise constant rate, exponential service times and cold starts, any K
and W, slots busy after a 504 (so that the scoring timeout changes no 503), and a scale-down delay of few ticks.

**Between ticks** the deployment is a continuous-time Markov chain with generator Q: arrivals, finishes, cold starts
that end. **At a tick** the rule maps each state to one state. A row vector p of probabilities just after a tick is p
expm(Q period) M just after the next, M the tick's map. What is counted is an integral of p: the expected 503s are
the arrival rate times the expected time in states without a free slot, as arrivals are Poisson. p expm(Q t) and its
integral are Poisson mixtures of powers of a stochastic matrix (uniformization: Jensen, Skand. Aktuarietidskr. 36,
1953), sums of terms that are not negative, so nothing cancels.

**The state.** Victims are the latest ready, the dispatch prefers the lowest id, and cold starts end in any order:
which victims are busy follows neither from counts nor from the order of the ids. What the future depends on is, for
each ready replica in order of readiness, the rank of its id among those that exist and the requests it holds; and
the ranks of the starting ones (`Ordered`). The first `min` replicas in order of readiness are never victims, so
their order among themselves is left out. With K = 1, min = 1 and a window of one tick the rule reaches at most 160
states for max = 4, and at target 70 % 124 for max = 5, 540 for 6, 2,204 for 7. If cold starts are taken to end in
order of the ids, target 70 % is still exact (76 states), but target 40 % is not (503 fraction 0.21729 for 0.21735);
counts alone, idle victims first, give 0.55245 for 0.55225 at target 70 % (settings: in the tests).

Draining replicas take no requests and no tick sees them: they are not in the state. Paid time needs their mean
number alone, which is carried beside the probabilities: each tick adds to it, then it decays.

**Memory.** A scale-down window of w ticks needs the desired counts of the last w - 1, and of these only the suffix
maxima: a count that was followed by a larger one leaves the window first, so it never decides.

**Counts** of ready replicas, starting replicas and requests (`Counts`) are enough where no ready replica can be a
victim and K <= W: 503s then depend on how many requests are held, not on who holds them. That is so up to the
scale-down delay, while the window holds the initial count and every desired count since. Max = 10 makes 286 states
at most, so launch spikes on deployments of ordinary size are within reach, with the default delay (20 ticks of v2).

**D > 0** has no finite chain: with a constant patience the ages of those who wait matter. Where only held requests
are counted (v1) the age of the head is enough, as those behind it are Poisson, but it is continuous: a grid would
approximate it. Under v2 a tick sees the length of the queue too, after which the ages behind the head are no longer
Poisson.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse, special

from planner.model import (
    V2_SCALE_DOWN_TICKS,
    Api,
    Autoscaler,
    Deployment,
    DispatchRule,
    FloatArray,
    ScaleDownRule,
    ScaleStep,
    UtilizationOver,
)

MOST_STATES = 100_000
MOST_DENSE_STATES = 3_000


class Rates(NamedTuple):
    """What moves a state between ticks, and what is fixed about its replicas."""

    slots: int
    workers: int
    min_replicas: int
    finish_per_s: float
    """Of one busy worker."""
    start_per_s: float
    """Of one starting replica."""

    def finishing_per_s(self, held: int) -> float:
        return min(held, self.workers) * self.finish_per_s


class Ordered(NamedTuple):
    """The full state: `ids` and `held` of the ready replicas in order of readiness, and the ids of the starting ones.

    Ids are ranks among the replicas that exist.
    """

    ids: tuple[int, ...]
    held: tuple[int, ...]
    starting_ids: tuple[int, ...]

    @classmethod
    def initial(cls, count: int) -> Ordered:
        return cls(tuple(range(count)), (0,) * count, ())

    @property
    def ready(self) -> int:
        return len(self.ids)

    @property
    def starting(self) -> int:
        return len(self.starting_ids)

    @property
    def requests(self) -> int:
        return sum(self.held)

    def after_arrival(self, rates: Rates) -> Ordered | None:
        """None is a 503."""
        i = min(range(self.ready), key=lambda i: (self.held[i], self.ids[i]), default=None)
        if i is None or self.held[i] == rates.slots:
            return None
        return self._with_held(i, self.held[i] + 1)

    def other_moves(self, rates: Rates) -> Iterator[tuple[float, Ordered]]:
        for i, held in enumerate(self.held):
            if held:
                yield rates.finishing_per_s(held), self._with_held(i, held - 1)
        for new in self.starting_ids:
            left = tuple(s for s in self.starting_ids if s != new)
            yield rates.start_per_s, _ranked((*self.ids, new), (*self.held, 0), left, rates.min_replicas)

    def resized(self, count: int, rates: Rates) -> tuple[Ordered, tuple[int, ...]]:
        """The state with `count` starting and ready replicas, and what each ready victim holds."""
        current = self.ready + self.starting
        if count >= current:
            return self._replace(starting_ids=self.starting_ids + tuple(range(current, count))), ()
        starting_ids = self.starting_ids[: max(0, count - self.ready)]
        ready = min(count, self.ready)
        return _ranked(self.ids[:ready], self.held[:ready], starting_ids, rates.min_replicas), self.held[ready:]

    def _with_held(self, i: int, held: int) -> Ordered:
        return self._replace(held=(*self.held[:i], held, *self.held[i + 1 :]))


def _ranked(ids: tuple[int, ...], held: tuple[int, ...], starting_ids: tuple[int, ...], never_victims: int) -> Ordered:
    """Ids become ranks; the replicas that are never victims come in order of id."""
    rank = {old: new for new, old in enumerate(sorted(ids + starting_ids))}
    ready = [(rank[old], n) for old, n in zip(ids, held, strict=True)]
    ready[:never_victims] = sorted(ready[:never_victims])
    return Ordered(
        tuple(new for new, _ in ready), tuple(n for _, n in ready), tuple(sorted(rank[s] for s in starting_ids))
    )


class Counts(NamedTuple):
    """The reduced state, exact as long as no ready replica is a victim and K <= W."""

    ready: int
    starting: int
    requests: int

    @classmethod
    def initial(cls, count: int) -> Counts:
        return cls(count, 0, 0)

    def after_arrival(self, rates: Rates) -> Counts | None:
        return self._replace(requests=self.requests + 1) if self.requests < rates.slots * self.ready else None

    def other_moves(self, rates: Rates) -> Iterator[tuple[float, Counts]]:
        if self.requests:
            yield self.requests * rates.finish_per_s, self._replace(requests=self.requests - 1)
        if self.starting:
            yield self.starting * rates.start_per_s, Counts(self.ready + 1, self.starting - 1, self.requests)

    def resized(self, count: int, rates: Rates) -> tuple[Counts, tuple[int, ...]]:
        return self._replace(starting=max(self.starting, count - self.ready)), ()


Memory = tuple[int, ...]
"""Suffix maxima of the desired counts of the last w - 1 ticks."""

Node = tuple[Ordered | Counts, Memory]

Move = tuple[int, int | None, float]
"""From which entry of a law to which (None: out of it), and at which rate or how much."""


class Totals(NamedTuple):
    """Expected values over an interval."""

    length_s: float
    arrivals: float
    answered_503: float
    ready_s: float
    """Replica-seconds, like the next two."""
    starting_s: float
    draining_s: float
    held_s: float
    """Request-seconds in the slots of ready replicas: the integral of what a tick sees."""

    @property
    def fraction_503(self) -> float:
        """E[503s] / E[requests]."""
        return self.answered_503 / self.arrivals

    @property
    def mean_ready(self) -> float:
        return self.ready_s / self.length_s

    @property
    def mean_paid(self) -> float:
        return (self.ready_s + self.starting_s + self.draining_s) / self.length_s


def total(parts: Sequence[Totals]) -> Totals:
    return Totals(*map(sum, zip(*parts, strict=True)))


class TickChain:
    """The exact law of one deployment. `by_counts`: in the reduced state, for transients up to the scale-down delay.

    A law is one row vector: the probability of each node, then the mean number of draining replicas that hold 1, 2, ...
    K requests.
    """

    def __init__(
        self, deployment: Deployment, *, mean_service_s: float, mean_cold_start_s: float, by_counts: bool = False
    ) -> None:
        _check(deployment, by_counts)
        self.deployment = deployment
        self.by_counts = by_counts
        self.rates = Rates(
            deployment.max_concurrent_requests,
            deployment.worker_count,
            deployment.min_replicas,
            1 / mean_service_s,
            1 / mean_cold_start_s,
        )
        self.nodes = self._reachable()
        self._number_the_moves()
        self._counted = self._counts()

    def _reachable(self) -> list[Node]:
        count = self.deployment.initial_count
        state = Counts.initial(count) if self.by_counts else Ordered.initial(count)
        memory = () if self.by_counts else (count,) * (window_ticks(self.deployment) - 1)
        nodes: list[Node] = [(state, memory)]
        seen = set(nodes)
        for node in nodes:  # grows while it is read
            new = set(self._successors(node)) - seen
            nodes += sorted(new)
            seen |= new
            if len(nodes) > MOST_STATES:
                raise ValueError(f"more than {MOST_STATES} states")
        return nodes

    def _successors(self, node: Node) -> Iterator[Node]:
        state, memory = node
        if (after := state.after_arrival(self.rates)) is not None:
            yield after, memory
        for _, other in state.other_moves(self.rates):
            yield other, memory
        yield self.tick(node)[0]

    def tick(self, node: Node) -> tuple[Node, tuple[int, ...]]:
        """The node after a tick, and what each ready victim holds."""
        state, memory = node
        desired = desired_count(self.deployment, state.requests)
        floor = state.ready + state.starting if self.by_counts else max((desired, *memory[:1]))
        resized, victims_hold = state.resized(new_count(state, desired, floor), self.rates)
        shifted = (*(max(older, desired) for older in memory[1:]), desired)
        return (resized, shifted if memory else ()), victims_hold

    def _number_the_moves(self) -> None:
        n, slots = len(self.nodes), self.rates.slots
        number = {node: i for i, node in enumerate(self.nodes)}
        draining = {held: n + held - 1 for held in range(1, slots + 1)}
        accepted: list[Move] = []
        others: list[Move] = [(i, draining.get(h - 1), self.rates.finishing_per_s(h)) for h, i in draining.items()]
        at_tick: list[Move] = [(i, i, 1.0) for i in draining.values()]
        for node, i in number.items():
            state, memory = node
            if (after := state.after_arrival(self.rates)) is not None:
                accepted.append((i, number[after, memory], 1.0))
            others += [(i, number[other, memory], rate) for rate, other in state.other_moves(self.rates)]
            after_tick, victims_hold = self.tick(node)
            at_tick.append((i, number[after_tick], 1.0))
            at_tick += [(i, draining[held], 1.0) for held in victims_hold if held]  # an idle victim is gone at once
        self._accepted, self._others = _generator(accepted, n + slots), _generator(others, n + slots)
        self._at_tick = _matrix(at_tick, n + slots)

    def _counts(self) -> FloatArray:
        """What one second in each entry of a law counts for: full, ready, starting, draining, held."""
        rows = [(s.after_arrival(self.rates) is None, s.ready, s.starting, 0, s.requests) for s, _ in self.nodes]
        return np.array(rows + [(False, 0, 0, 1, 0)] * self.rates.slots, dtype=np.float64)

    def transient(self, rates_rps: Sequence[tuple[float, float]], edges_s: Sequence[float]) -> list[Totals]:
        """Totals of each interval between two edges, from the initial replicas, ready and empty, at time 0.

        rates_rps: (time from which on, arrivals per second), the first from 0. edges_s: increasing, not negative.
        """
        end_s = edges_s[-1]
        if self.by_counts and end_s > scale_down_delay_s(self.deployment):
            raise ValueError(f"by counts only up to the scale-down delay, not up to {end_s} s")
        ticks_s = tick_times_s(self.deployment, end_s)
        stops_s = sorted({0.0, *(s for s in (*ticks_s, *edges_s, *(since for since, _ in rates_rps)) if s <= end_s)})
        law = np.eye(1, self._at_tick.shape[0])[0]
        parts: list[list[Totals]] = [[] for _ in edges_s]
        for from_s, until_s in pairwise(stops_s):
            if from_s in ticks_s:
                law = law @ self._at_tick
            rate_rps = [rate for since_s, rate in rates_rps if since_s <= from_s][-1]
            law, totals = self._between_ticks(law, rate_rps, until_s - from_s)
            parts[bisect_right(edges_s, from_s)].append(totals)
        return [total(inside) for inside in parts[1:]]

    def stationary(self, rate_rps: float) -> Totals:
        """Totals of one period, long after the start."""
        if self.by_counts:
            raise ValueError("by counts there is no stationary law: nothing goes down")
        if len(self.nodes) > MOST_DENSE_STATES:
            raise ValueError(f"{len(self.nodes)} states, more than {MOST_DENSE_STATES}")
        period_s = self.deployment.refresh_period_s
        size = self._at_tick.shape[0]
        equations = (linalg.expm(self._generator(rate_rps).toarray() * period_s) @ self._at_tick).T - np.eye(size)
        # one balance equation of the nodes follows from the others; that their sum is 1 stands in
        equations[0] = np.arange(size) < len(self.nodes)
        after_tick = linalg.solve(equations, np.eye(size)[0])
        return self._between_ticks(after_tick, rate_rps, period_s)[1]

    def _generator(self, rate_rps: float) -> sparse.csr_array:
        return sparse.csr_array(rate_rps * self._accepted + self._others)

    def _between_ticks(self, law: FloatArray, rate_rps: float, duration_s: float) -> tuple[FloatArray, Totals]:
        """The law after a time without ticks at one arrival rate, and what is counted in it."""
        after, integral = evolve(law, self._generator(rate_rps), duration_s)
        full_s, *rest_s = (integral @ self._counted).tolist()
        return after, Totals(duration_s, rate_rps * duration_s, rate_rps * full_s, *rest_s)


def desired_count(deployment: Deployment, signal: int) -> int:
    per_replica = deployment.max_concurrent_requests * deployment.target_utilization_percent
    unclamped = -(-100 * signal // per_replica)
    return min(max(unclamped, deployment.min_replicas), deployment.max_replicas)


def new_count(state: Ordered | Counts, desired: int, floor: int) -> int:
    """Starting and ready replicas after a tick; floor is the largest desired count of the window."""
    current = state.ready + state.starting
    return desired if desired > current else min(current, floor)


def scale_down_delay_s(deployment: Deployment) -> float:
    if deployment.scale_down_delay_s is None:
        return 60.0 if deployment.api is Api.V1 else V2_SCALE_DOWN_TICKS * deployment.refresh_period_s
    return deployment.scale_down_delay_s


def window_ticks(deployment: Deployment) -> int:
    """How many ticks lie in (t - delay, t], the current one included."""
    ticks = 1
    while ticks * deployment.refresh_period_s < scale_down_delay_s(deployment):
        ticks += 1
    return ticks


def tick_times_s(deployment: Deployment, end_s: float) -> list[float]:
    """The ticks up to end_s, which may be one."""
    return [k * deployment.refresh_period_s for k in range(1, math.floor(end_s / deployment.refresh_period_s) + 1)]


def evolve(law: FloatArray, generator: sparse.csr_array, duration_s: float) -> tuple[FloatArray, FloatArray]:
    """p expm(Q t), and the integral of p expm(Q s) over s from 0 to t; rows of Q may sum to less than 0."""
    rate = float(-generator.diagonal().min())
    if rate == 0:
        return law, law * duration_s
    mean = rate * duration_s
    jumps = np.arange(int(mean + 10 * math.sqrt(mean) + 40))  # a Poisson number exceeds it with chance below 1e-16
    probabilities = np.exp(special.xlogy(jumps, mean) - mean - special.gammaln(jumps + 1))
    exceeded = special.pdtrc(jumps, mean)
    transposed = (generator / rate).T.tocsr()
    after, integral = np.zeros_like(law), np.zeros_like(law)
    for probability, more in zip(probabilities, exceeded, strict=True):
        after += probability * law
        integral += more / rate * law
        law = law + transposed @ law
    return after, integral


def _matrix(moves: list[Move], n: int) -> sparse.csr_array:
    rows, columns, values = np.array([move for move in moves if move[1] is not None]).reshape(-1, 3).T
    return sparse.csr_array((values, (rows.astype(np.int64), columns.astype(np.int64))), shape=(n, n))


def _generator(moves: list[Move], n: int) -> sparse.csr_array:
    leaving = [(i, i, -rate) for i, _, rate in moves]
    return _matrix([*moves, *leaving], n)


def _check(deployment: Deployment, by_counts: bool) -> None:
    """Refuse what the chain is not about."""
    is_covered = (
        deployment.autoscaler is Autoscaler.AZUREML_FE
        and deployment.max_request_wait_s == 0
        and deployment.dispatch is DispatchRule.FEWEST_REQUESTS
        and deployment.utilization_window_s == 0
        and deployment.router_overhead_s == 0
        and deployment.slot_busy_after_504
        and deployment.worker_busy_after_504
        and deployment.scale_down_rule is ScaleDownRule.WINDOW_MAX
        and deployment.scale_step is ScaleStep.JUMP
        and deployment.utilization_over is UtilizationOver.CURRENT
    )
    if not is_covered:
        raise ValueError(f"no chain for {deployment}")
    if by_counts and deployment.max_concurrent_requests > deployment.worker_count:
        raise ValueError("by counts only where every request held is worked on")
