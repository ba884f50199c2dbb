"""The pack: one Parquet file with everything that a worker needs for its bodies, on whatever machine it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.payloads.bodies import NO_IDS, PayloadKind, Payloads
from planner.errors import InputError
from planner.request import AnswerBody, Header, ResponseCheck

_HASH_KEY = b"surgeproof_sha256"
_DESCRIPTION_KEY = b"surgeproof_payloads"


def write_payloads(path: Path, payloads: Payloads) -> None:
    """Write the entries and their description. Values of environment variables are no part of it."""
    count = payloads.count
    table = pa.table(
        {
            "body": pa.array(payloads.bodies or [None] * count, type=pa.large_binary()),
            "name": pa.array(payloads.names or [None] * count, type=pa.large_string()),
        }
    )
    metadata = {_HASH_KEY: payloads.sha256.encode(), _DESCRIPTION_KEY: json.dumps(payloads.described()).encode()}
    pq.write_table(
        table.replace_schema_metadata(metadata), path, compression="zstd", use_dictionary=False, write_statistics=False
    )


def read_payloads(path: Path, expected_sha256: str) -> Payloads:
    """The payloads of a pack, without ids. A pack that was changed, or is not the expected one, is refused."""
    try:
        table = pq.read_table(path, use_threads=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    metadata = table.schema.metadata or {}
    if _DESCRIPTION_KEY not in metadata or _HASH_KEY not in metadata or table.column_names != ["body", "name"]:
        raise InputError(f"{path}: not a pack of payloads")
    try:
        payloads = _payloads(json.loads(metadata[_DESCRIPTION_KEY]), table)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: not a pack of payloads ({str(error).splitlines()[0]})") from None
    if payloads.sha256 != metadata[_HASH_KEY].decode("ascii", "replace"):
        raise InputError(f"{path}: content does not match its SHA-256, the file was changed")
    if payloads.sha256 != expected_sha256:
        raise InputError(
            f"{path}: has the SHA-256 {payloads.sha256[:12]}…, the replay was planned with {expected_sha256[:12]}…"
        )
    return payloads


def _payloads(description: dict[str, Any], table: pa.Table) -> Payloads:
    status, dotted, compares, equals, body = description["check"]
    return Payloads(
        kind=PayloadKind(description["kind"]),
        source=description["source"],
        payload_id=NO_IDS,
        bodies=tuple(body for body in table.column("body").to_pylist() if body is not None),
        names=tuple(name for name in table.column("name").to_pylist() if name is not None),
        template=description["template"],
        template_source=description["template_source"],
        headers=tuple(Header(name=n, value=value, variable=v) for n, value, v in description["headers"]),
        check=ResponseCheck(status=status, field=dotted, compares=compares, equals=equals, body=AnswerBody(body)),
        seed=description["seed"],
    )
