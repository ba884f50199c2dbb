"""Every command in an environment without each extra: it works, or one sentence names the extra; exit code 2."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from planner.cli.group import COMMANDS, make_group
from planner.extras import EXTRAS, extra_of
from planner.scenario_file import load
from tests.loadtest.simulated_run import write_run
from tests.planner.bare_environment import (
    PROJECT,
    ROOT,
    Ended,
    installed,
    make_environment,
    packages_without,
    run_there,
)

ALWAYS = ["replicas", "simulate", "plan", "export", "scenarios", "schema", "validate", "calibrate", "compare", "report"]
"""Commands of the base install; every other one is of the extra `loadtest`."""

OPTION_OF_EXTRA = {"dask": "--scheduler=tcp://127.0.0.1:1", "azure": "--azure-identity"}
"""Extras that an option asks for, and no command as such."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the run folder of a replay, twice."""
    made = tmp_path_factory.mktemp("extras")
    write_run(made / "run", load("quickstart", {"duration": "30s"}))
    shutil.copytree(made / "run", made / "again")
    return made


def arguments(folder: Path, into: Path) -> dict[str, list[str]]:
    """By command: enough for it to get to its work. into: what they write to."""
    run = str(folder / "run")
    nobody = "http://127.0.0.1:1/score"
    ranges = {"min-replicas": "10..10", "max-replicas": "10..10", "target-utilization": "70..70"}
    one_setting = [word for name, value in ranges.items() for word in (f"--autoscale-{name}", value)]
    return {
        "replicas": ["--target-rps", "20", "--request-time", "1"],
        "simulate": ["quickstart", "--replications", "2"],
        "plan": ["quickstart", "--no-questions", *one_setting, "--out", str(into / "plan")],
        "lab": ["quickstart"],
        "replay": ["quickstart", "--url", nobody, "--out", str(into / "replay")],
        "replay-worker": ["--master", "127.0.0.1:1", "--out", str(into / "worker")],
        "validate": [run],
        "calibrate": [run, "--out", str(into / "calibrated.yaml")],
        "compare": [run, str(folder / "again")],
        "report": [run],
        "run": ["quickstart", "--out", str(into / "pipeline")],
        "observe": ["--deployment", "blue"],
        "diagnose": ["--deployment", "blue"],
        "selftest": [],
        "export": [str(into / "plan"), "--format", "az-cli"],
        "scenarios": [],
        "schema": [],
    }


def ended_without(extra: str, folder: Path, commands: list[list[str]]) -> list[Ended]:
    """extra: `every` for an environment without any."""
    packages = installed(PROJECT["dependencies"]) if extra == "every" else packages_without(extra)
    python = make_environment(folder / f"without-{extra}", packages)
    return run_there(python, commands, folder)


def test_every_command_is_tried() -> None:
    assert set(arguments(Path(), Path())) == set(COMMANDS)


def test_each_extra_of_the_project_is_known() -> None:
    assert set(EXTRAS) == set(PROJECT["optional-dependencies"])


def test_the_table_of_extras_has_every_module_that_the_base_install_lacks() -> None:
    tops = {name.partition(".")[0] for folder in ("planner", "loadtest") for name in imported(ROOT / folder)}
    base = {file.parts[0] for found in installed(PROJECT["dependencies"]).values() for file in found.files or []}
    names = {name.partition(".")[0] for name in base}
    others = tops - set(sys.stdlib_module_names) - {"planner", "loadtest"} - names
    assert {name for name in others if extra_of(name) is None} == set()


def imported(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        for statement in ast.walk(ast.parse(path.read_text())):
            if isinstance(statement, ast.Import):
                found |= {alias.name for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
                found.add(str(statement.module))
    return found


@pytest.mark.parametrize("extra", ["every", "loadtest"])
def test_a_command_of_an_extra_names_it_and_the_others_work_without(extra: str, folder: Path, tmp_path: Path) -> None:
    """What works without any extra works without one of them, and is tried once."""
    given = arguments(folder, tmp_path)
    tried = [name for name in given if extra == "every" or name not in ALWAYS]
    ended = ended_without(extra, folder, [[name, *given[name]] for name in tried])
    for name, how in zip(tried, ended, strict=True):
        if name in ALWAYS:
            assert (how.code in (0, 1, 3), "not installed" in how.stderr) == (True, False), (name, how)
        else:
            assert (how.code, how.stderr.strip().count("\n")) == (2, 0), (name, how)
            assert "this command needs the extra loadtest (" in how.stderr
            assert how.stderr.endswith("python -m pip install 'surgeproof[loadtest]'\n")


def test_rights_are_printed_without_the_kubernetes_client(folder: Path) -> None:
    (ended,) = ended_without("every", folder / "rights", [["observe", "--print-rbac", "--namespace", "ml"]])
    assert (ended.code, ended.stderr) == (0, "")
    assert "kind: ClusterRoleBinding" in ended.stdout


@pytest.mark.parametrize("extra", OPTION_OF_EXTRA)
def test_an_option_whose_extra_is_missing_names_it_and_every_help_is_shown(
    extra: str, folder: Path, tmp_path: Path
) -> None:
    option = OPTION_OF_EXTRA[extra]
    given = arguments(folder, tmp_path)
    with_option = [name for name in COMMANDS if option.partition("=")[0] in options_of(name)]
    asked = [[name, *given[name], option] for name in with_option]
    helps = [[name, "--help"] for name in COMMANDS]
    ended = ended_without(extra, folder, [*asked, *helps])
    assert with_option
    for name, how in zip(with_option, ended, strict=False):
        assert (how.code, how.stderr.strip().count("\n")) == (2, 0), (name, how)
        assert how.stderr.endswith(f"python -m pip install 'surgeproof[{extra}]'\n"), (name, how)
    assert [how.code for how in ended[len(asked) :]] == [0] * len(COMMANDS)


def options_of(name: str) -> set[str]:
    group: Any = make_group()
    _, command, _ = group.resolve_command(None, [name])
    return {option for parameter in command.params for option in parameter.opts}
