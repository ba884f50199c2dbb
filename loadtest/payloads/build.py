"""From the `request` section of a scenario to payloads: files read, bodies checked beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loadtest.payloads import limits
from loadtest.payloads.bodies import PayloadKind, Payloads
from loadtest.payloads.csv_rows import read_csv_rows
from loadtest.payloads.limits import check_total
from planner.body_template import BodyTemplate, json_problem
from planner.draws import LARGEST_BLOCK, Stream, block_generator
from planner.errors import InputError
from planner.model import IntArray
from planner.payload_files import payload_path
from planner.reading import reading
from planner.request import LARGEST_BODY_BYTES, LineOrder, Request
from planner.scenario import Scenario

MOST_SENTENCES = 10
"""Bad lines or files that are named one by one."""

MOST_RENDERED = 100_000
"""Entries of a template that are tried beforehand; of more, evenly spaced ones are."""

_ORDER_BLOCKS = 1 << 47
"""Where the order of lines begins in the stream of traces, beyond all blocks that a trace uses."""


def build_payloads(scenario: Scenario, n: int) -> Payloads:
    """The payloads of the scenario's n requests, in the order of its schedule."""
    request = scenario.request
    same = np.zeros(n, dtype=np.int64)
    common: dict[str, Any] = {"headers": request.headers, "check": request.check, "seed": scenario.seed}
    if request.template is not None:
        return _templated(scenario, request, n, common)
    if (many := _many_bodies(request)) is not None:
        lines, source = many
        ids = line_ids(request.order, len(lines), n, scenario.seed)
        return Payloads(kind=PayloadKind.LINES, source=source, payload_id=ids, bodies=tuple(lines), **common)
    if request.files is not None:
        return _from_files(scenario, request.files, n, common)
    if request.body_file is not None:
        body = _read_body(request.body_file)
        source = f"{request.body_file.name}, {len(body):,} bytes, the same for every request"
        return Payloads(kind=PayloadKind.FIXED, source=source, payload_id=same, bodies=(body,), **common)
    if request.body is not None:
        source = f"a body of {len(request.body):,} bytes, the same for every request"
        return Payloads(kind=PayloadKind.FIXED, source=source, payload_id=same, bodies=(request.body,), **common)
    source = "the request's number and its service time, which the lab's model reads"
    return Payloads(kind=PayloadKind.SERVICE_TIME, source=source, payload_id=same, **common)


def _many_bodies(request: Request) -> tuple[list[bytes], str] | None:
    """The bodies of a file that holds many, and where they come from in words; None without such a file."""
    order = _order_sentence(request.order)
    if request.json_lines is not None:
        lines = read_lines(request.json_lines)
        return lines, f"{len(lines)} lines of {request.json_lines.name}, {order}"
    if request.csv_rows is not None:
        rows = read_csv_rows(request.csv_rows)
        return rows, f"{len(rows)} rows of {request.csv_rows.name}, {order}"
    return None


def _order_sentence(order: LineOrder) -> str:
    return "in turn" if order is LineOrder.CYCLE else "at random by the scenario's seed"


