"""A scenario document that the tests change, and a trace that it may play."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import load

TEXT = """\
schema_version: 1
name: launch-spike
shows: A five-minute burst that arrives faster than replicas can start.
duration: 20m
warm_up: 0s
traffic:
  arrivals: poisson
  rate:
    - {from: 0s, rps: 20}
    - {from: 5m, rps: 140}
    - {from: 10m, rps: 20}
service_time: {distribution: lognormal, mean: 120ms, cv: 0.6}
deployment:
  api: v2
  autoscaler: azureml-fe
  autoscale_min_replicas: 4
  autoscale_max_replicas: 40
  autoscale_target_utilization: 70
  max_request_wait_time: 500ms
  scoring_timeout_ms: 5000
  worker_count: 1
  router_overhead: 0ms
cold_start: {distribution: lognormal, mean: 35s, cv: 0.3}
slo: {max_503: 0.1%, p99_latency: 2s, runs: 95%}
seed: 20261122
"""


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(TEXT)
    return parsed


def written(folder: Path, content: str | dict[str, Any], name: str = "spike.yaml") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def loaded(folder: Path, **sections: Any) -> Scenario:
    """The scenario above with some sections replaced; None leaves one out."""
    changed = document() | sections
    return load(written(folder, {key: value for key, value in changed.items() if value is not None}))


def problems(folder: Path, content: str | dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(InputError) as raised:
        load(written(folder, content))
    return raised.value.problems


TRACE = "time_s,service_time_s,context_tokens,generated_tokens\n" + "".join(
    f"{100 + i / 4},{0.1 + i / 1000},{i},{2 * i}\n" for i in range(40)
)


def trace_traffic(**changes: Any) -> dict[str, Any]:
    return {"arrivals": {"trace": {"file": "traces/t.csv"} | changes}}


def with_trace(folder: Path) -> Path:
    (folder / "traces").mkdir()
    (folder / "traces" / "t.csv").write_text(TRACE)
    return folder
