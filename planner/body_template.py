"""Templates of request bodies: jinja2 in a sandbox; an undefined name is an error, nothing is random."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from planner.errors import InputError
from planner.request import LARGEST_BODY_BYTES

VARIABLES = ("request", "service_time_s", "scheduled_s", "payload", "row", "uuid")

_WHY_UNDEFINED = {
    "payload": "the arrivals are no trace with a payload column",
    "row": "there are no json_lines or csv_rows beside the template",
}

_LARGEST_POWER = 64
_UNREPEATABLE = ("random",)
_FAILURES = (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Operators may not make a text or a number that fills the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and len(many) * abs(times) > LARGEST_BODY_BYTES:
                    raise jinja2.TemplateRuntimeError("repeats something beyond the size of a body")
        elif not (abs(left) < 1e6 and abs(right) <= _LARGEST_POWER):
            raise jinja2.TemplateRuntimeError(f"a power must have a base below 1e6 and at most {_LARGEST_POWER}")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    environment.globals = {"range": environment.globals["range"]}
    for name in _UNREPEATABLE:
        environment.filters.pop(name)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False, "allow_nan": False}
    return environment


class BodyTemplate:
    """A compiled template. source: what messages call it. Raises InputError where the text is no template."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        environment = _environment()
        try:
            tree = environment.parse(text)
            self.names = frozenset(jinja2.meta.find_undeclared_variables(tree)) - {"range"}
            self._template = environment.from_string(text)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(f"{source}: line {error.lineno}: {_plain(error)}") from None
        except (RecursionError, MemoryError):
            raise InputError(f"{source}: nested too deeply") from None
        unknown = sorted(self.names - set(VARIABLES))
        if unknown:
            raise InputError(f"{source}: {unknown[0]} is undefined; a template may use {', '.join(VARIABLES)}")

    def render(self, values: Mapping[str, Any]) -> bytes:
        """The body for one request. Raises InputError if the template fails on these values."""
        try:
            return self._template.render(values).encode()
        except _FAILURES as error:
            missing = next((name for name in _WHY_UNDEFINED if str(error) == f"'{name}' is undefined"), None)
            why = f", {_WHY_UNDEFINED[missing]}" if missing else ""
            raise InputError(f"{self.source}: request {values.get('request')}: {_plain(error)}{why}") from None

    def render_checked(self, values: Mapping[str, Any]) -> bytes:
        """The same, for planning: the body is small enough and is JSON, or an InputError says where it is not."""
        body = self.render(values)
        where = f"{self.source}: request {values.get('request')}"
        if len(body) > LARGEST_BODY_BYTES:
            raise InputError(f"{where}: has {len(body):,} bytes, Azure ML takes at most {LARGEST_BODY_BYTES:,}")
        if problem := json_problem(body):
            raise InputError(f"{where}: renders what is not JSON ({problem})")
        return body


def _plain(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def json_problem(body: bytes) -> str | None:
    """Why bytes are not a JSON text in UTF-8, None if they are."""
    try:
        json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except UnicodeDecodeError:
        return "not UTF-8"
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error).splitlines()[0]
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number
