"""Counterfactuals: a scenario with one value of its file replaced, by the text KEY=VALUE."""

from __future__ import annotations

import dataclasses
import difflib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file import schema
from planner.scenario_file.build import build
from planner.scenario_file.overrides import holds, override, steps
from planner.scenario_file.problems import dotted, option, value_at
from planner.scenario_file.yaml_text import dump, parse
from planner.shown import shown


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """One counterfactual. text: KEY=VALUE as it was given; setting: the dotted path that KEY stands for."""

    text: str
    setting: str
    value: Any
    scenario: Scenario

    @property
    def same_random_numbers(self) -> bool:
        return self.setting != "seed"


def what_if(scenario: Scenario, text: str) -> WhatIf:
    """A scenario that was read from a file, with KEY=VALUE in place. KEY: a dotted path or a setting of the deployment.

    Raises InputError with what is wrong with it, in the words of the scenario file.
    """
    key, equals, value = text.partition("=")
    if not (key and equals and value.strip()):
        raise InputError(f"--what-if {text}: must be KEY=VALUE, for example cold_start=0")
    assert scenario.source is not None
    document = parse(scenario.text, scenario.source.name)
    setting = _dotted_path(key.strip(), text)
    changed, made = _built(scenario, document, setting, value.strip(), text)
    return WhatIf(text=text, setting=setting, value=value_at(changed, steps(setting)), scenario=made)


def what_ifs(scenario: Scenario, texts: list[str]) -> list[WhatIf]:
    """One counterfactual for each text. Raises InputError with everything that is wrong with any of them."""
    made: list[WhatIf] = []
    problems: list[str] = []
    for text in texts:
        try:
            made.append(what_if(scenario, text))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return made


def _dotted_path(key: str, text: str) -> str:
    top, inner = _keys(schema.ScenarioForm), _keys(schema.DeploymentForm)
    if dotted(steps(key)) == key and steps(key)[0] in top:
        return key
    if key in inner:
        return f"deployment.{key}"
    near = difflib.get_close_matches(key, [*top, *inner], n=1, cutoff=0.6)
    raise InputError(f"--what-if {text}: unknown key" + (f"; did you mean {near[0]}?" if near else ""))


def _keys(form: Any) -> list[str]:
    return [field.alias or name for name, field in form.model_fields.items()]


def _built(
    scenario: Scenario, document: dict[str, Any], setting: str, value: str, text: str
) -> tuple[dict[str, Any], Scenario]:
    """The changed document and the scenario that it describes."""
    try:
        return _build(scenario, document, setting, _structured(value), text)
    except InputError:
        if value == "0":  # which means the same in any unit
            with suppress(InputError):
                return _build(scenario, document, setting, "0s", text)
        raise


def _build(
    scenario: Scenario, document: dict[str, Any], setting: str, value: object, text: str
) -> tuple[dict[str, Any], Scenario]:
    assert scenario.source is not None
    changed = override(document, {setting: value})
    path = steps(setting)
    _check_is_there(changed, path, text)
    try:
        made = build(changed, scenario.source.name, scenario.source.parent, (dotted(path),))
    except InputError as error:
        label = f"{option(path)} = {shown(value_at(changed, path))}, "
        raise InputError(
            *(f"--what-if {text}: {sentence.removeprefix(label)}" for sentence in error.problems)
        ) from None
    return changed, dataclasses.replace(made, source=scenario.source, text=dump(changed))


def _check_is_there(changed: dict[str, Any], path: tuple[str | int, ...], text: str) -> None:
    """The place may be inside a value that holds no others, or past the end of a list."""
    for end in range(1, len(path)):
        holder = value_at(changed, path[:end])
        if not holds(holder, path[end]):
            there = f"{dotted(path[:end])} = {shown(holder)}"
            raise InputError(f"--what-if {text}: there is no {dotted(path[: end + 1])}, {there}")


def _structured(value: str) -> object:
    """A mapping or a list as YAML has it; a word stays text, to be read by `override`."""
    try:
        parsed = parse(value, "")
    except InputError:
        return value
    return parsed if isinstance(parsed, dict | list) else value
