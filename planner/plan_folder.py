"""The folder that `surgeproof plan` has written: its document, and what it recommends."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from planner import units
from planner.azureml import SETTINGS
from planner.errors import InputError
from planner.model import Api, Autoscaler, Deployment, Estimate
from planner.reading import reading
from planner.recognise.documents import Kind
from planner.recognise.paths import recognise
from planner.recognise.sentences import not_a_plan

PLAN = "plan.json"

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True)
class Recommendation:
    """What a plan recommends. deployment: Azure's settings, WORKER_COUNT and the scale-down delay; no assumptions.

    scenario: its name. promised: the largest fraction of 503s, promised_failed: of all failed requests, each None where
    the plan has no such bound. fraction_failed: None in a plan of an older version.
    """

    scenario: str
    verdict: str
    reasons: tuple[str, ...]
    deployment: Deployment
    fraction_503: Estimate
    promised: float | None
    fraction_failed: Estimate | None = None
    promised_failed: float | None = None


def read_plan(path: Path) -> tuple[dict[str, Any], str]:
    """The document of a plan folder, or of the path of a plan.json; and what messages call the file."""
    found = recognise(path)
    if found is not None and found.kind not in (Kind.PLAN, Kind.PLAN_FOLDER, Kind.FOLDER, Kind.UNKNOWN, Kind.LIST):
        raise InputError(not_a_plan(found, path))
    if os.path.isdir(path):
        path = path / PLAN
    source = str(path)
    with reading(path, source):
        text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source}: not valid JSON ({error})") from None
    if not isinstance(document, dict) or document.get("command") != "plan":
        raise InputError(f"{source}: not the document of `surgeproof plan`")
    return document, source


def recommendation(document: Mapping[str, Any], source: str) -> Recommendation:
    """The recommended settings; an InputError where there are none, or where they are not as `plan` writes them."""
    verdict = _at(document, "verdict", _text, source)
    reasons = tuple(str(reason) for reason in _at(document, "reasons", _list, source))
    if document.get("recommended") is None:
        why = f": {reasons[0]}" if reasons else ""
        raise InputError(f"{source}: recommended = null, so there is nothing to export; the plan is {verdict}{why}")
    slo, failed, bound = document.get("slo"), "recommended.fraction_failed", "slo.max_fraction_failed"
    return Recommendation(
        scenario=_at(document, "scenario.name", _text, source),
        verdict=verdict,
        reasons=reasons,
        deployment=_deployment(document, source),
        fraction_503=_estimate(document, "recommended.fraction_503", source),
        promised=None if slo is None else _at(document, "slo.max_fraction_503", _fraction_or_null, source),
        fraction_failed=_estimate(document, failed, source) if "fraction_failed" in document["recommended"] else None,
        promised_failed=_at(document, bound, _fraction_or_null, source)
        if "max_fraction_failed" in (slo or {})
        else None,
    )


def _estimate(document: Mapping[str, Any], place: str, source: str) -> Estimate:
    return Estimate(
        value=_at(document, f"{place}.value", units.fraction, source),
        low=_at(document, f"{place}.low", units.fraction, source),
        high=_at(document, f"{place}.high", units.fraction, source),
        confidence=_at(document, f"{place}.confidence", units.fraction, source),
        replications=_at(document, f"{place}.replications", units.count(least=1), source),
        resolved=_at(document, f"{place}.resolved", _truth, source),
    )


def _fraction_or_null(value: Any) -> float | None:
    return None if value is None else units.fraction(value)


_KEYS = {setting.field: setting.v1 for setting in SETTINGS if setting.field != "num_replicas"} | {
    "max_request_wait_s": "max_request_wait_time_ms"
}
"""What `settings_document` calls the fields of `Deployment`."""


def _deployment(document: Mapping[str, Any], source: str) -> Deployment:
    place = "recommended.settings"
    values = {
        setting.field: _at(document, f"{place}.{_KEYS[setting.field]}", setting.read, source)
        for setting in SETTINGS
        if setting.field in _KEYS
    }
    try:
        return Deployment(
            api=_at(document, f"{place}.api", _word(Api), source),
            autoscaler=_at(document, f"{place}.autoscaler", _word(Autoscaler), source),
            worker_count=_at(document, f"{place}.worker_count", units.count(least=1), source),
            scale_down_delay_s=_at(document, f"{place}.scale_down_delay_s", _time_or_null, source),
            **values,
        )
    except InputError as error:
        if any(sentence.startswith(source) for sentence in error.problems):
            raise
        raise InputError(*(f"{source}: {place}.{_renamed(sentence)}" for sentence in error.problems)) from None


def _renamed(sentence: str) -> str:
    """`field = value, bound`, as `Deployment` says it, under the document's name of the field."""
    field, _, rest = sentence.partition(" = ")
    return f"{_KEYS[field]} = {rest}" if field in _KEYS else sentence


def _at(document: Mapping[str, Any], place: str, read: Callable[[Any], Any], source: str) -> Any:
    value: Any = document
    for key in place.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise InputError(f"{source}: {place} is missing: not the document of a plan")
        value = value[key]
    try:
        return read(value)
    except ValueError as bound:
        raise InputError(f"{source}: {place} = {json.dumps(value)}, {bound}") from None


def _word(kind: type[Word]) -> Callable[[Any], Word]:
    def read(value: Any) -> Word:
        if value not in list(kind):
            raise ValueError(f"must be {' or '.join(kind)}")
        return kind(value)

    return read


def _time_or_null(value: Any) -> float | None:
    return None if value is None else units.positive_seconds_or_duration(value)


def _truth(value: Any) -> bool:
    return bool(_of(bool, value, "true or false"))


def _text(value: Any) -> str:
    return str(_of(str, value, "a text"))


def _list(value: Any) -> list[Any]:
    return list(_of(list, value, "a list"))


def _of(kind: type, value: Any, what: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"must be {what}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
