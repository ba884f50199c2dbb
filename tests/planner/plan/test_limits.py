"""Why nothing keeps the promise: the limit that binds, with numbers and no invented setting."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from planner.arrivals import Recorded
from planner.model import Slo
from planner.plan.answer import PlanWord, recommended
from planner.plan.document import plan_document
from planner.plan.limits import Limit, binding, service_time_alone
from planner.plan.search import Found
from planner.plan.space import Ranges
from planner.scenario import Scenario
from planner.service import Deterministic, Exponential, FromTrace, Lognormal
from planner.sim.replications import SERIAL
from tests.planner.plan.plan_cases import fixed, scenario, search, steps


def plan(found: Found) -> dict[str, Any]:
    return plan_document(found, binding(found, SERIAL), price_per_replica_hour=None, slo_is_assumed=False)


def infeasible(of: Scenario, slo: Slo, ranges: Ranges) -> dict[str, Any]:
    found = search(dataclasses.replace(of, slo=slo), slo, ranges)
    assert found.is_hopeless
    assert recommended(found) == (PlanWord.INFEASIBLE, None)
    document = plan(found)
    assert (document["verdict"], document["recommended"]) == ("infeasible", None)
    assert document["reasons"]
    assert all(any(c.isdigit() for c in reason) for reason in document["reasons"])
    assert document["probability_near_cheapest"] is None
    assert document["neighbours"] == []
    assert document["map"] is None or document["map"]["autoscale_max_replicas"] > 0
    assert len(document["rejected"]) == document["search"]["settings"]
    return document


TIGHT, LAX = Slo(max_fraction_503=0.01), Slo(max_fraction_503=0.1)


@pytest.mark.parametrize("of", [scenario(), fixed()], ids=["autoscaled", "fixed"])
def test_too_few_replicas_are_allowed(of: Scenario) -> None:
    said = infeasible(of, TIGHT, Ranges(max_replicas=(1, 2)))
    assert said["binding_limit"] == "max_replicas"
    assert said["reasons"][0].startswith("with all 2 replicas from the start: fraction of 503s ")
    assert said["reasons"][0].endswith("promised at most 1 %: broken")


def test_the_service_time_is_above_the_promised_latency() -> None:
    slo = Slo(max_fraction_503=0.5, p99_latency_s=0.5)
    said = infeasible(fixed(service_time=Deterministic(0.6)), slo, Ranges(max_replicas=(4, 8, 12)))
    assert said["binding_limit"] == "service_time"
    assert said["reasons"] == [
        "the service time alone is above the promised p99 latency of 0.5 s for 100 % of the answers; "
        "no number of replicas changes that"
    ]


def test_the_cold_start_stands_in_the_way() -> None:
    """A spike for which replicas start too late, and a minimum that may not be raised."""
    of = scenario(steps((10.0, 1.0), (10.0, 20.0), (10.0, 1.0)), cold_start=Deterministic(30.0))
    said = infeasible(of, Slo(max_fraction_503=0.05), Ranges(min_replicas=(1, 2), max_replicas=(15, 20)))
    assert said["binding_limit"] == "cold_start"
    assert "no cold start (here 30 s in the mean) it would be kept: fraction of 503s" in said["reasons"][0]


def test_neither_alone_stands_in_the_way() -> None:
    """One tick in 10 s: even replicas without a cold start come too late, and enough from the start may not be."""
    of = scenario(steps((10.5, 1.0), (8.0, 20.0), (10.0, 1.0)), cold_start=Deterministic(30.0), refresh_period_s=10.0)
    said = infeasible(of, Slo(max_fraction_503=0.05), Ranges(min_replicas=(1, 2), max_replicas=(20,)))
    assert said["binding_limit"] is None
    assert said["reasons"][0] == "20 replicas from the start would keep it, but min_instances may not be so high"
    assert "even without cold starts: fraction of 503s" in said["reasons"][1]


def test_enough_replicas_are_no_limit() -> None:
    found = search(fixed(), TIGHT, Ranges(max_replicas=(4, 6, 8)))
    assert not found.is_hopeless
    assert recommended(found)[0] is PlanWord.FEASIBLE


# The service time alone


def sentence(bound_s: float | None, slo: Slo = LAX, **changes: Any) -> str | None:
    proved = service_time_alone(fixed(**changes), dataclasses.replace(slo, p99_latency_s=bound_s))
    return None if proved is None else proved.reasons[0]


def test_which_service_times_are_too_long() -> None:
    """An exponential of mean 0.4 s has its p99 at 1.842 s: 0.95 % are above 1.863 s, 1.2 % above 1.769 s."""
    assert sentence(1.863, service_time=Exponential(0.4)) is None
    said = sentence(1.769, service_time=Exponential(0.4))
    assert said is not None
    assert "for 1.2 % of the answers" in said
    assert sentence(0.9, service_time=Lognormal(0.4, 0.2)) is None
    assert sentence(0.5, service_time=Lognormal(0.4, 0.2)) is not None
    assert service_time_alone(fixed(service_time=Deterministic(9.0)), Slo(max_fraction_503=0.1)) is None


def test_the_router_adds_to_it() -> None:
    assert sentence(0.5, service_time=Deterministic(0.4)) is None
    assert sentence(0.5, service_time=Deterministic(0.4), router_overhead_s=0.2) is not None


def test_what_times_out_is_slower_than_any_bound() -> None:
    """Of an exponential of mean 0.4 s 2.35 % are above a timeout of 1.5 s, of which the slo leaves 10 % unbounded."""
    assert sentence(None, service_time=Exponential(0.4), scoring_timeout_s=1.5) is None
    said = sentence(5.0, service_time=Exponential(0.4), scoring_timeout_s=1.5)
    assert said is not None
    assert "above the scoring timeout of 1.5 s" in said
    assert "2.35 % of the answers" in said


@pytest.mark.parametrize(
    ("slo", "is_proved"),
    [
        (Slo(max_fraction_503=0.02), True),  # 2.35 % x 0.98 of 504s are more than 1.1 x 2 %
        (Slo(max_fraction_503=0.021), False),  # not clearly more
        (Slo(max_fraction_503=0.01, ignores_504=True), False),
        (Slo(max_fraction_503=0.01, max_fraction_504=0.03), False),
        (Slo(max_fraction_503=0.3, max_fraction_504=0.01), True),
        (Slo(max_fraction_503=0.6, max_fraction_504=0.01), False),  # enough 503s, and few are left to time out
        (Slo(max_fraction_failed=0.02), True),
        (Slo(max_fraction_failed=0.03), False),
    ],
)
def test_more_504s_than_promised_are_certain(slo: Slo, is_proved: bool) -> None:
    """An exponential of mean 0.4 s is above 1.5 s in 2.35 %."""
    proved = service_time_alone(fixed(service_time=Exponential(0.4), scoring_timeout_s=1.5), slo)
    assert (proved is not None) is is_proved
    if proved is not None:
        assert proved.limit is Limit.SCORING_TIMEOUT
        assert "2.35 % of the service times are above the scoring timeout of 1.5 s" in proved.reasons[0]


def test_the_times_of_a_trace_are_taken_as_they_are() -> None:
    times = np.linspace(0, 50, 200)
    for count, is_too_many in ((2, False), (4, True)):
        service = FromTrace(np.repeat([2.0, 0.1], [count, 200 - count]), "a trace")
        of = scenario(Recorded(times, 60.0), duration_s=60.0, service_time=service)
        said = service_time_alone(of, Slo(max_fraction_503=0.1, p99_latency_s=1.0))
        assert (said is not None) is is_too_many


def test_the_names_of_the_limits_are_those_of_the_document() -> None:
    assert [str(limit) for limit in Limit] == ["max_replicas", "cold_start", "service_time", "scoring_timeout"]
