"""The values of a replay's headers, as each worker finds them in its own environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from loadtest.payloads.bodies import Payloads
from planner.body_template import json_problem
from planner.errors import InputError
from planner.request import JSON_TYPE, header_value_problem


def resolve_headers(payloads: Payloads, environ: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Name and value of each header. Raises InputError with every variable that is missing or cannot be a value."""
    problems = []
    for header in payloads.headers:
        if header.variable is None:
            continue
        if header.variable not in environ:
            problems.append(f"{header.variable}: not set; the header {header.name} of the scenario takes it from there")
        elif problem := header_value_problem(environ[header.variable]):
            problems.append(f"{header.variable}, of the header {header.name}: {problem}")
    if problems:
        raise InputError(*problems)
    return [
        (header.name, environ[header.variable] if header.variable is not None else str(header.value))
        for header in payloads.headers
    ]


def content_type_warning(payloads: Payloads) -> str | None:
    """A sentence where the Content-Type says something else than the first body is."""
    named = next((header for header in payloads.headers if header.name.lower() == "content-type"), None)
    if (named is not None and named.value is None) or not payloads.bodies or payloads.template is not None:
        return None
    kind = JSON_TYPE if named is None or named.value is None else named.value.partition(";")[0].strip().lower()
    says_json = kind == JSON_TYPE or kind.endswith("+json")
    problem = json_problem(payloads.bodies[0])
    if says_json and problem is not None:
        return (
            f"the body is sent as {kind}, but is not JSON ({problem}); request.headers may name its own Content-Type, "
            "such as image/jpeg"
        )
    if not says_json and problem is None:
        return f"the body is JSON, but is sent as {kind}; a scoring server may then give run() an empty text"
    return None


def secrets_of(payloads: Payloads, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The values that must not be written anywhere: all that come from the environment."""
    variables = (header.variable for header in payloads.headers if header.variable is not None)
    return [environ[variable] for variable in variables if environ.get(variable)]
