"""Plans of scenarios in which nothing is random: one run is enough, and its numbers are exact."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from planner.cli.planning import Wanted, make_plan
from planner.cli.simulation import simulate
from planner.model import Slo
from planner.plan.confirmation import confirm
from planner.plan.pool import Pool
from planner.plan.settings import Setting
from planner.plan.space import Ranges
from planner.scenario import Scenario
from planner.scenario_file import load
from planner.scenario_file.what_if import what_if
from planner.sim.engine import simulate_replicate
from planner.sim.replications import SERIAL

REGULAR = """
name: regular
duration: 60s
traffic: {arrivals: regular, rps: 20}
service_time: 400ms
cold_start: COLD
deployment: {autoscale_max_replicas: 12}
slo: {max_503: 2%, runs: 95%, p99_latency: 1s}
"""
RANDOM_COLD = "{distribution: lognormal, mean: 5s, cv: 0.5}"
FEW = Ranges(min_replicas=(1, 8, 10), max_replicas=(10, 12), target_percent=(50, 90))


def regular(folder: Path, cold_start: str = "5s", slo: str | None = None) -> Scenario:
    path = folder / "regular.yaml"
    text = REGULAR.replace("COLD", cold_start)
    path.write_text(text if slo is None else text.replace("slo: {max_503: 2%, runs: 95%, p99_latency: 1s}", slo))
    return load(path)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(ranges=FEW, cores=1),
        Wanted(ranges=FEW, exhaustive_runs=7, cores=1),
        Wanted(as_is=True, exhaustive_runs=7, cores=1),
    ],
    ids=["search", "exhaustive", "as is"],
)
def test_a_plan_of_regular_traffic_simulates_each_setting_once(tmp_path: Path, wanted: Wanted) -> None:
    document = make_plan(regular(tmp_path), wanted)
    assert document["search"]["replications"] == document["search"]["simulated"]
    assert document["search"]["fresh_replications"] <= 1
    for row in [*document["neighbours"], *document["frontier"]]:
        assert row["replications"] == 1
        assert _is_point(row["fraction_503"])


def test_the_cheapest_is_that_of_looking_at_every_setting(tmp_path: Path) -> None:
    scenario = regular(tmp_path)
    document = make_plan(scenario, Wanted(ranges=FEW, cores=1))
    one_by_one = make_plan(scenario, Wanted(ranges=FEW, exhaustive_runs=2, cores=1))
    assert document["verdict"] == "feasible"
    assert document["recommended"]["replica_hours"] == one_by_one["recommended"]["replica_hours"]
    assert all(_is_point(document["recommended"][name]) for name in ("fraction_503", "replica_hours", "latency_p99_s"))
    assert document["same_in_every_run"].startswith("Nothing here is random (regular arrivals, constant service times")


def test_a_promise_that_every_run_breaks_is_infeasible(tmp_path: Path) -> None:
    scenario = regular(tmp_path, slo="slo: {max_503: 0.001%, p99_latency: 401ms}")
    document = make_plan(scenario, Wanted(ranges=Ranges(max_replicas=(1, 2, 3)), cores=1))
    assert (document["verdict"], document["binding_limit"]) == ("infeasible", "max_replicas")
    assert all(row["verdict"] == "fail" for row in document["frontier"])


def test_a_fraction_that_is_the_bound_itself_keeps_it(tmp_path: Path) -> None:
    """0.29 x 100 is 28.999999999999996: both parts of the promise divide instead."""
    scenario = regular(tmp_path)
    n_503, n = (lambda r: (r.n_503, r.n))(simulate_replicate(scenario, 0))
    slo = Slo(max_fraction_503=n_503 / n, min_fraction_of_runs=0.95)
    scenario = dataclasses.replace(scenario, slo=slo)
    assert confirm(scenario, slo, Setting.of(scenario.deployment), SERIAL, attempt=0, advance=lambda: None).holds


def test_settings_that_scale_are_random_where_cold_starts_are(tmp_path: Path) -> None:
    scenario = regular(tmp_path, RANDOM_COLD)
    assert scenario.slo is not None
    pool = Pool(scenario, scenario.slo, SERIAL, lambda: None)
    static, scaled = Setting(10, 10, 70), Setting(1, 12, 70)
    pool.extend([(static, 5), (scaled, 5)])
    assert (pool.count(static), pool.count(scaled), pool.replications) == (1, 5, 6)
    assert pool.has(static, 1000)
    assert not pool.has(scaled, 6)


def test_simulate_makes_one_run_and_says_why(tmp_path: Path) -> None:
    said = simulate(regular(tmp_path), cores=1)
    assert said["replications"] == 1
    assert said["same_in_every_run"] is not None
    assert all(_is_point(said[name]) for name in ("fraction_503", "fraction_504", "latency_p99_s", "mean_replicas"))
    assert simulate(regular(tmp_path, RANDOM_COLD), 3, cores=1)["same_in_every_run"] is None


def test_a_random_what_if_beside_an_exact_run_has_all_its_replications(tmp_path: Path) -> None:
    scenario = regular(tmp_path)
    others = [
        what_if(scenario, "traffic.arrivals=poisson"), what_if(scenario, "autoscale_max_replicas=10"),
    ]  # fmt: skip
    said = simulate(scenario, 40, what_ifs=others, cores=1)
    poisson, fewer = said["what_if"]
    assert poisson["difference"]["replications"] == poisson["fraction_503"]["replications"] == 40
    assert poisson["difference"]["low"] < poisson["difference"]["value"] < poisson["difference"]["high"]
    assert poisson["difference"]["value"] == pytest.approx(
        poisson["fraction_503"]["value"] - said["fraction_503"]["value"]
    )
    assert fewer["difference"]["replications"] == 1
    assert _is_point(fewer["difference"])


def test_precision_is_reached_by_one_run(tmp_path: Path) -> None:
    said = simulate(regular(tmp_path), precision=0.01, cores=1)
    assert said["precision"] == {"target": 0.01, "half_width": 0.0, "stopped_by": "precision"}


def _is_point(estimate: dict[str, Any]) -> bool:
    return bool(estimate.get("exact") and estimate["low"] == estimate["value"] == estimate["high"])
