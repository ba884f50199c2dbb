"""What the readers of Azure's files share: the settings they find, and what is wrong with a value or a key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from planner import units
from planner.azureml import SETTINGS, Given, Setting
from planner.errors import InputError
from planner.model import Api, Autoscaler
from planner.shown import shown


@dataclass(frozen=True)
class AzureFile:
    """The settings that one of Azure's files holds, by field of `Deployment`.

    unclear: field -> a sentence, where the file does not tell the value; an error unless the scenario does.
    own_container: whether a container of the user's runs in place of Azure's scoring server.
    """

    api: Api
    autoscaler: Autoscaler
    given: Mapping[str, Given]
    warnings: tuple[str, ...] = ()
    unclear: Mapping[str, str] = field(default_factory=dict)
    own_container: bool = False


Read = Callable[[Setting, Any], Any]
"""A setting's value from what stands in a file. Raises ValueError with the bound that it breaks."""

_TOKEN = re.compile(r"#\{|\$\{\{|\$\(|\$\{|\{\{|^__\w+__$|^%\w+%$")


def value_at(document: Mapping[str, Any], place: str) -> tuple[bool, Any]:
    """Whether a dotted place is there, and its value."""
    value: Any = document
    for key in place.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False, None
        value = value[key]
    return True, value


def taken(
    document: Mapping[str, Any],
    places: Mapping[str, str],
    read: Read,
    source: str,
    problems: list[str],
    empty: Callable[[str], str] | None = None,
) -> dict[str, Given]:
    """The settings at the places (dotted, by field). empty: the problem of a place without a value, if it is one."""
    given = {}
    for setting in SETTINGS:
        if setting.field not in places:
            continue
        place = places[setting.field]
        is_there, value = value_at(document, place)
        if not is_there:
            continue
        if value is None:
            problems += [empty(place)] if empty else []
            continue
        label = f"{source}: {place} = {shown(value)}"
        try:
            given[setting.field] = Given(read(setting, value), label, place)
        except ValueError as bound:
            problems.append(f"{label}, {bound}{token_hint(value)}")
    return given


def token_hint(value: object) -> str:
    """What a text looks like that a pipeline should have replaced."""
    return "; a pipeline's token that was not replaced?" if isinstance(value, str) and _TOKEN.search(value) else ""


def empty_problem(place: str, source: str, text: str) -> str:
    """A key of ours without a value, and the token of a pipeline if one stands on its line in `text`."""
    key = place.rpartition(".")[2]
    line = re.search(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*:\s*(#\{{[^\n]*\}}#?)", text, re.MULTILINE)
    why = "give it a value or leave the key out"
    if line:
        why = f"{line[1].strip()} is a comment in YAML until a pipeline has replaced it"
    return f"{source}: {place} is empty: {why}"


def misspelt(
    document: Mapping[str, Any], sections: Mapping[str, set[str]], other_places: Mapping[str, str], source: str
) -> list[str]:
    """Keys that are nearly ours, or ours in another file. sections: keys at the top -> the keys inside, if any.

    other_places: names of the same settings elsewhere -> the place here. A file holds much that is not ours: at its top
    only these are errors, inside our sections any unknown key.
    """
    problems, moved = [], {}
    for key, value in document.items():
        name = str(key)
        if sections.get(name):
            if not isinstance(value, Mapping):
                problems.append(f"{source}: {name} = {shown(value)}, must be a mapping")
                continue
            for inner in value:
                if inner in sections[name]:
                    continue
                if inner in other_places:
                    moved[f"{name}.{inner}"] = other_places[inner]
                else:
                    problems.append(f"{source}: {name}.{inner} is an unknown key{_hint(inner, sections[name])}")
        elif name not in sections:
            near = difflib.get_close_matches(name, sections, n=1, cutoff=0.88)
            if name in other_places:
                moved[name] = other_places[name]
            elif near:
                problems.append(f"{source}: {name} is an unknown key; did you mean {near[0]}?")
    if moved:
        names, places = ", ".join(moved), ", ".join(moved.values())
        are, them = ("are keys", "them") if len(moved) > 1 else ("is a key", "it")
        problems.append(f"{source}: {names} {are} that Azure does not read in this file: write {them} as {places}")
    return problems


def _hint(key: object, known: set[str]) -> str:
    guess = difflib.get_close_matches(str(key), known, n=1)
    return f"; did you mean {guess[0]}?" if guess else f"; known are {', '.join(sorted(known))}"


def read_workers(variables: object, place: str, source: str, given: dict[str, Given], problems: list[str]) -> bool:
    """Take WORKER_COUNT out of a deployment's environment variables; whether it is there."""
    if not isinstance(variables, Mapping) or "WORKER_COUNT" not in variables:
        return False
    value = variables["WORKER_COUNT"]
    label = f"{source}: {place}.WORKER_COUNT = {shown(value)}"
    try:
        is_text = isinstance(value, str) and value.strip().isdecimal()
        workers = units.count(least=1)(int(value) if is_text else value)
        given["worker_count"] = Given(workers, label, "WORKER_COUNT")
    except ValueError as bound:
        problems.append(f"{label}, {bound}{token_hint(value)}")
    return True


def raise_if_any(problems: list[str]) -> None:
    if problems:
        raise InputError(*problems)
