"""Values of a scenario file as pydantic types: how each is read, and how a JSON Schema describes it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, PlainValidator, WithJsonSchema

from planner import units
from planner.azureml import Setting
from planner.clock import ClockTime, start
from planner.rates import LARGEST_RATE_RPS
from planner.traces.choosing import methods, statuses, url_paths
from planner.traces.formats import FORMATS, format_name


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


_DURATION: dict[str, Any] = {
    "type": "string",
    "pattern": r"^\s*(\d+(\.\d*)?|\.\d+)\s*(d|h|m|min|s|ms|us)(.*\d.*[dhmsu].*)?$",
}
_DURATION |= {"examples": ["250ms", "20s", "5m", "1h30m"]}
_PERCENT = {"type": "string", "pattern": r"^\s*\d*\.?\d*\s*%\s*$"}

Seconds = Annotated[float, PlainValidator(units.seconds), WithJsonSchema(_DURATION)]
PositiveSeconds = Annotated[float, PlainValidator(units.positive_seconds), WithJsonSchema(_DURATION)]
TraceStart = Annotated[
    float | ClockTime,
    PlainValidator(start),
    WithJsonSchema(
        {
            "anyOf": [
                _DURATION,
                {"type": "string", "pattern": r"^\s*([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?\s*$"},
                {"type": "string", "pattern": r"^\s*\d{4}-\d{2}-\d{2}([T ]\d.*)?$"},
            ],
            "examples": ["5m", "12:00", "2023-11-16T18:20:00"],
        }
    ),
]
_URL_PATH: dict[str, Any] = {"type": "string", "pattern": r"^/[^\s?]*$"}
UrlPaths = Annotated[
    tuple[str, ...],
    PlainValidator(url_paths),
    WithJsonSchema(
        {"anyOf": [_URL_PATH, {"type": "array", "items": _URL_PATH}], "examples": ["/score", ["/score", "/v2/score"]]}
    ),
]
_ONE_OR_MORE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Methods = Annotated[
    tuple[str, ...], PlainValidator(methods), WithJsonSchema(_ONE_OR_MORE | {"examples": ["POST", ["POST", "PUT"]]})
]
Statuses = Annotated[
    tuple[str, ...],
    PlainValidator(statuses),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "integer"]},
                {"type": "array", "items": {"type": ["string", "integer"]}},
            ],
            "examples": [200, "5xx", [200, 503]],
        }
    ),
]
TraceFormat = Annotated[
    str,
    PlainValidator(format_name),
    WithJsonSchema({"type": "string", "enum": sorted(known.name for known in FORMATS)}),
]
PositiveTraceSeconds = Annotated[
    float, PlainValidator(lambda value: units.above_zero(units.unbounded_seconds(value))), WithJsonSchema(_DURATION)
]
Share = Annotated[
    float,
    PlainValidator(units.fraction),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, _PERCENT], "examples": ["0.1%", 0.001]}),
]
IGNORE = "ignore"


def _share_or_ignore(value: object) -> float | str:
    if value == IGNORE:
        return IGNORE
    if isinstance(value, str) and "%" not in value:
        raise ValueError(f"must be a share, for example 0.1%, or {IGNORE}")
    return units.fraction(value)


ShareOrIgnore = Annotated[
    float | str,
    PlainValidator(_share_or_ignore),
    WithJsonSchema(
        {"anyOf": [{"const": IGNORE}, {"type": "number", "minimum": 0, "maximum": 1}, _PERCENT]}
        | {"examples": ["0.1%", IGNORE]}
    ),
]
Rps = Annotated[
    float,
    PlainValidator(lambda value: units.number(units.rate_rps(value), most=LARGEST_RATE_RPS)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": LARGEST_RATE_RPS}, {"type": "string"}],
            "examples": [20, "20/s", "1200/min"],
        }
    ),
]
PositiveNumber = Annotated[
    float, PlainValidator(units.positive_number), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
]


def between(least: float, most: float) -> Any:
    """The type of numbers from `least` to `most`."""
    schema = WithJsonSchema({"type": "number", "minimum": least, "maximum": most})
    return Annotated[float, PlainValidator(lambda value: units.number(value, least=least, most=most)), schema]


Scale = between(1e-6, 1000.0)
"""Of time: a month of trace within three seconds, or a second within a quarter of an hour."""

SwitchingRate = between(1e-6, 1000.0)
"""Phases of eleven days to a millisecond; far shorter ones would fall between two floats."""


def count(least: int, most: int | None = None) -> Any:
    """The type of integers from `least` to `most`."""
    schema: dict[str, Any] = {"type": "integer", "minimum": least} | ({} if most is None else {"maximum": most})
    return Annotated[int, PlainValidator(units.count(least=least, most=most)), WithJsonSchema(schema)]


_AZURE_TYPES: dict[str, dict[str, Any]] = {
    "target_utilization_percent": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 100}, _PERCENT]},
    "refresh_period_s": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _DURATION]},
    "max_request_wait_s": {"anyOf": [{"type": "number", "minimum": 0}, _DURATION]},
    "scoring_timeout_s": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _DURATION]},
}
"""JSON Schema of those of Azure's settings that are not counts, by field."""


def azure_value(setting: Setting) -> Any:
    """The type of one of Azure's settings."""
    schema = _AZURE_TYPES.get(setting.field, {"type": "integer", "minimum": 1})
    return Annotated[Any, PlainValidator(setting.read), WithJsonSchema(schema)]
