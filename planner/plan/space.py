"""The settings among which a plan chooses, and what is proved of them before any is simulated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.arrivals import MarkovModulatedPoisson, Recorded, Renewal
from planner.errors import InputError
from planner.model import MOST_REPLICAS, Autoscaler, Slo
from planner.plan.settings import Setting
from planner.promise import largest_503
from planner.queueing import slots_for_general_service
from planner.scenario import Scenario

TARGETS_PERCENT = tuple(range(30, 101, 5))
"""Searched unless told otherwise."""

MAX_STEPS = 12
"""Values of max_replicas between the fewest that could do and the most that could be of use, unless told otherwise."""

MIN_STEPS = 60
"""The same for min_replicas, from 1 on."""

ROOM = 1.3
"""The most replicas searched, over those that the busiest traffic would need if it lasted for ever."""

MOST_SETTINGS = 200_000

LARGEST_CV = 2.0
"""Of the service times in the formula that only says where to look."""


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """What a user wants searched, each None for the planner's own choice; shape (values,), increasing."""

    min_replicas: tuple[int, ...] | None = None
    max_replicas: tuple[int, ...] | None = None
    target_percent: tuple[int, ...] | None = None
    max_concurrent: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Space:
    """settings: all candidates, sorted. likely: replicas that theory takes to be enough for the busiest traffic."""

    settings: tuple[Setting, ...]
    likely: int
    most_replicas: int
    """The largest count that any of the settings allows."""
    is_limited: bool
    """The user has said what the most is: by a range, or in the scenario file."""
    file_limit: int | None = None
    """The most that the scenario file allows, where no range says otherwise and the search would go at least so far."""


def space_of(scenario: Scenario, slo: Slo, ranges: Ranges, room: float = ROOM) -> Space:
    """All settings within the ranges. Raises InputError where none is, or far too many are.

    room: the most replicas, where the ranges do not say it, over what Poisson arrivals would need. A maximum that the
    scenario file sets is a limit, unless the ranges say it.
    """
    sizes = ranges.max_concurrent or (scenario.deployment.max_concurrent_requests,)
    settings: set[Setting] = set()
    likely = 1
    for size in sizes:
        found, needed = _of_one_size(scenario, slo, ranges, size, room)
        settings.update(found)
        likely = max(likely, needed)
        if len(settings) > MOST_SETTINGS:
            raise too_many()
    if not settings:
        raise _no_setting(scenario, ranges)
    most = max(s.max_replicas for s in settings)
    limit = _file_limit(scenario, ranges)
    return Space(
        settings=tuple(sorted(settings)),
        likely=likely,
        most_replicas=most,
        is_limited=ranges.max_replicas is not None or limit == most,
        file_limit=limit if limit == most else None,
    )


def _file_limit(scenario: Scenario, ranges: Ranges) -> int | None:
    return scenario.replica_limit if ranges.max_replicas is None else None


def _no_setting(scenario: Scenario, ranges: Ranges) -> InputError:
    above = "each autoscale_max_replicas"
    if (limit := _file_limit(scenario, ranges)) is not None:
        above = f"the scenario's maximum of {limit} (--autoscale-max-replicas lifts it)"
    return InputError(f"the ranges hold no setting: each autoscale_min_replicas is above {above}")


def among(scenario: Scenario, slo: Slo, settings: Sequence[Setting]) -> Space:
    """Given settings, and no others."""
    at_work = min(min(s.max_concurrent, s.worker_count) for s in settings)
    return Space(
        settings=tuple(sorted(set(settings))),
        likely=_needed(scenario, slo, at_work),
        most_replicas=max(s.max_replicas for s in settings),
        is_limited=True,
    )


def busiest_rps(scenario: Scenario) -> float:
    """The largest arrival rate: of a profile or an MMPP its highest, of a trace that of its busiest short window."""
    arrivals = scenario.arrivals
    if isinstance(arrivals, Renewal):
        return float(max(arrivals.profile.left_rps.max(), arrivals.profile.right_rps.max()))
    if isinstance(arrivals, MarkovModulatedPoisson):
        return float(np.max(arrivals.rates_rps))
    assert isinstance(arrivals, Recorded)
    window_s = max(1.0, scenario.service_time.mean_s + scenario.deployment.max_request_wait_s)
    first = np.searchsorted(arrivals.times_s, arrivals.times_s - window_s, side="right")
    return float((np.arange(len(arrivals.times_s)) - first + 1).max() / window_s)


def _of_one_size(scenario: Scenario, slo: Slo, ranges: Ranges, size: int, room: float) -> tuple[list[Setting], int]:
    deployment = scenario.deployment
    workers = deployment.worker_count if ranges.max_concurrent is None else size
    at_work = min(size, workers)
    needed = _needed(scenario, slo, at_work)
    limit = _file_limit(scenario, ranges) or MOST_REPLICAS
    most = min(limit, math.ceil(room * needed) + 2)
    fewest = max(1, min(most, math.floor(0.5 * _mean_load(scenario) / at_work)))
    if deployment.autoscaler is Autoscaler.FIXED:
        counts = ranges.max_replicas or tuple(range(1, most + 1))
        return [Setting(c, c, deployment.target_utilization_percent, size, workers) for c in counts], needed
    maxima = ranges.max_replicas or _spread(fewest, most, MAX_STEPS)
    minima = ranges.min_replicas or _spread(1, maxima[-1], MIN_STEPS)
    targets = ranges.target_percent or TARGETS_PERCENT
    if len(maxima) * len(minima) * len(targets) > 2 * MOST_SETTINGS:  # half of them may have min above max
        raise too_many()
    scaled = [(low, high, target) for low in minima for high in maxima if low < high for target in targets]
    # With min = max the target changes nothing: the scenario's own stays.
    static = [
        (count, count, deployment.target_utilization_percent)
        for count in sorted({*minima, *maxima})
        if count <= limit and _is_static(count, ranges)
    ]
    return [Setting(*three, size, workers) for three in (*scaled, *static)], needed


def _is_static(count: int, ranges: Ranges) -> bool:
    """Whether min = max = count lies within the ranges."""
    return all(values is None or count in values for values in (ranges.min_replicas, ranges.max_replicas))


def too_many() -> InputError:
    return InputError(
        f"the ranges hold more than {MOST_SETTINGS:,} settings, which is not supported: narrow one, or give it a step "
        "(50..90:5)"
    )


def _mean_load(scenario: Scenario) -> float:
    service_s = scenario.service_time.mean_s + scenario.deployment.router_overhead_s
    return scenario.arrivals.expected_count / scenario.duration_s * service_s


def _needed(scenario: Scenario, slo: Slo, at_work: int) -> int:
    """Replicas that keep a tenth of the promised fraction in the busiest traffic, as if that lasted for ever."""
    service_s = scenario.service_time.mean_s + scenario.deployment.router_overhead_s
    rate_rps = busiest_rps(scenario)
    if service_s <= 0 or rate_rps <= 0:
        return 1
    cv = min(scenario.service_time.cv, LARGEST_CV)
    slots = slots_for_general_service(
        largest_503(slo) / 10, rate_rps, service_s, cv, scenario.deployment.max_request_wait_s
    )
    return max(1, -(-slots // at_work))


def _spread(low: int, high: int, most: int) -> tuple[int, ...]:
    """Every integer from low to high, or about `most` of them at equal ratios."""
    high = max(low, high)
    if high - low < most:
        return tuple(range(low, high + 1))
    return tuple(sorted({round(value) for value in np.geomspace(low, high, most).tolist()}))
