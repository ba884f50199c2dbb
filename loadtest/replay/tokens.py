"""Keys and tokens as they are found: in a text, in a file, at Azure; each with what is known of its end."""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtest.replay.redaction import redact
from planner.errors import InputError
from planner.extras import how_to_install
from planner.reading import reading

LARGEST_SECRET_BYTES = 65_536

_OF_THE_IDENTITY = (
    *("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_PASSWORD"),
    *("IDENTITY_HEADER", "MSI_SECRET"),
)
"""Secrets that azure-identity reads itself and might repeat in a message."""


def secrets_of_the_identity(environ: Mapping[str, str]) -> list[str]:
    return [environ[name] for name in _OF_THE_IDENTITY if environ.get(name)]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A key or a token. expires_at, refresh_at: seconds since 1970, None if unknown or never."""

    value: str = field(repr=False)
    expires_at: float | None = None
    refresh_at: float | None = None


def checked(value: str, source: str) -> str:
    """A key or token that fits into a header. It is never shown, not even when it is refused."""
    if not value:
        raise InputError(f"{source}: is empty")
    if not all(33 <= ord(c) <= 126 for c in value):
        raise InputError(f"{source}: holds a space, a line break or another character that no key or token has")
    return value


def from_text(text: str, source: str) -> Secret:
    """A bare key or token, or the JSON of `az ml online-endpoint get-credentials`."""
    text = text.strip()
    if not text.startswith("{"):
        return Secret(value=checked(text, source), expires_at=expiry_of(text))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{source}: starts like JSON and is none") from None
    found = next((document[name] for name in ("accessToken", "primaryKey") if document.get(name)), None)
    value = found if isinstance(found, str) else ""
    if not value:
        raise InputError(f"{source}: JSON without accessToken or primaryKey")
    expires_at = _moment(document.get("expiryTimeUtc"))
    return Secret(
        value=checked(value, source),
        expires_at=expiry_of(value) if expires_at is None else expires_at,
        refresh_at=_moment(document.get("refreshAfterTimeUtc")),
    )


def _moment(value: Any) -> float | None:
    """Seconds since 1970 of a number or an ISO 8601 time; 0 means never."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def expiry_of(token: str) -> float | None:
    """The `exp` of a JSON Web Token; None if it is none. The signature is the endpoint's business."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return _moment(claims.get("exp"))
    except (ValueError, AttributeError, RecursionError):
        return None


def from_file(path: Path, option: str) -> Secret:
    source = f"{option} {path}"
    with reading(path, source):
        if path.stat().st_size > LARGEST_SECRET_BYTES:
            raise InputError(f"{source}: is larger than {LARGEST_SECRET_BYTES:,} bytes, no key or token is")
        text = path.read_text(encoding="utf-8-sig")
    return from_text(text, source)


def signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None if it is not there."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def from_azure(scope: str) -> Secret:
    """A new token from azure-identity: its DefaultAzureCredential, which AZURE_TOKEN_CREDENTIALS narrows to one kind.

    The credential is made anew each time: one that is kept answers from its memory until a token's last five minutes.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError:
        raise InputError(f"--azure-identity needs azure-identity: {how_to_install('azure')}") from None
    for name in ("azure", "msal"):  # they warn of each failed kind, in words that may hold what they were given
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with DefaultAzureCredential() as credential:
            token = credential.get_token_info(scope)
    except Exception as error:  # whatever kind of identity it is, its failures have no base in common
        raise InputError(f"--azure-identity: no token for {scope} ({_reason(error)})") from None
    return Secret(
        value=checked(token.token, "--azure-identity"), expires_at=token.expires_on, refresh_at=token.refresh_on
    )


def _reason(error: Exception) -> str:
    """The message in one line, without the secrets that the identity was given, the most telling part first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.endswith("credentials:") and "troubleshoot" not in line]
    text = " ".join(told or lines or [type(error).__name__])
    text = redact(text, secrets_of_the_identity(os.environ))
    return text if len(text) <= 300 else text[:297] + "..."
