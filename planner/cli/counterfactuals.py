"""Other scenarios on the random numbers of one that is simulated already: what-ifs and the readings of assumptions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from planner.assumptions import STAMPS, Alternative, alternatives
from planner.cli.progress import progress
from planner.comparison import ReplicateCounts, count_failures
from planner.documents import comparison_document
from planner.errors import NoVerdictError, WorkersLostError
from planner.measures import Counts, are_exact
from planner.scenario import Scenario
from planner.scenario_file.what_if import WhatIf
from planner.sim.replications import Executor

INTERRUPTIONS = (KeyboardInterrupt, WorkersLostError)
"""What ends a simulation early; what is done is kept."""


def counterfactuals(
    scenario: Scenario,
    base: Counts,
    executor: Executor,
    *,
    replications: int,
    assumptions: bool,
    what_ifs: Sequence[WhatIf],
) -> tuple[dict[str, Any], BaseException | None]:
    """What the document of `simulate` says of other scenarios, and what ended it with those that are done.

    base: the counts of the scenario itself. replications: of each other one, unless all its runs are the same.
    The other reading of a trace's stamps is always among them.
    """
    readings = [a for a in alternatives(scenario) if assumptions or a.assumption.setting == STAMPS]
    others = [(f"--what-if {w.text}", w.scenario) for w in what_ifs]
    others += [(f"{a.assumption.setting} = {a.value}", a.scenario) for a in readings if a.moot is None]
    done, ended_by = _compare(base, others, executor, replications, f"comparing {scenario.name}")
    compared = iter(done)
    parts: dict[str, Any] = {}
    if what_ifs:
        documents = zip(what_ifs, compared, strict=False)
        parts["what_if"] = [_what_if_document(what_if, scenario) | said for what_if, said in documents]
    rows = [
        _assumption_document(reading, scenario) | said
        for reading in readings
        if (said := _NOTHING if reading.moot else next(compared, None)) is not None
    ]
    if assumptions:
        parts["assumptions"] = rows
    for row in rows:
        if row["setting"] == STAMPS and row["fraction_503"]:
            parts["fraction_503_stamps_at_start_of_second"] = row["fraction_503"]
    return parts, ended_by


_NOTHING: dict[str, Any] = dict.fromkeys(
    (
        "fraction_503",
        "difference",
        "fraction_504",
        "difference_504",
        "fraction_failed",
        "difference_failed",
        "causes_503",
    )
)


def _assumption_document(reading: Alternative, scenario: Scenario) -> dict[str, Any]:
    assumption = reading.assumption
    return {
        "setting": assumption.setting,
        "unknown": assumption.unknown,
        "value": reading.value,
        "default": next(iter(assumption.readings(scenario)), None),
        "scenario_value": assumption.value(scenario),
        "cannot_matter": reading.moot,
    }


def _what_if_document(what_if: WhatIf, scenario: Scenario) -> dict[str, Any]:
    return {
        "what_if": what_if.text,
        "setting": what_if.setting,
        "value": what_if.value,
        "same_random_numbers": what_if.same_random_numbers,
        "warnings": [w for w in what_if.scenario.warnings if w not in scenario.warnings],
    }


def _compare(
    base: Counts, others: Sequence[tuple[str, Scenario]], executor: Executor, replications: int, label: str
) -> tuple[list[dict[str, Any]], BaseException | None]:
    """A document for each named scenario; an interruption ends it with the replicates that are done."""
    scenarios = [scenario for _, scenario in others]
    counted: list[list[ReplicateCounts]] = [[] for _ in others]
    ended_by: BaseException | None = None

    def count(tasks: Sequence[tuple[int, int]]) -> None:
        for (which, _), counts in zip(tasks, executor.in_order(partial(count_failures, scenarios), tasks), strict=True):
            counted[which].append(counts)
            advance()

    with progress(label, len(others) * replications) as advance:
        try:
            # Where all runs are the same the first is enough, so it goes first.
            count([(which, 0) for which, scenario in enumerate(scenarios) if not scenario.has_random_requests])
            left = [which for which, done in enumerate(counted) if not are_exact(done)]
            count([(which, r) for which in left for r in range(len(counted[which]), replications)])
        except INTERRUPTIONS as interruption:
            ended_by = interruption
    done = [(name, Counts.of(counts)) for (name, _), counts in zip(others, counted, strict=True) if counts]
    usable = takewhile(lambda named: named[1].exact or len(named[1]) > 1, done)
    return [_compared(base, name, counts) for name, counts in usable], ended_by


def _compared(base: Counts, name: str, other: Counts) -> dict[str, Any]:
    try:
        return comparison_document(base, other)
    except NoVerdictError as nothing:
        raise NoVerdictError(f"{name}: {nothing}") from None
