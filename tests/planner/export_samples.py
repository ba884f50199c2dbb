"""Plans to export: what `surgeproof plan` writes of them, for the settings of shipped scenarios."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from planner.azureml_export import Export, Format, Names, export
from planner.documents import estimate_document, scenario_document, settings_document
from planner.model import Deployment, Estimate
from planner.plan_folder import recommendation
from planner.scenario_file import load

FRACTION = Estimate(value=0.00071, low=0.00064, high=0.00078, replications=400)

_SIZE = {"deployment.autoscale_min_replicas": 17, "deployment.autoscale_max_replicas": 28}
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "v2": ("launch-spike", {**_SIZE, "deployment.autoscale_target_utilization": 80}),
    "v2 min = max": ("launch-spike", {"deployment.autoscale_min_replicas": 40}),
    "v2 fixed": ("steady-poisson", {}),
    "v2 many at a time": (
        "morning-ramp",
        {**_SIZE, "deployment.replica_max_concurrent_requests": 4, "deployment.worker_count": 3},
    ),
    "v1": ("morning-ramp", {"deployment.api": "v1", "deployment.polling_interval": 7}),
    "v1 fixed": ("steady-poisson", {"deployment.api": "v1", "deployment.max_request_wait_time": "1250ms"}),
}
"""Name -> a shipped scenario, and what is changed in it."""


def planned(case: str, **others: object) -> Deployment:
    scenario, changes = CASES[case]
    return load(scenario, changes | {f"deployment.{name}": value for name, value in others.items()}).deployment


def plan_document(deployment: Deployment, **parts: Any) -> dict[str, Any]:
    """As much of a plan as an export reads."""
    entry = {"fraction_503": estimate_document(FRACTION), "settings": settings_document(deployment)}
    return {
        "command": "plan",
        "scenario": scenario_document(load("launch-spike")),
        "slo": {"max_fraction_503": 0.001, "p99_latency_s": 2.0, "min_fraction_of_runs": None, "is_assumed": False},
        "verdict": "feasible",
        "reasons": ["fraction of 503s 0.071 %, promised at most 0.1 %: kept"],
        "recommended": entry,
        **parts,
    }


def exported(deployment: Deployment, form: Format, **parts: Any) -> Export:
    """The export of a plan that has been through JSON."""
    document = json.loads(json.dumps(plan_document(deployment, **parts)))
    return export(recommendation(document, "plan.json"), form, Names())


def write_plan(folder: Path, document: dict[str, Any]) -> Path:
    (folder / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    return folder
