"""What a file or folder is, by what it holds, and what each command says of one that it does not want."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from loadtest.runfolder import open_run_folder
from planner.cli.root import run
from planner.errors import InputError
from planner.plan_folder import read_plan
from planner.recognise.documents import Found, Kind
from planner.recognise.paths import recognise
from planner.scenario_file import load
from tests.planner.scenario_documents import TEXT

LOG = '1.2.3.4 - - [22/Nov/2026:10:00:00 +0000] "POST /score HTTP/1.1" 200 17 "-" "-"\n'
ARM = '{"type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments", "properties": {}}'
TEMPLATE = '{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"}'
SDK = "config = AksWebservice.deploy_configuration(num_replicas=2)\n"
HPA = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 3}\n"

FILES = [
    ("scenario.yaml", TEXT, Kind.SCENARIO, ""),
    ("deployment.yml", "name: b\nendpoint_name: e\ntype: kubernetes\ninstance_count: 2\n", Kind.DEPLOYMENT_V2, ""),
    ("config.json", '{"computeType": "aks", "numReplicas": 2}', Kind.DEPLOYMENT_V1, ""),
    ("arm.json", ARM, Kind.DEPLOYMENT_ARM, ""),
    ("template.json", TEMPLATE, Kind.ARM_TEMPLATE, ""),
    ("both.yml", "name: e\nauth_mode: key\n---\ntype: kubernetes\ninstance_count: 2\n", Kind.DEPLOYMENT_V2, ""),
    ("managed.yml", "type: managed\ninstance_count: 2\n", Kind.MANAGED, "type: managed"),
    ("endpoint.yml", "name: e\ncompute: azureml:aks\nauth_mode: key\n", Kind.ENDPOINT, ""),
    ("endpoint-with-traffic.yml", "name: e\nauth_mode: key\ntraffic: {blue: 100}\n", Kind.ENDPOINT, ""),
    ("names.json", '{"autoscale_enabled": true, "cpu_cores": 1}', Kind.SDK_V1_NAMES, ""),
    ("hpa.yaml", HPA, Kind.MANIFEST, "HorizontalPodAutoscaler"),
    ("access.log.1", LOG, Kind.TRACE, "common_log"),
    ("requests.txt", "timestamp;requests\n2026-11-22T10:00:00Z;60\n", Kind.TRACE, "CSV"),
    ("epoch.csv", "time_s,service_time_s\n0,0.1\n", Kind.TRACE, "CSV"),
    ("nginx.log", '{"time": "2026-11-22T10:00:00Z"}\n{"time": "2026-11-22T10:00:01Z"}\n', Kind.TRACE, "JSON lines"),
    ("deploy.py", SDK, Kind.SDK_CODE, ""),
    ("pasted.txt", SDK, Kind.SDK_CODE, ""),
    ("score.py", "import json\n", Kind.PYTHON, ""),
    ("plan.json", '{"command": "plan", "scenario": {}}', Kind.PLAN, "plan"),
    ("result.json", '{"command": "simulate", "scenario": {}}', Kind.RESULT, "simulate"),
    ("summary.json", '{"books": {}, "observed": {}}', Kind.RUN_PART, ""),
    ("list.json", "[1, 2]", Kind.LIST, "2"),
    ("other.yaml", "hello: world\n", Kind.UNKNOWN, ""),
    ("broken.yaml", "a: [\n", Kind.UNKNOWN, ""),
]


@pytest.mark.parametrize(("name", "text", "kind", "detail"), FILES)
def test_a_file_is_known_by_what_it_holds(tmp_path: Path, name: str, text: str, kind: Kind, detail: str) -> None:
    (tmp_path / name).write_text(text)
    found = recognise(tmp_path / name)
    assert found is not None
    assert (found.kind, found.detail) == (kind, detail)


def test_compression_and_utf16_do_not_hide_it(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(gzip.compress(LOG.encode()))
    (tmp_path / "table").write_text("timestamp,requests\n2026-11-22T10:00:00Z,60\n", encoding="utf-16")
    assert [recognise(tmp_path / name).kind for name in ("log", "table")] == [Kind.TRACE, Kind.TRACE]  # type: ignore[union-attr]
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "packed").write_bytes(compress(b"timestamp,requests\n2026-11-22T10:00:00Z,60\n"))
        assert recognise(tmp_path / "packed") == Found(Kind.TRACE, "CSV")


def test_what_is_not_there_is_not_known(tmp_path: Path) -> None:
    assert recognise(tmp_path / "nowhere") is None
    (tmp_path / "damaged.gz").write_bytes(gzip.compress(LOG.encode())[:20])
    assert recognise(tmp_path / "damaged.gz") is None
    (tmp_path / "damaged.xz").write_bytes(lzma.compress(LOG.encode())[:8] + b"\xff" * 40)
    assert recognise(tmp_path / "damaged.xz") is None


def test_folders(tmp_path: Path) -> None:
    for name, files in {
        "plan": ("plan.json", "scenario.yaml"),
        "run": ("scenario.yaml", "summary.json", "requests.parquet"),
        "killed": ("scenario.yaml", "schedule.parquet", "journal.jsonl"),
        "other": ("scenario.yaml",),
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    kinds = {name: recognise(tmp_path / name).kind for name in ("plan", "run", "killed", "other")}  # type: ignore[union-attr]
    assert kinds == {
        "plan": Kind.PLAN_FOLDER,
        "run": Kind.RUN_FOLDER,
        "killed": Kind.UNFINISHED_RUN,
        "other": Kind.FOLDER,
    }
    for name in ("plan", "run", "killed", "other"):
        with pytest.raises(InputError, match=rf"{name}: is a .*, not a scenario.*scenario\.yaml"):
            load(tmp_path / name)
    with pytest.raises(InputError, match=r"`surgeproof replay --recover .*/killed` makes the results"):
        open_run_folder(tmp_path / "killed")
    with pytest.raises(InputError, match=r"`surgeproof report .*/plan` writes the report of a plan"):
        open_run_folder(tmp_path / "plan")
    with pytest.raises(InputError, match=r"run: is a run folder, not the document of `surgeproof plan`"):
        read_plan(tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, text, kind, _ in FILES if kind not in (Kind.SCENARIO, Kind.LIST)]
)
def test_a_file_that_is_no_scenario_is_told_in_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        load(tmp_path / name)
    (sentence,) = raised.value.problems
    assert sentence.startswith(f"{tmp_path / name}: ")
    assert "unknown key" not in sentence


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deployment.yml", FILES[1][1]),
        ("config.json", FILES[2][1]),
        ("deploy.py", SDK),
        ("requests.txt", "timestamp,requests\n2026-11-22T10:00:00Z,600\n2026-11-22T10:01:00Z,600\n"),
        ("hpa.yaml", HPA),
    ],
)
def test_the_lines_that_are_offered_are_a_scenario(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as raised:
        load(tmp_path / name)
    sentence, _, lines = str(raised.value).partition("\n")
    assert f"then: surgeproof plan {tmp_path}/scenario.yaml" in sentence
    offered = lines.replace("requests.txt}", "requests.txt, format: csv}")
    (tmp_path / "scenario.yaml").write_text(offered)
    assert load(tmp_path / "scenario.yaml").slo is not None


def test_a_path_without_a_slash_is_found_where_no_scenario_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("access.log").write_text(LOG)
    assert run(["simulate", "access.log"]) == 2
    assert "access.log: is a recorded trace (common_log), not a scenario" in capsys.readouterr().err
    assert run(["plan", "deployment.yml"]) == 2
    assert "deployment.yml: no such file" in capsys.readouterr().err
    Path("deployment.yml").write_text(FILES[1][1])
    assert run(["plan", "deployment.yml"]) == 2
    shown = capsys.readouterr().err
    assert "is a deployment of Azure ML (v2), not a scenario" in shown
    assert "  deployment: {file: deployment.yml}\n" in shown
