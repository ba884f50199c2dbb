"""What a plan says of uncertain inputs: which of them matters, and how settings do in the worlds that they allow."""

from __future__ import annotations

from typing import Any, NamedTuple

from planner.report.numbers import bound, plain
from planner.report.plan import words
from planner.report.plan.words import Document

_CRITERIA = {
    "kept": "Chosen: the cheapest setting that keeps the promise in at least {} of the worlds that count.",
    "least_regret": "Chosen: the setting with the least regret: the replica-hours that it costs, at worst, over "
    "those of the best setting of a world.",
}

INPUT_COLUMNS = ("Input", "At its low", "In the middle", "At its high")
CANDIDATE_COLUMNS = ("Setting", "Worlds kept", "Mean replica-hours", "Largest regret")


def sentences(document: Document) -> list[str]:
    """The choice in sentences, that of every input last."""
    robust = document["robust"]
    if robust is None:
        return []
    said = [words.capital(robust["sentence"])]
    if criterion := _CRITERIA.get(robust["criterion"]):
        said.append(criterion.format(bound(robust["kept_in"])) if robust["criterion"] == "kept" else criterion)
    if robust["matters_most"] is not None:
        said.append(f"What matters most is {robust['matters_most'].replace('_', ' ')}.")
    return said + [words.capital(given["sentence"]) for given in robust["inputs"] if given["sentence"]]


def input_rows(document: Document) -> list[tuple[str, ...]]:
    """Each input at its low, middle and high, with the replica-hours of the best plan for it."""
    rows = []
    for given in document["robust"]["inputs"]:
        cells = [_input_cell(given, end) for end in ("low", "mid", "high")]
        rows.append((given["name"].replace("_", " "), *cells))
    return rows


def _input_cell(given: Document, end: str) -> str:
    unit = "rps" if given["unit"] == "requests per second" else given["unit"] or ""
    value = f"{given[end]:g} {unit}".strip()
    hours = given[f"replica_hours_{end}"]
    return f"{value}: " + ("no plan" if hours is None else f"{plain(hours)} replica-hours")


class CandidateRow(NamedTuple):
    """A setting over all worlds."""

    cells: tuple[str, str, str, str]
    is_recommended: bool
    reason: str


def candidate_rows(document: Document) -> list[CandidateRow]:
    return [
        CandidateRow(
            (
                words.setting_text(document, row),
                bound(round(row["kept_share"], 4)),
                plain(row["mean_replica_hours"]),
                plain(row["largest_regret_replica_hours"]),
            ),
            row["is_recommended"],
            words.capital(row["reason"]),
        )
        for row in document["robust"]["candidates"]
    ]


class WorldRow(NamedTuple):
    """The recommended setting in one world, and that world's own best."""

    world: str
    kept: bool | None
    fraction_503: Any
    fraction_failed: Any
    replica_hours: Any
    best: str


def world_rows(document: Document) -> list[WorldRow]:
    """The worlds that count first."""
    worlds = sorted(document["robust"]["worlds"], key=lambda world: not world["counts"])
    return [
        WorldRow(
            _world(world),
            world["kept"],
            world["fraction_503"],
            world.get("fraction_failed"),
            world["replica_hours"],
            _best(document, world),
        )
        for world in worlds
    ]


def _world(world: Document) -> str:
    """cold start at its low, rate 0.3 of the way to its high."""
    parts = []
    for name, position in world["positions"].items():
        end = "low" if position < 0 else "high"
        if position:
            way = "at" if abs(position) == 1 else f"{abs(position):.2g} of the way to"
            parts.append(f"{name.replace('_', ' ')} {way} its {end}")
    return (", ".join(parts) or "every input in the middle") + ("" if world["counts"] else " (does not count)")


def _best(document: Document, world: Document) -> str:
    best = world["best"]
    if best is None:
        return {"infeasible": "nothing keeps it", "undecided": "undecided"}.get(world["verdict"], "unknown")
    return f"{words.setting_text(document, best)}: {plain(best['replica_hours'])} replica-hours"