def line_ids(order: LineOrder, lines: int, n: int, seed: int) -> IntArray:
    """The line that each request sends, int64, shape (n,)."""
    if order is LineOrder.CYCLE:
        return np.arange(n, dtype=np.int64) % lines
    blocks = [
        block_generator(seed, 0, Stream.TRACE, _ORDER_BLOCKS + block).integers(lines, size=LARGEST_BLOCK)
        for block in range(-(-n // LARGEST_BLOCK))
    ]
    return np.concatenate([np.empty(0, dtype=np.int64), *blocks])[:n]


def read_lines(path: Path) -> list[bytes]:
    """The lines of a JSON Lines file that are not blank. Raises InputError with the lines that are no JSON."""
    with reading(path, str(path)):
        check_total(path, path.stat().st_size)
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines, problems = [], []
    for number, raw in enumerate(content.split(b"\n"), start=1):
        line = raw.strip(b" \t\r")
        if not line:
            continue
        lines.append(line)
        if len(line) > LARGEST_BODY_BYTES:
            problems.append(f"{path}: line {number}: {_too_large(len(line))}")
        elif problem := json_problem(line):
            problems.append(f"{path}: line {number} is not JSON ({problem.removeprefix('line 1, ')})")
    if not lines:
        raise InputError(f"{path}: holds no line")
    _raise(problems, f"{path}: {{}} more lines are not JSON")
    return lines


def _from_files(scenario: Scenario, folder: Path, n: int, common: dict[str, Any]) -> Payloads:
    ids, names = _payload_column(scenario, n)
    if ids is None:
        raise InputError(f"{folder}: request.files needs traffic.arrivals to be a trace with the column payload")
    bodies: list[bytes] = []
    problems: list[str] = []
    total = 0
    for name in names:
        try:
            path = payload_path(folder, name)
            with reading(path, str(path)):
                size = path.stat().st_size
            check_total(folder, total := total + size)
            bodies.append(_read_body(path))
        except InputError as error:
            if total > limits.LARGEST_TOTAL_BYTES:
                raise
            problems += error.problems
    _raise(problems, f"{folder}: {{}} more payloads cannot be used")
    source = f"{len(names)} files of {folder.name}, named by the trace"
    return Payloads(kind=PayloadKind.FILES, source=source, payload_id=ids, bodies=tuple(bodies), **common)


def _payload_column(scenario: Scenario, n: int) -> tuple[IntArray | None, list[str]]:
    """The trace's `payload` of each of n requests: the id of its name, and the names by id."""
    column = getattr(scenario.arrivals, "payload", None)
    if column is None:
        return None, []
    if len(column) < n:
        raise ValueError(f"{n} requests, but the trace has {len(column)} payloads")
    encoded = pa.array(column[:n], type=pa.string()).dictionary_encode()
    if encoded.null_count:
        row = encoded.is_null().to_numpy(zero_copy_only=False).argmax()
        raise InputError(f"the trace names no payload for request {row}")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _templated(scenario: Scenario, request: Request, n: int, common: dict[str, Any]) -> Payloads:
    assert request.template is not None
    names_used = BodyTemplate(request.template, request.template_source).names
    ids = np.zeros(n, dtype=np.int64)
    rows: list[bytes] = []
    source = f"the template {Path(request.template_source).name}, rendered for each request"
    if (many := _many_bodies(request)) is not None:
        rows, of_rows = many
        ids = line_ids(request.order, len(rows), n, scenario.seed)
        source += f" with the {of_rows}"
    names: list[str] = []
    name_ids, found = _payload_column(scenario, n) if "payload" in names_used else (None, [])
    if name_ids is not None:
        ids, rows, names = _paired(ids, rows, name_ids, found)
    made = Payloads(
        kind=PayloadKind.TEMPLATE,
        source=source,
        payload_id=ids,
        bodies=tuple(rows),
        names=tuple(names),
        template=request.template,
        template_source=request.template_source,
        **common,
    )
    tried = _try(made, scenario, n)
    return made if tried is None else replace(made, source=f"{source} ({tried})")


def _paired(
    ids: IntArray, rows: list[bytes], name_ids: IntArray, names: list[str]
) -> tuple[IntArray, list[bytes], list[str]]:
    """Entries for each pair of row and name that some request has."""
    if not rows:
        return name_ids, [], names
    pairs, paired = np.unique(ids * len(names) + name_ids, return_inverse=True)
    row_of, name_of = np.divmod(pairs, len(names))
    return paired.astype(np.int64), [rows[i] for i in row_of], [names[i] for i in name_of]


def _try(made: Payloads, scenario: Scenario, n: int) -> str | None:
    """Render the first request of each entry, the last one too. Returns a sentence if not all entries were tried."""
    if n == 0:
        return None
    entries, first = np.unique(made.payload_id, return_index=True)
    chosen = first
    if len(first) > MOST_RENDERED:
        chosen = first[np.linspace(0, len(first) - 1, MOST_RENDERED).astype(np.int64)]
    assert made.template is not None
    template, values_of = BodyTemplate(made.template, made.template_source), made.values_of()
    problems: list[str] = []
    for index in np.unique([*chosen.tolist(), 0, n - 1]).tolist():
        try:
            template.render_checked(values_of(index, int(made.payload_id[index]), scenario.service_time.mean_s, 0.0))
        except InputError as error:
            problems += error.problems
            if len(problems) >= MOST_SENTENCES:
                break
    _raise(problems, "")
    return None if len(chosen) == len(entries) else f"{len(chosen):,} of {len(entries):,} entries were tried beforehand"


def _read_body(path: Path) -> bytes:
    with reading(path, str(path)):
        size = path.stat().st_size
        if size > LARGEST_BODY_BYTES:
            raise InputError(f"{path}: {_too_large(size)}")
        body = path.read_bytes()
    if not body:
        raise InputError(f"{path}: the file is empty")
    return body


def _too_large(size: int) -> str:
    return f"has {size:,} bytes, Azure ML takes at most {LARGEST_BODY_BYTES:,}"


def _raise(problems: list[str], more: str) -> None:
    """Raise what is wrong, if anything is: the first problems, and how many more there are."""
    if len(problems) > MOST_SENTENCES:
        problems = [*problems[:MOST_SENTENCES], more.format(len(problems) - MOST_SENTENCES)]
    if problems:
        raise InputError(*problems)
