"""A run folder whose observed part is another simulation, with the timing noise of a real machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from loadtest.replay.books import balance
from loadtest.replay.statistics import generator, observed
from loadtest.runfolder import RunFolder, provenance
from loadtest.schedule import build_schedule, write_schedule
from planner.model import Outcome, RequestLog
from planner.records import write_replicas, write_requests
from planner.scenario import Scenario
from planner.scenario_file import save_copy
from planner.sim.engine import simulate_requests
from planner.workload import cold_starts
from tests.loadtest.observed_log import observed_log


def write_run(
    path: Path,
    scenario: Scenario,
    *,
    world: Scenario | None = None,
    number: int = 0,
    late_s: float = 0.0,
    tick_offset_s: float | None = None,
) -> RunFolder:
    """Replay `scenario` against an endpoint that behaves like `world` (default: the scenario) with its own draws.

    tick_offset_s: the endpoint's ticks fall there and it does not say so; None: the run starts on a tick.
    """
    path.mkdir(parents=True)
    folder = RunFolder(path)
    save_copy(scenario, path)
    schedule = build_schedule(scenario)
    write_schedule(folder.schedule, schedule)
    noise = np.random.default_rng(number)
    n = len(schedule)
    end_s = np.nextafter(scenario.duration_s, 0)
    sent_s = np.minimum(schedule.scheduled_s + noise.exponential(0.0005, n) + late_s, end_s)
    order = np.argsort(sent_s, kind="stable")
    overhead_s = 0.001 + noise.gamma(2.0, 0.0015, n)
    actual = world or scenario
    result = simulate_requests(
        replace(actual, deployment=replace(actual.deployment, router_overhead_s=0.0)),
        [sent_s[order]],
        iter([schedule.service_time_s[order] + overhead_s[order]]),
        cold_starts(actual, 10_000 + number),
        with_log=True,
        tick_offset_s=tick_offset_s or 0.0,
    )
    assert result.requests is not None
    assert result.replicas is not None
    seen = _unsorted(result.requests, order, schedule.scheduled_s, schedule.service_time_s)
    write_requests(folder.requests, seen)
    write_replicas(folder.replicas, result.replicas)
    run = observed_log(seen, planned_service_time_s=schedule.service_time_s)
    folder.write_summary(
        {
            "ended": "complete",
            "warnings": [],
            "provenance": provenance(scenario.seed),
            "message": None,
            "aligned_to_tick": tick_offset_s is None,
            "endpoint": {"is_lab": True},
            "books": balance(schedule, seen),
            "generator": generator(seen),
            "observed": observed(run, warm_up_s=scenario.warm_up_s, duration_s=scenario.duration_s),
        }
    )
    return folder


def _unsorted(log: RequestLog, order: np.ndarray, scheduled_s: np.ndarray, service_s: np.ndarray) -> RequestLog:  # type: ignore[type-arg]
    back = np.argsort(order)
    served = log.outcome[back] == Outcome.OK
    return replace(
        log,
        scheduled_s=scheduled_s,
        sent_s=log.sent_s[back],
        start_s=log.start_s[back],
        finish_s=log.finish_s[back],
        service_time_s=np.where(served, service_s, np.nan),
        outcome=log.outcome[back],
        replica=log.replica[back],
        cause=log.cause[back],
    )
