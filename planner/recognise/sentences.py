"""What to say of a file that is something else than what was asked for: what it is, and what to give instead."""

from __future__ import annotations

import shlex
from pathlib import Path

from planner.recognise.documents import Found, Kind


def managed(source: str, mark: str) -> str:
    """A managed deployment in place of one on Kubernetes. mark: by what it is known."""
    return (
        f"{source}: is a managed online deployment ({mark}), which has no azureml-fe: Azure Monitor scales it, and it "
        "answers 429 where azureml-fe answers 503; give the file of a deployment with type: kubernetes"
    )


def what_it_is(found: Found) -> str:
    """`an endpoint of Azure ML`: a document in words, with its article."""
    match found.kind:
        case Kind.SCENARIO:
            return "a scenario"
        case Kind.DEPLOYMENT_V2:
            return "a deployment of Azure ML (v2)"
        case Kind.DEPLOYMENT_V1:
            return "a deploymentconfig.json of Azure ML (v1)"
        case Kind.DEPLOYMENT_ARM:
            return "a deployment of Azure ML (JSON of Azure Resource Manager)"
        case Kind.ARM_TEMPLATE:
            return "an ARM template"
        case Kind.SDK_V1_NAMES:
            return "a list of arguments of Azure's SDK v1"
        case Kind.MANAGED:
            return f"a managed online deployment ({found.detail})"
        case Kind.ENDPOINT:
            return "an endpoint of Azure ML"
        case Kind.OTHER_AZURE:
            return f"another file of Azure ML ({found.detail})"
        case Kind.MANIFEST:
            return f"a Kubernetes manifest (kind: {found.detail})"
        case Kind.PLAN:
            return "the document of `surgeproof plan`"
        case Kind.RESULT:
            return f"the document of `surgeproof {found.detail}`"
        case Kind.LIST:
            return f"a list of {found.detail}"
        case Kind.PYTHON | Kind.SDK_CODE:
            return str(found.kind)
        case Kind.TRACE:
            return f"a recorded trace ({found.detail})"
        case Kind.PLAN_FOLDER | Kind.RUN_FOLDER | Kind.FOLDER | Kind.UNFINISHED_RUN | Kind.RUN_PART:
            return f"a {found.kind}"
        case Kind.UNKNOWN:
            return "none of the files of Azure ML that are read here"


def not_a_deployment(found: Found, source: str) -> str:
    """A file that holds no deployment, named where one is wanted."""
    if found.kind is Kind.MANAGED:
        return managed(source, found.detail)
    give = {
        Kind.ENDPOINT: "which says nothing about replicas: give the file of its deployment (deployment.yml, with "
        "scale_settings)",
        Kind.SCENARIO: "in which `deployment` holds the settings: give Azure's own file, or copy them",
        Kind.PLAN: "whose settings are printed by `surgeproof export`: give what it has written",
        Kind.SDK_V1_NAMES: "which deploymentconfig.json does not know: write them into the scenario's `deployment`",
        Kind.LIST: "give one deployment",
    }.get(
        found.kind,
        "give a deployment.yml (v2), a deploymentconfig.json (v1), a deployment's ARM JSON, or Python code that "
        "calls AksWebservice.deploy_configuration",
    )
    return f"{source}: is {what_it_is(found)}, {give}"


_FILES = (Kind.DEPLOYMENT_V2, Kind.DEPLOYMENT_V1, Kind.DEPLOYMENT_ARM, Kind.ARM_TEMPLATE, Kind.SDK_CODE)
"""What a scenario names as its deployment's file."""


