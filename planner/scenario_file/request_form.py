"""The form of a scenario's `request` section."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from planner.scenario_file.values import Strict, count


def _field_path(value: Any) -> str:
    if not isinstance(value, str) or not all(value.split(".")) or len(value) > 500:
        raise ValueError("must be a dotted path, for example result.0.ok")
    return value


FieldPath = Annotated[
    str,
    PlainValidator(_field_path),
    WithJsonSchema({"type": "string", "pattern": r"^[^.]+(\.[^.]+)*$", "examples": ["result.0.ok"]}),
]
"""Into a JSON document; digits count in a list."""

_VARIABLE = {"type": "object", "properties": {"env": {"type": "string"}}, "required": ["env"]}
RequestHeaders = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "string"}, _VARIABLE | {"additionalProperties": False}]},
            "examples": [{"x-team": "abc", "x-api-key": {"env": "API_KEY"}}],
        }
    ),
]
"""Read where no message can repeat a value."""


class CheckJson(Strict):
    """A field of the answer's JSON that must be there and, with `equals`, have that value."""

    field: FieldPath
    equals: Any = None


class CheckForm(Strict):
    """Which answer is a good one; any other answer of that kind is a bad response in the books."""

    status: count(200, 299) = 200  # type: ignore[valid-type]
    body: Literal["json", "text", "events", "bytes", "any"] = Field(
        "json", description="What the answer's body must be; events: server-sent ones."
    )
    json_: CheckJson | None = Field(None, alias="json")


class RequestForm(Strict):
    """What a replay sends. Left out, each request tells the lab's model how long to work."""

    body: Any = Field(None, description="A JSON value; text is sent as it is.")
    body_file: str | None = Field(None, description="Sent byte for byte; relative to this file, as every path here.")
    json_lines: str | None = Field(None, description="One JSON body per line; with a template, its rows.")
    csv_rows: str | None = Field(None, description="A table; each row is a JSON body, or a row of the template.")
    order: Literal["cycle", "random"] | None = Field(None, description="Of json_lines or csv_rows. Default: cycle.")
    files: str | None = Field(None, description="The folder of the files that the trace's column `payload` names.")
    template: str | None = Field(None, description="A file: jinja2, rendered for each request.")
    template_text: str | None = Field(None, description="The same, written here.")
    headers: RequestHeaders = Field(None, description="Of every request; {env: NAME} where the value is a secret.")
    check: CheckForm | None = Field(None, description="Default: status 200 and a body that is JSON.")
