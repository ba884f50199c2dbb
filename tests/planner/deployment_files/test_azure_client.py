"""Azure's own client, azure-ai-ml, as the referee of v2 files: what it reads is read the same way here.

What it refuses is refused here, with two differences that are meant. A `scale_settings` without a type is read, with
a warning. An unknown key at the top is left alone, for newer clients know more. What it takes and we refuse: a key that
stands twice, and a value that breaks a bound, which Azure's service checks later.
"""

import io
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.azureml import SETTINGS
from planner.deployment_files.documents import documents_in
from planner.deployment_files.read import from_document
from planner.deployment_files.settings import AzureFile
from planner.errors import InputError
from planner.model import Autoscaler

# azure-ai-ml uses what marshmallow 4 removes or changes, and needs marshmallow 3: nothing that could be mended here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning"),
    pytest.mark.filterwarnings("ignore::marshmallow.warnings.ChangedInMarshmallow4Warning"),
]

HEAD = "name: blue\nendpoint_name: my-endpoint\ntype: kubernetes\n"

SPELLINGS = (
    *("2", '"3"', "'4'", "+5", "0x10", "010", "0o10", "1_000", '"1_000"', '" 7 "', "1:30", '"010"', "!!int '6'"),
    *("2.0", "3.7", "-0.5", "1e3", "1.5e+3", '"2.5"', ".inf", ".nan", "70", "70%", "0", "-1", "101"),
    *("true", "yes", "null", "~", "", "#{tokens}#", "two", "PT5S", "500ms", "[3]", "{a: 1}", "2026-11-22", "&a 9"),
)

GOOD = ("1", "2", '"3"', "4.0", "0x5", "06", "7.9", "8", "9", "10", "70", "'80'")

values = st.integers(0, 7).flatmap(lambda i: st.sampled_from(GOOD if i else SPELLINGS))
times = st.integers(0, 7).flatmap(lambda i: st.sampled_from(("0", "500", '"1500"', "250.0", *GOOD) if i else SPELLINGS))

SCALE_KEYS = ("min_instances", "max_instances", "polling_interval", "target_utilization_percentage")
REQUEST_KEYS = ("request_timeout_ms", "max_concurrent_requests_per_instance", "max_queue_wait_ms")


@st.composite
def files(draw: st.DrawFn) -> str:
    """The text of a deployment.yml: mostly good values, some of them not."""
    lines = [HEAD]
    if draw(st.booleans()):
        lines.append(f"instance_count: {draw(values)}\n")
    kind = draw(st.sampled_from(["default", "Default", *["target_utilization", "TargetUtilization"] * 4, "manual", ""]))
    may_scale = kind.lower() != "default" or draw(st.integers(0, 3)) == 0
    scale = draw(st.dictionaries(st.sampled_from(SCALE_KEYS), values, max_size=2 if may_scale else 0))
    lines.append("scale_settings:\n" + f"  type: {kind}\n" + "".join(f"  {k}: {v}\n" for k, v in scale.items()))
    request = draw(st.dictionaries(st.sampled_from(REQUEST_KEYS), times, min_size=1, max_size=2))
    if draw(st.integers(0, 3)):
        lines.append("request_settings:\n" + "".join(f"  {k}: {v}\n" for k, v in request.items()))
    if not draw(st.integers(0, 9)):
        lines.append("  max_wait: 3\n")  # under the last section, which knows no such key
    return "".join(lines)


def theirs(text: str) -> Any:
    """What Azure's client reads, None where it refuses."""
    from azure.ai.ml import load_online_deployment

    try:
        return load_online_deployment(io.StringIO(text))
    except Exception:
        return None


def ours(text: str) -> AzureFile | InputError:
    try:
        (document,) = documents_in(text, "deployment.yml")
        return from_document(document, "deployment.yml", text)
    except InputError as error:
        return error


def held(deployment: Any) -> dict[str, Any]:
    """Field of `Deployment` -> what Azure's client has read and would send: a wait of 0 is not sent."""
    found = {}
    for setting in SETTINGS:
        section, _, key = setting.v2_file.rpartition(".")
        holder = getattr(deployment, section) if section else deployment
        value = getattr(holder, key, None)
        if value is not None and not (setting.field == "max_request_wait_s" and value == 0):
            found[setting.field] = value
    return found


def within_bounds(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """The same in our units, None where one of them breaks a bound."""
    try:
        return {setting.field: setting.read(found[setting.field]) for setting in SETTINGS if setting.field in found}
    except ValueError:
        return None


@settings(max_examples=400, deadline=None)
@given(text=files())
def test_what_azures_client_reads_is_read_the_same_way(text: str) -> None:
    loaded, file = theirs(text), ours(text)
    if loaded is None:
        assert isinstance(file, InputError), text
        return
    expected = within_bounds(held(loaded))
    if expected is None:
        assert isinstance(file, InputError), text
        return
    assert isinstance(file, AzureFile), f"{text}{file}"
    fixed = loaded.scale_settings.type == "default"
    assert (file.autoscaler is Autoscaler.FIXED) == fixed
    if fixed:
        expected.setdefault("num_replicas", 1)
    else:
        expected.pop("num_replicas", None)
    assert {field: given.value for field, given in file.given.items()} == expected, text


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_of_a_number(spelling: str) -> None:
    """Every one at one key, so that none depends on what the random files have drawn."""
    text = f"{HEAD}scale_settings:\n  type: target_utilization\n  max_instances: {spelling}\n"
    loaded, file = theirs(text), ours(text)
    if loaded is None or within_bounds(held(loaded)) is None:
        assert isinstance(file, InputError), spelling
    else:
        assert isinstance(file, AzureFile), f"{spelling}: {file}"
        assert file.given["max_replicas"].value == loaded.scale_settings.max_instances


def test_the_differences_that_are_meant() -> None:
    no_type = f"{HEAD}scale_settings: {{max_instances: 3}}\n"
    assert theirs(no_type) is None
    file = ours(no_type)
    assert isinstance(file, AzureFile)
    assert "without which Azure's client refuses the file" in file.warnings[0]
    new_key = f"{HEAD}instance_count: 2\nnew_key: 1\n"
    assert theirs(new_key) is None
    assert isinstance(ours(new_key), AzureFile)
    twice = f"{HEAD}instance_count: 2\ninstance_count: 3\n"
    assert theirs(twice).instance_count == 3
    assert isinstance(ours(twice), InputError)


def test_what_the_client_shows_has_lost_parts_of_a_second() -> None:
    """Why times in the output of `az ml online-deployment show` are doubted: the client cuts them."""
    from azure.ai.ml._utils.utils import from_iso_duration_format_ms, to_iso_duration_format_ms

    assert [from_iso_duration_format_ms(text) for text in ("PT0.5S", "PT1.5S")] == [0, 1000]
    assert to_iso_duration_format_ms(0) is None  # and why a wait of 0 is not sent
