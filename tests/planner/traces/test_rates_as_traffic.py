"""A recorded rate over time as the traffic of a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.arrivals import Renewal
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load, save_copy
from planner.scenario_file.worlds import in_world
from planner.workload import arrival_times
from tests.planner.scenario_documents import TEXT, loaded, written

RATES = "Time,requests/s\n" + "".join(f"2026-11-22 10:0{i}:00,{rps}\n" for i, rps in enumerate((20, 0, 50, 10)))


def with_rates(folder: Path, **chosen: Any) -> Scenario:
    (folder / "rates.csv").write_text(RATES)
    duration = chosen.pop("duration", None)
    return loaded(folder, traffic={"arrivals": {"trace": {"file": "rates.csv"} | chosen}}, duration=duration)


def renewal(scenario: Scenario) -> Renewal:
    assert isinstance(scenario.arrivals, Renewal)
    return scenario.arrivals


def test_requests_are_drawn_as_poisson_in_each_step(tmp_path: Path) -> None:
    """Counts of 400 runs per step: the mean is within 4 standard errors (p 6e-5), the variance within 4 of its own."""
    scenario = with_rates(tmp_path)
    assert scenario.duration_s == 240.0
    assert renewal(scenario).cv == 1.0
    edges = np.array([0.0, 60, 120, 180, 240])
    counts = np.array([np.histogram(arrival_times(scenario, run), edges)[0] for run in range(400)])
    expected = np.array([1200.0, 0, 3000, 600])
    assert np.all(np.abs(counts.mean(axis=0) - expected) <= 4 * np.sqrt(expected / 400))
    busy = expected > 0
    ratio = counts.var(axis=0, ddof=1)[busy] / expected[busy]
    assert np.all(np.abs(ratio - 1) < 4 * np.sqrt(2 / 399))


def test_what_is_assumed_is_said(tmp_path: Path) -> None:
    warning = with_rates(tmp_path).warnings[-1]
    assert warning.endswith(
        "rates.csv has rates per 60 s, played as Poisson arrivals within each step (`arrivals` sets it): "
        "bursts shorter than a step are not in it"
    )
    gamma = with_rates(tmp_path, arrivals={"gamma": {"cv": 3}})
    assert renewal(gamma).cv == 3.0
    assert "played as gamma with CV 3 arrivals" in gamma.warnings[-1]
    regular = with_rates(tmp_path, arrivals="regular", **{"for": "1m"})
    assert np.allclose(arrival_times(regular, 0), np.arange(1, 1200) / 20)
    assert renewal(gamma).describe() == (
        "gamma with CV 3, 0 to 50 requests per second (rates.csv from 2026-11-22 10:00:00+00:00)"
    )


def test_a_slice_of_rates_faster_and_larger(tmp_path: Path) -> None:
    scenario = with_rates(tmp_path, **{"from": "10:01:30", "for": "2m", "time_scale": 0.5, "rate_scale": 3})
    profile = renewal(scenario).profile
    assert scenario.duration_s == 60.0
    assert profile.time_s.tolist() == [0.0, 15.0, 45.0, 60.0]
    assert profile.left_rps.tolist() == [0.0, 300.0, 60.0]
    assert profile.edge_count[-1] == 3 * (60 * 50 + 30 * 10)
    cut = with_rates(tmp_path, duration="90s")
    assert renewal(cut).profile.time_s.tolist() == [0.0, 60.0, 90.0]
    with pytest.raises(InputError, match=r"the rate of rates.csv is 0 in this slice"):
        with_rates(tmp_path, **{"from": "1m", "for": "1m"})
    with pytest.raises(InputError, match=r"trace.from = 11:00, outside the trace"):
        with_rates(tmp_path, **{"from": "11:00"})
    with pytest.raises(InputError, match=r"no rate of rates.csv falls into this slice"):
        with_rates(tmp_path, **{"from": "5m"})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"path": "/score"}, "holds rates over time, so `path`, `method` and `status` can choose none"),
        ({"spread": "even"}, "trace.spread = even, but rates.csv has rates, of which requests are drawn"),
        ({"arrivals": "bursty"}, "trace.arrivals = bursty, must be regular or poisson"),
        ({"arrivals": 3}, "trace.arrivals = 3, must be regular, poisson or {gamma: {cv: 3}}"),
        ({"arrivals": {"gamma": {}}}, "trace.arrivals.gamma.cv"),
    ],
)
def test_what_means_nothing_for_rates_is_refused(tmp_path: Path, chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        with_rates(tmp_path, **chosen)
    assert len(raised.value.problems) == 1
    assert message in raised.value.problems[0]


def test_requests_and_counts_come_when_they_say(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("time_s,requests\n0,3\n1,2\n")
    trace = {"file": "c.csv", "arrivals": "regular"}
    with pytest.raises(InputError, match=r"trace.arrivals = regular, but c.csv has no rates"):
        loaded(tmp_path, traffic={"arrivals": {"trace": trace}}, duration=None)


def test_rates_say_nothing_of_a_request(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(RATES)
    with pytest.raises(InputError, match="service_time = trace, needs single requests, but the trace has rates"):
        loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "rates.csv"}}}, duration=None, service_time="trace")


def test_rates_replace_the_traffic_by_an_option_and_are_copied_with_the_scenario(tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text(RATES)
    scenario = load(written(tmp_path, TEXT), {"trace.file": str(rates), "trace.arrivals": "regular"})
    assert renewal(scenario).cv == 0.0
    again = load(save_copy(scenario, tmp_path / "run"))
    assert np.array_equal(arrival_times(scenario, 0), arrival_times(again, 0))
    assert len(renewal(scenario).file_sha256) == 64


def test_an_uncertain_rate_scale_scales_the_rates(tmp_path: Path) -> None:
    scenario = with_rates(tmp_path, rate_scale={"low": 0.5, "mid": 1, "high": 2})
    (given,) = scenario.uncertain
    assert (given.low, given.mid, given.high) == pytest.approx((10, 20, 40))
    high = in_world(scenario, {"rate": 1.0})
    assert renewal(high).profile.left_rps.tolist() == [40.0, 0.0, 100.0, 20.0]
