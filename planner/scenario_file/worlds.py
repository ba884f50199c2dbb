"""Worlds: a scenario with one value in place of each of its intervals, all else and all random numbers the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from planner import units
from planner.errors import InputError
from planner.scenario import Scenario
from planner.scenario_file.build import build
from planner.scenario_file.overrides import override, steps
from planner.scenario_file.problems import value_at
from planner.scenario_file.yaml_text import dump, parse
from planner.uncertain import UncertainInput, between


def in_world(scenario: Scenario, positions: Mapping[str, float]) -> Scenario:
    """A scenario that was read from a file, in the world with these positions; an input without one is at its mid.

    It is what its `text` says: the same file with plain values, so that nothing in it is uncertain. Deployment, slo,
    seed and name stay those of the scenario at hand. Raises InputError, which names the world, where the file with
    those values breaks a bound.
    """
    assert scenario.source is not None
    if unknown := positions.keys() - {given.name for given in scenario.uncertain}:
        raise ValueError(f"{', '.join(sorted(unknown))}: not uncertain in {scenario.name}")
    if not scenario.uncertain:
        return scenario
    document = parse(scenario.text, scenario.source.name)
    values = {
        path: _value(value_at(document, steps(path)), given, positions.get(given.name, 0.0))
        for given in scenario.uncertain
        for path in given.paths
    }
    plain = override(document, values)
    try:
        made = build(plain, scenario.source.name, scenario.source.parent)
    except InputError as error:
        world = world_name(scenario, positions)
        raise InputError(*(f"in the world with {world}: {sentence}" for sentence in error.problems)) from None
    return dataclasses.replace(
        scenario,
        duration_s=made.duration_s,
        arrivals=made.arrivals,
        service_time=made.service_time,
        cold_start=made.cold_start,
        request=made.request,
        text=dump(plain),
        warnings=made.warnings,
        uncertain=made.uncertain,
    )


def world_name(scenario: Scenario, positions: Mapping[str, float]) -> str:
    """cold_start = 20 s (low), rate = 52.3 requests per second"""
    return ", ".join(_at(given, positions.get(given.name, 0.0)) for given in scenario.uncertain)


def _at(given: UncertainInput, position: float) -> str:
    word = {-1.0: " (low)", 0.0: " (mid)", 1.0: " (high)"}.get(position, "")
    return f"{given.name} = {given.at(position):.6g} {given.unit}{word}"


def _value(interval: Any, given: UncertainInput, position: float) -> object:
    """The value in a world, as the file would write it."""
    if position in (-1, 0, 1):
        return interval[{-1: "low", 0: "mid", 1: "high"}[int(position)]]
    read = units.seconds if given.unit == "s" else units.rate_rps
    value = between(read(interval["low"]), read(interval["mid"]), read(interval["high"]), position)
    return f"{Decimal(repr(value)):f}s" if given.unit == "s" else value
