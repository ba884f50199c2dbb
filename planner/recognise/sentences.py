"""What to say of a file that is something else than what was asked for: what it is, and what to give instead."""

from __future__ import annotations

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