def not_a_scenario(found: Found, path: Path) -> str:
    """A file or folder that is given as a scenario: what it is, and the next command to type."""
    what = f"{path}: is {what_it_is(found)}, not a scenario"
    here = shlex.quote(str(path))
    match found.kind:
        case Kind.MANAGED:
            return managed(str(path), found.detail)
        case Kind.TRACE:
            return f"{what}. {_minimal(path, trace=path.name)}"
        case Kind.SDK_V1_NAMES:
            return f"{what}. Put its lines under `deployment`. {_minimal(path, deployment='{api: v1, ...}')}"
        case Kind.ENDPOINT:
            return f"{what}, and says nothing about replicas. {_minimal(path, deployment='{file: deployment.yml}')}"
        case kind if kind in _FILES:
            return f"{what}. {_minimal(path, deployment=f'{{file: {path.name}}}')}"
        case Kind.MANIFEST:
            return f"{what}: manifests are not read. {_minimal(path, deployment=_BY_HAND)}"
        case Kind.PLAN_FOLDER | Kind.PLAN:
            scenario = path / "scenario.yaml" if found.kind is Kind.PLAN_FOLDER else path.parent / "scenario.yaml"
            export = f"surgeproof export {here} --format online-deployment"
            return f"{what}. It was made for {scenario}: give that; `{export}` prints its settings"
        case Kind.RUN_FOLDER:
            return f"{what}: give its scenario, {path / 'scenario.yaml'}; `surgeproof validate {here}` judges the run"
        case Kind.UNFINISHED_RUN:
            return f"{what}: give its scenario, {path / 'scenario.yaml'}; `surgeproof replay --recover {here}` saves it"
        case Kind.RUN_PART:
            return f"{what}. Its scenario is {path.parent / 'scenario.yaml'}: give that"
        case Kind.FOLDER:
            return f"{what}: give {path / found.detail}" if found.detail else f"{what}: give a file"
        case Kind.UNKNOWN:
            return f"{path}: is no scenario: none of its keys is one of a scenario's. {_minimal(path)}"
    return f"{what}. {_minimal(path)}"


def not_a_plan(found: Found, path: Path) -> str:
    """Something else that is given where a plan is wanted."""
    what = f"{path}: is {what_it_is(found)}, not the document of `surgeproof plan`"
    here = shlex.quote(str(path))
    match found.kind:
        case Kind.SCENARIO:
            return f"{what}: `surgeproof plan {here}` makes one"
        case Kind.RUN_FOLDER:
            return f"{what}: `surgeproof plan {shlex.quote(str(path / 'scenario.yaml'))}` makes one of its scenario"
    return f"{what}: give the folder that `surgeproof plan` has written"


def not_a_run(found: Found, path: Path) -> str:
    """Something else that is given where the folder of a run is wanted."""
    what = f"{path}: is {what_it_is(found)}, not a complete run folder"
    here = shlex.quote(str(path))
    match found.kind:
        case Kind.SCENARIO:
            return f"{what}: `surgeproof run {here}` makes one against a lab"
        case Kind.RUN_PART:
            return f"{what}: give {path.parent}"
        case Kind.PLAN_FOLDER | Kind.PLAN:
            return f"{what}: `surgeproof report {here}` writes the report of a plan"
    return f"{what}: give the folder that `surgeproof replay` or `surgeproof run` has written"


_BY_HAND = "{api: v2, min_instances: 2, max_instances: 10, request_timeout_ms: 5000}"


def _minimal(path: Path, *, deployment: str = _BY_HAND, trace: str | None = None) -> str:
    """A scenario of a few lines that names the file, and how to go on with it."""
    traffic = "poisson, rps: 20" if trace is None else f"{{trace: {{file: {trace}}}}}"
    scenario = path.parent / "scenario.yaml"
    lines = [
        *(["duration: 10m"] if trace is None else []),
        f"traffic: {{arrivals: {traffic}}}",
        "service_time: {distribution: lognormal, mean: 200ms, cv: 0.5}",
        f"deployment: {deployment}",
        "cold_start: 30s",
        "slo: {max_503: 0.1%}",
    ]
    text = "".join(f"  {line}\n" for line in lines)
    return (
        f"Save these lines as {scenario} with your own numbers, then: surgeproof plan {shlex.quote(str(scenario))}\n"
        f"{text.rstrip()}"
    )
