"""The JSON documents of the command line: plain SI, units in the names, unknown is null."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any

from planner import __version__
from planner.measures import Counts, Measures
from planner.model import Deployment, Estimate, Verdict
from planner.scenario import Scenario
from planner.uncertain import UncertainInput


def estimate_document(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate; the prediction interval only where there is one, `exact` only where it is true."""
    if estimate is None:
        return None
    document = asdict(estimate)
    if not estimate.exact:
        del document["exact"]
    return {name: value for name, value in document.items() if value is not None}


def latency_document(estimate: Estimate | None) -> dict[str, Any] | None:
    """An estimate of a latency with 504s; what lies among the 504s has no number, and is null."""
    document = estimate_document(estimate)
    if document is None:
        return None
    return document | {name: None for name in ("value", "low", "high") if not math.isfinite(document[name])}


def measures_document(measures: Measures) -> dict[str, Any]:
    return {
        "replications": measures.replications,
        "requests": measures.requests,
        "fraction_503": estimate_document(measures.fraction_503),
        "fraction_504": estimate_document(measures.fraction_504),
        "fraction_failed": estimate_document(measures.fraction_failed),
        "fraction_of_runs_within_slo": estimate_document(measures.fraction_of_runs_within_slo),
        "latency_p50_s": estimate_document(measures.latency_p50_s),
        "latency_p99_s": estimate_document(measures.latency_p99_s),
        "latency_p99_with_504_s": latency_document(measures.latency_p99_with_504_s),
        "mean_replicas": estimate_document(measures.mean_replicas),
        "replica_hours": estimate_document(measures.replica_hours),
        "causes_503": _shares_document(measures.causes_503),
    }


def comparison_document(base: Counts, other: Counts) -> dict[str, Any]:
    """The failures of another scenario, and the differences of the fractions, replicates paired."""
    return {
        "fraction_503": estimate_document(other.fraction_503),
        "difference": estimate_document(base.difference_to(other, "n_503")),
        "fraction_504": estimate_document(other.fraction_504),
        "difference_504": estimate_document(base.difference_to(other, "n_504")),
        "fraction_failed": estimate_document(other.fraction_failed),
        "difference_failed": estimate_document(base.difference_to(other, "n_failed")),
        "causes_503": _shares_document(other.causes_503),
    }


def _shares_document(causes_503: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {name: estimate_document(share) for name, share in causes_503.items()}


def scenario_document(scenario: Scenario) -> dict[str, Any]:
    """The scenario in words and numbers, Azure's settings under Azure's names and units."""
    slo = scenario.slo
    return {
        "name": scenario.name,
        "shows": scenario.shows,
        "duration_s": scenario.duration_s,
        "warm_up_s": scenario.warm_up_s,
        "arrivals": scenario.arrivals.describe(),
        "expected_requests": scenario.arrivals.expected_count,
        "service_time": scenario.service_time.describe(),
        "cold_start": scenario.cold_start.describe(),
        "settings": settings_document(scenario.deployment),
        "slo": None if slo is None else asdict(slo),
        "seed": scenario.seed,
        "uncertain": [_uncertain_document(given) for given in scenario.uncertain],
    }


def _uncertain_document(given: UncertainInput) -> dict[str, Any]:
    return {"name": given.name, "low": given.low, "mid": given.mid, "high": given.high, "unit": given.unit}


def settings_document(deployment: Deployment) -> dict[str, Any]:
    """A deployment under Azure's names and in Azure's units."""
    return {
        "api": str(deployment.api),
        "names": str(deployment.names),
        "autoscaler": str(deployment.autoscaler),
        "autoscale_min_replicas": deployment.min_replicas,
        "autoscale_max_replicas": deployment.max_replicas,
        "autoscale_target_utilization": deployment.target_utilization_percent,
        "autoscale_refresh_seconds": deployment.refresh_period_s,
        "replica_max_concurrent_requests": deployment.max_concurrent_requests,
        "max_request_wait_time_ms": deployment.max_request_wait_s * 1e3,
        "scoring_timeout_ms": deployment.scoring_timeout_s * 1e3,
        "worker_count": deployment.worker_count,
        "router_overhead_ms": deployment.router_overhead_s * 1e3,
        "initial_replicas": deployment.initial_count,
        "scale_down_delay_s": deployment.scale_down_delay_s,
        "utilization_window_s": deployment.utilization_window_s,
        "dispatch": str(deployment.dispatch),
        "when_no_replica_is_ready": str(deployment.when_no_replica_is_ready),
        "scoring_timeout_from": str(deployment.scoring_timeout_from),
        "slot_busy_after_504": deployment.slot_busy_after_504,
        "worker_busy_after_504": deployment.worker_busy_after_504,
        "scale_down_rule": str(deployment.scale_down_rule),
        "scale_step": str(deployment.scale_step),
        "utilization_over": str(deployment.utilization_over),
    }


def verdict_document(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else {"verdict": str(verdict.word), "reasons": list(verdict.reasons)}


def provenance(seed: int, packages: tuple[str, ...] = ("numpy", "numba", "scipy")) -> dict[str, Any]:
    """What made a result."""
    return {
        "surgeproof": __version__,
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _installed(name) for name in packages},
    }


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
