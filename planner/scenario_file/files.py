"""Scenario files: finding them by name or path, reading them, and keeping a copy beside a run."""

from __future__ import annotations

import dataclasses
import difflib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import planner
from planner.errors import InputError
from planner.payload_files import payload_path
from planner.recognise.documents import Kind, kind_of
from planner.recognise.paths import recognise
from planner.recognise.sentences import not_a_scenario
from planner.scenario import Scenario
from planner.scenario_file.build import build
from planner.scenario_file.overrides import override
from planner.scenario_file.pasted import with_settings
from planner.scenario_file.problems import value_at
from planner.scenario_file.retiming import path_in_document
from planner.scenario_file.schema import ScenarioForm
from planner.scenario_file.yaml_text import dump, parse, read_mapping
from planner.shown import shown

FILE_REFERENCES = (
    ("traffic", "arrivals", "trace", "file"),
    ("service_time", "file"),
    ("cold_start", "file"),
    ("deployment", "file"),
    ("request", "body_file"),
    ("request", "json_lines"),
    ("request", "csv_rows"),
    ("request", "template"),
    ("request", "files"),
)
"""Where a scenario may name another file, or a folder of payloads."""

OWN_COMMENT = "# surgeproof-"
"""How a comment begins that is read again, such as on which run a scenario was calibrated."""

INPUTS = "inputs"
"""The subfolder of a run folder that holds the files named by its scenario."""


def load(name_or_path: str | Path, overrides: Mapping[str, object] | None = None) -> Scenario:
    """The scenario at a path (it contains / or ends in .yaml or .yml), else the shipped one of that name, else a path.

    overrides: dotted path -> value in place of the file's, under v1 names (`deployment.autoscale_min_replicas`), or
    `trace.file`, `trace.from` and so on, for the whole traffic; a relative `trace.file` is relative to where the
    command runs. The scenario's `text` is the file's, or with overrides the document that they make.
    """
    path, source = _located(name_or_path)
    given, text = _read(path, source)
    document = with_settings(given, source)
    if document is not given:
        text = f"{_own_lines(text)}# {source} with the settings of the code that was its deployment\n{dump(document)}"
    if overrides:
        overrides = _with_absolute_trace(overrides)
        document = override(document, overrides)
        changes = ", ".join(f"{name} = {shown(value)}" for name, value in overrides.items())
        text = f"{_own_lines(text)}# {source} with {changes}\n{dump(document)}"
    scenario = build(document, source, path.parent, tuple(map(path_in_document, overrides or ())))
    return dataclasses.replace(scenario, source=path, text=text)


def _read(path: Path, source: str) -> tuple[dict[str, Any], str]:
    """The document of a scenario file, and its text; a file that is something else is refused by what it is."""
    try:
        document, text = read_mapping(path, source)
    except InputError:
        found = recognise(path)
        if found is None or found.kind in (Kind.SCENARIO, Kind.UNKNOWN, Kind.LIST):
            raise
        raise InputError(not_a_scenario(found, path)) from None
    found = kind_of(document)
    is_nothing = found.kind is Kind.UNKNOWN and document and document.keys().isdisjoint(ScenarioForm.model_fields)
    if is_nothing or found.kind not in (Kind.SCENARIO, Kind.UNKNOWN):
        raise InputError(not_a_scenario(found, path))
    return document, text


def _with_absolute_trace(overrides: Mapping[str, object]) -> Mapping[str, object]:
    file = overrides.get("trace.file")
    return overrides if file is None else {**overrides, "trace.file": os.path.abspath(str(file))}


def shipped_folder() -> Path:
    """Inside the package when it was installed from a wheel, else at the top of the repository."""
    package = Path(planner.__file__).parent
    installed = package / "shipped_scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


def shipped() -> list[tuple[str, str]]:
    """Name and `shows` of each scenario that comes with Surgeproof."""
    found = []
    for path in sorted(shipped_folder().glob("*.yaml")):
        document, _ = read_mapping(path, path.name)
        found.append((path.stem, str(document.get("shows", ""))))
    return found


def _own_lines(text: str) -> str:
    """The comment lines that Surgeproof has written for itself: they stay when the document is written anew."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.startswith(OWN_COMMENT))


def _located(name_or_path: str | Path) -> tuple[Path, str]:
    """The file, and what messages call it."""
    text = str(name_or_path)
    is_path = isinstance(name_or_path, PurePath) or "/" in text or os.sep in text or text.endswith((".yaml", ".yml"))
    if is_path:
        return Path(text), text
    path = shipped_folder() / f"{text}.yaml"
    names = [file.stem for file in shipped_folder().glob("*.yaml")]
    if text not in names and os.path.exists(text):
        return Path(text), text
    if text not in names:
        near = difflib.get_close_matches(text, names, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted(names)) or 'none'}."
        raise InputError(f"{text}: no shipped scenario of this name; {hint} (A path contains / or ends in .yaml.)")
    return path, path.name


def save_copy(scenario: Scenario, folder: Path) -> Path:
    """Write folder/scenario.yaml so that loading it there gives the same scenario; returns its path.

    Files that it names by a path inside its own folder are copied into the subfolder `inputs`, out of the way of what
    a run writes: two files never under one name. Other relative paths become absolute.
    """
    if not scenario.text or scenario.source is None:
        raise ValueError("only a scenario that was read from a file can be copied")
    home = scenario.source.parent.absolute()
    document = parse(scenario.text, scenario.source.name)
    text, moved = scenario.text, False
    taken: dict[str, str] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for path in FILE_REFERENCES:
        file = value_at(document, path)
        if not isinstance(file, str) or Path(file).is_absolute():
            continue
        parts = PurePath(file).parts
        if ".." in parts:
            named = os.path.normpath(home / file)
        else:
            named = file if parts[0] == INPUTS else f"{INPUTS}/{file}"
            while taken.setdefault(os.path.normpath(named), origin := os.path.normpath(home / file)) != origin:
                named = f"{INPUTS}/{named}"
            if path[-1] == "files":
                _copy_payloads(home / file, folder / named, scenario)
            else:
                _copy(home / file, folder / named)
        if named != file:
            value_at(document, path[:-1])[path[-1]] = named
            moved = True
    if "name" not in document:  # its default is the name of the file, which is about to change
        document = {"name": scenario.name, **document}
        moved = True
    if moved:
        text = f"{_own_lines(text)}# {scenario.source.name}, with what a copy elsewhere needs\n{dump(document)}"
    target = folder / "scenario.yaml"
    target.write_text(text, encoding="utf-8")
    return target


def _copy_payloads(origin: Path, target: Path, scenario: Scenario) -> None:
    """Of a folder of payloads, those that the requests name."""
    payload = getattr(scenario.arrivals, "payload", None)
    for name in set() if payload is None else set(payload):
        _copy(payload_path(origin, name), target / name)


def _copy(origin: Path, target: Path) -> None:
    if target.exists() and target.samefile(origin):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(origin, target)
