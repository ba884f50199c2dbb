"""The exported files of v2 as Azure's own client, azure-ai-ml, reads them."""

from __future__ import annotations

import io
import shlex
from typing import Any

import pytest
import yaml

from planner.azureml_export import Format
from planner.model import Autoscaler
from tests.planner.export_samples import CASES, exported, planned

# azure-ai-ml uses what marshmallow 4 removes or changes, and needs marshmallow 3: nothing that could be mended here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"),
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.ChangedInMarshmallow4Warning"),
]

SKELETON = "name: blue\nendpoint_name: my-endpoint\ntype: kubernetes\n"


def loaded(text: str, *overrides: dict[str, Any]) -> Any:
    from azure.ai.ml import load_online_deployment

    return load_online_deployment(io.StringIO(text), params_override=list(overrides))


def holds(deployment: Any) -> dict[str, Any]:
    """What a deployment of azure-ai-ml has, nothing that it was not given."""
    sections = {name: vars(getattr(deployment, name)) for name in ("scale_settings", "request_settings")}
    plain = {name: getattr(deployment, name) for name in ("name", "endpoint_name", "instance_count")}
    plain["type"] = deployment.type.lower()
    variables = dict(deployment.environment_variables)
    return {key: value for key, value in (plain | sections | {"environment_variables": variables}).items() if value}


@pytest.mark.parametrize("case", CASES)
def test_azures_loader_gives_back_every_value(case: str) -> None:
    planned_for = planned(case)
    text = exported(planned_for, Format.ONLINE_DEPLOYMENT).text
    deployment = loaded(text)
    assert type(deployment).__name__ == "KubernetesOnlineDeployment"
    assert holds(deployment) == yaml.safe_load(text)
    requests = deployment.request_settings
    assert requests.max_concurrent_requests_per_instance == planned_for.max_concurrent_requests
    assert requests.max_queue_wait_ms == pytest.approx(1000 * planned_for.max_request_wait_s)
    assert requests.request_timeout_ms == pytest.approx(1000 * planned_for.scoring_timeout_s)
    if planned_for.autoscaler is Autoscaler.FIXED:
        assert (deployment.scale_settings.type, deployment.instance_count) == ("default", planned_for.max_replicas)
        return
    assert vars(deployment.scale_settings) == {
        "type": "target_utilization",
        "min_instances": planned_for.min_replicas,
        "max_instances": planned_for.max_replicas,
        "polling_interval": planned_for.refresh_period_s,
        "target_utilization_percentage": planned_for.target_utilization_percent,
    }


@pytest.mark.parametrize("case", CASES)
def test_the_commands_set_options_make_the_same_deployment(case: str) -> None:
    """params_override is what the client calls the --set of a command."""
    command = shlex.split(exported(planned(case), Format.AZ_CLI).text, comments=True)
    assignments = command[command.index("--set") + 1 :]
    overrides = [{place: yaml.safe_load(value)} for place, _, value in (text.partition("=") for text in assignments)]
    made, read = loaded(SKELETON, *overrides), loaded(exported(planned(case), Format.ONLINE_DEPLOYMENT).text)
    assert as_text(holds(made)) == as_text(holds(read))


def as_text(document: dict[str, Any]) -> dict[str, Any]:
    """A command line cannot tell 3 from "3", which is how WORKER_COUNT stands in a file."""
    return {key: as_text(value) if isinstance(value, dict) else str(value) for key, value in document.items()}


def test_the_loader_refuses_what_we_never_write() -> None:
    """That it accepts our files says something: a misspelt key, or one type's key under another, is an error there."""
    text = exported(planned("v2"), Format.ONLINE_DEPLOYMENT).text
    for wrong in (
        text.replace("scale_settings", "scale_setting"),
        text.replace("target_utilization\n", "default\n"),
        text.replace("max_queue_wait_ms: 500", "max_queue_wait_ms: 0.5s"),
    ):
        assert wrong != text
        with pytest.raises(Exception, match=r"Unknown field|Not a valid integer"):
            loaded(wrong)
