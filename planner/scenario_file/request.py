"""The `request` section of a scenario file. Header values are never repeated in a message: one may be a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.errors import InputError
from planner.reading import reading
from planner.request import (
    LARGEST_BODY_BYTES,
    AnswerBody,
    Header,
    LineOrder,
    Request,
    ResponseCheck,
    header_value_problem,
    looks_secret,
)
from planner.scenario_file.problems import Problems
from planner.text_files import read_text

SOURCES = ("body", "body_file", "json_lines", "csv_rows", "files", "template", "template_text")

ROWS = ("json_lines", "csv_rows")
"""Files of many bodies, which may also be the rows of a template."""

MOST_HEADERS = 50

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_ELSEWHERE = {
    "authorization": "belongs outside the scenario: SURGEPROOF_ENDPOINT_KEY, --key-file, --token-file or "
    "--azure-identity",
    "host": "comes from --url",
    "content-length": "comes from the body",
    "x-ms-client-request-id": "is set by the replay: it joins each request with the logs of the service",
    "user-agent": "is always that of Surgeproof, so that a log of the service tells its load apart",
    "accept-encoding": "is not sent; an answer that comes as gzip or deflate all the same is unpacked for its check",
    "expect": "is not sent: head and body leave together",
}
_OF_ONE_CONNECTION = (
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
)
_ELSEWHERE |= dict.fromkeys(_OF_ONE_CONNECTION, "belongs to a single connection, which the replay looks after itself")
"""Headers that a scenario may not set, and where each belongs."""


def read_request(form: Any, arrivals: Any, problems: Problems, folder: Path) -> Request:
    """The request that a form describes. Where there are problems, what is bad is left out."""
    if form is None or problems.is_bad("request"):
        return Request()
    given = [name for name in SOURCES if name in form.model_fields_set]
    bodies = [name for name in given if not (name in ROWS and _has_template(given))]
    of_rows = [name for name in given if name in ROWS]
    for other in bodies[1:]:
        problems.about(("request", other), f"but there is request.{bodies[0]} too: give one of them")
    if len(of_rows) > 1 and _has_template(given):
        problems.about(("request", of_rows[1]), f"but there is request.{of_rows[0]} too: give one of them")
    if form.order is not None and not of_rows:
        problems.add(("request", "order"), "only used with json_lines or csv_rows")
    template, source = _template(form, problems, folder)
    return Request(
        body=_body(form, problems) if "body" in given else None,
        body_file=_file(form, "body_file", problems, folder),
        json_lines=_file(form, "json_lines", problems, folder),
        csv_rows=_file(form, "csv_rows", problems, folder),
        order=LineOrder(form.order or LineOrder.CYCLE),
        files=_folder(form, arrivals, problems, folder),
        template=template,
        template_source=source,
        headers=tuple(_headers(form.headers, problems)),
        check=_check(form.check, problems),
    )


def _has_template(given: list[str]) -> bool:
    return "template" in given or "template_text" in given


def _body(form: Any, problems: Problems) -> bytes | None:
    if isinstance(form.body, str):
        body = form.body.encode()
    else:
        try:
            body = json.dumps(_plain_json(form.body), allow_nan=False, ensure_ascii=False).encode()
        except ValueError as bound:
            problems.about(("request", "body"), str(bound).removesuffix(" compliant"))
            return None
    if form.body is None or not body:
        problems.about(("request", "body"), 'must hold something (the JSON value null is written "null", in quotes)')
        return None
    return body


def _plain_json(value: Any) -> Any:
    """The value, if JSON has all of its keys."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the key {key} must be text, in quotes")
        return {key: _plain_json(inner) for key, inner in value.items()}
    return [_plain_json(inner) for inner in value] if isinstance(value, list) else value


def _file(form: Any, name: str, problems: Problems, folder: Path) -> Path | None:
    file = getattr(form, name)
    if file is None:
        return None
    path: Path = folder / file
    try:
        with reading(path, str(path)):
            size = path.stat().st_size
    except InputError as error:
        problems.of_file(("request", name), error)
        return None
    if size == 0:
        problems.add(("request", name), "the file is empty")
    elif name == "body_file" and size > LARGEST_BODY_BYTES:
        problems.add(("request", name), f"has {size:,} bytes, Azure ML takes at most {LARGEST_BODY_BYTES:,}")
    return path


def _folder(form: Any, arrivals: Any, problems: Problems, folder: Path) -> Path | None:
    if form.files is None:
        return None
    path: Path = folder / form.files
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        problems.add(("request", "files"), "no such folder")
    if arrivals is not None and getattr(arrivals, "payload", None) is None:
        problems.add(("request", "files"), "needs traffic.arrivals to be a trace with the column payload")
    return path


def _template(form: Any, problems: Problems, folder: Path) -> tuple[str | None, str]:
    """The text of the template and what messages call it."""
    text, source = form.template_text, f"{problems.source}: request.template_text"
    try:
        if form.template is not None:
            source = str(folder / form.template)
            text = read_text(folder / form.template, source)
        if text is not None:
            from planner.body_template import BodyTemplate

            BodyTemplate(text, source)
    except InputError as error:
        if form.template is not None:
            problems.of_file(("request", "template"), error)
        else:
            problems.foreign(("request", "template_text"), error)
    return text, source


def _check(form: Any, problems: Problems) -> ResponseCheck:
    if form is None:
        return ResponseCheck()
    body = AnswerBody(form.body)
    if form.json_ is None:
        return ResponseCheck(status=form.status, body=body)
    if body is not AnswerBody.JSON:
        problems.about(("request", "check", "json"), f"but request.check.body is {body}: give one of them")
    compares = "equals" in form.json_.model_fields_set
    return ResponseCheck(status=form.status, field=form.json_.field, compares=compares, equals=form.json_.equals)


def _headers(form: Any, problems: Problems) -> list[Header]:
    if form is None:
        return []
    if not isinstance(form, Mapping):
        problems.about(("request", "headers"), "must hold settings (`x-team: abc`)")
        return []
    if len(form) > MOST_HEADERS:
        problems.about(("request", "headers"), f"has {len(form)} headers, at most {MOST_HEADERS} are supported")
    headers, seen = [], set()
    for name, value in form.items():
        problem = _name_problem(name) or ("stands twice, names ignore case" if name.lower() in seen else None)
        header, value_problem = (None, problem) if problem else _header(name, value)
        if value_problem is not None:
            problems.about(("request", "headers", str(name)), value_problem)
        elif header is not None:
            headers.append(header)
            seen.add(name.lower())
    return headers


def _name_problem(name: Any) -> str | None:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        return "a header's name must be up to 100 letters, digits and - _ ."
    return _ELSEWHERE.get(name.lower())


def _header(name: str, value: Any) -> tuple[Header | None, str | None]:
    """The header, or what is wrong with it, its value not shown."""
    if isinstance(value, Mapping):
        variable = value.get("env")
        if set(value) != {"env"} or not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            return None, "must be text or {env: NAME}, NAME an environment variable"
        return Header(name=name, variable=variable), None
    if not isinstance(value, str):
        return None, "must be text (in quotes) or {env: NAME}"
    if looks_secret(name):
        return None, "may be a secret, which no scenario should hold: write {env: NAME}, NAME an environment variable"
    if problem := header_value_problem(value):
        return None, problem
    return Header(name=name, value=value), None
