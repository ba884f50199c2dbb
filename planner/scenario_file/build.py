"""From the document of a scenario file to a `Scenario`: forms checked, files read, bounds between settings checked."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from planner.model import Autoscaler, Deployment, Slo
from planner.scenario import Scenario
from planner.scenario_file import schema
from planner.scenario_file.bounds import check_deployment, check_traffic
from planner.scenario_file.deployment import read_deployment
from planner.scenario_file.intervals import at_mid, uncertain_inputs
from planner.scenario_file.problems import Problems
from planner.scenario_file.provenance import service_warnings
from planner.scenario_file.request import read_request
from planner.scenario_file.times import distribution, from_trace, is_from_trace
from planner.scenario_file.traffic import Traffic, read_traffic
from planner.scenario_file.values import IGNORE
from planner.service import Deterministic, Distribution, ServiceTime
from planner.timeout import timeout_warning
from planner.uncertain import MID_WARNING

_STAND_INS: dict[str, Any] = {
    "duration": "24h",
    "traffic": {"arrivals": "poisson", "rps": 1},
    "service_time": "1s",
    "deployment": {},
}
"""What takes the place of a bad section, so that the others are still checked. Other sections may be left out."""


def build(document: dict[str, Any], source: str, folder: Path, overridden: tuple[str, ...] = ()) -> Scenario:
    """The scenario that a document describes, at the mid of its intervals, without its text.

    Raises InputError with everything that is wrong.
    """
    problems = Problems(source, document, overridden)
    given = _validated(document, problems)
    form = at_mid(given)
    read = read_deployment(form.deployment, problems, folder)
    deployment = read.made
    traffic = read_traffic(form, problems, folder)
    service_time = _service_time(form.service_time, traffic, problems, folder)
    cold_start = _cold_start(form.cold_start, deployment, problems, folder)
    slo = _slo(form.slo, problems)
    request = read_request(form.request, traffic.arrivals, problems, folder)
    if traffic.duration_s is not None and form.warm_up >= traffic.duration_s and not problems.is_bad("duration"):
        problems.add(("warm_up",), f"must be below the duration ({traffic.duration_s:g} s)")
    if deployment is not None and traffic.duration_s is not None:
        check_deployment(deployment, traffic.duration_s, problems)
    if traffic.arrivals is not None and traffic.duration_s is not None:
        check_traffic(traffic.arrivals, traffic.duration_s, problems)
    problems.raise_if_any()
    assert deployment is not None
    assert traffic.duration_s is not None
    assert traffic.arrivals is not None
    assert service_time is not None
    assert cold_start is not None
    uncertain = uncertain_inputs(given, traffic, problems, folder)
    late = _timeout(service_time, deployment, source)
    return Scenario(
        name=form.name or Path(source).stem,
        shows=form.shows,
        duration_s=traffic.duration_s,
        warm_up_s=form.warm_up,
        arrivals=traffic.arrivals,
        service_time=service_time,
        deployment=deployment,
        cold_start=cold_start,
        slo=slo,
        request=request,
        seed=form.seed,
        warnings=(
            *read.warnings,
            *traffic.warnings,
            *_about_service(form, traffic, service_time, source),
            *late,
            *((MID_WARNING,) if uncertain else ()),
        ),
        replica_limit=read.replica_limit,
        uncertain=uncertain,
    )


def _about_service(form: Any, traffic: Traffic, service_time: ServiceTime, source: str) -> tuple[str, ...]:
    if traffic.trace is None or traffic.duration_s is None:
        return ()
    chosen = form.traffic.arrivals.trace
    return tuple(
        f"{source}: {text}" for text in service_warnings(traffic.trace, chosen, traffic.duration_s, service_time)
    )


def _validated(document: dict[str, Any], problems: Problems) -> Any:
    """The form; what is bad is in `problems` and has been left out or replaced by a stand-in."""
    try:
        return schema.ScenarioForm.model_validate(document)
    except ValidationError as error:
        problems.read(error)
    known = schema.ScenarioForm.model_fields
    repaired = {key: value for key, value in copy.deepcopy(document).items() if key in known}
    for path in problems.bad:
        section = str(path[0]) if path else ""
        if section == "deployment" and len(path) > 1:
            repaired["deployment"].pop(path[1], None)
        elif section in _STAND_INS:
            repaired[section] = _STAND_INS[section]
        else:
            repaired.pop(section, None)
    return schema.ScenarioForm.model_validate(repaired)


def _service_time(form: Any, traffic: Traffic, problems: Problems, folder: Path) -> ServiceTime | None:
    if problems.is_bad("service_time") or not is_from_trace(form):
        return distribution("service_time", form, problems, folder)
    if traffic.trace is not None:
        return from_trace(form, traffic.trace, problems)
    if traffic.is_trace and traffic.arrivals is not None:
        problems.add(("service_time",), "needs single requests, but the trace has rates over time")
    if not traffic.is_trace and not problems.is_bad("traffic"):
        problems.add(("service_time",), "needs traffic.arrivals to be a trace")
    return None


def _cold_start(form: Any, deployment: Deployment | None, problems: Problems, folder: Path) -> Distribution | None:
    if form is not None:
        return distribution("cold_start", form, problems, folder)
    if problems.is_bad("cold_start"):
        return None
    if deployment is not None and deployment.autoscaler is not Autoscaler.FIXED:
        problems.missing(("cold_start",), ", for example {distribution: lognormal, mean: 35s, cv: 0.3}")
    return Deterministic(0.0)


def _timeout(service_time: ServiceTime, deployment: Deployment, source: str) -> tuple[str, ...]:
    warning = timeout_warning(service_time, deployment)
    return () if warning is None else (f"{source}: {warning}",)


def _slo(form: Any, problems: Problems) -> Slo | None:
    if form is None or problems.is_bad("slo"):
        return None
    ignores_504 = form.max_504 == IGNORE
    for name in ("max_503", "max_failed", "max_504", "runs"):
        share = getattr(form, name)
        if share is not None and share != IGNORE and not 0 < share < 1:
            problems.add(("slo", name), "must be above 0 and below 1 (100%)")
    if form.max_503 is None and form.max_failed is None:
        problems.missing(("slo", "max_503"), ", or max_failed (everything that is not answered 200)")
    if ignores_504 and form.max_failed is not None:
        problems.add(
            ("slo", "max_504"), f"contradicts max_failed = {form.max_failed:g}, which counts 504s: leave one out"
        )
    if problems.is_bad("slo"):
        return None
    return Slo(
        max_fraction_503=form.max_503,
        p99_latency_s=form.p99_latency,
        min_fraction_of_runs=form.runs,
        max_fraction_failed=form.max_failed,
        max_fraction_504=None if ignores_504 else form.max_504,
        ignores_504=ignores_504,
    )
