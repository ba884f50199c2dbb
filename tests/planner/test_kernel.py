"""The compiled simulator agrees with the slow reference simulator, request for request and tick for tick.

The reference shares no code with it. Half of the cases lie on a lattice of dyadic times, so that every tie happens:
continuous times hid the errors in the order of events that lattice times show.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from planner.arrivals import Renewal
from planner.rates import RateProfile
from planner.scenario import Scenario
from planner.service import Deterministic
from planner.sim.engine import ReplicateResult, simulate_requests
from tests.reference.cases import Case, cases
from tests.reference.records import ReferenceResult
from tests.reference.simulator import simulate

PLAIN = os.environ.get("NUMBA_DISABLE_JIT") == "1"
"""Not compiled: arrays then check their indices."""

EXAMPLES = 60 if PLAIN else 200
THOUSANDS = 3_000
"""Of each kind, in `make verify`."""

relaxed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def run_kernel(case: Case, *, with_log: bool = True, block: int | None = None) -> ReplicateResult:
    scenario = Scenario(
        name="case",
        shows="",
        duration_s=case.duration_s,
        warm_up_s=min(case.warm_up_s, np.nextafter(case.duration_s, 0)),
        arrivals=Renewal(RateProfile.constant(1.0, case.duration_s)),
        service_time=Deterministic(1.0),
        deployment=case.deployment,
        cold_start=Deterministic(0.0),
    )
    arrivals = np.array(case.arrivals_s)
    size = block or max(1, len(arrivals))
    return simulate_requests(
        scenario,
        [arrivals[i : i + size] for i in range(0, len(arrivals), size)],
        iter([np.array(case.service_times_s)]),
        iter([np.array(case.cold_starts_s)]),
        with_log=with_log,
    )


def assert_same_requests(result: ReplicateResult, expected: ReferenceResult) -> None:
    log = result.requests
    assert log is not None
    np.testing.assert_array_equal(log.outcome, np.array(expected.outcome, dtype=np.int64))
    np.testing.assert_array_equal(log.replica, np.array(expected.replica, dtype=np.int64))
    np.testing.assert_array_equal(log.cause, np.array(expected.cause, dtype=np.int64))
    np.testing.assert_array_equal(log.start_s, np.array(expected.dispatch_s, dtype=float))
    np.testing.assert_array_equal(log.finish_s, np.array(expected.finish_s, dtype=float))


def assert_same_replicas(case: Case, result: ReplicateResult, expected: ReferenceResult) -> None:
    log = result.replicas
    assert log is not None
    rows = list(zip(log.time_s, log.desired, log.ready, log.starting, log.busy, log.queued, strict=True))
    assert [tuple(map(float, row)) for row in rows] == [tuple(map(float, row)) for row in expected.replica_rows]
    # Sums in another order differ by rounding.
    assert result.paid_s == pytest.approx(expected.paid_s, abs=1e-9)
    if case.warm_up_s < case.duration_s:
        assert result.ready_s == pytest.approx(expected.ready_s, abs=1e-9)


def assert_same_as_the_reference(case: Case) -> None:
    expected = simulate(case.deployment, **case.arguments)
    result = run_kernel(case)
    assert_same_requests(result, expected)
    assert_same_replicas(case, result, expected)


@given(case=cases(lattice=True))
@relaxed
def test_same_as_the_reference_on_a_lattice(case: Case) -> None:
    assert_same_as_the_reference(case)


@given(case=cases(lattice=False))
@relaxed
def test_same_as_the_reference_at_any_times(case: Case) -> None:
    assert_same_as_the_reference(case)


@pytest.mark.verify
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("lattice", [True, False], ids=["lattice", "any times"])
def test_same_as_the_reference_on_thousands_of_cases(lattice: bool) -> None:
    done = 0

    @given(case=cases(lattice=lattice))
    @settings(relaxed, max_examples=THOUSANDS)
    def is_same(case: Case) -> None:
        nonlocal done
        assert_same_as_the_reference(case)
        done += 1

    is_same()
    assert done >= THOUSANDS


@given(case=cases(lattice=True))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_blocks_change_nothing(case: Case) -> None:
    whole = run_kernel(case, with_log=False)
    parts = run_kernel(case, with_log=False, block=1)
    for name in (
        "outcomes",
        "causes",
        "latency_bucket",
        "latency_count",
        "bin_requests",
        "bin_503",
        "bin_ready",
        "bin_desired",
    ):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    assert (whole.ready_s, whole.paid_s) == (parts.ready_s, parts.paid_s)


@pytest.mark.skipif(PLAIN, reason="this is the process that the test starts")
def test_the_uncompiled_functions_agree_and_stay_within_their_arrays() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "on_a_lattice"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout
