"""What a plan's report relies on: where each value of plan.json is, and what it may be.

A plan folder passes through many hands; one that was edited by hand is refused by the name of the value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from planner.errors import InputError
from planner.model import MOST_PER_REPLICA, MOST_REPLICAS, Autoscaler
from planner.report.plan.words import FAILURES, main_failure

Check = Callable[[Any, str], None]
"""Of a value and its place; raises a `_BoundError`."""

LARGEST = 1e15
"""No number of a plan comes near."""

MOST_SHOWN = 60
"""Letters of a wrong value that are repeated."""


class _BoundError(Exception):
    def __init__(self, place: str, value: Any, bound: str) -> None:
        text = json.dumps(value)
        shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
        super().__init__(f"{place} = {shown}, must be {bound}")


def check_shape(document: dict[str, Any], source: str) -> None:
    """Refuse a document that the report cannot show. source: what messages call its file."""
    try:
        _PLAN(document, "")
        _check_failures(document, source)
    except _BoundError as problem:
        raise InputError(f"{source}: {problem}") from None
    except _MissingError as missing:
        raise InputError(f"{source}: {missing} is missing: not the document of a plan") from None


class _MissingError(Exception):
    pass


def _check_failures(document: dict[str, Any], source: str) -> None:
    """What figures show of failures: the fraction that the promise bounds, in the map and in every entry."""
    try:
        key, _, _ = main_failure(document)
    except InputError as problem:
        raise InputError(*(f"{source}: slo: {sentence}" for sentence in problem.problems)) from None
    lists = {name: document[name] for name in ("neighbours", "alternatives", "frontier")}
    places = {f"{name}[{i}]": entry for name, entries in lists.items() for i, entry in enumerate(entries)}
    places |= {name: document[name] for name in ("map", "recommended") if document[name] is not None}
    for place, entry in places.items():
        if entry.get(key) is None:
            raise _MissingError(f"{place}.{key}")


def _value(fits: Callable[[Any], bool], bound: str) -> Check:
    def check(value: Any, place: str) -> None:
        if not fits(value):
            raise _BoundError(place, value, bound)

    return check


def _number(least: float, most: float = LARGEST, *, whole: bool = False) -> Check:
    kinds = int if whole else (int, float)
    what = "a whole number" if whole else "a number"
    return _value(
        lambda value: isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most,
        f"{what} from {least:g} to {most:g}",
    )


def _one_of(*words: str) -> Check:
    return _value(lambda value: isinstance(value, str) and value in words, " or ".join(words))


def _maybe(check: Check) -> Check:
    return lambda value, place: None if value is None else check(value, place)


def _each(check: Check) -> Check:
    def check_all(values: Any, place: str) -> None:
        _LIST(values, place)
        for i, value in enumerate(values):
            check(value, f"{place}[{i}]")

    return check_all


def _named(check: Check) -> Check:
    """An object whose names are free."""

    def check_all(values: Any, place: str) -> None:
        _OBJECT(values, place)
        for name, value in values.items():
            check(value, f"{place}.{name}")

    return check_all


def _record(needed: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    def check(values: Any, place: str) -> None:
        _OBJECT(values, place)
        for name, one in (needed | (optional or {})).items():
            inside = f"{place}.{name}".lstrip(".")
            if name in values:
                one(values[name], inside)
            elif name in needed:
                raise _MissingError(inside)

    return check


def _grid(values: Any, place: str) -> None:
    """The map: one row for each minimum, one column for each target."""
    _MAP(values, place)
    rows, columns = len(values["autoscale_min_replicas"]), len(values["autoscale_target_utilization"])
    for name in (*(name for name in FAILURES if name in values), "simulated"):
        lengths = [len(row) for row in values[name]]
        if lengths != [columns] * rows:
            raise _BoundError(f"{place}.{name}", lengths, f"{rows} rows of {columns} values")


_TEXT = _value(lambda value: isinstance(value, str), "a text")
_TRUTH = _value(lambda value: isinstance(value, bool), "true or false")
_LIST = _value(lambda value: isinstance(value, list), "a list")
_OBJECT = _value(lambda value: isinstance(value, dict), "an object")
_WORD = _value(lambda value: isinstance(value, str | int) and not isinstance(value, bool), "a text or a whole number")
_NUMBER, _AMOUNT, _FRACTION = _number(-LARGEST), _number(0), _number(0, 1)
_SHARE = _value(lambda value: isinstance(value, float) and 0 < value < 1, "a number above 0 and below 1")
_COUNT, _REPLICAS = _number(0, whole=True), _number(1, MOST_REPLICAS, whole=True)
_PERCENT, _SIZE = _number(1, 100, whole=True), _number(1, MOST_PER_REPLICA, whole=True)
_PLAN_VERDICT = _one_of("feasible", "infeasible", "undecided")
_VERDICT = _one_of("pass", "fail", "undecided")


_ESTIMATED: dict[str, Check] = {"confidence": _FRACTION, "replications": _COUNT, "resolved": _TRUTH}


def _estimate(value: Check) -> Check:
    return _record({"value": value, "low": value, "high": value} | _ESTIMATED, {"exact": _TRUTH})


def _estimate_or_number(value: Check) -> Check:
    estimate = _estimate(value)
    return lambda given, place: (estimate if isinstance(given, dict) else value)(given, place)


_SEARCHED: dict[str, Check] = {
    "autoscale_min_replicas": _REPLICAS,
    "autoscale_max_replicas": _REPLICAS,
    "autoscale_target_utilization": _PERCENT,
    "replica_max_concurrent_requests": _SIZE,
}
_OF_FRACTION, _OF_AMOUNT = _estimate(_FRACTION), _estimate(_AMOUNT)
_ENTRY = _SEARCHED | {
    "worker_count": _SIZE,
    "fraction_503": _OF_FRACTION,
    "replica_hours": _OF_AMOUNT,
    "cost_per_hour": _maybe(_OF_AMOUNT),
    "replications": _COUNT,
    "verdict": _VERDICT,
    "reason": _TEXT,
    "is_fresh": _TRUTH,
}
_LATENCY = _maybe(_record({end: _maybe(_AMOUNT) for end in ("value", "low", "high")} | _ESTIMATED))
_ENTRY_SOMETIMES = {
    "fraction_504": _maybe(_OF_FRACTION),
    "fraction_failed": _maybe(_OF_FRACTION),
    "latency_p99_with_504_s": _LATENCY,
    "fraction_of_runs_within_slo": _maybe(_OF_FRACTION),
    "latency_p99_s": _maybe(_OF_AMOUNT),
    "mean_replicas": _maybe(_OF_AMOUNT),
    "cost": _maybe(_OF_AMOUNT),
}
_SETTING = _record(_ENTRY, _ENTRY_SOMETIMES)

_NEEDED_REPLICAS = _record(
    {"max_fraction_503": _FRACTION, "replicas": _maybe(_COUNT), "method": _maybe(_TEXT)}, {"reason": _maybe(_TEXT)}
)
_RULE_NEEDED: dict[str, Check] = {
    "replicas": _maybe(_COUNT),
    "method": _maybe(_TEXT),
    "sentence": _TEXT,
    "replicas_for": _each(_NEEDED_REPLICAS),
}
_RULE_SOMETIMES: dict[str, Check] = {
    "rate": _TEXT,
    "fraction_503": _maybe(_estimate_or_number(_FRACTION)),
    "fraction_504": _maybe(_estimate_or_number(_FRACTION)),
    "fraction_failed": _maybe(_estimate_or_number(_FRACTION)),
    "fraction_503_steady_state": _maybe(_FRACTION),
    "steady_state_method": _maybe(_TEXT),
    "replica_hours": _maybe(_estimate_or_number(_AMOUNT)),
    "cost_per_hour": _maybe(_AMOUNT),
}
_RULE = _record(_RULE_NEEDED, _RULE_SOMETIMES | {"at_mean_rate": _maybe(_record(_RULE_NEEDED, _RULE_SOMETIMES))})

_ANSWER = _record({"sentence": _TEXT, "caveat": _maybe(_TEXT)})
_REMEDY = _record(
    {
        "setting": _TEXT,
        "from": _WORD,
        "to": _maybe(_WORD),
        "fraction_503": _maybe(_OF_FRACTION),
        "replica_hours": _maybe(_OF_AMOUNT),
        "verdict": _maybe(_VERDICT),
        "sentence": _TEXT,
    }
)
_QUESTIONS = _record(
    {},
    {
        "remedies": _maybe(_each(_REMEDY)),
        "lose_one_replica": _maybe(_record({"sentence": _TEXT})),
        "highest_rate": _maybe(_ANSWER),
        "highest_spike": _maybe(_ANSWER),
    },
)

_INPUT = _record(
    {"name": _TEXT, "unit": _maybe(_TEXT), "low": _NUMBER, "mid": _NUMBER, "high": _NUMBER, "sentence": _maybe(_TEXT)}
    | {f"replica_hours_{end}": _maybe(_AMOUNT) for end in ("low", "mid", "high")}
)
_CANDIDATE = _record(
    _SEARCHED
    | {
        "kept_share": _FRACTION,
        "mean_replica_hours": _AMOUNT,
        "largest_regret_replica_hours": _maybe(_AMOUNT),
        "is_recommended": _TRUTH,
        "reason": _TEXT,
    },
    {"worker_count": _SIZE},
)
_WORLD = _record(
    {
        "positions": _named(_number(-1, 1)),
        "counts": _TRUTH,
        "kept": _maybe(_TRUTH),
        "fraction_503": _maybe(_estimate_or_number(_FRACTION)),
        "replica_hours": _maybe(_estimate_or_number(_AMOUNT)),
        "best": _maybe(_record(_SEARCHED | {"replica_hours": _AMOUNT}, {"worker_count": _SIZE})),
        "verdict": _TEXT,
    },
    {"fraction_failed": _maybe(_estimate_or_number(_FRACTION))},
)
_ROBUST = _record(
    {
        "sentence": _TEXT,
        "criterion": _TEXT,
        "kept_in": _FRACTION,
        "matters_most": _maybe(_TEXT),
        "inputs": _each(_INPUT),
        "candidates": _each(_CANDIDATE),
        "worlds": _each(_WORLD),
    }
)

_MAP = _record(
    {
        "autoscale_max_replicas": _REPLICAS,
        "autoscale_min_replicas": _each(_REPLICAS),
        "autoscale_target_utilization": _each(_PERCENT),
        "simulated": _each(_each(_TRUTH)),
    },
    {name: _each(_each(_maybe(_FRACTION))) for name in FAILURES},
)

_SCENARIO = _record(
    {
        "name": _TEXT,
        "shows": _maybe(_TEXT),
        "duration_s": _AMOUNT,
        "arrivals": _TEXT,
        "expected_requests": _AMOUNT,
        "settings": _record(_SEARCHED | {"worker_count": _SIZE, "autoscaler": _one_of(*Autoscaler)}),
    }
)
_SEARCH = _record(
    {
        "settings": _COUNT,
        "simulated": _COUNT,
        "replications": _COUNT,
        "requests": _AMOUNT,
        "exhaustive_requests": _maybe(_AMOUNT),
        "fresh_replications": _COUNT,
        "seconds": _AMOUNT,
        "stopped_by": _TEXT,
    }
)
_SLO = _record(
    {
        "max_fraction_503": _maybe(_SHARE),
        "p99_latency_s": _maybe(_number(1e-9)),
        "min_fraction_of_runs": _maybe(_SHARE),
        "is_assumed": _TRUTH,
    },
    {
        "max_fraction_failed": _maybe(_SHARE),
        "max_fraction_504": _maybe(_SHARE),
        "ignores_504": _TRUTH,
    },
)
_PROVENANCE = _record(
    {"surgeproof": _TEXT, "seed": _number(0, 2**63, whole=True), "python": _TEXT, "platform": _TEXT}
    | {"packages": _named(_maybe(_TEXT))}
)

_PLAN = _record(
    {
        "scenario": _SCENARIO,
        "slo": _SLO,
        "verdict": _PLAN_VERDICT,
        "reasons": _each(_TEXT),
        "binding_limit": _maybe(_TEXT),
        "recommended": _maybe(_SETTING),
        "probability_near_cheapest": _maybe(_FRACTION),
        "neighbours": _each(_SETTING),
        "alternatives": _each(_SETTING),
        "frontier": _each(_SETTING),
        "rejected": _each(_record(_SEARCHED | {"by": _TEXT, "reason": _TEXT})),
        "map": _maybe(_grid),
        "search": _SEARCH,
        "cost": _record({"price_per_replica_hour": _maybe(_AMOUNT)}),
        "published_rule": _maybe(_RULE),
        "questions": _maybe(_QUESTIONS),
        "robust": _maybe(_ROBUST),
        "workers_lost": _maybe(_TEXT),
        "interrupted": _TRUTH,
        "warnings": _each(_TEXT),
        "provenance": _PROVENANCE,
    },
    {
        "same_in_every_run": _maybe(_TEXT),
        "limits": _each(_record({"setting": _TEXT, "value": _COUNT, "is_kept": _TRUTH})),
    },
)
