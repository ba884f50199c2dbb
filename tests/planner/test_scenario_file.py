"""Every form of a scenario file that is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from planner.arrivals import MarkovModulatedPoisson, Recorded, Renewal
from planner.model import (
    Api,
    Autoscaler,
    DispatchRule,
    ScaleDownRule,
    ScaleStep,
    ScoringTimeoutFrom,
    UtilizationOver,
    WhenNoReplica,
)
from planner.scenario_file import json_schema, load
from planner.service import Deterministic, Empirical, Exponential, FromTrace, Gamma, Lognormal
from planner.workload import arrival_times
from tests.planner.scenario_documents import TEXT, document, loaded, trace_traffic, with_trace, written


def test_the_documented_example(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, TEXT))
    assert scenario.name == "launch-spike"
    assert (scenario.duration_s, scenario.warm_up_s, scenario.seed) == (1200.0, 0.0, 20261122)
    assert isinstance(scenario.arrivals, Renewal)
    assert scenario.arrivals.cv == 1
    assert scenario.arrivals.profile.time_s.tolist() == [0, 300, 600, 1200]
    assert scenario.arrivals.profile.left_rps.tolist() == [20, 140, 20]
    assert scenario.service_time == Lognormal(0.12, 0.6)
    assert scenario.cold_start == Lognormal(35.0, 0.3)
    made = scenario.deployment
    assert (made.api, made.autoscaler) == (Api.V2, Autoscaler.AZUREML_FE)
    assert (made.min_replicas, made.max_replicas, made.target_utilization_percent) == (4, 40, 70)
    assert (made.max_request_wait_s, made.scoring_timeout_s) == (0.5, 5.0)
    assert scenario.slo is not None
    assert scenario.slo.max_fraction_503 == 0.001
    assert (scenario.slo.p99_latency_s, scenario.slo.min_fraction_of_runs) == (2.0, 0.95)
    assert scenario.text == TEXT
    assert scenario.source == tmp_path / "spike.yaml"
    assert scenario.warnings == ()


# Arrivals


@pytest.mark.parametrize(("arrivals", "cv"), [("regular", 0), ("poisson", 1), ({"gamma": {"cv": 3}}, 3)])
def test_renewal_arrivals(tmp_path: Path, arrivals: Any, cv: float) -> None:
    made = loaded(tmp_path, traffic={"arrivals": arrivals, "rps": 20}).arrivals
    assert isinstance(made, Renewal)
    assert made.cv == cv
    assert made.expected_count == pytest.approx(20 * 1200)


def test_mmpp_carries_its_own_rates(tmp_path: Path) -> None:
    made = loaded(tmp_path, traffic={"arrivals": {"mmpp": {"rates": [10, 30], "switching": [0.05, 0.05]}}}).arrivals
    assert isinstance(made, MarkovModulatedPoisson)
    assert made.expected_count == pytest.approx(20 * 1200)


def test_ramps_and_steps(tmp_path: Path) -> None:
    rate = [{"from": "0s", "rps": 10, "to_rps": 30}, {"from": "10m", "rps": "600/min"}]
    made = loaded(tmp_path, traffic={"arrivals": "poisson", "rate": rate}).arrivals
    assert isinstance(made, Renewal)
    assert made.profile.rate(np.array([0.0, 300.0, 599.999, 600.0, 1199.0])) == pytest.approx(
        [10, 20, 30, 10, 10], rel=1e-5
    )


def test_a_last_ramp_ends_with_the_scenario(tmp_path: Path) -> None:
    made = loaded(tmp_path, traffic={"arrivals": "regular", "rate": [{"from": "0s", "rps": 0, "to_rps": 12}]}).arrivals
    assert isinstance(made, Renewal)
    assert made.profile.right_rps.tolist() == [12]


def test_an_entry_beyond_the_end_is_left_out_with_a_warning(tmp_path: Path) -> None:
    rate = [{"from": "0s", "rps": 10}, {"from": "30m", "rps": 99}]
    scenario = loaded(tmp_path, traffic={"arrivals": "poisson", "rate": rate})
    assert scenario.arrivals.expected_count == pytest.approx(12000)
    assert "traffic.rate[1] starts at 1800 s, not before the scenario's end" in scenario.warnings[0]


def test_a_trace_as_recorded(tmp_path: Path) -> None:
    scenario = loaded(with_trace(tmp_path), traffic=trace_traffic(), service_time="trace")
    assert isinstance(scenario.arrivals, Recorded)
    assert scenario.arrivals.times_s.tolist() == [i / 4 for i in range(40)]
    assert isinstance(scenario.service_time, FromTrace)
    assert scenario.service_time.times_s == pytest.approx([0.1 + i / 1000 for i in range(40)])


def test_service_times_from_tokens_follow_their_rows(tmp_path: Path) -> None:
    tokens = {"tokens": {"base": "50ms", "per_context": "0.1ms", "per_generated": "10ms"}}
    traffic = trace_traffic(**{"from": "1s", "for": "2s", "time_scale": 0.5})
    scenario = loaded(with_trace(tmp_path), traffic=traffic, service_time=tokens, duration=None)
    assert scenario.duration_s == 1.0  # for x time_scale
    assert isinstance(scenario.arrivals, Recorded)
    assert scenario.arrivals.times_s.tolist() == [i / 8 for i in range(8)]
    assert isinstance(scenario.service_time, FromTrace)
    assert scenario.service_time.times_s == pytest.approx([0.05 + 0.0001 * i + 0.02 * i for i in range(4, 12)])


def test_a_scaled_trace_is_the_same_in_every_replicate(tmp_path: Path) -> None:
    scenario = loaded(with_trace(tmp_path), traffic=trace_traffic(rate_scale=2.5), service_time="trace")
    assert np.array_equal(arrival_times(scenario, 0), arrival_times(scenario, 7))
    assert scenario.arrivals.fixed_count is not None
    assert scenario.arrivals.fixed_count > 80


def test_without_a_duration_the_trace_settles_it(tmp_path: Path) -> None:
    assert loaded(with_trace(tmp_path), traffic=trace_traffic(), duration=None).duration_s == 10.0  # last at 9.75


def test_the_duration_cuts_a_trace(tmp_path: Path) -> None:
    assert loaded(with_trace(tmp_path), traffic=trace_traffic(), duration="5s").arrivals.fixed_count == 20


def test_stamps_of_whole_seconds_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("time_s\n" + "".join(f"{i // 5}\n" for i in range(50)))
    spread = loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "t.csv"}}})
    assert "spread inside their second" in spread.warnings[0]
    kept = loaded(tmp_path, traffic={"arrivals": {"trace": {"file": "t.csv", "one_second_stamps": "start_of_second"}}})
    assert "all at the start of their second" in kept.warnings[0]
    assert isinstance(kept.arrivals, Recorded)
    assert kept.arrivals.times_s.tolist() == [float(i // 5) for i in range(50)]


# Times


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ({"distribution": "deterministic", "mean": "0s"}, Deterministic(0.0)),
        ({"distribution": "exponential", "mean": "1s"}, Exponential(1.0)),
        ({"distribution": "lognormal", "mean": "1m", "cv": 0.5}, Lognormal(60.0, 0.5)),
        ({"distribution": "gamma", "mean": "250ms", "cv": 2}, Gamma(0.25, 2.0)),
        ("35s", Deterministic(35.0)),
    ],
)
def test_distributions(tmp_path: Path, form: Any, made: Any) -> None:
    assert loaded(tmp_path, cold_start=form).cold_start == made


def test_measured_times(tmp_path: Path) -> None:
    (tmp_path / "starts.csv").write_text("init_s\n3\n5\n")
    for form in ({"values": ["3s", "5s"]}, {"file": "starts.csv"}, {"file": "starts.csv", "column": "init_s"}):
        made = loaded(tmp_path, cold_start={"distribution": "empirical"} | form).cold_start
        assert isinstance(made, Empirical)
        assert made.values_s.tolist() == [3.0, 5.0]


# Deployment


def test_names_of_both_apis_say_the_same(tmp_path: Path) -> None:
    v1 = {
        "api": "v2",
        "autoscale_min_replicas": 2,
        "autoscale_max_replicas": 8,
        "autoscale_target_utilization": "60%",
        "autoscale_refresh_seconds": 2,
        "replica_max_concurrent_requests": 2,
        "max_request_wait_time": 250,
        "scoring_timeout_ms": "3s",
        "worker_count": 2,
    }
    v2 = {
        "min_instances": 2,
        "max_instances": 8,
        "target_utilization_percentage": 60,
        "polling_interval": "2s",
        "max_concurrent_requests_per_instance": 2,
        "max_queue_wait_ms": "250ms",
        "request_timeout_ms": 3000,
        "worker_count": 2,
    }
    assert loaded(tmp_path, deployment=v1).deployment == loaded(tmp_path, deployment=v2).deployment


def test_model_assumptions_are_settings(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        deployment={
            "max_instances": 3,
            "initial_replicas": 2,
            "utilization_window": "5s",
            "dispatch": "round_robin",
            "scoring_timeout_from": "arrival",
            "when_no_replica_is_ready": "reject",
            "slot_busy_after_504": False,
            "worker_busy_after_504": False,
            "scale_down_rule": "timer_then_jump",
            "scale_step": "one",
            "utilization_over": "ready",
            "scale_down_delay": "90s",
            "router_overhead": "8ms",
        },
    ).deployment
    assert (made.initial_replicas, made.utilization_window_s, made.scale_down_delay_s) == (2, 5.0, 90.0)
    assert made.router_overhead_s == 0.008
    assert not made.slot_busy_after_504
    assert not made.worker_busy_after_504
    assert made.dispatch is DispatchRule.ROUND_ROBIN
    assert made.scoring_timeout_from is ScoringTimeoutFrom.ARRIVAL
    assert made.when_no_replica_is_ready is WhenNoReplica.REJECT
    assert made.scale_down_rule is ScaleDownRule.TIMER_THEN_JUMP
    assert made.scale_step is ScaleStep.ONE
    assert made.utilization_over is UtilizationOver.READY


def test_a_number_of_replicas_means_fixed_and_needs_no_cold_start(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, deployment={"num_replicas": 3, "request_timeout_ms": 5000}, cold_start=None)
    assert scenario.deployment.autoscaler is Autoscaler.FIXED
    assert scenario.deployment.max_replicas == 3
    assert scenario.cold_start == Deterministic(0.0)


def test_changed_defaults_are_warned_of(tmp_path: Path) -> None:
    warnings = loaded(tmp_path, deployment={"api": "v2"}).warnings
    assert len(warnings) == 2
    assert loaded(tmp_path, deployment={"api": "v1"}).warnings == ()


def test_azures_own_file_with_settings_on_top(tmp_path: Path) -> None:
    azure = {
        "type": "kubernetes",
        "scale_settings": {"type": "target_utilization", "min_instances": 2, "max_instances": 6},
    }
    written(tmp_path, azure, "deployment.yml")
    made = loaded(tmp_path, deployment={"file": "deployment.yml", "worker_count": 2, "max_instances": 9}).deployment
    assert (made.min_replicas, made.max_replicas, made.worker_count) == (2, 9, 2)
    (tmp_path / "deploymentconfig.json").write_text(json.dumps({"computeType": "aks", "numReplicas": 3}))
    made = loaded(tmp_path, deployment={"file": "deploymentconfig.json"}).deployment
    assert (made.api, made.autoscaler, made.max_replicas) == (Api.V1, Autoscaler.FIXED, 3)
    path = written(tmp_path, document() | {"deployment": {"file": "deployment.yml"}})
    assert load(path, {"deployment.autoscale_min_replicas": 3}).deployment.min_replicas == 3


# The schema


def test_the_schema_accepts_what_is_read_and_refuses_what_is_not() -> None:
    validator = Draft202012Validator(json_schema())
    Draft202012Validator.check_schema(json_schema())
    assert list(validator.iter_errors(document())) == []
    for changes in (
        {"colour": 1},
        {"duration": 20},
        {"traffic": {"arrivals": "posson"}},
        {"deployment": {"api": "v3"}},
    ):
        assert list(validator.iter_errors(document() | changes)) != []
