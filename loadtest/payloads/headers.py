"""The values of a replay's headers, as each worker finds them in its own environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from loadtest.payloads.bodies import Payloads
from planner.errors import InputError
from planner.request import header_value_problem


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


def secrets_of(payloads: Payloads, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The values that must not be written anywhere: all that come from the environment."""
    variables = (header.variable for header in payloads.headers if header.variable is not None)
    return [environ[variable] for variable in variables if environ.get(variable)]
