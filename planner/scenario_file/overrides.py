"""Settings that options put in place of a scenario's own, in the parsed document, before anything is checked."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from planner import units
from planner.azureml import SETTINGS, names_of
from planner.model import Api
from planner.scenario_file.intervals import each
from planner.scenario_file.problems import value_at
from planner.scenario_file.retiming import PREFIX, duration_text, retime
from planner.scenario_file.yaml_text import scalar


def override(document: Mapping[str, Any], overrides: Mapping[str, object]) -> dict[str, Any]:
    """A copy of the document with the values at dotted paths (`traffic.rate[1].rps`) replaced.

    Text is read as YAML reads a word. An Azure setting replaces its other name too. A duration cuts or extends the
    rates and the trace with it: a ramp keeps its slope, the last rate holds. Paths under `trace` come first and change
    the traffic (`planner.scenario_file.retiming`).
    """
    result: dict[str, Any] = copy.deepcopy(dict(document))
    _pin_api(result, overrides)
    values = {path: scalar(given) if isinstance(given, str) else given for path, given in overrides.items()}
    if of_trace := {path[len(PREFIX) :]: value for path, value in values.items() if path.startswith(PREFIX)}:
        retime(result, of_trace)
    for dotted_path, value in values.items():
        if dotted_path.startswith(PREFIX):
            continue
        *parents, key = steps(dotted_path)
        holder: Any = result
        for parent in parents:
            holder = holder.setdefault(parent, {}) if isinstance(holder, dict) else value_at(holder, (parent,))
        if not holds(holder, key):
            continue  # the file's own mistake, which will be reported
        if parents == ["deployment"]:
            for other in _other_names(str(key)):
                holder.pop(other, None)
        if dotted_path == "duration":
            _fit(result, value)
        holder[key] = value
    return result


def _pin_api(document: dict[str, Any], overrides: Mapping[str, object]) -> None:
    """Write down the API that the document's own names imply, before an option brings a name of the other."""
    deployment = document.get("deployment")
    if not isinstance(deployment, dict) or not deployment.keys().isdisjoint(("api", "file")):
        return
    if not any(path.startswith("deployment.") and _other_names(path.partition(".")[2]) for path in overrides):
        return
    of_v1, of_v2 = (names_of(api, map(str, deployment)) for api in (Api.V1, Api.V2))
    if not (of_v1 and of_v2):
        deployment["api"] = str(Api.V1 if of_v1 else Api.V2)


def steps(dotted_path: str) -> tuple[str | int, ...]:
    """traffic.rate[1].rps -> traffic, rate, 1, rps"""
    return tuple(int(step[1:-1]) if step[0] == "[" else step for step in re.findall(r"\[\d+\]|[^.\[]+", dotted_path))


def holds(holder: Any, step: str | int) -> bool:
    """Whether a value can be set there: in a mapping under any key, in a list where there is one."""
    if isinstance(holder, dict):
        return isinstance(step, str)
    return isinstance(holder, list) and step in range(len(holder))


def _other_names(name: str) -> set[str]:
    return {other for s in SETTINGS if name in (s.v1, s.v2) for other in (s.v1, s.v2)} - {name}


def _fit(document: dict[str, Any], duration: Any) -> None:
    """Make rates and trace end with another duration. A value that cannot be read is left for the checks."""
    try:
        new_s, old_s = units.positive_seconds(duration), units.positive_seconds(document.get("duration"))
    except ValueError:
        new_s, old_s = None, None
    rate = value_at(document, ("traffic", "rate"))
    try:
        if isinstance(rate, list) and new_s is not None and old_s is not None:
            document["traffic"]["rate"] = _cut(rate, old_s, new_s)
        chosen = value_at(document, ("traffic", "arrivals", "trace"))
        if isinstance(chosen, dict) and "for" in chosen:
            longest_s = units.positive_seconds(duration) / units.positive_number(chosen.get("time_scale", 1))
            if units.unbounded_seconds(chosen["for"]) > longest_s:
                chosen["for"] = duration_text(longest_s)
    except (ValueError, KeyError, TypeError):
        return


def _cut(rate: list[dict[str, Any]], old_s: float, new_s: float) -> list[dict[str, Any]]:
    """The entries that start before the new end; a ramp that it cuts ends at the rate it had there."""
    starts = [units.seconds(step["from"]) for step in rate]
    kept = [dict(step) for step, start in zip(rate, starts, strict=True) if start < new_s]
    if not kept or "to_rps" not in kept[-1]:
        return kept or rate
    last, start_s = kept[-1], starts[len(kept) - 1]
    end_s = starts[len(kept)] if len(kept) < len(starts) else old_s
    if end_s < new_s:
        return [*kept, {"from": duration_text(end_s), "rps": last["to_rps"]}]

    def at_the_cut(first_rps: float, final_rps: float) -> float:
        return first_rps + (final_rps - first_rps) * (new_s - start_s) / (end_s - start_s)

    last["to_rps"] = each(at_the_cut, last["rps"], last["to_rps"])
    return kept
