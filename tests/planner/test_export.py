"""`surgeproof export`: every value reaches Azure's format under Azure's name, and what cannot is said."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shlex
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.azureml_export import Format
from planner.cli.root import run
from planner.errors import InputError
from planner.model import Autoscaler, Deployment
from planner.scenario_file import load
from tests.planner.export_samples import CASES, FRACTION, exported, plan_document, planned, write_plan

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FILES = {Format.ONLINE_DEPLOYMENT: "deployment.yml", Format.DEPLOYMENTCONFIG: "deploymentconfig.json"}
CARRIED = (
    "autoscaler",
    "min_replicas",
    "max_replicas",
    "target_utilization_percent",
    "refresh_period_s",
    "max_concurrent_requests",
    "max_request_wait_s",
    "scoring_timeout_s",
)

Document = dict[str, Any]

every_case = pytest.mark.parametrize("case", CASES)


def values_of(deployment: Deployment) -> Document:
    """Under `fixed` the autoscaler's own settings mean nothing, and no format has them."""
    fixed = deployment.autoscaler is Autoscaler.FIXED
    moot = ("target_utilization_percent", "refresh_period_s") if fixed else ()
    return {name: getattr(deployment, name) for name in CARRIED if name not in moot}


# The two files, read by a scenario


@every_case
@pytest.mark.parametrize("form", FILES)
def test_a_scenario_that_names_the_file_has_the_plans_deployment(case: str, form: Format, tmp_path: Path) -> None:
    deployment = planned(case)
    (tmp_path / FILES[form]).write_text(exported(deployment, form).text, encoding="utf-8")
    scenario = yaml.safe_load((SCENARIOS / "launch-spike.yaml").read_text(encoding="utf-8"))
    scenario["deployment"] = {"file": FILES[form]}
    (tmp_path / "scenario.yaml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    read = load(str(tmp_path / "scenario.yaml"))
    assert values_of(read.deployment) == values_of(deployment)
    assert read.deployment.api is form.api
    if form is Format.ONLINE_DEPLOYMENT:
        assert read.deployment.worker_count == deployment.worker_count
    assert not [warning for warning in read.warnings if "is not set" in warning]


def test_the_yaml_says_where_it_comes_from() -> None:
    text = exported(planned("v2"), Format.ONLINE_DEPLOYMENT).text
    assert text.splitlines()[0] == (
        "# Planned by surgeproof for launch-spike: fraction of 503s 0.071 % (0.064 % to 0.078 %, 95 % interval), "
        "promised at most 0.1 %."
    )
    assert "://" not in text


def test_a_fraction_that_too_few_runs_saw_has_only_an_upper_bound() -> None:
    entry = plan_document(planned("v2"))["recommended"]
    entry["fraction_503"] = dataclasses.asdict(dataclasses.replace(FRACTION, resolved=False))
    text = exported(planned("v2"), Format.SDK_V1, recommended=entry, slo=None).text
    assert "fraction of 503s at most 0.078 % (too few of 400 runs saw one).\n" in text


def test_fixed_is_a_number_of_replicas_without_an_autoscaler() -> None:
    document = yaml.safe_load(exported(planned("v2 fixed"), Format.ONLINE_DEPLOYMENT).text)
    assert document["instance_count"] == 4
    assert document["scale_settings"] == {"type": "default"}
    config = json.loads(exported(planned("v2 fixed"), Format.DEPLOYMENTCONFIG).text)
    assert config["numReplicas"] == 4
    assert config["autoScaler"] == {"autoscaleEnabled": False}


# Python code and commands


def passed_to_azure(code: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Document, Document]:
    """The arguments of `deploy_configuration`, and all names that the code has set."""
    calls: list[Document] = []
    module = types.ModuleType("azureml.core.webservice")
    recorder = types.SimpleNamespace(deploy_configuration=lambda **arguments: calls.append(arguments))
    module.AksWebservice = recorder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azureml", types.ModuleType("azureml"))
    monkeypatch.setitem(sys.modules, "azureml.core", types.ModuleType("azureml.core"))
    monkeypatch.setitem(sys.modules, "azureml.core.webservice", module)
    names: Document = {}
    exec(compile(code, "export.py", "exec"), names)
    (call,) = calls
    return call, names


@every_case
def test_the_code_passes_what_azure_documents(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = planned(case)
    call, names = passed_to_azure(exported(deployment, Format.SDK_V1).text, monkeypatch)
    of_both = {
        "replica_max_concurrent_requests": deployment.max_concurrent_requests,
        "max_request_wait_time": round(1000 * deployment.max_request_wait_s),
        "scoring_timeout_ms": round(1000 * deployment.scoring_timeout_s),
    }
    if deployment.autoscaler is Autoscaler.FIXED:
        assert call == {"autoscale_enabled": False, "num_replicas": deployment.max_replicas} | of_both
    else:
        assert call == of_both | {
            "autoscale_enabled": True,
            "autoscale_min_replicas": deployment.min_replicas,
            "autoscale_max_replicas": deployment.max_replicas,
            "autoscale_target_utilization": deployment.target_utilization_percent,
            "autoscale_refresh_seconds": deployment.refresh_period_s,
        }
    assert all(isinstance(value, int) for value in call.values())
    workers = deployment.worker_count
    assert names.get("environment_variables") == (None if workers == 1 else {"WORKER_COUNT": str(workers)})


@every_case
def test_the_commands_set_what_the_yaml_holds(case: str) -> None:
    document = yaml.safe_load(exported(planned(case), Format.ONLINE_DEPLOYMENT).text)
    text = exported(planned(case), Format.AZ_CLI).text
    (create,) = (line[2:] for line in text.splitlines() if line.startswith("# az "))
    names = ["--name", "blue", "--endpoint-name", "my-endpoint", "--set"]
    for command, words in (
        (shlex.split(text, comments=True), ["az", "ml", "online-deployment", "update", *names]),
        (shlex.split(create), ["az", "ml", "online-deployment", "create", "--file", "deployment.yml", *names]),
    ):
        assert command[: len(words)] == words
        found: Document = {"name": "blue", "endpoint_name": "my-endpoint", "type": "kubernetes"}
        for assignment in command[len(words) :]:
            place, _, value = assignment.partition("=")
            section, _, key = place.rpartition(".")
            (found.setdefault(section, {}) if section else found)[key] = value
        assert found == _as_text(document)


def _as_text(document: Document) -> Document:
    return {key: _as_text(value) if isinstance(value, dict) else str(value) for key, value in document.items()}


def test_a_name_from_the_plan_stays_in_its_comment(monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = planned("v2")
    scenario = {"name": "x\nraise SystemExit('run')\u2028# \ud800 $(touch x) `y`"}
    call, _ = passed_to_azure(exported(deployment, Format.SDK_V1, scenario=scenario).text, monkeypatch)
    assert call["autoscale_enabled"]
    for form in (Format.ONLINE_DEPLOYMENT, Format.AZ_CLI, Format.SDK_V1):
        text, plain = (exported(deployment, form, scenario=name).text for name in (scenario, {"name": "x"}))
        assert text.splitlines()[1:] == plain.splitlines()[1:]
        text.encode()


# What cannot be carried over


@pytest.mark.parametrize(
    ("case", "form"),
    [
        ("v2", Format.ONLINE_DEPLOYMENT),
        ("v2", Format.AZ_CLI),
        ("v2 many at a time", Format.ONLINE_DEPLOYMENT),
        ("v2 fixed", Format.ONLINE_DEPLOYMENT),
        ("v2 fixed", Format.DEPLOYMENTCONFIG),
        ("v2 min = max", Format.SDK_V1),
        ("v1", Format.DEPLOYMENTCONFIG),
        ("v1", Format.SDK_V1),
        ("v1 fixed", Format.AZ_CLI),
    ],
)
def test_what_is_carried_over_whole_warns_of_nothing(case: str, form: Format) -> None:
    assert exported(planned(case), form).warnings == ()


def test_the_other_api_counts_and_waits_otherwise() -> None:
    to_v1 = exported(planned("v2"), Format.DEPLOYMENTCONFIG).warnings
    assert len(to_v1) == 2
    assert "counts busy replicas and queued requests; api v1 counts busy replicas only" in to_v1[0]
    assert "waits 20 s before it scales down; that is no setting, and api v1 waits around 60 s" in to_v1[1]
    to_v2 = exported(planned("v1"), Format.ONLINE_DEPLOYMENT).warnings
    assert "counts busy replicas only; api v2 counts busy replicas and queued requests" in to_v2[0]
    assert "waits 60 s before it scales down; that is no setting, and api v2 waits around 140 s" in to_v2[1]


def test_a_scale_down_delay_is_no_setting_of_azures() -> None:
    (warning,) = exported(planned("v2", scale_down_delay="2m"), Format.AZ_CLI).warnings
    assert "waits 120 s before it scales down; that is no setting, and api v2 waits around 20 s" in warning
    assert exported(planned("v2", scale_down_delay="20s"), Format.AZ_CLI).warnings == ()


@pytest.mark.parametrize("form", [Format.DEPLOYMENTCONFIG, Format.SDK_V1])
def test_the_workers_of_a_v1_container_are_set_elsewhere(form: Format) -> None:
    warnings = exported(planned("v2 many at a time"), form).warnings
    assert "WORKER_COUNT = 3 is no setting of a deployment in api v1" in warnings[0]


@pytest.mark.parametrize(
    ("changes", "form", "place", "written", "says"),
    [
        (
            {"polling_interval": "1500ms", "scale_down_delay": "40s"},
            "online-deployment",
            "scale_settings.polling_interval",
            2,
            "polling_interval = 1.5 is not in whole seconds, as Azure takes it: 2 is written",
        ),
        (
            {"polling_interval": "200ms", "scale_down_delay": "20s"},
            "online-deployment",
            "scale_settings.polling_interval",
            1,
            "polling_interval = 0.2 is less than api v2 takes: 1 is written",
        ),
        (
            {"max_request_wait_time": 0},
            "online-deployment",
            "request_settings.max_queue_wait_ms",
            1,
            "max_queue_wait_ms = 0 is less than api v2 takes: 1 is written",
        ),
        (
            {"max_request_wait_time": 2.5},
            "online-deployment",
            "request_settings.max_queue_wait_ms",
            3,
            "max_queue_wait_ms = 2.5 is not in whole milliseconds",
        ),
        (
            {"scoring_timeout_ms": 600000},
            "online-deployment",
            "request_settings.request_timeout_ms",
            300000,
            "request_timeout_ms = 600000 is more than Kubernetes online endpoints allow: 300000 is written",
        ),
    ],
)
def test_a_value_that_azure_does_not_take_is_the_nearest_that_it_takes(
    changes: Document, form: str, place: str, written: int, says: str
) -> None:
    result = exported(planned("v2", **changes), Format(form))
    section, key = place.split(".")
    assert yaml.safe_load(result.text)[section][key] == written
    (warning,) = result.warnings
    assert says in warning


def test_v1_takes_a_longer_timeout_but_no_wait_of_nothing() -> None:
    result = exported(planned("v1", scoring_timeout_ms=600000, max_request_wait_time=0), Format.DEPLOYMENTCONFIG)
    config = json.loads(result.text)
    assert (config["scoringTimeoutMs"], config["maxQueueWaitMs"]) == (600000, 1)
    assert result.warnings == (
        "max_request_wait_time = 0 is less than api v1 takes: 1 is written, for which nothing was planned",
    )


def test_every_duration_of_whole_milliseconds_is_one() -> None:
    """0.29 s is 290 ms, whatever binary fractions make of it."""
    for milliseconds in range(1, 3000, 23):
        deployment = Deployment(max_request_wait_s=milliseconds / 1000)
        result = exported(deployment, Format.ONLINE_DEPLOYMENT)
        assert f"max_queue_wait_ms: {milliseconds}\n" in result.text
        assert result.warnings == ()


def test_an_undecided_plan_warns() -> None:
    result = exported(planned("v2"), Format.AZ_CLI, verdict="undecided", reasons=["0.102 %, not resolved"])
    assert result.warnings == (
        "the plan is undecided, these settings are not shown to keep its promise: 0.102 %, not resolved",
    )


# The command


def command(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run(["export", *(str(argument) for argument in arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err


@pytest.mark.parametrize("form", list(Format))
def test_a_folder_or_its_file_to_stdout(form: Format, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_plan(tmp_path, plan_document(planned("v2")))
    expected = exported(planned("v2"), form)
    for plan in (tmp_path, tmp_path / "plan.json"):
        code, out, err = command(capsys, plan, "--format", form)
        assert (code, out) == (0, expected.text)
        assert err == "".join(f"warning: {warning}\n" for warning in expected.warnings)


def test_to_a_file_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_plan(tmp_path, plan_document(planned("v2")))
    file = tmp_path / "deploymentconfig.json"
    code, out, _ = command(capsys, tmp_path, "--format", "deploymentconfig", "--out", file)
    assert (code, out) == (0, f"{file}\n")
    expected = exported(planned("v2"), Format.DEPLOYMENTCONFIG)
    assert file.read_text(encoding="utf-8") == expected.text
    for options, path in (((), None), (("--out", file), str(file))):
        code, out, _ = command(capsys, tmp_path, "--format", "deploymentconfig", "--output", "json", *options)
        assert code == 0
        assert json.loads(out) == {
            "command": "export",
            "format": "deploymentconfig",
            "file": path,
            "text": expected.text,
            "warnings": list(expected.warnings),
        }


def test_names_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_plan(tmp_path, plan_document(planned("v2")))
    names = ("--name", "123", "--endpoint-name", "churn_eu-1")
    _, out, _ = command(capsys, tmp_path, "--format", "online-deployment", *names)
    document = yaml.safe_load(out)
    assert (document["name"], document["endpoint_name"]) == ("123", "churn_eu-1")
    _, out, _ = command(capsys, tmp_path, "--format", "az-cli", *names)
    assert list(names) == shlex.split(out, comments=True)[4:8]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("az-cli", "--name", "ab"), "--name 'ab': must be 3 to 32 letters"),
        (("az-cli", "--name", ""), "--name '': must be 3 to 32 letters"),
        (("az-cli", "--endpoint-name", "a; rm -r x"), "--endpoint-name 'a; rm -r x': must be 3 to 32 letters"),
        (("az-cli", "--name", "blue\n"), "--name 'blue\\n': must be 3 to 32 letters"),
        (("az-cli", "--name", "a" * 32, "--endpoint-name", "b" * 31), "has 63 characters with the endpoint's name"),
        (("sdk-v1", "--name", "blue"), "--name blue: not used with --format sdk-v1"),
        (("sdk-v1", "--out", "{plan}"), "is a folder, must be a file"),
        (("sdk-v1", "--out", "{plan}/pipe"), "is a device, pipe or socket, must be a file"),
        (("sdk-v1", "--out", "{plan}/x/config.py"), "does not exist"),
        (("deploymentconfig", "--out", "{plan}/plan.json"), "is the plan itself"),
    ],
)
def test_options_that_cannot_be(
    options: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_plan(tmp_path, plan_document(planned("v2")))
    os.mkfifo(tmp_path / "pipe")
    before = (tmp_path / "plan.json").read_bytes()
    arguments = [option.replace("{plan}", str(tmp_path)) for option in options]
    code, out, err = command(capsys, tmp_path, "--format", *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert (tmp_path / "plan.json").read_bytes() == before
    assert (tmp_path / "pipe").is_fifo()


def at(place: str, value: Any) -> Callable[[Document], None]:
    """Sets a value of a plan by its path; `...` takes it away."""

    def change(document: Document) -> None:
        *sections, key = place.split(".")
        for section in sections:
            document = document[section]
        if value is ...:
            del document[key]
        else:
            document[key] = value

    return change


SETTINGS_AT = "recommended.settings"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at("command", "simulate"), "not the document of `surgeproof plan`"),
        (at("verdict", ...), "verdict is missing"),
        (at("verdict", 3), "verdict = 3, must be a text"),
        (at("reasons", "x"), 'reasons = "x", must be a list'),
        (at("scenario", None), "scenario.name is missing"),
        (at("recommended", []), "recommended.settings.autoscale_min_replicas is missing"),
        (at("recommended.settings", ...), "settings.autoscale_min_replicas is missing"),
        (at("recommended.fraction_503", None), "recommended.fraction_503.value is missing"),
        (at("recommended.fraction_503.high", "many"), 'fraction_503.high = "many", must be a number'),
        (at("recommended.fraction_503.resolved", 1), "fraction_503.resolved = 1, must be true or false"),
        (at("slo.max_fraction_503", 7), "slo.max_fraction_503 = 7, above 1 needs a percent sign"),
        (at(f"{SETTINGS_AT}.api", "v3"), f'{SETTINGS_AT}.api = "v3", must be v1 or v2'),
        (at(f"{SETTINGS_AT}.autoscaler", {}), "autoscaler = {}, must be azureml-fe or fixed"),
        (at(f"{SETTINGS_AT}.autoscale_min_replicas", 4.5), "autoscale_min_replicas = 4.5, must be an integer"),
        (at(f"{SETTINGS_AT}.autoscale_min_replicas", True), "autoscale_min_replicas = true, must be an integer"),
        (at(f"{SETTINGS_AT}.autoscale_max_replicas", 3), "autoscale_max_replicas = 3, must be at least min_replicas"),
        (at(f"{SETTINGS_AT}.autoscale_target_utilization", 0.7), "did you mean 70?"),
        (at(f"{SETTINGS_AT}.autoscale_refresh_seconds", 0), "autoscale_refresh_seconds = 0, must be above 0"),
        (at(f"{SETTINGS_AT}.max_request_wait_time_ms", None), "max_request_wait_time_ms = null, must be"),
        (at(f"{SETTINGS_AT}.scoring_timeout_ms", -1), "scoring_timeout_ms = -1, must be at least 0"),
        (at(f"{SETTINGS_AT}.worker_count", 0), "worker_count = 0, must be an integer, at least 1"),
        (at(f"{SETTINGS_AT}.scale_down_delay_s", "soon"), 'scale_down_delay_s = "soon", must be a duration'),
        (at(f"{SETTINGS_AT}.autoscaler", "fixed"), "autoscaler fixed needs min_replicas = max_replicas, not 17 and 28"),
    ],
)
def test_a_file_that_is_no_plan(
    change: Callable[[Document], None], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = copy.deepcopy(plan_document(planned("v2")))
    change(document)
    code, out, err = command(capsys, write_plan(tmp_path, document), "--format", "sdk-v1")
    assert (code, out) == (2, "")
    assert err.startswith(f"{tmp_path / 'plan.json'}: ")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[1]", "not the document of `surgeproof plan`"),
        (b'{"command": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe", "not a text file"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_document(
    content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "plan.json").write_bytes(content)
    code, out, err = command(capsys, tmp_path, "--format", "sdk-v1")
    assert (code, out) == (2, "")
    assert err.startswith(f"{tmp_path / 'plan.json'}: ")
    assert says in err
    assert err.count("\n") == 1


def test_a_plan_without_a_recommendation_exports_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = plan_document(planned("v2"), verdict="infeasible", reasons=["the cold start is too long"])
    document["recommended"] = None
    code, out, err = command(capsys, write_plan(tmp_path, document), "--format", "az-cli", "--out", tmp_path / "x.sh")
    assert (code, out) == (2, "")
    assert err == (
        f"{tmp_path / 'plan.json'}: recommended = null, so there is nothing to export; "
        "the plan is infeasible: the cold start is too long\n"
    )
    assert not (tmp_path / "x.sh").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "plan.json")
    code, _, err = command(capsys, tmp_path, "--format", "az-cli")
    assert code == 2
    assert "is a pipe or a device, not a file" in err


def test_an_error_of_the_plan_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"plan.json: recommended = null"):
        exported(planned("v2"), Format.SDK_V1, recommended=None)
